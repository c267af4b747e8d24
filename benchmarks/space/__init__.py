"""What a system for interpretability interfaces should do: a table of rows, and a check of each for any tool.

rows.toml    the rows: what is asked, of which network and layer, how it is checked, and our text
protocol.py  what a tool has to offer to be asked: one class, a method for each kind of question
adapters/    bbilang, Captum, torch-lucent and zennit-crp behind that protocol

python -m benchmarks.space                        every row with every tool, and writes docs/space-rows.md
python -m benchmarks.space --row icon --tool captum
python -m benchmarks.space --adapter mine:Tool    a tool of your own, without writing
"""
