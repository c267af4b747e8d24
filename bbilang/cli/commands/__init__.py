"""The signatures of the commands: each reads its arguments, calls a worker and gives an exit code. May import
`cli/options.py`; the rest of `cli` is imported when a command runs."""
