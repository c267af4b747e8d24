"""The inputs of a program, read; a file that cannot be read is reported where the text names it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from bbilang.compiler.check.settings import default
from bbilang.compiler.ir.program import Program
from bbilang.grammar import ast
from bbilang.grammar.diagnostic import BbiError
from bbilang.grammar.parse import parse
from bbilang.runtime.inputs import clips
from bbilang.runtime.inputs.load import Input, picture_of, pictures, rank_of

if TYPE_CHECKING:
    from bbilang.runtime.inputs.network_input import ImageReader, NetworkInput


def named_inputs(program: Program, passed: object) -> list[tuple[Input, str]]:
    """Return every input with its name: those passed, else those that the program names; globs and folders expanded."""
    every, most = program.setting("video.every"), program.setting("video.most", default("video.most"))
    return pictures(passed, program.inputs, rank_of(program.description), every, most)


def read_inputs(program: Program, inputs: Sequence[tuple[object, str]], model: ImageReader) -> tuple[NetworkInput, ...]:
    """Read every input, for the network and for the page. ``model``: an adapter or a description. Raises BbiError with
    the spans of the statement that names a file."""
    try:
        return tuple(_read(program, item, name, model) for item, name in inputs)
    finally:
        clips.close()


def _read(program: Program, item: object, name: str, model: ImageReader) -> NetworkInput:
    try:
        return picture_of(item, name, model, program.setting("show.channels"), program.setting("preprocess.window"))
    except BbiError as error:
        files = [file for statement in _input_statements(program) for file in statement.files]
        spans = [file.span for file in files if isinstance(item, str) and clips.file_of(item).endswith(file.value)]
        diagnostics = [replace(d, span=d.span or (spans[0] if spans else None)) for d in error.diagnostics]
        raise BbiError(diagnostics, program.source) from error


def _input_statements(program: Program) -> list[ast.Input]:
    if program.source is None:
        return []
    return [s for s in parse(program.source).statements if isinstance(s, ast.Input)]
