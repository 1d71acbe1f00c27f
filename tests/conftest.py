"""What all tests share."""

import signal


def pytest_sessionstart() -> None:
    """Let tests interrupt their children even where a shell started us with SIGINT ignored."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
