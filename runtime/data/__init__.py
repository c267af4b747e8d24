"""Datasets: folders, tables and archives of pictures as examples with columns. Imports runtime/inputs and
compiler/{check,contract}; never torch.

`peek` and what it imports (`listing`, `folders`, `tables`, `archives/`) use the standard library only: the checker asks
them, and checking a text loads no numpy.
"""
