"""The signatures of the commands: each parses its arguments, calls the implementation and returns an exit code. May
import `cli/options.py`; the rest of `cli` is imported when a command runs."""
