"""Fences: the largest lease token of each probe that the store knows of, which never falls."""

from sqlalchemy import Connection, insert, select, update

from farm.errors import FencedError
from farm.leases.fencing import Fence
from farm.measure import utc_now
from farm.store.tables import FENCES


def announced(connection: Connection, uid: str) -> int:
    """The largest token seen of that probe; 0 for none."""
    query = select(FENCES.c.token).where(FENCES.c.uid == uid)
    return int(connection.execute(query).scalar_one_or_none() or 0)


def announce(connection: Connection, fence: Fence) -> None:
    """From now on nothing that was made under an earlier lease is stored."""
    seen = announced(connection, fence.uid)
    values = {"uid": fence.uid, "token": fence.token, "utc": utc_now()}
    if seen == 0:
        connection.execute(insert(FENCES).values(values))
    elif seen < fence.token:
        connection.execute(update(FENCES).where(FENCES.c.uid == fence.uid).values(values))


def admit(connection: Connection, fence: Fence, board: str) -> None:
    """Announce the fence, or raise FencedError when a newer lease exists."""
    seen = announced(connection, fence.uid)
    if seen > fence.token:
        what = f"a newer lease of {board} (token {seen}) exists"
        raise FencedError(f"{what}; the result of token {fence.token} was not stored", board)
    announce(connection, fence)
