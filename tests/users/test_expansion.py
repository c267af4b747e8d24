"""Generated texts: long pipes, chains of names, definitions that double: limits with a code."""

from __future__ import annotations

import time

import pytest
from brings import brings

from bbilang import api
from bbilang.compiler.ir.program import MOST_STAGES
from bbilang.compiler.ir.serialize import from_json, to_json
from bbilang.grammar.diagnostic import BbiError
from bbilang.grammar.format import format_file

FIELD = "block5c.expand.channel"
END = "top(3) | present(bars)"


def doubled(body: str, use: str, first: str = "def d0(x) = x", count: int = 30) -> str:
    lines = [f"def d{n}(x) = {body.replace('d_', f'd{n - 1}')}" for n in range(1, count + 1)]
    return "\n".join([first, *lines, use.replace("d_", f"d{count}"), ""])


def scored(target: str) -> str:
    return f"{FIELD} | attribute({target}) | {END}"


BOUNDED = {
    "a pipe": (f"{FIELD} | activation{' | abs' * 10_000} | {END}", "E313"),
    "names": (f"a0 = {FIELD} | abs\n" + "".join(f"a{n} = a{n - 1} | abs\n" for n in range(1, 4000)), "E313"),
    "stages": (doubled("x | d_ | d_", f"{FIELD} | activation | d_ | {END}", "def d0(x) = x | abs"), "E313"),
    "targets": (doubled("d_(x) + d_(x)", scored("d_(output[3])")), "E314 or E315"),
    "arguments": (doubled("d_(x - x)", scored("d_(output[3])")), "E314"),
    "conditions": (
        doubled("d_(x and x)", "d_(value > 0)", f"def d0(x) = {FIELD} | activation | filter(x) | {END}"),
        "E314",
    ),
    "methods": (
        doubled("d_([x, x])", "d_(gradient)", f"def d0(x) = {FIELD} | attribute(output, method=x) | {END}"),
        "E314",
    ),
    "arguments in arguments": (doubled(f"d_({'-(' * 40}x{')' * 40})", scored("d_(output[3])")), "E315"),
    "bodies in bodies": (doubled(f"{'-(' * 40}d_(x){')' * 40}", scored("d_(output[3])")), "E315"),
}


@brings(
    "Size and memory",
    "a pipe of 10,000 stages, or a chain of 4,000 names",
    "refused with E313, as fast as the file is read",
)
@brings(
    "Size and memory",
    "30 definitions, each of which calls the previous one twice",
    "refused with E314 before they are expanded",
)
@pytest.mark.parametrize("kind", BOUNDED)
def test_bounds(kind):
    text, code = BOUNDED[kind]
    file = api.parse(text)
    began = time.process_time()
    with pytest.raises(BbiError) as raised:
        api.check(file, input="sample:chelsea")
    codes = {d.code for d in raised.value.diagnostics if d.severity == "error"}
    assert len(codes) == 1 and codes <= set(code.split(" or "))
    assert time.process_time() - began < 10  # a minute and more before there were bounds
    assert all(len(line) < 1000 for line in str(raised.value).splitlines())


LONGEST = MOST_STAGES - 6


@pytest.mark.parametrize(
    "text",
    [
        f"{FIELD} | activation{' | abs' * LONGEST} | {END}\n",
        f"a0 = {FIELD} | abs\n"
        + "".join(f"a{n} = a{n - 1} | abs\n" for n in range(1, LONGEST))
        + f"a{LONGEST - 1} | {END}\n",
    ],
    ids=["a pipe", "names"],
)
def test_the_longest_goes_through_everything(text):
    """Every stage of the compiler: nothing recurses into a text beyond what its bound allows."""
    file = api.parse(text)
    assert api.parse(format_file(file)) == file
    program = api.check(file, input="sample:chelsea")
    optimized = api.optimize(program)
    assert from_json(to_json(optimized)) == optimized
    explanation = api.explain(text, input="sample:chelsea")
    assert "abs" in explanation.text(100) and explanation.to_json() and explanation.to_svg()


def test_the_longest_runs():
    import torch

    class Tiny(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.layer, self.head = torch.nn.Conv2d(3, 4, 3), torch.nn.Linear(4, 2)

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return self.head(self.layer(image).relu().mean((2, 3)))

    model, image = Tiny().eval(), torch.rand(3, 8, 8)
    stages = " | abs | normalize | abs" * ((MOST_STAGES - 10) // 3)
    page = api.run(
        f"a = layer.channel | activation{stages} | top(4) | present(bars)", model=model, input=image, cache=False
    )
    plain = api.run(
        "a = layer.channel | activation | abs | normalize | top(4) | present(bars)",
        model=model,
        input=image,
        cache=False,
    )
    assert page.data("a").values == pytest.approx(plain.data("a").values)  # abs of abs, and the largest is 1 already
    assert page.html()


@pytest.mark.parametrize("count", range(2, 31, 4))
@pytest.mark.parametrize(
    "body",
    [
        f"{FIELD} | activation | difference(d_(x))",
        "-(-(-(d_(x))))",
        "[d_(x)]",
        "x | difference(d_(x), normalize=false)",
    ],
)
def test_nested_definitions(body, count):
    """As deep as definitions nest: explained, or one of the errors of a check."""
    field = "|" in body
    text = doubled(body, f"d_({FIELD} | activation) | {END}" if field else scored("d_(output[3])"), count=count)
    try:
        assert api.explain(text, input="sample:chelsea").text(100)
    except BbiError as error:
        assert all(d.code[1] in "23" for d in error.diagnostics)


@pytest.mark.parametrize("kind", BOUNDED)
def test_the_editor_survives(kind):
    from bbilang.lsp.completion import complete
    from bbilang.lsp.document import Document
    from bbilang.lsp.hover import hover

    text, _ = BOUNDED[kind]
    document = Document("page.bbi", text)
    began = time.process_time()
    assert document.state.diagnostics
    for offset in (len(text) // 2, len(text) - 3):
        complete(document, offset)
        hover(document, offset)
    document.update(text + " ")
    assert document.state.diagnostics
    assert time.process_time() - began < 20
