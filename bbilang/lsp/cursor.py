"""What stands around a place in a text, read from its tokens alone: so it is known in lines that are not finished.

evidence = block5c.expand.channel | attribute(output, meth
           └────── before ──────┘   └ frame of `attribute`, argument 1, word `meth` ┘
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from bbilang.grammar.build import STATEMENT_WORDS

TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]+) | (?P<comment>\#[^\n]*) | (?P<string>"(?:[^"\\\n]|\\[^\n])*+"?)
      | (?P<range>\.\.(?!\w*\.\.)) | (?P<number>(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?(?![\w.]))
      | (?P<path>(?:[^\W\d]\w*:)?[^\W\d][\w]*(?:\.\w+)*\.?(?!\.)|[^\W\d]\w*:)
      | (?P<operator>->|<=|>=|==|!=|[-+*/<>=|,:.()\[\]{}]) | (?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_BEGINS = re.compile(rf"(?:{'|'.join(sorted(STATEMENT_WORDS))})\b(?![ \t]*[.(\[,|:)])|[^\W\d]\w*[ \t]*=(?!=)")
CLOSER: Final = {"(": ")", "[": "]", "{": "}"}
LONGEST = 200  # physical lines of one statement that are looked at


@dataclass(frozen=True, slots=True)
class Token:
    kind: str
    text: str
    start: int
    end: int


@dataclass
class Frame:
    """A bracket that is open at the place, or the whole statement. ``callee``: the name before the bracket.

    ``stage``: the callee stands after a `|`. ``begin``: where the value in it begins, after the last comma or `=`.
    """

    opener: str
    start: int  # behind the bracket
    callee: str = ""
    callee_start: int = 0
    stage: bool = False
    begin: int = 0
    argument: int = 0
    name: str | None = None  # of the argument that the place is in
    given: list[str] = field(default_factory=list)  # names of arguments that are there already
    pipes: list[int] = field(default_factory=list)  # the `|` since the value began
    tokens: list[Token] = field(default_factory=list)  # since the value began
    before: int | None = None  # where the pipe begins whose stage this call is


@dataclass(frozen=True)
class Cursor:
    """``start`` is that of the statement. ``word``: the token that the place touches, from its beginning to the place.

    ``frames``: what is open, the innermost last. ``first``: the statement's first word.
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
        """What is there of the word before the place."""
        return self.text[self.word.start : self.offset] if self.word else ""

    @property
    def in_string(self) -> bool:
        return self.word is not None and self.word.kind == "string"

    @property
    def replaced(self) -> tuple[int, int]:
        """The word as it stands, before and behind the place: what a choice takes the place of."""
        if self.word is None:
            return self.offset, self.offset
        end = self.offset
        if self.word.kind in ("path", "number"):
            end = max(end, self.word.end)
        return self.word.start, end

    @property
    def is_stage(self) -> bool:
        """Whether the place is where an operation stands: after a `|`."""
        pipes, tokens = self.frame.pipes, self.frame.tokens
        return bool(pipes) and not any(token.start > pipes[-1] for token in tokens)

    @property
    def before(self) -> str:
        """The pipe before the last `|` here."""
        return self.text[self.frame.begin : self.frame.pipes[-1]] if self.frame.pipes else ""

    def piped(self, frame: Frame) -> str:
        """What goes into the stage that a frame is the call of."""
        if frame.before is None:
            return ""
        return self.text[frame.before : frame.callee_start].rstrip().removesuffix("|")


def tokens(text: str, start: int = 0, end: int | None = None) -> list[Token]:
    """All tokens but white space; a dotted path is one."""
    return [
        Token(match.lastgroup or "", match[0], match.start(), match.end())
        for match in TOKEN.finditer(text, start, len(text) if end is None else end)
        if match.lastgroup != "space"
    ]


def statement_start(text: str, offset: int) -> int:
    """Where the statement begins that a place is in, also where that statement is broken.

    Upwards to a line that begins one: not with `|`, and with every bracket closed that what follows does not close.
    """
    line = text.rfind("\n", 0, offset) + 1
    best = line
    for _ in range(LONGEST):
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
    """The beginning of the nearest line above that holds something."""
    while line > 0:
        line = text.rfind("\n", 0, line - 1) + 1
        words = text[line : text.find("\n", line)].strip()
        if words and not words.startswith("#"):
            return line
    return None


def _open_after(text: str, line: int) -> bool:
    """Whether the line leaves a bracket open, or a comma at its end: then the next one goes on."""
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
    """What stands around a place. Never raises, whatever the text."""
    offset = min(max(offset, 0), len(text))
    start = min(statement_start(text, offset), offset)
    line_end = text.find("\n", offset)
    stop = len(text) if line_end < 0 else line_end
    found = tokens(text, start, stop)
    word, before, comment = None, [], False
    for token in found:
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
    """Whether a place right behind the token is outside of it: behind a bracket, or a string that has its end."""
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
    """Whether a word stands right behind the last `|` of its frame."""
    return not any(frame.pipes[-1] < token.start < word.start for token in frame.tokens)
