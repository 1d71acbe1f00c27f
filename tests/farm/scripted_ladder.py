"""A ladder with a rung that can be climbed and one that cannot, and one with a rung without end."""

import time

import platformdirs

from farm.errors import BenchError
from farm.ladder.recovery import Rung


def _knock(board, left_s):
    return f"knocked at {board.id} for {left_s:.0f} s"


def _kick(board, left_s):
    raise BenchError("it does not move", board.id)


def _doze(board, left_s):
    dozing_path().touch()
    time.sleep(left_s)


def dozing_path():
    return platformdirs.user_state_path("tinyrack") / "dozing"


LONG_LADDER = (Rung("doze", _doze, 60.0),)
LADDER = (Rung("knock", _knock, 5.0), Rung("kick", _kick, 5.0))
