"""Syntax tree to typed program, or diagnostics with spans. Imports grammar and compiler/{optimize,contract,ir}."""
