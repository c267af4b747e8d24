"""Source text to syntax tree and back: scanner, parser, diagnostics, formatter. Imports nothing else of bbilang."""

if __name__ != "bbilang.grammar":
    raise ImportError("import this package as bbilang.grammar, never as grammar")
