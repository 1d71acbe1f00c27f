"""What can go wrong on a rack, by who must act: the user, the operator or the bench."""


class FarmError(Exception):
    """Root of the farm's errors: one sentence that says what failed, where, and what to do."""

    exit_code = 70


class InventoryError(FarmError):
    """boards.yaml or a command line is wrong; the user must correct it."""

    exit_code = 2


class NoBoardError(FarmError):
    """No board of the rack matches, or those that match are out of service."""

    exit_code = 69


class BoardsBusyError(FarmError):
    """Matching boards exist but others held them until the wait ended."""

    exit_code = 75


class BenchError(FarmError):
    """The board, its probe, its console or the harness failed; says nothing about the network."""

    exit_code = 70

    def __init__(self, message: str, board: str = "") -> None:
        named = not board or message.startswith(f"{board}: ")
        super().__init__(message if named else f"{board}: {message}")
        self.board = board


class ClockError(BenchError):
    """The core runs at another clock than it should."""


class AwayError(BenchError):
    """The board cannot be reached now, though nothing says that it is sick: no rung would help."""


class ProbeMissingError(AwayError):
    """Its probe is not connected."""

    exit_code = 69


class ProbeBusyError(AwayError):
    """Its probe is in the hands of a program that knows no leases, or not for this user."""


class ConsoleError(AwayError):
    """Its console is not to be had: in use, not for this user, or not plugged in."""


class FencedError(BenchError):
    """A newer lease of the board exists, so that what was made under this one is not stored."""


class ImageError(FarmError):
    """An image could not be built.

    `too_big` separates a network that does not fit its MCU (a result) from a build that
    failed (a fault of the tools). The sizes are those that the linker asked for, 0 if unknown.
    """

    exit_code = 1

    def __init__(
        self,
        message: str,
        *,
        too_big: bool = False,
        flash_bytes: int = 0,
        static_ram_bytes: int = 0,
    ) -> None:
        super().__init__(message)
        self.too_big = too_big
        self.flash_bytes = flash_bytes
        self.static_ram_bytes = static_ram_bytes
