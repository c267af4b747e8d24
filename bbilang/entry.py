"""Entry point of the command `bbi`, which handles Ctrl-C (one line, exit code 130) even during imports."""

import sys


def main() -> int:
    """Run `bbi` and return the exit code."""
    try:
        from bbilang.cli.app import main as run
        from bbilang.runtime import heap

        heap.own_process()
        return run()
    except KeyboardInterrupt:
        import signal

        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C while we leave does no harm
        if sys.stderr is not None:
            sys.stderr.write("interrupted\n")
        return 130  # bbilang.cli.errors.INTERRUPTED, which is not imported here


if __name__ == "__main__":
    sys.exit(main())
