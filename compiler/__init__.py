"""Syntax tree to plan: types, checks, optimizer. Never imports torch."""

if __name__ != "bbilang.compiler":
    raise ImportError("import this package as bbilang.compiler, never as compiler")
