"""Logical lines: where a statement begins and ends, and where the block of an interface opens and closes.

The scanner knows strings, comments and brackets and nothing else. It reports mistakes in single characters (typographic
quotes, operators of other languages, brackets that do not match), and where the meaning is clear replaces them by as
many characters, so that the rest of the line is parsed and checked. A line that cannot be repaired is left out, so that
one mistake gives one diagnostic.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from bbilang.grammar import codes
from bbilang.grammar.ast import Comment
from bbilang.grammar.diagnostic import Diagnostic
from bbilang.grammar.foreign_symbols import CHARACTERS, OPERATORS, describe
from bbilang.grammar.source import Span
from bbilang.grammar.statement_words import STATEMENT_WORDS

MAX_DEPTH: Final = 64
MAX_REPORTS: Final = 50
MAX_RESTARTS: Final = 5  # each may read to the end of the text

_CLOSER: Final = {"(": ")", "[": "]", "{": "}"}
_OPENER: Final = {closer: opener for opener, closer in _CLOSER.items()}
_TOKEN = re.compile(
    r"""
      (?P<space>(?:[ \t]|\r(?=\n|\Z))+)
    | (?P<newline>\n)
    | (?P<comment>\#[^\n]*)
    | (?P<string>"(?:[^"\\\n]|\\[^\n])*+"?)
    | (?P<bracket>[()\[\]{}])
    | (?P<foreign>"""
    + "|".join(re.escape(symbol) for symbol in sorted(OPERATORS, key=len, reverse=True))
    + r""")
    | (?P<quoted>[“”„‟«»‘’‚‛'`´][^“”„‟«»‘’‚‛'`´"\n]*[“”„‟«»‘’‚‛'`´"]?)
    | (?P<semicolon>;)
    | (?P<plain>(?:\w+|!=|[.,:=+\-*/<>|?])(?:[ ]*\w+)*+)
    | (?P<unknown>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_CONTINUES = re.compile(r"(?:[ \t\r]*+(?:#[^\n]*+)?\n)*+[ \t\r]*+\|")
_BLOCK_FOLLOWS = re.compile(r"(?:[ \t\r]*+(?:#[^\n]*+)?\n)*+[ \t\r]*+\{")
_NEXT_LINE = re.compile(r"[ \t]*([^ \t\r\n#}].*)?")
_STATEMENT_START = re.compile(rf"(?:{'|'.join(sorted(STATEMENT_WORDS))})\b(?![ \t]*[.(\[,|:)])|[^\W\d]\w*[ \t]*=(?!=)")
_HEADER = re.compile(r"interface(?![\w.:]|[ \t]*[=|])")
_INDENTED = re.compile(r"\n([ \t]*)([^ \t\r\n])")


@dataclass(frozen=True, slots=True)
class Piece:
    """A logical line, the header of a block with its `{`, or a `}`. ``text`` is repaired and lies at ``span``."""

    kind: Literal["line", "open", "close"]
    span: Span
    text: str


@dataclass(frozen=True, slots=True)
class Scan:
    """What a text consists of before it is parsed: its logical lines, comments, and lexical errors."""

    pieces: tuple[Piece, ...]
    comments: tuple[Comment, ...]
    diagnostics: tuple[Diagnostic, ...]


def scan(text: str) -> Scan:
    return _Scanner(text).run()


class _Scanner:
    def __init__(self, text: str):
        self.text = text
        self.position = 0
        self.pieces: list[Piece] = []
        self.comments: list[Comment] = []
        self.diagnostics: list[Diagnostic] = []
        self.blocks: list[int] = []  # offsets of the `{` of open interfaces
        self.closed_early = 0  # blocks that the scanner closed before their `}`, which may still come
        self.after_closer = False
        self.restarts = 0
        self.line_begins()

    def line_begins(self) -> None:
        self.start: int | None = None
        self.end = 0
        self.openers: list[int] = []
        self.broken = False
        self.continues_until = 0  # newlines before this offset do not end the line
        self.reported: set[str] = set()
        self.repairs: list[tuple[int, str]] = []

    def report(self, code: str, message: str, span: Span, help: str | None = None, *related: tuple[Span, str]) -> None:
        """Add a diagnostic: one for each kind of mistake in a logical line, and none once the line is broken."""
        if not self.broken and code + message not in self.reported:
            self.reported.add(code + message)
            self.diagnostics.append(Diagnostic(code, message, span, help, related=related))

    def repair(self, offset: int, by: str) -> None:
        self.repairs.append((offset, by))

    # --- the loop ---

    def run(self) -> Scan:
        while len(self.diagnostics) < MAX_REPORTS:
            if self.position >= len(self.text):
                if not self.openers:
                    self.finish()
                    break
                self.never_closed()
                continue
            match = _TOKEN.match(self.text, self.position)
            assert match is not None and match.lastgroup is not None
            self.position = match.end()
            kind = match.lastgroup
            if kind == "space":
                continue
            if kind == "newline":
                self.newline(match.start())
            elif kind == "comment":
                self.comment(match)
            else:
                self.significant(match.start())
                getattr(self, kind)(match)
                if self.start is not None:
                    self.end = max(self.end, match.end())
        for offset in self.blocks:
            self.report(codes.OPEN_BRACKET, "this `{` is never closed", Span(offset, offset + 1), "add `}`")
        return Scan(tuple(self.pieces), tuple(self.comments), tuple(self.diagnostics))

    def significant(self, offset: int) -> None:
        if self.start is not None:
            return
        if self.text[offset] == "}" or (self.text[offset] == ";" and not self.openers):
            return
        self.start = self.end = offset
        if self.after_closer:
            message = "a statement begins on a line of its own"
            self.report(codes.SEVERAL_STATEMENTS, message, Span(offset, offset + 1), "put a line end after `}`")

    def newline(self, offset: int) -> None:
        self.after_closer = False
        if self.start is None or self.openers or offset < self.continues_until:
            return
        for continues in (_CONTINUES, _BLOCK_FOLLOWS if self.is_header() else None):
            if continues and (match := continues.match(self.text, offset + 1)):
                self.continues_until = match.end()
                return
        if self.text[self.end - 1] == "|" and not self.broken:
            self.pipe_at_line_end()
        else:
            self.finish()

    def pipe_at_line_end(self) -> None:
        """Report the `|` and go on where the next line is clearly the next stage; else finish the line."""
        following = _NEXT_LINE.match(self.text, self.position)
        if following is None or following[1] is None or _STATEMENT_START.match(following[1]):
            return self.finish()
        help = "the next stage takes the `|` with it: begin its line with `|`"
        self.report(codes.PIPE_IN_THE_AIR, "this line ends in `|`", Span(self.end - 1, self.end), help)

    def is_header(self) -> bool:
        return self.start is not None and _HEADER.match(self.text, self.start) is not None

    def finish(self, kind: Literal["line", "open"] = "line") -> None:
        """End the logical line."""
        if kind == "line" and self.start is not None and self.is_header():
            help = 'its statements go in a block: `interface "title" { ... }`'
            self.report_broken(codes.BAD_BLOCK, "this interface has no block", Span(self.start, self.end), help)
        if self.start is not None and not self.broken:
            span = Span(self.start, self.end)
            self.pieces.append(Piece(kind, span, self.repaired(span)))
        self.line_begins()

    def repaired(self, span: Span) -> str:
        text = self.text[span.start : span.end]
        if not self.repairs:
            return text
        characters = list(text)
        for offset, by in self.repairs:
            if span.start <= offset < span.end:
                characters[offset - span.start : offset - span.start + len(by)] = by
        return "".join(characters)[: len(text)]  # a repair of `//` may reach beyond the line

    # --- tokens ---

    def plain(self, match: re.Match[str]) -> None:
        pass

    def comment(self, match: re.Match[str]) -> None:
        text = match[0].rstrip()
        line_start = self.text.rfind("\n", 0, match.start()) + 1
        alone = not self.text[line_start : match.start()].strip(" \t\r")
        self.comments.append(Comment(text, Span(match.start(), match.start() + len(text)), alone))

    def bracket(self, match: re.Match[str]) -> None:
        character, offset = match[0], match.start()
        span = Span(offset, offset + 1)
        if character == "{" and not self.openers:
            return self.open_brace(span)
        if character in _CLOSER:
            if character == "{" and self.is_header():
                inner = self.openers[-1]
                opener = self.text[inner]
                message, help = f"this `{opener}` is never closed", f"add the missing `{_CLOSER[opener]}`, or drop it"
                self.report_broken(codes.OPEN_BRACKET, message, Span(inner, inner + 1), help)
                self.openers.clear()
                return self.open_brace(span)
            if character == "{":
                line_start = self.text.rfind("\n", 0, offset) + 1
                if self.openers[-1] < line_start and _HEADER.match(self.text[line_start:offset].lstrip()):
                    return self.never_closed(before=line_start - 1)
                self.brace_in_value(span)
            self.openers.append(offset)
            if len(self.openers) == MAX_DEPTH + 1:
                help = "bind a part of it to a name and use the name"
                self.report(codes.TOO_DEEP, f"brackets are nested deeper than {MAX_DEPTH}", span, help)
                self.broken = True
        elif self.openers:
            self.close(character, span)
        elif character == "}":
            self.close_brace(span)
        else:
            help = f"drop it, or add the `{_OPENER[character]}` that it closes"
            self.report(codes.STRAY_CLOSER, f"this `{character}` closes nothing", span, help)
            self.broken = True

    def close(self, character: str, span: Span) -> None:
        opener = self.text[self.openers[-1]]
        if _CLOSER[opener] == character:
            self.openers.pop()
        elif character == "}" and self.blocks and all(self.text[o] != "{" for o in self.openers):
            self.never_closed(before=span.start)
        else:
            closer = _CLOSER[opener]
            related = (Span(self.openers[-1], self.openers[-1] + 1), "opened here")
            message = f"this `{character}` does not close `{opener}`"
            if len(self.openers) > 1 and _CLOSER[self.text[self.openers[-2]]] == character:
                del self.openers[-2:]
                help = f"add `{closer}` before it"
                self.report_broken(codes.STRAY_CLOSER, message, span, help, related)
            else:
                self.openers.pop()
                self.report(codes.STRAY_CLOSER, message, span, f"write `{closer}`", related)
                self.repair(span.start, closer)

    def report_broken(self, code: str, message: str, span: Span, help: str, *related: tuple[Span, str]) -> None:
        self.report(code, message, span, help, *related)
        self.broken = True

    def open_brace(self, span: Span) -> None:
        if self.is_header():
            if self.blocks:
                related = (Span(self.blocks[-1], self.blocks[-1] + 1), "this block is still open")
                help = "close the first one with `}` before the next begins"
                header = Span(self.start, span.start) if self.start is not None else span
                header = Span(header.start, header.start + len(self.text[header.start : header.end].rstrip()))
                self.report(codes.BAD_BLOCK, "an interface cannot contain another", header, help, related)
                self.pieces.append(Piece("close", Span(header.start, header.start), ""))
                self.blocks.pop()
                self.closed_early += 1
            if self.broken:
                self.broken = False
                self.pieces.append(Piece("open", Span(self.start or 0, span.start), "interface"))
                self.line_begins()
            else:
                self.finish("open")
            self.blocks.append(span.start)
        else:
            self.brace_in_value(span)
            self.openers.append(span.start)

    def brace_in_value(self, span: Span) -> None:
        help = 'lists are written with `[` and `]`; a block belongs to `interface "title" { ... }`'
        self.report_broken(codes.BAD_BLOCK, "`{` opens the block of an interface and nothing else", span, help)

    def close_brace(self, span: Span) -> None:
        self.finish()
        if self.blocks:
            self.blocks.pop()
            self.pieces.append(Piece("close", span, "}"))
            self.after_closer = True
        elif self.closed_early:
            self.closed_early -= 1
        else:
            self.report(codes.STRAY_CLOSER, "this `}` closes nothing", span, "drop it")
            self.reported.clear()

    def never_closed(self, before: int | None = None) -> None:
        """Report an open bracket, and restart at the next line that looks like a new statement.

        The search begins behind the outermost open bracket, since the others may belong to later statements.
        """
        assert self.start is not None
        line_start = self.text.rfind("\n", 0, self.start) + 1
        margin = self.text[line_start : self.start]
        indent = len(margin.expandtabs(4)) if margin.isspace() else 0
        restart = len(self.text) if before is None else before
        self.restarts += before is None
        for match in _INDENTED.finditer(self.text, self.openers[0], restart):
            if self.restarts > MAX_RESTARTS:
                break
            if len(match[1].expandtabs(4)) <= indent and match[2] not in "|)],#":
                restart = match.start()
                break
        *outer, inner = (offset for offset in self.openers if offset < restart)
        opener = self.text[inner]
        # The text behind the restart is scanned again, so drop what was reported there.
        self.comments = [comment for comment in self.comments if comment.span.start < restart]
        self.diagnostics = [d for d in self.diagnostics if d.span is None or d.span.start < restart]
        self.broken = self.broken and any(d.span and d.span.start >= self.start for d in self.diagnostics)
        related = tuple((Span(offset, offset + 1), "and this one") for offset in outer)
        help = f"add the missing `{_CLOSER[opener]}`"
        self.report(codes.OPEN_BRACKET, f"this `{opener}` is never closed", Span(inner, inner + 1), help, *related)
        assert restart > inner, "every restart is further on"
        self.position = restart
        self.line_begins()

    def string(self, match: re.Match[str]) -> None:
        if len(match[0]) > 1 and match[0].endswith('"') and self.closed(match[0]):
            return
        rest = match[0].rstrip()
        foreign = re.search(r"[”“„»]", rest)
        if foreign:
            span = Span(match.start(), match.start() + foreign.end())
            message, help = 'this string does not end in `"`', f'`{foreign[0]}` is a typographic quote; write `"`'
            self.report(codes.WRONG_QUOTES, message, span, help)
        else:
            help = 'add the closing `"`; a string ends on its line, and `\\n` in it is a line end'
            span = Span(match.start(), match.start() + len(rest))
            self.report(codes.OPEN_STRING, "this string is never closed", span, help)
        self.broken = True
        for character in rest:  # the string may contain brackets that were meant to close others
            if self.openers and character == _CLOSER[self.text[self.openers[-1]]]:
                self.openers.pop()

    @staticmethod
    def closed(string: str) -> bool:
        """Return whether the last quote of a string is not escaped."""
        body = string[1:-1]
        return (len(body) - len(body.rstrip("\\"))) % 2 == 0

    def quoted(self, match: re.Match[str]) -> None:
        text, span = match[0], Span(match.start(), match.end())
        body = text[1:-1]
        if len(text) > 1 and text[-1] in "“”„‟«»‘’‚‛'`´\"":
            help = f'write `"{body}"`' if len(body) < 60 else 'write `"..."`'
            message = 'a string needs straight double quotes (`"`)'
            self.report(codes.WRONG_QUOTES, message, span, help)
            self.repair(match.start(), '"')
            self.repair(match.end() - 1, '"')
        else:
            self.position = match.start() + 1
            span = Span(match.start(), match.start() + 1)
            help = 'strings are written in straight double quotes: `"text"`'
            self.report_broken(codes.WRONG_QUOTES, f"`{text[0]}` begins no string", span, help)

    def semicolon(self, match: re.Match[str]) -> None:
        span = Span(match.start(), match.end())
        if self.openers:
            self.report(codes.MISPLACED_COMMA, "`;` separates nothing here", span, "write `,`")
            self.repair(match.start(), ",")
            return
        end = self.text.find("\n", match.end())
        rest = self.text[match.end() : len(self.text) if end < 0 else end].strip(" \t\r;")
        last = not rest or rest.startswith(("#", "}"))
        help = "drop it: the line end closes a statement" if last else "put each statement on a line of its own"
        self.report(codes.SEVERAL_STATEMENTS, "statements are not separated by `;`", span, help)
        self.finish()

    def foreign(self, match: re.Match[str]) -> None:
        operator = match[0]
        message, help, instead = OPERATORS[operator]
        span = Span(match.start(), match.end())
        if operator == "//":
            end = self.text.find("\n", match.start())
            self.position = len(self.text) if end < 0 else end
            span = Span(match.start(), match.start() + len(self.text[match.start() : self.position].rstrip()))
            instead = " " * (span.end - span.start)
        self.report(codes.WRONG_OPERATOR, message, span, help)
        if instead is None:
            self.broken = True
        else:
            self.repair(match.start(), instead)

    def unknown(self, match: re.Match[str]) -> None:
        character, span = match[0], Span(match.start(), match.end())
        instead = CHARACTERS.get(character, (None, None))[1]
        if character.isspace():
            instead = " "
        message, help = describe(character)
        self.report(codes.UNKNOWN_CHARACTER, message, span, help)
        if instead is None:
            self.broken = True
        else:
            self.repair(match.start(), instead)
