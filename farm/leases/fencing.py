"""Fence: which lease a result was made under, so that one of a lost lease is refused."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Fence:
    """The `token`-th lease of the board behind the probe `uid` (see inventory.normal_uid).

    Tokens of a board only rise: whoever comes with a smaller one than the store has seen has lost
    the board to somebody else since.
    """

    uid: str
    token: int
