"""Adapt typer: exceptions become exit codes, and the help of a command is its docstring."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

USAGE_ERROR: type[Exception] = typer.BadParameter.__bases__[0]  # click's, or that of typer's own copy of click
MEANT = re.compile(r"(.*?)[.,;]? *(?:\(Possible options: (.*)\)|Did you mean (?:one of: )?(.*)\?)", re.DOTALL)


def without_pydantic() -> None:
    """Pass words and flags through as they are. typer 0.29 validates each with pydantic, whose import takes a sixth of
    a second; it still does for other values (`--seed x`), and in versions of typer that work differently."""
    try:
        import typer.core as core
        from typer._coercion import RuntimeParam

        whole = core.build_runtime_param
    except (ImportError, AttributeError):
        return

    @dataclass(frozen=True)
    class Plain(RuntimeParam):
        """A parameter that accepts strings and flags unchanged."""

        descriptor: Any

        def _coerce_value(self, value: Any, param: Any, ctx: Any) -> Any:
            if self.annotation in (str, bool) and type(value) is self.annotation:
                return value
            if self.annotation == list[str] and isinstance(value, list | tuple):
                if all(type(item) is str for item in value):
                    return list(value)
            return whole(self.descriptor)._coerce_value(value, param=param, ctx=ctx)

    def build(descriptor: Any) -> Any:
        return Plain(descriptor.parameter_info, descriptor.annotation, descriptor)

    core.build_runtime_param = build


without_pydantic()


class _Helped:
    """Styles the option --help like the other options."""

    def get_help_option(self, context: Any) -> Any:
        option = super().get_help_option(context)  # type: ignore[misc]
        if option is not None:
            option.metavar, option.help = "", "print this"
        return option


class Command(_Helped, TyperCommand):
    """A command with the help of `_Helped`."""


class Commands(_Helped, TyperGroup):
    """Lists commands in a useful order, and handles every exception."""

    def invoke(self, context: Any) -> Any:
        try:
            return super().invoke(context)
        except (typer.Exit, typer.Abort, SystemExit, USAGE_ERROR):
            raise
        except BaseException as error:
            from bbilang.cli.errors import handle

            return handle(error)

    def list_commands(self, context: Any) -> list[str]:
        return list(self.commands)


def taught(text: str | None) -> str:
    """Format a docstring as help for a terminal: one line per paragraph, lines after `$` as commands to copy."""
    paragraphs = []
    for paragraph in inspect.cleandoc(text or "").split("\n\n"):
        lines = paragraph.replace("[", "\\[").split("\n")
        if lines[0].startswith("$ "):
            paragraphs.append("\n".join(f"[cyan]  {line.removeprefix('$ ')}[/]" for line in lines))
        else:
            paragraphs.append(" ".join(lines))
    return "\n\n".join(paragraphs)


def misused(error: Any) -> int:
    """Report invalid options and arguments like every other error, and return the exit code."""
    import sys

    from bbilang.cli.console import report
    from bbilang.cli.errors import MISUSE
    from bbilang.grammar.diagnostic import Diagnostic

    context: Any = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "bbi"
    message = error.format_message().strip().rstrip(".")
    if type(error).__name__ == "NoArgsIsHelpError":
        print(context.get_help(), file=sys.stderr)
        return MISUSE
    help = f"`{path} --help` lists the options"
    if match := MEANT.fullmatch(message):
        message, help = match[1], f"did you mean {_quoted(match[2] or match[3])}? {help}"
    elif (match := re.fullmatch(r"No such command '(.*)'", message, re.DOTALL)) and _is_text(match[1]):
        help = f"did you mean `bbi run {match[1]}`?" if "|" not in match[1] else "a pipe: `bbi run -e '...'`"
    report([Diagnostic("E440", message[:1].lower() + message[1:], help=help)])
    return MISUSE


def _quoted(words: str) -> str:
    return " or ".join(f"`{word.strip(' ' + chr(39))}`" for word in words.split(","))


def _is_text(word: str) -> bool:
    return "|" in word or word.endswith(".bbi") or Path(word).is_file()
