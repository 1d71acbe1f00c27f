"""What all tests share."""

import os
import signal
import sys

from hypothesis import HealthCheck, settings

# On a busy host an example takes seconds now and then; that is no failure of what is tested.
settings.register_profile(
    "steady", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("steady")


def pytest_configure() -> None:
    """Let every process of the tests keep its byte code: they start hundreds of interpreters.

    Container images often forbid it by environment, and each start then compiles all sources.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False


def pytest_sessionstart() -> None:
    """Let tests interrupt their children even where a shell started us with SIGINT ignored."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
