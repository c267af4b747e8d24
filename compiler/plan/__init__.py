"""Optimized program to an ordered list of steps. Imports compiler/{check,optimize,contract,ir}."""
