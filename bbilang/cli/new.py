"""`bbi new`: ask three questions, or read their answers from options, and write a first text without errors."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bbilang.cli.console import printed, report, result, tell
from bbilang.cli.errors import FINE, fail, misuse
from bbilang.cli.files import is_folder, writable, write
from bbilang.cli.new_templates import Look, first, looks, proposals, text
from bbilang.compiler.ir.spelling import layer_text
from bbilang.grammar.diagnostic import BbiError
from bbilang.grammar.source import Source
from bbilang.pipeline import Pipeline, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bbilang.compiler.ir.model_description import ModelDescription

FILE = "first.bbi"
SAMPLE, SENTENCE, MELODY = "sample:chelsea", "text:The film was unbelievably good.", "sample:melody"


def new(
    file: str | None, model: str | None, picture: str | None, show: str | None, layer: str | None, force: bool,
    parents: bool = False,
) -> int:  # fmt: skip
    """Write a first text. Missing options are asked for on a terminal, and have their defaults elsewhere."""
    file = file or FILE
    asking = sys.stdin is not None and sys.stdin.isatty()
    if is_folder(file):
        misuse(f"{file} is a folder", f"name a file: `bbi new {Path(file) / FILE}`")
    path = writable(file, parents)
    _free(path, force, asking)
    if asking and None in (model, picture, show):
        tell(f"Three questions, and {path} is written. Return takes what stands in brackets.")
    name, described = _answered(model, asking, _ask_model, _described)
    choices = looks(described)
    if not choices:
        fail("E440", f"{described.title} has no layer with channels and positions to begin with",
             f"`bbi layers {name}` lists its layers")  # fmt: skip
    default = {"text": SENTENCE, "audio": MELODY}.get(described.reads, SAMPLE)
    pictured = _answered(picture, asking, lambda: _ask_picture(described), lambda words: _picture(words or default))
    look = _answered(show, asking, lambda: _ask_look(choices), lambda words: _look(words, choices))
    chosen = _layer(layer, described)
    words = text(described, name, pictured, look, chosen, path.name)
    program = Pipeline(Request(Source(words, path.name))).program
    report(program.warnings, program.source)
    write(path, words.encode(), parents)
    result(str(path))
    tell(f"{look.words}: layer {layer_text(chosen.name)} of {described.title}")
    tell(f"Now: bbi run {_shell(path)}{_weights(name)}")
    return FINE


def _answered(option: str | None, asking: bool, ask: Callable[[], str], meant: Callable[[str], Any]) -> Any:
    """Return the value of an option, or an answer. An invalid answer is asked for again; an invalid option is an
    error."""
    if option is not None:
        return meant(option)
    while True:
        try:
            return meant(ask() if asking else "")
        except BbiError as error:
            if not asking:
                raise
            report(error.diagnostics, error.source)


def _free(path: Path, force: bool, asking: bool) -> None:
    if not path.is_file() or force:
        return
    if asking and _asked(f"{path} is there already. Write over it? (yes or no)", "no").lower() in ("y", "yes"):
        return
    misuse(f"{path} is there already", "choose another name, or write over it with --force")


# --- the three questions --------------------------------------------------------------------------------------------


def _asked(question: str, default: str) -> str:
    sys.stderr.write(f"{printed(question)} [{printed(default)}]: ")
    sys.stderr.flush()
    line = sys.stdin.readline()
    if not line:  # Ctrl-D
        tell("")
        raise KeyboardInterrupt("nothing was written")
    return line.strip() or default


def _ask_model() -> str:
    from bbilang.runtime.models.registry import DEFAULT, models

    tell(f"\n1. Which network? {', '.join(models())}; or timm:NAME, torchvision:NAME, transformers:NAME")
    return _asked("  network", DEFAULT)


def _ask_picture(model: ModelDescription) -> str:
    if model.reads == "text":
        tell("\n2. Which text? Words after `text:`, or a .txt file")
        return _asked("  text", SENTENCE)
    if model.reads == "audio":
        tell("\n2. Which sound? A file, a folder, several like notes/*.wav, or sample:melody")
        return _asked("  sound", MELODY)
    here = _here()
    tell("\n2. Which picture? A file, a folder, several like photos/*.jpg, or sample:chelsea")
    if here:
        tell(f"   in this folder: {', '.join(here[:6])}{' ...' if len(here) > 6 else ''}")
    return _asked("  picture", here[0] if here else SAMPLE)


def _ask_look(choices: Sequence[Look]) -> str:
    tell("\n3. What do you want to see?")
    for number, look in enumerate(choices, 1):
        tell(f"   {number}  {look.name:9} {look.words}")
    return _asked("  a number or a word", choices[0].name)


def _here() -> list[str]:
    from bbilang.runtime.inputs.images import SUFFIXES

    return sorted(p.name for p in Path().iterdir() if p.suffix.lower() in SUFFIXES and p.is_file())


# --- what the answers mean ------------------------------------------------------------------------------------------


def _described(words: str) -> tuple[str, ModelDescription]:
    from bbilang.runtime.models.descriptions import describe
    from bbilang.runtime.models.registry import DEFAULT

    name = words or DEFAULT
    return name, describe(name)


def _picture(words: str) -> str:
    from bbilang.runtime.inputs.images import path_of
    from bbilang.runtime.inputs.load import expanded
    from bbilang.runtime.sound.names import is_sound

    for file in expanded(words):
        if not (file.startswith("text:") or is_sound(file)):
            path_of(file)  # report a missing package of sample pictures now
    return words


def _look(words: str, choices: Sequence[Look]) -> Look:
    if not words:
        return choices[0]
    for number, look in enumerate(choices, 1):
        if words.lower() in (look.name, str(number)):
            return look
    names = ", ".join(look.name for look in choices)
    misuse(f"there is nothing called `{words}` to look at in this model", f"it has {names}")


def _layer(words: str | None, model: ModelDescription) -> Any:
    layers = proposals(model)
    if words is None:
        return first(layers)
    if words not in model.by_name:
        import difflib

        near = difflib.get_close_matches(words, model.by_name, 1)
        help = f"did you mean `{near[0]}`?" if near else f"`bbi layers {model.name}` lists them"
        misuse(f"{model.title} has no layer `{words}`", help)
    return model.by_name[words]


def _weights(name: str) -> str:
    """Return the option for weights that the command needs if the model has no weights yet."""
    from bbilang.runtime.models.registry import models

    lacks = name in models() and not models()[name].package
    return " --weights download   (or --weights FILE, --weights random)" if lacks else ""


def _shell(path: Path) -> str:
    import shlex

    return shlex.quote(str(path))
