"""Coverage-guided fuzzing of parser, checker, formatter and JSON forms with atheris: `make fuzz`.

Bytes choose tokens from the language's own words, so that most inputs get past the scanner. Anything but a diagnostic
is a crash; atheris writes the input beside it.
"""

import sys
from pathlib import Path

import atheris

sys.path[:0] = [str(Path(__file__).parents[1] / "tests" / "compiler")]

with atheris.instrument_imports(
    include=["bbilang.grammar", "bbilang.compiler", "bbilang.runtime.ops", "bbilang.runtime.styles"]
):
    import test_fuzz

    from bbilang.grammar.format import format_file
    from bbilang.grammar.parse import parse_recovering
    from bbilang.grammar.serialize import from_json, to_json
    from bbilang.grammar.source import Source


def one(data: bytes) -> None:
    """Check one text, made of a good one's tokens and the fuzzer's."""
    choose = atheris.FuzzedDataProvider(data)
    tokens = test_fuzz.TOKEN.findall(test_fuzz.GOOD[choose.ConsumeIntInRange(0, len(test_fuzz.GOOD) - 1)])
    while choose.remaining_bytes() > 2 and tokens:
        at = choose.ConsumeIntInRange(0, len(tokens) - 1)
        kind = choose.ConsumeIntInRange(0, 3)
        if kind == 0:
            del tokens[at]
        elif kind == 1:
            tokens[at] = choose.PickValueInList(test_fuzz.WORDS)
        elif kind == 2:
            tokens.insert(at, choose.PickValueInList(test_fuzz.WORDS))
        else:
            tokens.insert(at, choose.ConsumeUnicodeNoSurrogates(8))
    text = "".join(tokens)
    test_fuzz.checked(text)
    file, syntax = parse_recovering(Source(text))
    if not syntax:
        again, _ = parse_recovering(Source(format_file(file)))
        assert again == file == from_json(to_json(file))


if __name__ == "__main__":
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
