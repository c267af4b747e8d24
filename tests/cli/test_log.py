"""`--verbose` prints the records of the logger `bbilang`, for one command."""

import logging

import pytest


@pytest.mark.parametrize("arguments", [("-v", "run"), ("run", "--verbose"), ("run", "-v"), ("run",)])
def test_the_log_is_printed_where_it_is_wanted(bbi, monkeypatch, arguments):
    from bbilang.cli import run as running

    def logs(line):
        logging.getLogger("bbilang.runtime.passes").debug("a slower way: %s", "why")
        return 0

    monkeypatch.setattr(running, "run", logs)
    done = bbi(*arguments, "-e", "input | present(image)", "-i", "sample:chelsea")
    assert done.code == 0
    assert done.err == ("bbilang.runtime.passes: a slower way: why\n" if len(arguments) > 1 else "")
    assert not logging.getLogger("bbilang").handlers
