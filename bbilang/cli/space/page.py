"""The page of `bbi space`: one standalone file, whose grid works with a keyboard and a screen reader."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence

from bbilang.cli.space.grid import Grid

COLOURS = ("#3366cc", "#b35900", "#2e7d32", "#b3261e", "#7b3fa0", "#00718f", "#8a6d00", "#ad1a72", "#5b5b5b", "#4a6b00")
STYLE = """
:root { color-scheme: light dark; --ink: #1c1c1e; --soft: #5f6368; --line: #d9dadd; --paper: #fff; --accent: #0b57d0;
  --none: #f1f1f3; --ring: transparent }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e8ea; --soft: #a0a3a8; --line: #3a3b3f; --paper: #17181a;
  --accent: #8ab4f8; --none: #2c2d31; --ring: #a0a3a8 } }
body { margin: 0 auto; max-width: 72rem; padding: 1.5rem 1rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif }
h1 { font-size: 1.5rem; margin: 0 } p { margin: .25rem 0 } .soft { color: var(--soft); font-size: .875rem }
aside { position: sticky; top: 1rem; border: 1px solid var(--line); border-radius: .5rem; padding: .75rem 1rem }
main { display: grid; gap: 1.5rem; grid-template-columns: minmax(0, 3fr) minmax(14rem, 2fr); align-items: start }
@media (max-width: 50rem) { main { grid-template-columns: minmax(0, 1fr) }
  aside { position: sticky; top: auto; bottom: 0; background: var(--paper); max-height: 40vh; overflow-y: auto } }
.scroll { overflow-x: auto; position: relative } table { border-collapse: collapse; width: 100%; font-size: .875rem }
th { font-weight: 600; text-align: left; padding: .25rem .5rem } thead th { text-align: center }
td { border: 1px solid var(--line); padding: .2rem; text-align: center; min-width: 3.5rem; height: 2.2rem }
td.none { background: var(--none) } td.linked { outline: 3px solid var(--accent); outline-offset: -3px }
button { font: inherit; color: inherit; cursor: pointer } a { color: var(--accent) }
.plain { border: 1px solid var(--line); border-radius: .25rem; background: none; padding: .1rem .5rem }
[hidden] { display: none }
.point { width: 1.75rem; height: 1.75rem; padding: 0; border-radius: 50%; border: 1px solid var(--ring);
  margin: 1px; color: #fff; font-size: .75rem;
  font-weight: 600; background: var(--own); forced-color-adjust: none }
.point[aria-pressed=true], .point:hover { box-shadow: 0 0 0 2px var(--paper), 0 0 0 4px var(--accent) }
.point.faded { opacity: .2 } .empty { border: 1px dashed transparent; background: none; color: var(--soft);
  width: 100%; height: 100%; min-height: 1.75rem; border-radius: .25rem }
.empty:hover, .empty:focus-visible, .empty[aria-pressed=true] { border-color: var(--accent); color: var(--accent) }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 1px }
h2 { font-size: 1.1rem; margin: 0 } section { margin-bottom: 2rem }
pre { white-space: pre-wrap; overflow-wrap: anywhere; font-size: .8rem }
ul.pages { list-style: none; padding: 0; margin: .75rem 0; display: flex; flex-wrap: wrap; gap: .25rem .75rem }
ul.pages button { background: none; border: 0; padding: .15rem; display: flex; gap: .35rem;
  align-items: center; text-align: left }
ul.pages button[aria-pressed=true] { text-decoration: underline }
.key { flex: none; width: 1.4rem; height: 1.4rem; border-radius: 50%; border: 1px solid var(--ring);
  color: #fff; background: var(--own); font-size: .7rem;
  font-weight: 600; display: inline-grid; place-items: center; forced-color-adjust: none }
@media print { aside { position: static } }
"""
SCRIPT = """
const all = selector => [...document.querySelectorAll(selector)]
const by = name => document.getElementById(name)
const start = { title: by("title").textContent, said: by("said").textContent }
const buttons = all(".point, .empty")
let page = "", pinned = null, shown = null
function show(chosen) {
  shown = chosen
  const links = chosen && chosen.dataset.links ? chosen.dataset.links.split(" ") : []
  const table = chosen && chosen.closest("table")
  for (const cell of all("td")) {
    const used = cell.dataset.use && cell.closest("table") === table
    cell.classList.toggle("linked", !!used && links.includes(cell.dataset.layer))
  }
  const own = chosen ? chosen.dataset : {}
  by("text").textContent = own.text || ""
  by("copy").hidden = !own.text
  by("copied").textContent = ""
  by("open").hidden = !own.file
  if (own.file) by("open").href = own.file
  if (!chosen) [by("title").textContent, by("said").textContent] = [start.title, start.said]
  else if (own.text) {
    by("title").textContent = own.place + ": empty"
    by("said").textContent = "No page shows these. This text would:"
  } else {
    by("title").textContent = own.page + ": " + own.element
    by("said").textContent = own.words + (links.length ? " Connected with " + links.join(", ") + "." : "")
  }
}
function pin(chosen) {
  pinned = chosen
  for (const other of buttons) other.setAttribute("aria-pressed", other === chosen)
  show(chosen)
}
function move(from, rows, columns) {
  const table = from.closest("table"), cell = from.closest("td")
  const beside = [...cell.querySelectorAll("button")], next = beside.indexOf(from) + columns
  if (columns && beside[next]) return beside[next]
  let row = cell.parentNode.rowIndex + rows, column = cell.cellIndex + columns
  while (table.rows[row] && table.rows[row].cells[column]) {
    const found = [...table.rows[row].cells[column].querySelectorAll("button")]
    if (found.length) return columns < 0 ? found[found.length - 1] : found[0]
    row += rows
    column += columns
  }
  return null
}
const KEYS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }
for (const button of buttons) {
  button.addEventListener("click", () => pin(pinned === button ? null : button))
  button.addEventListener("pointerenter", event => { if (event.pointerType === "mouse") show(button) })
  button.addEventListener("pointerleave", event => { if (event.pointerType === "mouse") show(pinned) })
  button.addEventListener("focus", () => {
    for (const other of button.closest("table").querySelectorAll("button")) other.tabIndex = other === button ? 0 : -1
  })
  button.addEventListener("keydown", event => {
    const next = KEYS[event.key] && move(button, ...KEYS[event.key])
    if (event.key === "Escape") pin(null)
    if (!next) return
    event.preventDefault()
    next.focus()
    show(next)
  })
}
for (const table of all("table"))
  [...table.querySelectorAll("button")].forEach((button, number) => { button.tabIndex = number ? -1 : 0 })
by("copy").addEventListener("click", async () => {
  const chosen = shown
  try {
    await navigator.clipboard.writeText(by("text").textContent)
  } catch {
    getSelection().selectAllChildren(by("text"))
    if (!document.execCommand("copy")) return
  }
  if (chosen === shown) by("copied").textContent = "copied"
})
for (const key of all("ul.pages button")) key.addEventListener("click", () => {
  page = page === key.dataset.number ? "" : key.dataset.number
  for (const other of all("ul.pages button")) other.setAttribute("aria-pressed", other.dataset.number === page)
  for (const point of all(".point")) point.classList.toggle("faded", !!page && point.dataset.number !== page)
})
"""
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
content="default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{{ hash }}'">
<title>The space of interfaces</title><style>{{ style }}</style></head><body>
<h1>What do these pages show, and what is empty?</h1>
<p class="soft">Rows are layers from the input to the output, columns kinds of atoms. Grey: the layer has no such atoms,
or an operation has to make them. Point, click, or move with the arrow keys.</p>
<main><div>
{% for grid in grids %}{% set index = loop.index0 %}<section><h2>{{ grid.model }}</h2>
<p class="soft">{{ grid.filled }} cells are shown by a page, {{ grid.empty }} are empty and could be.</p>
<ul class="pages">
{% for page in grid.pages %}<li><button type="button" data-number="{{ index }}-{{ loop.index0 }}" aria-pressed="false">
<span class="key" style="--own: {{ colours[loop.index0 % colours|length] }}">{{ letter(loop.index0) }}</span>
{{ page }}</button></li>
{% endfor %}</ul>
<div class="scroll"><table><thead><tr><td class="none"></td>
{% for atom in grid.atoms %}<th scope="col">{{ atom }}</th>{% endfor %}</tr></thead><tbody>
{% for layer, cells in grid.rows %}<tr><th scope="row">{{ layer }}</th>
{% for cell in cells %}
{% if cell.points %}<td data-layer="{{ layer }}" data-use="1">
{% for point in cell.points %}<button type="button" class="point" aria-pressed="false"
style="--own: {{ colours[point.page % colours|length] }}" data-number="{{ index }}-{{ point.page }}"
data-page="{{ grid.pages[point.page] }}" data-file="{{ grid.files[point.page] }}"
data-element="{{ point.element }}" data-words="{{ point.words }}" data-links="{{ point.links | join(' ') }}"
aria-label="{{ grid.pages[point.page] }}: {{ point.words }}">{{ letter(point.page) }}</button>{% endfor %}</td>
{% elif cell.text %}<td data-layer="{{ layer }}"><button type="button" class="empty" aria-pressed="false"
data-place="{{ layer }}.{{ cell.atom }}" data-text="{{ cell.text }}"
aria-label="{{ layer }}.{{ cell.atom }} is empty: show a text that fills it">+</button></td>
{% else %}<td class="none"></td>{% endif %}
{% endfor %}</tr>
{% endfor %}</tbody></table></div></section>
{% endfor %}</div>
<aside aria-live="polite"><h2 id="title">Choose a point or an empty cell</h2>
<p id="said">A point is an element of a page, in the colour and with the letter of its page. A + is a cell that no page
shows yet.</p>
<pre id="text"></pre>
<p><button type="button" id="copy" class="plain" hidden>copy the text</button> <span id="copied"></span>
<a id="open" hidden>open the page</a></p></aside></main>
<script>{{ script }}</script>
</body></html>
"""


def letter(page: int) -> str:
    """Return the letter of a page: A to Z, then AA."""
    return (chr(64 + page // 26) if page >= 26 else "") + chr(65 + page % 26)


def html(grids: Sequence[Grid]) -> str:
    """Return the grids as a page, with names and texts escaped."""
    from jinja2 import Environment
    from markupsafe import Markup

    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    template = Environment(autoescape=True, trim_blocks=True).from_string(PAGE)
    return template.render(
        grids=grids, colours=COLOURS, letter=letter, hash=Markup(digest), style=Markup(STYLE), script=Markup(SCRIPT)
    )
