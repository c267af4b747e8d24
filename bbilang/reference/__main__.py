"""`python -m bbilang.reference` writes docs/reference and docs/mistakes.md, and prints the pages that changed."""

from bbilang.reference.pages import write

for path in write():
    print(path)
