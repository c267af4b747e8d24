"""The signatures of the commands: each reads its arguments, calls what does the work, and gives an exit code. May import
`cli/options.py`; what does the work is imported when a command runs."""
