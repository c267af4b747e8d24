"""The signatures of the commands. Imports cli/options.py; the rest of `cli` is imported when a command runs."""
