"""The command `bbi`: arguments in, exit codes and messages out. Imports everything, lazily."""

from bbilang.cli.app import main

__all__ = ["main"]
