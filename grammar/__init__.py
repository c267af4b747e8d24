"""Text to syntax tree: source positions, diagnostics, parser and formatter."""

if __name__ != "bbilang.grammar":
    raise ImportError("import this package as bbilang.grammar, never as grammar")
