"""Sessions with the server, and what it answered: `python tests/lsp/record.py` writes tests/lsp/sessions/ anew.

Each session is a text, and questions about places in it (`after`: the first place behind these words). What is kept of
an answer is what a reader would see; of long lists the beginning.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from talk import Editor

SESSIONS = Path(__file__).parent / "sessions"
HEAD = 'model efficientnet_lite0\ninput "sample:chelsea"\n\n'
EVIDENCE = "evidence = block5c.expand.channel | attribute([output[0], output[1]])\n"
MOST = 8


def step(ask: str, after: str = "", **more: Any) -> dict[str, Any]:
    return {"ask": ask, **({"after": after} if after else {}), **more}


TEXTS: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "completion": (
        HEAD + EVIDENCE
        + "evidence | to\nphoto = input | present(im)\nblock5c.\n[block4c.expand, block5c.expand].\n"
        'x = output["tab"]\nevidence | top(3, along=) | present(bars, over=)\nset feat\n'
        "block5c.expand.channel | attrib\n",
        [
            step("completion", "evidence | to"), step("completion", "present(im"), step("completion", "\nblock5c."),
            step("completion", "block5c.expand]."), step("completion", 'x = output["tab'), step("completion", "along="),
            step("completion", "over="), step("completion", "set feat"), step("completion", "| attrib"),
        ],
    ),
    "hover": (
        HEAD + EVIDENCE + "blocks = evidence | both(3, by=difference) | present(featvis)\n"
        "where = block5c.expand.neuron | activation | at(hover(blocks)) | present(heatmap)\n",
        [
            step("hover", "| attrib"), step("hover", "| bo"), step("hover", "blocks = evid"),
            step("hover", "block5c.exp"), step("hover", "by=diff"),
            step("hover", "at(hov"), step("hover", "present(feat"), step("hover", "mod"),
        ],
    ),
    "signature": (
        HEAD + EVIDENCE + "evidence | top(3, by=value) | present(bars, title=\"x\")\n",
        [step("signatureHelp", "top("), step("signatureHelp", "top(3, "), step("signatureHelp", "by=va"),
         step("signatureHelp", "title=")],
    ),
    "names": (
        HEAD + EVIDENCE + "def strongest(field, k=8) = field | top(k)\nbest = evidence | strongest(3)\n"
        "best | present(bars, facet=class)\n"
        'interface "inner" {\n    best = block4a.expand.channel | attribute(output) | top(2)\n'
        "    best | present(bars)\n}\n",
        [
            step("definition", "best = evid"), step("definition", "| strong"),
            step("references", "\nbest", context={"includeDeclaration": True}),
            step("rename", "evidence", newName="why"), step("prepareRename", "    bes"),
            step("rename", "    bes", newName="inner_best"), step("rename", "evidence", newName="best"),
            step("rename", "evidence", newName="layout"),
        ],
    ),
    "fixes": (
        HEAD + EVIDENCE + "evidence | topp(3) | present(bars, facet=class)\nblock5c.expnd.channel | present(bars)\n"
        'x = block5c.expand.channel | attribute(output["tabbby"]) | top(4)\nx | present(bars\n',
        [
            step("diagnostics"), step("codeAction", "| topp"), step("codeAction", "block5c.expn"),
            step("codeAction", '"tabbb'), step("codeAction", "x | present("),
        ],
    ),
    "typing": (
        HEAD + EVIDENCE,
        [
            step("diagnostics"), step("type", EVIDENCE, text="evidence | present(bars"), step("diagnostics"),
            step("type", "present(bars", text=", facet=class)"), step("diagnostics"),
            step("type", "attribute([output[0]", text=" +"), step("diagnostics"),
            step("completion", "[output[0] +"), step("hover", "\nevid"),
        ],
    ),
    "whole": (
        HEAD + EVIDENCE + 'evidence|top(3,by=magnitude)|present(bars,facet=class,title="The best")# why not\n'
        'interface "Two" {\n  photo=input|present(image)\n}\n',
        [
            step("documentSymbol"), step("semanticTokens/full"),
            step("formatting", options={"tabSize": 4, "insertSpaces": True}),
        ],
    ),
}  # fmt: skip


def answered(editor: Editor, asked: dict[str, Any]) -> Any:
    """One step of a session and the summary of the answer."""
    more = {key: value for key, value in asked.items() if key not in ("ask", "after", "text")}
    words = asked.get("after", "")
    offset = editor.text.index(words) + len(words)
    if asked["ask"] == "type":
        editor.edit(offset, offset, asked["text"])
        return None
    if asked["ask"] == "diagnostics":
        return [{"code": d["code"], "message": d["message"], "range": span(d["range"])} for d in editor.diagnostics()]
    if asked["ask"] == "codeAction":
        editor.diagnostics()
        position = editor.position_at(offset)
        actions = editor.whole("codeAction", range={"start": position, "end": position}, context={"diagnostics": []})
        return [{"title": a["title"], "edits": edits(a["edit"])} for a in actions]
    if words:
        return summary(asked["ask"], editor.at(asked["ask"], offset, **more))
    return summary(asked["ask"], editor.whole(asked["ask"], **more))


def span(range: dict[str, Any]) -> str:
    """`3:4-3:9`, lines and columns from zero."""
    (a, b), (c, d) = (range["start"].values(), range["end"].values())
    return f"{a}:{b}-{c}:{d}"


def edits(edit: dict[str, Any]) -> list[str]:
    return [f"{span(e['range'])} {e['newText']}" for each in edit["changes"].values() for e in each]


def summary(ask: str, result: Any) -> Any:
    if result is None or "code" in result:
        return result
    if ask == "completion":
        items = sorted(result["items"], key=lambda item: item["sortText"])
        first = [f"{i['label']} · {i.get('detail', '')} · {i['textEdit']['newText']}" for i in items[:MOST]]
        ranges = sorted({span(item["textEdit"]["range"]) for item in items})
        return {"ranges": ranges, "first": first}
    if ask == "hover":
        return {"range": span(result["range"]), "words": result["contents"]["value"].split("\n")[:6]}
    if ask == "signatureHelp":
        return {"label": result["signatures"][0]["label"], "active": result.get("activeParameter")}
    if ask == "rename":
        return edits(result)
    if ask == "prepareRename":
        return f"{span(result['range'])} {result['placeholder']}"
    if ask == "definition":
        return span(result["range"])
    if ask == "references":
        return [span(each["range"]) for each in result]
    if ask == "formatting":
        return [f"{span(e['range'])} {e['newText']}" for e in result]
    if ask == "documentSymbol":
        return [symbol(each) for each in result]
    if ask == "semanticTokens/full":
        data = result["data"]
        return [" ".join(map(str, data[i : i + 5])) for i in range(0, min(len(data), 100), 5)]
    return result


def symbol(each: dict[str, Any]) -> Any:
    words = f"{each['name']} · {each.get('detail', '')} · {span(each['selectionRange'])}"
    return [words, [symbol(child) for child in each["children"]]] if each.get("children") else words


def session(editor: Editor, name: str) -> dict[str, Any]:
    text, steps = TEXTS[name]
    editor.close()
    editor.open(f"file:///texts/{name}.bbi", text)
    done = [{**asked, "answer": answered(editor, asked)} for asked in steps]
    return {"text": text.split("\n"), "steps": done}


def main() -> None:
    SESSIONS.mkdir(exist_ok=True)
    editor = Editor("file:///texts/empty.bbi", "")
    for name in TEXTS:
        words = json.dumps(session(editor, name), indent=1, ensure_ascii=False)
        (SESSIONS / f"{name}.json").write_text(words + "\n", encoding="utf-8")
    editor.stop()


if __name__ == "__main__":
    main()
