// The editor of the tests: `editor.html?port=1234` opens a text with the server on that port of this machine.
import {closeBrackets, closeBracketsKeymap, completionKeymap} from "@codemirror/autocomplete"
import {defaultKeymap, history, historyKeymap} from "@codemirror/commands"
import {lintGutter} from "@codemirror/lint"
import {drawSelection, EditorView, highlightActiveLine, keymap, lineNumbers} from "@codemirror/view"
import {bbi} from "./bbi.js"
import {lsp} from "./lsp.js"

const asked = new URLSearchParams(location.search)
const view = new EditorView({
  doc: asked.get("text") ?? "",
  parent: document.getElementById("editor"),
  extensions: [
    lineNumbers(), history(), drawSelection(), highlightActiveLine(), closeBrackets(), lintGutter(), bbi(),
    lsp(`ws://127.0.0.1:${asked.get("port")}`, "file:///texts/page.bbi"),
    keymap.of([...closeBracketsKeymap, ...completionKeymap, ...historyKeymap, ...defaultKeymap]),
  ],
})
window.view = view
