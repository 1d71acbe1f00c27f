"""The line of those who wait for boards: who may take which board next.

    allowed(requests, me, free)      # the boards that `me` may take now, best first

Higher priorities come first, equal ones in the order of their coming. Who stands before another
has first choice and keeps what it chose, so that nobody starves; it chooses the boards that the
fewest others want, so that a scarce board is left to those who need that one.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Request:
    """`count` boards are wanted, out of those behind the probes `uids`, in order of preference.

    number: rises with every request; priority: the higher, the sooner.
    """

    number: int
    uids: tuple[str, ...]
    count: int = 1
    priority: int = 0


def allowed(requests: Sequence[Request], me: int, free: Collection[str]) -> tuple[str, ...]:
    """The boards that the request number `me` may take: `count` of the free ones, or none.

    Those before it keep of the free boards what they may use, even where that is not enough for
    them yet: a request for two boards would wait for ever behind a stream of requests for one.
    """
    wanted = Counter(uid for request in requests for uid in request.uids)
    left = set(free)
    for request in _in_line(requests):
        chosen = sorted((uid for uid in request.uids if uid in left), key=wanted.__getitem__)
        chosen = chosen[: request.count]
        if request.number == me:
            return tuple(chosen) if len(chosen) == request.count else ()
        left -= set(chosen)
    return ()


def precedes(one: Request, other: Request) -> bool:
    """Whether `one` has the choice before `other`."""
    return (-one.priority, one.number) < (-other.priority, other.number)


def _in_line(requests: Sequence[Request]) -> Iterator[Request]:
    yield from sorted(requests, key=lambda request: (-request.priority, request.number))
