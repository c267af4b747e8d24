"""Measures of trust in an attribution, one file per family. Imports runtime/ops and the engines."""
