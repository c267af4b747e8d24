"""Format numbers in sentences: a true minus sign, and only significant digits."""

from __future__ import annotations

import math

SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
PLURALS = {
    "neuron": "neurons",
    "spatial": "positions",
    "channel": "channels",
    "pixel": "pixels",
    "class": "classes",
    "token": "tokens",
    "frame": "frames",
    "head": "heads",
    "whole": "the layer",
    "group": "groups",
    "direction": "directions",
}  # of atoms; the layer is one
COUNTS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def prose(value: float, signed: bool = False, decimals: int | None = None) -> str:
    """Write a number for readers: "0.24", "+0.24", "−3.1", "10.1", "1,234", "5.2 × 10⁻⁷"; "undefined" for NaN.
    ``decimals``: as many, unless the number rounds to zero with them."""
    if value != value:
        return "undefined"
    size = abs(value)
    if decimals is not None and 1e-5 <= size < 0.5 * 10.0**-decimals:
        digits = f"{size:.{-math.floor(math.log10(size))}f}"  # one digit that is not zero
    elif size and (size < 5e-4 or size >= 1e9):
        mantissa, _, exponent = f"{size:.1e}".partition("e")
        digits = f"{mantissa} × 10{str(int(exponent)).translate(SUPERSCRIPTS)}"
    else:
        usual = 0 if size >= 100 else 1 if size >= 20 else 2 if size >= 0.095 or not size else 3
        places = min(decimals, 1 if size >= 20 else decimals) if decimals is not None else usual
        digits = f"{size:,.{places}f}"
    if not size:
        return "0"
    return ("−" if value < 0 else "+" if signed else "") + digits


def singular(atom: str) -> str:
    """Return the word for one atom of this kind: "channel", "position"."""
    return {"spatial": "position", "whole": "layer"}.get(atom, atom)


def percent(share: float) -> str:
    """Write a share of 1 as "35 %", "0.4 %", "< 0.1 %", without a line break inside."""
    if share != share:
        return "an undefined share"
    size = 100 * abs(share)
    digits = "< 0.1" if 0 < size < 0.05 else f"{size:.1f}" if 0 < size < 0.95 else f"{size:,.0f}"
    return f"{'−' if share < 0 and size >= 0.05 else ''}{digits}\u00a0%"


def p_value(p: float) -> str:
    """Write a p-value: "p = 0.25", "p < 0.001"."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def counted(number: int) -> str:
    """Write a count: "six", "672", "1,280"."""
    return COUNTS[number] if 0 <= number < len(COUNTS) else f"{number:,}"
