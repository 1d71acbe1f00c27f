"""Start the daemon of one virtual board: `python -m farm.virtual UID MCU TARGET`."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys

from farm.virtual.daemon import IDLE_TIMEOUT_S, AlreadyRunningError, Settings, serve

RUNNING, READY = "running", "ready"


def main() -> int:
    """Run until told to stop; with --ready-fd in the background, reporting there."""
    arguments = _parser().parse_args()
    settings = Settings(arguments.uid, arguments.mcu, arguments.target, arguments.idle_timeout_s)
    if arguments.ready_fd is not None and os.fork():
        # The daemon becomes init's child: whoever started it has no zombie to collect later.
        os._exit(0)
    try:
        serve(settings, lambda: _report(arguments.ready_fd, READY))
    except AlreadyRunningError as error:
        with contextlib.suppress(BrokenPipeError):
            _report(arguments.ready_fd, RUNNING)
        sys.stderr.write(f"{error}\n")
        return 1
    except BrokenPipeError:  # a daemon that is not waited for would never be asked to stop
        sys.stderr.write("nobody waits for this board any more\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="farm.virtual", description=__doc__)
    parser.add_argument("uid", help="the board's probe id")
    parser.add_argument("mcu", help="name of the part to be")
    parser.add_argument("target", help="pyOCD's name of the part")
    parser.add_argument("--idle-timeout-s", type=float, default=IDLE_TIMEOUT_S)
    parser.add_argument("--ready-fd", type=int, help="go to the background and report here")
    return parser


def _report(descriptor: int | None, word: str) -> None:
    if descriptor is not None:
        os.write(descriptor, word.encode())
        os.close(descriptor)


if __name__ == "__main__":
    sys.exit(main())
