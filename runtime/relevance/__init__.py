"""Modified backward passes: relevance propagation, guided backprop. Imports runtime/{models,passes} and below.

A torch function mode (`mode.py`) gives every operation of a forward its own backward (`redistribute.py`), by rules for
operations with weights (`rules.py`) that a composite assigns (`composites.py`). An operation without a rule is refused
with the name of its module (`path.py`); its plain derivative is never presented as relevance.

Two more modes replace the derivatives of single operations: of rectifiers (`rectifiers.py`, which recognizes them by
`rectified.py`) and of max pools (`pools.py`).
"""
