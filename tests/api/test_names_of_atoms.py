"""Names of other atoms than channels: neurons, heads and learned tokens; and what has none."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
import torch
from libraries import need

import bbilang
from bbilang.cli.app import main
from bbilang.compiler.ir.serialize import from_json, to_json
from bbilang.grammar.diagnostic import BbiError
from bbilang.runtime.view.states import elements

sys.path.insert(0, str(Path(__file__).parents[1] / "heads"))
sys.path.insert(0, str(Path(__file__).parent))

from by_hand_heads import TEXT, Words, gpt2, timm_vit
from test_atom_names import labels, page, source

EYE, STRIPES = (2, 3, 4), 4
NEURON = 'name "0".neuron[2, 3, 4] "eye"\n'
CHANNEL = 'name "0".channel[4] "stripes"\n'
NEURONS = {
    "table": '"0".neuron | activation | top(800) | present(table)',
    "bars": '"0".neuron | attribute("2".channel[1]) | top(300) | present(bars)',
    "one": '"0".neuron[2, 3, 4] | activation | present(number)',
    "chosen": 'e = "0".neuron | activation | top(800) | present(table)\n'
    '"0".neuron | attribute(output[1]) | at(click(e)) | present(number)',
}  # fmt: skip


def by_hand(label: str, eye: bool, stripes: bool) -> str:
    """A label with the names, from the numbers that it says."""
    known = re.search(r"row (\d+), column (\d+), channel (\d+)", label)
    if known is None:
        return label
    neuron = tuple(map(int, known.groups()))
    ends = ' "stripes"' if stripes and neuron[2] == STRIPES else ""
    ends += ', "eye"' if eye and neuron == EYE else ""
    return label[: known.end()] + ends + label[known.end() :]


@pytest.mark.parametrize("style", NEURONS)
@pytest.mark.parametrize(("eye", "stripes"), [(True, True), (True, False)])
def test_a_neuron_is_called_by_its_name_and_its_channel_by_its_own(style, eye, stripes):
    plain = labels(page(NEURONS[style]))
    named = labels(page(NEURON * eye + CHANNEL * stripes + NEURONS[style]))
    assert named == [by_hand(label, eye, stripes) for label in plain]
    assert any("eye" in label for label in named), "the neuron is on the page"


def test_numbers_do_not_depend_on_the_name_of_a_neuron():
    plain, named = page(NEURONS["table"]), page(NEURON + NEURONS["table"])
    (left,), (right,) = ([e.node.digest for e in p.results.program.elements] for p in (plain, named))
    assert left == right


def test_a_program_with_names_is_written_and_read_as_it_is():
    program = page(NEURON + CHANNEL + NEURONS["one"]).results.program
    again = from_json(to_json(program))
    assert again.names == program.names
    assert [name.key for name in again.names] == ["0.neuron[2, 3, 4]", "0.channel[4]"]


def test_the_name_of_a_neuron_is_kept_and_grows_stale(tmp_path):
    text = tmp_path / "page.bbi"
    text.write_text(NEURON + NEURONS["one"] + "\n")
    page(source(text))
    kept = json.loads(text.with_name("page.names.json").read_text())["names"]
    assert set(kept) == {"0.neuron[2, 3, 4]"} and kept["0.neuron[2, 3, 4]"]["name"] == "eye"
    other = page(source(text), seed=9)
    assert 'row 2, column 3, channel 4, (stale "eye")' in labels(other)
    (warning,) = other.to_dict()["warnings"]
    assert warning.startswith('the name was given for other weights: "eye" (`0.neuron[2, 3, 4]`)')


# --- heads and tokens -------------------------------------------------------------------------------------------------


def words_of(made) -> set[str]:
    return {atom.label for element in elements(made.view) for atom in element.atoms}


def test_a_head_is_called_by_its_name():
    need("transformers")
    adapter = bbilang.adapt_text(gpt2("sdpa"), Words(), [str(n) for n in range(50)])
    head, text = "h.1.attn.head", f"text:{TEXT}"
    show = f"{head} | attribute(output[7]) | present(bars)\n{head} | attention | present(matrix, facet=head)"
    plain = bbilang.run(show, model=adapter, input=text, cache=False)
    named = bbilang.run(f'name {head}[2] "looks back"\n{show}', model=adapter, input=text, cache=False)
    assert words_of(named) - words_of(plain) == {'head 2 "looks back"'}
    assert labels(named) == [label.replace("head 2", 'head 2 "looks back"') for label in labels(plain)]
    (name,) = named.results.program.names
    assert name.key == "h.1.attn.head[2]", "as the text has it"
    for token in ("h.1.token[2]", "h.1.neuron[2, 3]", "h.1.attn.heads.neuron[2, 3, 1]"):
        with pytest.raises(BbiError) as raised:
            bbilang.run(f'name {token} "x"\n{show}', model=adapter, input=text, cache=False)
        assert [d.code for d in raised.value.diagnostics] == ["E296"]


def test_a_learned_token_has_a_name_and_a_patch_has_none():
    need("timm")
    image, adapter = torch.rand(3, 32, 32), bbilang.adapt(timm_vit(True), input_size=(32, 32))
    show = "blocks.1.token | attribute(output[1]) | present(bars)"
    plain = bbilang.run(show, model=adapter, input=image, cache=False)
    named = bbilang.run(f'name blocks.1.token[0] "summary"\n{show}', model=adapter, input=image, cache=False)
    assert labels(named) == [label.replace("class token", 'class token "summary"') for label in labels(plain)]
    assert 'class token "summary"' in words_of(named)
    with pytest.raises(BbiError) as raised:
        bbilang.run(f'name blocks.1.token[1] "x"\n{show}', model=adapter, input=image, cache=False)
    assert [d.code for d in raised.value.diagnostics] == ["E296"]


# --- pages, the command and the browser -------------------------------------------------------------------------------


def test_the_command_lists_the_name_of_a_neuron(tmp_path, capsys):
    text = tmp_path / "page.bbi"
    text.write_text('name block2a.expand.neuron[6, 6, 3] "eye"\nblock2a.expand.neuron[6, 6, 3] | present(number)\n')
    assert main(["names", str(text), "--json", "--weights", "random"]) == 0
    assert json.loads("".join(capsys.readouterr()))[0] | {"file": ""} == {
        "atom": "block2a.expand.neuron[6, 6, 3]", "name": "eye", "state": "new", "file": "", "model": "", "weights": ""
    }  # fmt: skip


def test_a_browser_shows_the_name_of_a_neuron_as_words(chromium, tmp_path):
    path = tmp_path / "page.html"
    text = 'name "0".neuron[2, 3, 4] "<b>eye</b>"\n' + NEURONS["one"] + "\n" + NEURONS["bars"].replace("300", "400")
    path.write_text(page(text).html())
    context = chromium.new_context()
    tab = context.new_page()
    tab.goto(path.as_uri())
    tab.wait_for_selector("html[data-ready]")
    tab.wait_for_function("() => document.body.innerText.includes('channel 4, \"<b>eye</b>\"')")
    assert tab.locator("b", has_text="eye").count() == 0, "words, not markup"
    context.close()
