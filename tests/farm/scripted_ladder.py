"""A ladder with a rung that can be climbed and one that cannot."""

from farm.errors import BenchError
from farm.recovery import Rung


def _knock(board, left_s):
    return f"knocked at {board.id} for {left_s:.0f} s"


def _kick(board, left_s):
    raise BenchError("it does not move", board.id)


LADDER = (Rung("knock", _knock, 5.0), Rung("kick", _kick, 5.0))
