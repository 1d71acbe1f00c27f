"""When a fault strikes: after so many cycles, bytes, words or requests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Action = Callable[[], None]


@dataclass(eq=False)
class Trigger:
    """An action that waits until `left` more of `count` have been seen."""

    count: str
    left: int
    action: Action


class Triggers:
    """Counters that run down; each action happens once, when its own reaches zero."""

    def __init__(self) -> None:
        self._waiting: list[Trigger] = []

    def arm(self, count: str, left: int, action: Action) -> Trigger:
        """Call `action` when `left` (1 or more) of `count` have been seen."""
        trigger = Trigger(count, left, action)
        self._waiting.append(trigger)
        return trigger

    def disarm(self, trigger: Trigger) -> None:
        """Forget it, whether or not it has struck."""
        if trigger in self._waiting:
            self._waiting.remove(trigger)

    def counts(self, count: str) -> bool:
        """Whether anything waits for this count."""
        return any(trigger.count == count for trigger in self._waiting)

    def room(self, count: str, most: int) -> int:
        """How many of at most `most` may pass before the next action is due."""
        waiting = [trigger.left for trigger in self._waiting if trigger.count == count]
        return min([most, *waiting])

    def tick(self, count: str, number: int = 1) -> None:
        """Count `number` more and call what is due, in the order of arming."""
        for trigger in [each for each in self._waiting if each.count == count]:
            trigger.left -= number
            if trigger.left <= 0:
                self.disarm(trigger)
                trigger.action()
