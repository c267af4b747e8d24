"""Syntax tree to plan: contracts of plug-ins, checker, optimizer, planner. Imports grammar, and never torch."""

if __name__ != "bbilang.compiler":
    raise ImportError("import this package as bbilang.compiler, never as compiler")
