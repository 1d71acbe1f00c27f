"""What a command does to a board, written into the audit with how it ended."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from engine.errors import EngineError
from farm.errors import FarmError
from farm.log import about
from farm.measure import Scalar
from farm.rack.board import Board
from farm.rack.inventory import Rack
from farm.store import Store
from farm.store.audit import Who, append

_LOG = logging.getLogger(__name__)


@contextmanager
def audited(
    rack: Rack, action: str, board: Board, *, image_sha256: str = "", **facts: Scalar
) -> Iterator[None]:
    """The entry of what happens inside: "done", or the error, which goes on its way."""
    result = "interrupted"
    try:
        yield
        result = "done"
    except (FarmError, EngineError, OSError) as error:
        result = f"failed: {error}"
        raise
    finally:
        with about(board=board.id):
            _LOG.info("%s: %s", action, result)
        with Store(rack=rack) as store:
            store.database.write(
                lambda connection: append(
                    connection,
                    Who.me(),
                    action,
                    board.id,
                    image_sha256=image_sha256,
                    result=result,
                    facts=facts,
                )
            )
