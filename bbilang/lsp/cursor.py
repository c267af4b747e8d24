"""The syntactic context of an offset, derived from tokens alone, so that it is known in unfinished lines too.

evidence = block5c.expand.channel | attribute(output, meth
           └────── before ──────┘   └ frame of `attribute`, argument 1, word `meth` ┘
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from bbilang.grammar.statement_words import STATEMENT_WORDS

TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]+) | (?P<comment>\#[^\n]*) | (?P<string>"(?:[^"\\\n]|\\[^\n])*+"?)
      | (?P<range>\.\.(?!\w*\.\.)) | (?P<number>(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?(?![\w.]))
      | (?P<path>(?:[^\W\d]\w*:)?(?:[^\W\d]\w*|\?)(?:\.(?:\w+|\?))*\.?(?!\.)|[^\W\d]\w*:)
      | (?P<operator>->|<=|>=|==|!=|[-+*/<>=|,:.()\[\]{}]) | (?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_BEGINS = re.compile(rf"(?:{'|'.join(sorted(STATEMENT_WORDS))})\b(?![ \t]*[.(\[,|:)])|[^\W\d]\w*[ \t]*=(?!=)")
CLOSER: Final = {"(": ")", "[": "]", "{": "}"}
MAX_LINES = 200  # physical lines searched upwards for the start of a statement


@dataclass(frozen=True, slots=True)
class Token:
    """A token of the text around the cursor, from ``start`` to before ``end``."""

    kind: str
    text: str
    start: int
    end: int


@dataclass
class Frame:
    """A bracket that is open at the cursor, or the whole statement. ``callee``: the name before the bracket.

    ``stage``: the callee follows a `|`. ``begin``: where the current value begins, after the last comma or `=`.
    """

    opener: str
    start: int  # just after the bracket
    callee: str = ""
    callee_start: int = 0
    stage: bool = False
    begin: int = 0
    argument: int = 0
    name: str | None = None  # of the argument that the cursor is in
    given: list[str] = field(default_factory=list)  # names of earlier arguments
    pipes: list[int] = field(default_factory=list)  # offsets of `|` since the value began
    tokens: list[Token] = field(default_factory=list)  # since the value began
    before: int | None = None  # where the pipe that this stage belongs to begins


@dataclass(frozen=True)
class Cursor:
    """``start`` is that of the statement. ``word``: the token that the cursor touches.

    ``frames``: the open brackets, the innermost last. ``first``: the statement's first word.
    """

    text: str
    offset: int
    start: int
    word: Token | None
    frames: tuple[Frame, ...]
    first: str
    comment: bool = False

    @property
    def frame(self) -> Frame:
        return self.frames[-1]

    @property
    def typed(self) -> str:
        """The part of the word before the cursor."""
        return self.text[self.word.start : self.offset] if self.word else ""

    @property
    def in_string(self) -> bool:
        return self.word is not None and self.word.kind == "string"

    @property
    def replacement(self) -> tuple[int, int]:
        """The span that a completion replaces: the word on both sides of the cursor."""
        if self.word is None:
            return self.offset, self.offset
        end = self.offset
        if self.word.kind in ("path", "number"):
            end = max(end, self.word.end)
        return self.word.start, end

    @property
    def is_stage(self) -> bool:
        """Whether an operation is expected here: directly after a `|`."""
        pipes, tokens = self.frame.pipes, self.frame.tokens
        return bool(pipes) and not any(token.start > pipes[-1] for token in tokens)

    @property
    def before(self) -> str:
        """The pipe up to the last `|`."""
        return self.text[self.frame.begin : self.frame.pipes[-1]] if self.frame.pipes else ""

    def piped(self, frame: Frame) -> str:
        """Return the pipe that flows into the stage whose call is `frame`."""
        if frame.before is None:
            return ""
        return self.text[frame.before : frame.callee_start].rstrip().removesuffix("|")


def tokens(text: str, start: int = 0, end: int | None = None) -> list[Token]:
    """Tokenize without white space; a dotted path is one token."""
    return [
        Token(match.lastgroup or "", match[0], match.start(), match.end())
        for match in TOKEN.finditer(text, start, len(text) if end is None else end)
        if match.lastgroup != "space"
    ]


def statement_start(text: str, offset: int) -> int:
    """Return the start of the statement around an offset, also when the statement is malformed.

    Searches upwards for a line that starts a statement: one that does not begin with `|` or inside an open bracket.
    """
    line = text.rfind("\n", 0, offset) + 1
    best = line
    for _ in range(MAX_LINES):
        words = text[line : text.find("\n", line) if "\n" in text[line:] else len(text)]
        stripped = words.lstrip()
        indented = line + len(words) - len(stripped)
        if _BEGINS.match(stripped) and indented <= offset:
            return _after_semicolon(text, indented, offset)
        if stripped and stripped[0] not in "|)]},#" and _balanced(text, line, offset):
            above = _above(text, line)
            if above is None or not _open_after(text, above):
                return _after_semicolon(text, indented, offset) if indented <= offset else best
        if line == 0:
            return 0 if not stripped or indented > offset else indented
        line = text.rfind("\n", 0, line - 1) + 1
    return best


def _after_semicolon(text: str, start: int, offset: int) -> int:
    brace = text.rfind("{", start, offset)
    if brace >= 0 and text.startswith("interface", start):
        return brace + 1
    return start


def _above(text: str, line: int) -> int | None:
    """Return the start of the nearest line above that is neither blank nor a comment."""
    while line > 0:
        line = text.rfind("\n", 0, line - 1) + 1
        words = text[line : text.find("\n", line)].strip()
        if words and not words.startswith("#"):
            return line
    return None


def _open_after(text: str, line: int) -> bool:
    """Return whether the statement continues after the line: a bracket is open, or the line ends with a comma."""
    depth, last = 0, ""
    end = text.find("\n", line)
    for token in tokens(text, line, len(text) if end < 0 else end):
        if token.kind == "comment":
            continue
        last = token.text
        depth += (last in ("(", "[")) - (last in (")", "]"))
    return depth > 0 or last == ","


def _balanced(text: str, start: int, end: int) -> bool:
    depth = 0
    for token in tokens(text, start, end):
        if token.kind == "operator":
            depth += (token.text in "([") - (token.text in ")]")
            if depth < 0:
                return False
    return True


def cursor_at(text: str, offset: int) -> Cursor:
    """Return the context of an offset. Never raises, whatever the text."""
    offset = min(max(offset, 0), len(text))
    start = min(statement_start(text, offset), offset)
    line_end = text.find("\n", offset)
    stop = len(text) if line_end < 0 else line_end
    statement_tokens = tokens(text, start, stop)
    word, before, comment = None, [], False
    for token in statement_tokens:
        if token.start >= offset:
            break
        if token.end < offset or (token.end == offset and _closed(token)):
            before.append(token)
        elif token.kind == "comment":
            comment = True
        elif token.kind in ("path", "string", "number"):
            word = token
        else:
            before.append(token)
    before = [token for token in before if token.kind != "comment"]
    first = before[0].text if before and before[0].kind == "path" else ""
    return Cursor(text, offset, start, word, tuple(_frames(before, start)), first, comment)


def _closed(token: Token) -> bool:
    """Return whether the offset just after the token is outside it: after a bracket or a terminated string."""
    if token.kind == "string":
        return len(token.text) > 1 and token.text.endswith('"')
    return token.kind not in ("path", "number", "comment")


def _frames(before: list[Token], start: int) -> list[Frame]:
    frames = [Frame("", start, begin=start)]
    for number, token in enumerate(before):
        frame, last = frames[-1], before[number - 1] if number else None
        text = token.text if token.kind == "operator" else ""
        if text in CLOSER and text:
            inner = Frame(text, token.end, begin=token.end)
            if text != "{" and last is not None and last.kind == "path" and last in frame.tokens:
                inner.callee, inner.callee_start = last.text, last.start
                inner.stage = bool(frame.pipes) and frame.tokens[-1] is last and _is_stage_word(frame, last)
                inner.before = frame.begin if inner.stage else None
            frames.append(inner)
        elif text in (")", "]", "}"):
            if len(frames) > 1:
                frames.pop()
                frames[-1].tokens.append(Token("value", "", token.start, token.end))
        elif text == ",":
            if frame.name:
                frame.given.append(frame.name)
            frame.argument, frame.name, frame.begin = frame.argument + 1, None, token.end
            frame.pipes, frame.tokens = [], []
        elif text == "=" and (frame.opener == "(" or frame.opener == "[") and last is not None:
            frame.name, frame.begin = last.text, token.end
            frame.pipes, frame.tokens = [], []
        elif text == "=":
            frame.begin, frame.pipes, frame.tokens = token.end, [], []
            frame.name = last.text if last is not None else None
        elif text == "|":
            frame.pipes.append(token.start)
        else:
            frame.tokens.append(token)
    return frames


def _is_stage_word(frame: Frame, word: Token) -> bool:
    """Return whether the word directly follows the last `|` of its frame."""
    return not any(frame.pipes[-1] < token.start < word.start for token in frame.tokens)
