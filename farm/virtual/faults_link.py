"""What is wrong with the probe itself: unplugged, slow, or not to be opened."""

from __future__ import annotations

import math
import time

EVER_S = math.inf


class ProbeState:
    """Whether the probe is there and how it answers."""

    def __init__(self) -> None:
        self.slow_s = 0.0
        self.refusals = 0  # so many attempts to open it fail; -1: all
        self._gone_until_s = -math.inf
        self._dropped = False

    @property
    def present(self) -> bool:
        """Whether the probe is plugged in."""
        return time.monotonic() >= self._gone_until_s

    def unplug(self, seconds: float) -> None:
        """Be gone for so long; whoever has the probe open loses it even when that is 0."""
        self._gone_until_s = time.monotonic() + seconds
        self._dropped = True

    def plug_in(self) -> None:
        """Be there again."""
        self._gone_until_s = -math.inf

    def take_drop(self) -> bool:
        """Whether it was unplugged since the last call."""
        dropped, self._dropped = self._dropped, False
        return dropped

    def refuses(self) -> bool:
        """Whether this attempt to open the probe fails; counts it."""
        if self.refusals > 0:
            self.refusals -= 1
            return True
        return self.refusals < 0
