"""Statements with a reader of their own: names of atoms, claims. Imports compiler/{check,contract,ir} and grammar."""
