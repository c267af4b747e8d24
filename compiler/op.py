"""The contract by its former name, for plug-ins that import it from here. Gone with the next release."""

from bbilang.compiler.contract import *  # noqa: F403
