"""What can go wrong while a network becomes C."""


class EngineError(Exception):
    """Root of this package's errors; the message is one sentence for the user."""


class GraphError(EngineError):
    """A graph, or a file that holds one, is malformed."""


class UnsupportedError(EngineError):
    """A network asks for something the engine does not do.

    The message names the operator, its index and what is supported.
    """


class ToolchainError(EngineError):
    """The compiler or the linker failed; `log` holds what it printed."""

    def __init__(self, message: str, log: str = "") -> None:
        super().__init__(message)
        self.log = log
