"""The command-line interface `bbi`. Imports everything, lazily."""

from bbilang.cli.app import main

__all__ = ["main"]
