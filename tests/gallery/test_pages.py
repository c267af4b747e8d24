"""Properties of every gallery page: size, words, phones and dark mode."""

from __future__ import annotations

from pathlib import Path

import pytest
from filled_pipes import filled
from text_sizes import ALLOWED, sizes

import bbilang
from bbilang.runtime.view.states import elements, start_choices

ROOT = Path(__file__).parents[2]
# Those whose numbers take long are compiled by their own tests, of fewer layers, classes, channels or steps.
LONG = {"spatial_attribution", "channel_attribution", "methods_side_by_side", "which_pixels_which_concepts"}
TINY = {"featvis.size": 16, "featvis.steps": 1}
NAMES = sorted({path.stem for path in (ROOT / "specs").glob("*.bbi")} - LONG)


@pytest.mark.browser
@pytest.mark.parametrize("name", NAMES)
def test_page(name, compiled, read):
    made = compiled(name)
    assert made.path.stat().st_size < 4_000_000
    html = made.path.read_text("utf-8")
    assert bbilang.extract(html) == made.text
    about = "tiger cat" if made.page.results.program.inputs else "sample:shapes"
    if not made.page.results.program.inputs and "dataset " not in made.text:  # it is about parameters alone
        about = "weights("
    network = "EfficientNet-Lite0"
    if '"sample:marks"' in made.text:
        network = "the network of sample:marks"
        about = "held-out examples of biased" if "discourage(" in made.text else "sample:marks"
    if '"sample:gallery"' in made.text:
        about = "in the space of interfaces"
    if '"sample:pan"' in made.text:
        about = "crash helmet"
    if '"sample:harbour"' in made.text:
        network, about = "the network of sample:harbour", "boat in the box"
    if '"sample:induction"' in made.text:
        network, about = "the network of sample:induction", "Lily saw the red"
    for words in (network, about, *made.page.view.provenance.fingerprint.split(", "), "seed"):
        assert words.lower() in html.lower()
    tab = read(name, width=390, color_scheme="dark").tab
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    background = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    assert sum(int(v) for v in background[background.index("(") + 1 : -1].split(",")[:3]) < 200
    charts = tab.eval_on_selector_all("[data-chart]", "all => all.map(n => n.getAttribute('aria-label'))")
    assert charts and all(charts)
    assert sizes(tab) <= ALLOWED


def pipes(view):
    """(element, number of an atom, the pipe about it) as the page opens, of each kind's first and last atom."""
    choices = start_choices(view)
    texts = {s.id: s.atoms[choices[s.id]].text if choices[s.id] is not None else "" for s in view.selections}
    for element in elements(view):
        kinds: dict[str, list[int]] = {}
        for number, atom in enumerate(element.atoms):
            kinds.setdefault("group" if atom.text.isdecimal() else atom.text[:6], []).append(
                number
            )  # output, or a layer
        for number in {number for numbers in kinds.values() for number in (numbers[0], numbers[-1])}:
            if text := filled(element, element.atoms[number], texts.__getitem__):
                yield element, number, text


@pytest.mark.parametrize("name", NAMES)
def test_every_pipe_that_a_page_copies_compiles(name, compiled):
    made, count = compiled(name), 0
    heads = [line for line in made.text.splitlines() if line.startswith(("bbi ", "model ", "input "))]
    head = "".join(f"{line}\n" for line in heads if "discourage(" not in line)
    for element, number, pipe in pipes(made.page.view):
        bbilang.check(bbilang.parse(f"{head}{pipe}\n"))
        count += 1
        assert element.atoms[number].label
    assert count or not any(atom.text for element in elements(made.page.view) for atom in element.atoms)


def test_the_pipe_of_a_bar_asks_about_its_number(compiled):
    view = compiled("can_i_trust_this").page.view
    element, number, pipe = next(entry for entry in pipes(view) if entry[0].id == "channels")
    method = "method=integrated_gradients(n_steps=64)"
    assert pipe == f"{element.atoms[number].text} | attribute(output, {method}) | present(featvis)"
    head = 'bbi 1\nmodel efficientnet_lite0\ninput "sample:chelsea"\n'
    again = bbilang.run(head + pipe + "\n", settings=TINY).view.interfaces[0].elements[0]
    frame = element.panels[0].frames[0]
    assert again.panels[0].frames[0].values[0][0] == pytest.approx(frame.values[frame.atoms.index(number)][0], rel=1e-3)
