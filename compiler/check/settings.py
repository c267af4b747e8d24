"""The settings of `set` and `--set`: their ranges and defaults."""

from __future__ import annotations

from collections.abc import Container, Mapping

from bbilang.compiler.contract import Operation, Parameter
from bbilang.compiler.ir.score_kinds import KINDS

# What icons show: for a file by `set featvis(...)`, for an element by `present(featvis, ...)`. None: as usual.
OBJECTIVE = (
    Parameter("negative", "flag", "icons that minimize the response: the opposite end of the atom's direction", None),
    Parameter(
        "diversity",
        "integer",
        "how many different pictures of each atom; one tile holds all of them",
        None,
        minimum=1,
        maximum=8,
    ),
    Parameter(
        "place", "flag", "maximize the response at the atom's own position, not the mean over all positions", None
    ),
    Parameter("start", "word", "what the ascent starts from: `noise` or the `input`", None, choices=("noise", "input")),
    Parameter(
        "objective",
        "word",
        "what the picture of a whole layer maximizes: similarity to its activations (`caricature`) or their magnitude "
        "(`dream`)",
        None,
        choices=("caricature", "dream"),
    ),
    Parameter(
        "octaves",
        "integer",
        "a dream at the size of the photo, at most 1024 px a side, from coarse to fine in so many octaves",
        None,
        minimum=2,
        maximum=12,
    ),
    # Yosinski et al. 2015; any of them means plain gradient steps on pixels.
    Parameter(
        "l2_decay",
        "number",
        "gradient steps on pixels, each of which takes this share of the picture away; 0 for no regularizer at all",
        None,
        minimum=0,
        maximum=1,
    ),
    Parameter(
        "blur_every",
        "integer",
        "gradient steps on pixels, with a Gaussian blur after every so many; 4 where only `blur_width` is given",
        None,
        minimum=0,
        maximum=1000,
    ),
    Parameter(
        "blur_width",
        "number",
        "the standard deviation of that blur; 1 where only `blur_every` is given",
        None,
        unit="px",
        minimum=0,
        maximum=16,
    ),
    Parameter(
        "clip_norm",
        "number",
        "gradient steps on pixels, each of which sets the pixels of the smallest norm to the mean colour",
        None,
        unit="%",
        minimum=0,
        maximum=100,
    ),
    Parameter(
        "clip_contribution",
        "number",
        "gradient steps on pixels, each of which sets those to the mean colour whose picture x gradient, summed over "
        "colours, is smallest in magnitude",
        None,
        unit="%",
        minimum=0,
        maximum=100,
    ),
    Parameter(
        "search",
        "integer",
        "try so many random settings of these regularizers, and show the pictures whose spectrum is most like that of "
        "photographs",
        None,
        minimum=2,
        maximum=1000,
    ),
    Parameter("show", "integer", "how many pictures of the search; by default 9", None, minimum=1, maximum=16),
)

GUIDE = Parameter(
    "guide",
    "picture",
    "a picture that guides a dream by octaves: each position is drawn to the feature vector of the guide that fits it "
    "best",
    None,
)  # of an element alone

# name -> its parameters; a name with one parameter called "value" is set without parentheses.
SETTINGS: dict[str, tuple[Parameter, ...]] = {
    "featvis": (
        Parameter("size", "integer", "side of an icon", 128, unit="px", minimum=16, maximum=1024),
        Parameter("steps", "integer", "steps of the optimization", 512, minimum=1, maximum=20000),
        Parameter("rate", "number", "learning rate of Adam", 0.05, minimum=1e-5, maximum=10),
        Parameter("batch", "integer", "icons optimized together; by default 8 on a CPU", 8, minimum=1, maximum=4096),
        Parameter(
            "coherence",
            "integer",
            "number of shared images that the pictures of a grid are parametrized by, so that neighbours blend; by "
            "default none",
            None,
            minimum=1,
            maximum=64,
        ),
        *OBJECTIVE,
        Parameter(
            "parametrization",
            "word",
            "what is optimized: all Fourier coefficients, or only their phases (maco)",
            "fourier",
            choices=("fourier", "maco"),
        ),
        Parameter(
            "check",
            "text",
            "a folder or a pattern of photographs to check the icons against: marks icons that are driven by other "
            "inputs than the photographs that excite the unit most; by default no check",
            None,
        ),
        Parameter("transparency", "flag", "make the parts transparent that the objective does not need", False),
    ),
    "page": (Parameter("title", "text", "the page's title; by default that of the first interface that has one", ""),),
    "attribute": (Parameter("method", "method", "the attribution method if the text names none", "linear"),),
    "preprocess": (
        Parameter("size", "integer", "shorter side after resizing", None, unit="px", minimum=1, maximum=4096),
        Parameter(
            "crop",
            "size",
            "side of the centre crop that the network sees, or its [y, x]",
            None,
            unit="px",
            minimum=1,
            maximum=4096,
        ),
        Parameter("mean", "numbers", "mean of each colour, for RGB values in 0..1", None),
        Parameter("std", "numbers", "standard deviation of each colour, for RGB values in 0..1", None),
        Parameter(
            "rate", "integer", "samples per second that a network of sounds takes", None, minimum=1000, maximum=768_000
        ),
        Parameter(
            "window",
            "integer",
            "samples that each column of a spectrogram looks at, or the network at each frame",
            None,
            minimum=64,
            maximum=65_536,
        ),
        Parameter("hop", "integer", "samples of a frame of a sound", None, minimum=1, maximum=65_536),
    ),
    "video": (
        Parameter("most", "integer", "the largest number of frames of a video", 120, minimum=2, maximum=1000),
        Parameter(
            "every",
            "integer",
            "take every so many frames; by default as many as `most` allows, evenly",
            None,
            minimum=1,
            maximum=100_000,
        ),
        Parameter(
            "rate",
            "number",
            "frames a second; the inputs are then the frames of a film, also where they are pictures of a folder. By "
            "default a video's own",
            None,
            minimum=0.1,
            maximum=120,
        ),
    ),
    "show": (
        Parameter(
            "channels",
            "channels",
            "which channels of an input are drawn as red, green and blue, or which one as grey, counted from zero. By "
            "default the first three, or the first if there are fewer",
            None,
            minimum=0,
        ),
    ),
    "scores": (
        Parameter(
            "kind",
            "word",
            "what the network's scores are: logits of exclusive classes, their probabilities, probabilities of "
            "independent classes, or values of a regression; by default inferred from the network",
            None,
            choices=KINDS,
        ),
    ),
    "seed": (Parameter("value", "integer", "seed of everything random", 0, minimum=0, maximum=2**63 - 1),),
    "states": (
        Parameter(
            "value", "integer", "largest number of states that an element may have", 4096, minimum=1, maximum=10**7
        ),
    ),
    "marks": (
        Parameter(
            "value",
            "integer",
            "largest number of marks that an element may show at once",
            50_000,
            minimum=1,
            maximum=10**7,
        ),
    ),
    "icons": (
        Parameter(
            "value",
            "integer",
            "largest number of icons that an atlas may need",
            1000,
            minimum=1,
            maximum=10**6,
        ),
    ),
    "thumbnails": (
        Parameter(
            "size",
            "integer",
            "longer side of the small pictures of examples, or `none` for no pictures of them",
            96,
            unit="px",
            choices=("none",),
            minimum=16,
            maximum=512,
        ),
    ),
    "training": (
        Parameter(
            "loss",
            "word",
            "what a network is trained for: classes of which one is right, or classes each by itself",
            "cross_entropy",
            choices=("cross_entropy", "binary_cross_entropy"),
        ),
        Parameter("optimizer", "word", "how it is trained", "sgd", choices=("sgd", "adam", "adamw")),
        Parameter("epochs", "integer", "how many times each example is trained on", 5, minimum=1, maximum=1000),
        Parameter(
            "lr",
            "number",
            "learning rate; by default 0.001 for `sgd` (with momentum 0.9) and 0.0001 for the others",
            None,
            minimum=1e-7,
            maximum=10,
        ),
        Parameter("batch", "integer", "examples in a step", 64, minimum=2, maximum=4096),
        Parameter(
            "strength",
            "number",
            "how much discouraged evidence weighs beside the loss, where 1 is what it is before the training",
            10.0,
            minimum=0,
        ),
        Parameter(
            "keep",
            "number",
            "how much it weighs beside the loss that predictions stay those of the original network, for each nat by "
            "which they differ",
            10.0,
            minimum=0,
        ),
        Parameter(
            "held_out",
            "number",
            "the share of the examples that is never trained on, and that all numbers are of",
            0.3,
            minimum=0.01,
            maximum=0.99,
        ),
    ),
    "labels": (Parameter("value", "text", "a file with one class name per line", None),),
}


def settings_of(group: str, settings: Mapping[str, object]) -> tuple[tuple[str, object], ...] | None:
    """Return what a text sets of a group, with the seed; None where it sets nothing of it."""
    own = {key.partition(".")[2]: value for key, value in settings.items() if key.startswith(f"{group}.")}
    return tuple(sorted({**own, "seed": settings.get("seed", 0)}.items())) if own else None


def set_for(operation: Operation, written: Container[str], settings: Mapping[str, object]) -> dict[str, object]:
    """Return the arguments that a text sets for all stages of an operation, as `set attribute(method=...)` does where
    the stage names none; and what it sets of the group that the operation depends on."""
    keys = {parameter.name: f"{operation.name}.{parameter.name}" for parameter in operation.parameters}
    own = {name: settings[key] for name, key in keys.items() if name not in written and key in settings}
    return own | {"settings": settings_of(operation.settings, settings)} if operation.settings else own


def default(name: str) -> object:
    """Return the default of a setting: `featvis.size`, `seed` ..."""
    group, _, parameter = name.partition(".")
    return next(p.default for p in SETTINGS[group] if p.name == (parameter or "value"))
