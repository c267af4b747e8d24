"""Random small programs, made of the registry's operations: most of them are right, some are wrong in every way."""

from __future__ import annotations

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
AXES = ["layer", "y", "x", "channel", "channel", "class", "class", "neuron", "input"]


@st.composite
def targets(draw: st.DrawFn) -> str:
    return draw(st.sampled_from(CLASSES))


@st.composite
def ranking(draw: st.DrawFn) -> str:
    words = []
    if draw(st.integers(0, 5)) == 0:
        words.append(f", along={draw(st.sampled_from(AXES))}")
    if draw(st.integers(0, 5)) == 0:
        words.append(f", per={draw(st.sampled_from(['layer', 'class', 'input', 'channel', 'y']))}")
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
    name = draw(st.sampled_from(sorted(n for n, o in registry().operations.items() if _drawn(n, o))))
    match name:
        case "activation":
            return f"activation(reduce={draw(st.sampled_from(['sum', 'mean', 'max', 'norm']))})"
        case "attribute" | "gradient":
            return f"{name}({draw(targets())})"
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
            return f"at({draw(st.sampled_from(['cell', f'{kind}({over})', 'p']))})"
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
    if draw(st.integers(0, 9)) == 0:
        head = draw(
            st.sampled_from(["input.pixel", "head.channel", "output.class", "output[top(4)]", "b.neuron[1, 2, 3]"])
        )
    return " | ".join([head, *draw(st.lists(stages(layer, names), min_size=0, max_size=3))])


@st.composite
def presentations(draw: st.DrawFn) -> str:
    style = draw(st.sampled_from(["bars", "featvis", "heatmap", "swatches", "bars"]))
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
    ]
    names: list[str] = []
    for number in range(draw(st.integers(1, 3))):
        ending = draw(st.sampled_from(["", " | PRESENT", " | PRESENT", " | PRESENT"]))
        lines.append(f"e{number} = {draw(pipes(names))}{ending.replace('PRESENT', draw(presentations()))}")
        names.append(f"e{number}")
    return "\n".join(lines)
