"""The leases of many boards at one moment, read at once, for whoever looks at a rack."""

from collections.abc import Mapping
from dataclasses import dataclass

from farm.leases.lease_rows import Holder, Waiter, opened
from farm.leases.lock_files import Place, is_locked

_WORN = "SELECT uid, max(erases) AS most FROM wear GROUP BY uid"


@dataclass(frozen=True)
class LeaseView:
    """What the rows of a place say, by normal uid; worn: erases of the most worn sector."""

    place: Place
    quarantined: Mapping[str, str]
    named: Mapping[str, Holder]
    line: tuple[Waiter, ...]
    worn: Mapping[str, int]

    def holder(self, uid: str) -> Holder | None:
        """Who holds it now, or None; the kernel's lock decides, the row only names."""
        if not is_locked(self.place, uid):
            return None
        return self.named.get(uid, Holder(0, "", 0, "", expired=False))

    def waiting(self, uid: str) -> int:
        """How many wait for it."""
        return sum(uid in waiter.request.uids for waiter in self.line)


def look(place: Place) -> LeaseView:
    """All rows of a place; FarmError when its database cannot be read."""
    with opened(place) as rows:
        reasons = rows.rows("SELECT uid, reason FROM quarantine")
        held = rows.rows("SELECT uid FROM leases WHERE pid IS NOT NULL")
        return LeaseView(
            place,
            {row["uid"]: row["reason"] for row in reasons},
            {row["uid"]: rows.holder(row["uid"]) for row in held},
            tuple(rows.line()),
            {row["uid"]: row["most"] for row in rows.rows(_WORN)},
        )
