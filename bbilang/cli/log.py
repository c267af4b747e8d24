"""`--verbose`: print the records of the logger `bbilang` on stderr, one per line."""

from __future__ import annotations

import logging

from bbilang.cli.console import tell

LOGGER = logging.getLogger("bbilang")


class _Lines(logging.Handler):
    """Prints log records as lines on stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        tell(f"{record.name}: {record.getMessage()}")


def show_log() -> None:
    """Print records of every level, until `hide_log`."""
    hide_log()
    LOGGER.addHandler(_Lines())
    LOGGER.setLevel(logging.DEBUG)


def hide_log() -> None:
    """Stop printing records."""
    for handler in [handler for handler in LOGGER.handlers if isinstance(handler, _Lines)]:
        LOGGER.removeHandler(handler)
        LOGGER.setLevel(logging.NOTSET)
