"""The line of those who wait for boards: who may take which board next.

    allowed(requests, me, free)      # the boards that `me` may take now, best first

Higher priorities come first, equal ones in the order of their coming. Nobody is overtaken for
ever: who saw a board that it wants go MOST_OVERTAKEN times to somebody who came later comes before
all who came later, whatever their priorities. Who stands before another has first choice and keeps
what it chose; it chooses the boards that the fewest others want, so that a scarce board is left to
those who need that one.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

MOST_OVERTAKEN = 3
HELD = 1000
"""A priority, and all above it, of those who hold a board already and only pass it around among
their own processes: before all others, however often these were overtaken."""


@dataclass(frozen=True)
class Request:
    """`count` boards are wanted, out of those behind the probes `uids`, in order of preference.

    number: rises with every request; priority: the higher, the sooner; overtaken: how often a
    later one was served before it, by its priority, with one of these boards.
    """

    number: int
    uids: tuple[str, ...]
    count: int = 1
    priority: int = 0
    overtaken: int = 0


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
    return _rank(one) < _rank(other)


def overtakes(one: Request, uids: Collection[str], other: Request) -> bool:
    """Whether `other` is overtaken when `one` is served with the boards `uids`."""
    earlier = other.number < one.number and other.priority < one.priority < HELD
    return earlier and not set(uids).isdisjoint(other.uids)


def _rank(request: Request) -> tuple[bool, bool, int, int]:
    """The smallest is the first."""
    held, due = request.priority >= HELD, request.overtaken >= MOST_OVERTAKEN
    urgency = 0 if due and not held else request.priority
    return not held, not due, -urgency, request.number


def _in_line(requests: Sequence[Request]) -> Iterator[Request]:
    yield from sorted(requests, key=_rank)
