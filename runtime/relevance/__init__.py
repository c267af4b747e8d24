"""Relevance: what a score is made of, shared out operation by operation on the way back through the network.

A torch function mode (`follow.py`) gives every operation of a forward a backward of its own (`redistribute.py`), by
rules for what has weights (`rules.py`) that a composite assigns (`composites.py`). Whatever has no rule is refused with
the name of the module (`path.py`), never passed with its plain derivative.
"""
