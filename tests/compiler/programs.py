"""Random small programs, made of the registry's operations: most of them are right, some are wrong in every way."""

from __future__ import annotations

import re

from hypothesis import strategies as st

from bbilang.registry import registry

LAYERS = ["a", "b", "c", "b", "c", "[a, b]", "[b, c]", "[c, a, b]", "[b]"]
MAPS = ["neuron", "spatial", "channel", "whole"]
CLASSES = [
    "output", "output[1]", 'output["dog"]', "output[top(2)]", "output[2, 5]", "output.class", "[output[1], output[4]]",
    "output[1] - output[3]", "[output[1] - output[3], output]", "output[top(2)] - output",
    "output[0, score=probability]",
    "output[p]", "[output[p], output[q]]", "output[p] - output[q]", "[output[q], output[6]]",
]  # fmt: skip
LATER = [
    "c.channel", "c.channel[2]", "b.spatial[1, 2]", "c.neuron[1, 2, 3]", "c.whole", "c.spatial", "[b, c].channel",
    "late", "strongest", "b.channel[3] -> output", "c.spatial[1, 1] -> output[2]", "c.channel -> output[p]",
    "late -> output", "c.channel[4] -> output[1, score=probability]",
]  # fmt: skip
LINKED = ["root", "c.spatial", "b.channel", "[a, b, c].channel", "[b, c].spatial", "late", "strongest", "cell"]
AXES = ["layer", "y", "x", "channel", "channel", "class", "class", "neuron", "input", "to.channel", "group"]


@st.composite
def targets(draw: st.DrawFn, later: bool = True) -> str:
    return draw(st.sampled_from(LATER if later and draw(st.integers(0, 2)) == 0 else CLASSES))


@st.composite
def methods(draw: st.DrawFn) -> str:
    if draw(st.integers(0, 4)):
        return ""
    word = draw(st.sampled_from(["zero", "mean", "blur", "noise"]))
    return f", method=integrated_gradients(n_steps={draw(st.integers(1, 3))}, baselines={word})"


@st.composite
def ranking(draw: st.DrawFn) -> str:
    words = []
    if draw(st.integers(0, 5)) == 0:
        words.append(f", along={draw(st.sampled_from(AXES))}")
    if draw(st.integers(0, 5)) == 0:
        words.append(f", per={draw(st.sampled_from(['layer', 'class', 'input', 'channel', 'y']))}")
    if draw(st.integers(0, 3)) == 0:
        words.append(f", joint={draw(st.sampled_from(['input', 'input', 'channel']))}")
    if draw(st.integers(0, 2)) == 0:
        by = draw(
            st.sampled_from(["magnitude", "magnitude", "difference", "value", "output", "output[1]", "output[p]"])
        )
        words.append(f", by={by}")
    return "".join(words)


@st.composite
def conditions(draw: st.DrawFn) -> str:
    one = st.sampled_from(
        ["value > 0", "value < 0.1", "magnitude >= 0.01", "channel < 4", "y != 2", "x == 1", "class < 3", "layer == 0"]
    )
    first = draw(one)
    match draw(st.integers(0, 4)):
        case 0:
            return f"{first} and {draw(one)}"
        case 1:
            return f"{first} or {draw(one)}"
        case 2:
            return f"not ({first})"
    return first


@st.composite
def stages(draw: st.DrawFn, layer: str, names: list[str]) -> str:
    """One operation with its arguments. ``names``: earlier fields and elements of the program."""
    known = sorted(n for n, o in registry().operations.items() if _drawn(n, o))
    name = draw(st.sampled_from([*known, "attribute", "attribute", "link"]))
    match name:
        case "activation":
            return f"activation(reduce={draw(st.sampled_from(['sum', 'mean', 'max', 'norm']))})"
        case "attribute":
            return f"attribute({draw(targets())}{draw(methods())})"
        case "gradient":
            return f"gradient({draw(targets())})"
        case "link":
            return f"link({draw(st.sampled_from(LINKED))})"
        case "factorize":
            return f"factorize({draw(st.sampled_from(['nmf', 'pca']))}, {draw(st.integers(1, 3))})"
        case "project":
            return "project(pca, 2)"
        case "top" | "bottom" | "both":
            return f"{name}({draw(st.integers(1, 4))}{draw(ranking())})"
        case "sort":
            return f"sort({draw(ranking()).removeprefix(', ')})"
        case "filter":
            return f"filter({draw(conditions())})"
        case "only":
            other = f"{layer}.channel | activation | top(3)"
            return f"only({draw(st.sampled_from([*names, other]))})"
        case "at":
            over = draw(st.sampled_from([*names, *(f"{layer}.{atom}" for atom in ("spatial", "channel", "neuron"))]))
            kind = draw(st.sampled_from(["hover", "click"] if over in names else ["pick"]))
            return f"at({draw(st.sampled_from(['cell', f'{kind}({over})', 'p', 'root', 'pick(late)']))})"
        case "normalize":
            return f"normalize(scope={draw(st.sampled_from(['channel', 'layer', 'global']))})"
        case "sum" | "mean" | "norm" | "difference":
            return f"{name}({draw(st.sampled_from(AXES))})"
    return name


def _drawn(name: str, operation: object) -> bool:
    return not operation.head and name != "present" and getattr(operation, "available", True)  # type: ignore[attr-defined]


@st.composite
def pipes(draw: st.DrawFn, names: list[str]) -> str:
    layer = draw(st.sampled_from(LAYERS))
    head = f"{layer}.{draw(st.sampled_from(MAPS))}"
    if draw(st.integers(0, 4)) == 0:
        head = draw(
            st.sampled_from(
                ["input.pixel", "head.channel", "output.class", "output[top(4)]", "b.neuron[1, 2, 3]", "early", "late"]
            )
        )
    return " | ".join([head, *draw(st.lists(stages(layer, names), min_size=0, max_size=3))])


@st.composite
def aimed(draw: st.DrawFn) -> str:
    """Attribution between layers that a style can draw: what chance alone seldom writes."""
    head = draw(
        st.sampled_from(["a.channel", "b.channel", "[a, b].channel", "a.whole", "early", "late", "input.pixel"])
    )
    single = ["c.channel[2]", "c.neuron[1, 2, 3]", "c.spatial[1, 1]", "c.whole", *(x for x in LATER if "->" in x)]
    several = ["c.channel", "strongest", "late", "output[2, 5]", "output[p]"]
    kind = draw(st.sampled_from(["attribute", "attribute", "gradient", "link"]))
    method = draw(methods()) if kind == "attribute" else ""
    facet = ", facet=layer" if head[0] == "[" else ""
    picture = head == "input.pixel"
    if kind == "link":
        one = draw(st.sampled_from(["root", "root", "c.channel", "strongest"]))
        ending = draw(st.sampled_from([f"top(2) | present(bars{facet})", f"present(bars{facet})", "present(matrix)"]))
        return f"{head} | link({one}) | {ending}"
    if picture or draw(st.booleans()):
        ending = f"present(heatmap{facet})" if picture else f"present(bars{facet})"
        return f"{head} | {kind}({draw(st.sampled_from(single))}{method}) | {ending}"
    over = draw(st.sampled_from(["", "", "at(pick(c.channel)) | ", "at(pick(late)) | ", "abs | "]))
    style = "bars" if "pick" in over else draw(st.sampled_from(["matrix", "bars"]))
    return f"{head} | {kind}({draw(st.sampled_from(several))}{method}) | {over}present({style}{facet})"


@st.composite
def presentations(draw: st.DrawFn) -> str:
    style = draw(st.sampled_from(["bars", "featvis", "heatmap", "swatches", "bars", "matrix", "matrix"]))
    facet = draw(
        st.sampled_from(["", "", "", "", "", ", facet=layer", ", facet=class", ", facet=input", ", facet=channel"])
    )
    size = draw(st.sampled_from(["", "", "", ", size=value", ", size=norm"]))
    over = draw(st.sampled_from(["", "", ", over=photo"])) if style == "heatmap" else ""
    return f"present({style}{facet}{size}{over})"


@st.composite
def texts(draw: st.DrawFn) -> str:
    """A whole program: a photo, a few selections, and one to three pipes."""
    lines = [
        "photo = input | present(image)",
        "p = pick(output[top(3)])",
        "q = pick(output[top(3)], start=1)",
        f"cell = hover({draw(st.sampled_from(['a', 'b', 'c', '[a, b]']))}.spatial)",
        f"late = b | factorize({draw(st.sampled_from(['nmf, 3', 'pca, 2']))})",
        f"early = a | factorize({draw(st.sampled_from(['nmf, 2', 'pca, 2', 'nmf, 2, compatible=late']))})",
        "strongest = c.channel | attribute(output) | top(2)",
        "known = [a, b, c].channel | attribute(output) | top(2, per=layer) | present(bars, facet=layer)",
        f"root = click(known{draw(st.sampled_from(['', ', start=output']))})",
    ]
    if draw(st.integers(0, 5)) == 0:
        lists = ["[early, late, output[top(2)]]", "[early, late]", "[late, output]", "[late, early]"]
        lines.append(f"{draw(st.sampled_from(lists))} | link() | present(sankey)")
    names: list[str] = []
    for number in range(draw(st.integers(1, 3))):
        if draw(st.integers(0, 2)) == 0:
            lines.append(f"e{number} = {draw(aimed())}")
            names.append(f"e{number}")
            continue
        ending = draw(st.sampled_from(["", " | PRESENT", " | PRESENT", " | PRESENT"]))
        lines.append(f"e{number} = {draw(pipes(names))}{ending.replace('PRESENT', draw(presentations()))}")
        names.append(f"e{number}")
    return "\n".join(_used(lines))


def _used(lines: list[str]) -> list[str]:
    """Without bindings that nothing names; presented ones of the pipes are elements."""
    used_lines: list[str] = []
    for line in reversed(lines):
        name = line.partition(" = ")[0]
        shown = "present" in line and name != "known"
        if shown or any(re.search(rf"\b{name}\b", other.partition(" = ")[2] or other) for other in used_lines):
            used_lines.append(line)
    return used_lines[::-1]
