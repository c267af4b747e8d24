// A client of `bbi lsp --websocket` for CodeMirror 6: completion, hover, diagnostics with their quick fixes, rename, format.
import {autocompletion, snippet} from "@codemirror/autocomplete"
import {setDiagnostics} from "@codemirror/lint"
import {EditorView, hoverTooltip, keymap, ViewPlugin} from "@codemirror/view"

class Connection {
  constructor(address) {
    this.number = 0
    this.waiting = new Map()
    this.told = () => {}
    this.socket = new WebSocket(address)
    this.socket.binaryType = "arraybuffer" // the server sends bytes
    const decoder = new TextDecoder()
    this.socket.onmessage = ({data}) => this.read(JSON.parse(typeof data === "string" ? data : decoder.decode(data)))
    this.open = new Promise(done => (this.socket.onopen = done))
  }
  read(message) {
    if (message.id !== undefined && message.method === undefined) {
      this.waiting.get(message.id)?.(message.result ?? null)
      this.waiting.delete(message.id)
    } else if (message.method) this.told(message.method, message.params)
  }
  send(message) {
    this.socket.send(JSON.stringify({jsonrpc: "2.0", ...message}))
  }
  tell(method, params) {
    this.send({method, params})
  }
  ask(method, params) {
    const id = ++this.number
    this.send({id, method, params})
    return new Promise(done => this.waiting.set(id, done))
  }
}

const place = (doc, offset) => {
  const line = doc.lineAt(offset)
  return {line: line.number - 1, character: offset - line.from}
}
const offset = (doc, {line, character}) => {
  if (line >= doc.lines) return doc.length
  const at = doc.line(line + 1)
  return Math.min(at.from + character, at.to)
}
const applied = (view, edits) =>
  view.dispatch({
    changes: edits.map(e => ({from: offset(view.state.doc, e.range.start), to: offset(view.state.doc, e.range.end), insert: e.newText})),
  })

// Markdown as the server writes it: paragraphs, lists, fences, `code` and **bold**. Text stays text.
function shown(words) {
  const box = document.createElement("div")
  box.className = "bbi-words"
  const inline = (words, parent) => {
    const text = words.replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&amp;/g, "&")
    for (const part of text.split(/(`[^`]+`|\*\*[^*]+\*\*)/)) {
      const kind = part.startsWith("`") ? "code" : part.startsWith("**") ? "b" : null
      if (!kind) parent.append(part)
      else parent.appendChild(document.createElement(kind)).textContent = part.replace(/^(`|\*\*)|(`|\*\*)$/g, "")
    }
  }
  for (const block of words.split(/(```bbi\n[\s\S]*?\n```)/)) {
    if (block.startsWith("```")) box.appendChild(document.createElement("pre")).textContent = block.slice(7, -4)
    else
      for (const paragraph of block.split("\n\n").filter(p => p.trim())) {
        const list = paragraph.trim().startsWith("- ")
        const parent = box.appendChild(document.createElement(list ? "ul" : "p"))
        if (list) for (const item of paragraph.trim().split("\n")) inline(item.slice(2), parent.appendChild(document.createElement("li")))
        else inline(paragraph, parent)
      }
  }
  return box
}

const KINDS = {2: "method", 3: "function", 5: "property", 6: "variable", 7: "class", 9: "namespace", 10: "property", 12: "constant", 14: "keyword", 16: "type", 17: "text", 20: "enum", 21: "constant", 23: "function", 25: "type"}

export function lsp(address, uri) {
  const connection = new Connection(address)
  let version = 1
  let opened = false
  let view = null
  const ready = connection.open.then(async () => {
    const completionItem = {snippetSupport: true}
    await connection.ask("initialize", {processId: null, rootUri: null, capabilities: {textDocument: {completion: {completionItem}}}})
    connection.tell("initialized", {})
    opened = true // what was typed until now is in the text that is sent
    const text = view.state.doc.toString()
    connection.tell("textDocument/didOpen", {textDocument: {uri, languageId: "bbi", version, text}})
  })

  const about = (method, doc, at, more = {}) =>
    ready.then(() => connection.ask(`textDocument/${method}`, {textDocument: {uri}, position: place(doc, at), ...more}))

  connection.told = async (method, params) => {
    if (method !== "textDocument/publishDiagnostics" || params.uri !== uri || params.version !== version) return
    const doc = view.state.doc
    const found = []
    for (const d of params.diagnostics) {
      const from = offset(doc, d.range.start)
      const actions = await connection.ask("textDocument/codeAction", {textDocument: {uri}, range: d.range, context: {diagnostics: [d]}})
      const own = (actions || []).filter(action => action.diagnostics.some(each => each.code === d.code && each.message === d.message))
      found.push({
        from, to: Math.max(offset(doc, d.range.end), from), severity: d.severity === 1 ? "error" : "warning",
        source: d.code, message: d.message,
        actions: own.map(action => ({name: action.title, apply: view => applied(view, action.edit.changes[uri])})),
      })
    }
    if (params.version !== version) return
    view.dispatch(setDiagnostics(view.state, found))
    view.dom.dataset.checked = version // of the text that the marks are about
  }

  const follow = ViewPlugin.fromClass(
    class {
      constructor(own) {
        view = own
      }
      update(update) {
        if (!update.docChanged) return
        const contentChanges = []
        update.changes.iterChanges((from, to, _, __, text) => {
          const range = {start: place(update.startState.doc, from), end: place(update.startState.doc, to)}
          contentChanges.unshift({range, text: text.toString()}) // from the end on, so that places before stay
        })
        version++
        if (opened) connection.tell("textDocument/didChange", {textDocument: {uri, version}, contentChanges})
      }
    },
  )

  const complete = async context => {
    const before = context.state.sliceDoc(context.pos - 1, context.pos)
    if (!context.explicit && !/[\w.|(\["=,:/ ]/.test(before)) return null
    const result = await about("completion", context.state.doc, context.pos)
    if (!result?.items.length) return null
    const items = [...result.items].sort((a, b) => (a.sortText < b.sortText ? -1 : 1))
    const doc = context.state.doc
    const option = item => ({
      label: item.label,
      detail: item.detail,
      type: KINDS[item.kind],
      apply: (view, _, __, ___) => {
        const from = offset(doc, item.textEdit.range.start)
        const to = Math.max(offset(doc, item.textEdit.range.end), view.state.selection.main.head)
        const text = item.textEdit.newText
        if (item.insertTextFormat === 2) snippet(text.replace("$1", "${}"))(view, null, from, to)
        else view.dispatch({changes: {from, to, insert: text}, selection: {anchor: from + text.length}})
      },
      info: async () => {
        const known = item.data ? await connection.ask("completionItem/resolve", item) : item
        const words = known?.documentation?.value ?? known?.documentation
        return words ? shown(words) : null
      },
    })
    return {from: offset(doc, items[0].textEdit.range.start), options: items.map(option), filter: false}
  }

  const pointed = hoverTooltip(async (view, pos) => {
    const result = await about("hover", view.state.doc, pos)
    if (!result) return null
    const doc = view.state.doc
    return {pos: offset(doc, result.range.start), end: offset(doc, result.range.end), above: true, create: () => ({dom: shown(result.contents.value)})}
  })

  const format = view => {
    ready
      .then(() => connection.ask("textDocument/formatting", {textDocument: {uri}, options: {tabSize: 4, insertSpaces: true}}))
      .then(edits => edits && applied(view, edits))
    return true
  }

  return [follow, autocompletion({override: [complete], activateOnTyping: true}), pointed, keymap.of([{key: "Shift-Alt-f", run: format}]), EditorView.lineWrapping]
}
