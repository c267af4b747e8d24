"""Styles, one file each. Imports runtime/{charts,vega,view} and below."""
