"""The faults that a virtual board can have: kinds, their parameters, and one fault as a value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Value = int | float | str
Survival = Literal["event", "reset ends it", "power cycle ends it", "until cleared"]
COUNTS = ("cycles", "sent", "received", "words", "erases", "requests")
SEED_LIMIT = 2**32 - 1


class FaultError(ValueError):
    """A fault that does not exist, or a parameter that does not fit it."""


@dataclass(frozen=True)
class Parameter:
    """One number, address or word of a fault; numbers lie in low..high, words in `choices`."""

    name: str
    default: Value
    help: str
    low: float = 0
    high: float = 2**32 - 1
    choices: tuple[str, ...] = ()

    def value(self, given: object) -> Value:
        """`given`, a text or a JSON value, as this parameter's kind; FaultError."""
        if self.choices:
            if given not in self.choices:
                raise FaultError(f"{self.name} is {given}, not one of {', '.join(self.choices)}")
            return str(given)
        number = _number(given, isinstance(self.default, float))
        if number is None or not self.low <= number <= self.high:
            raise FaultError(f"{self.name} is {given}, no number from {self.low} to {self.high}")
        return number


@dataclass(frozen=True)
class Kind:
    """One kind of fault; `survives` says what ends it, "event" that it is over at once."""

    name: str
    help: str
    survives: Survival
    parameters: tuple[Parameter, ...] = ()


@dataclass(frozen=True)
class Fault:
    """One fault, complete and checked: what `fault` returns."""

    kind: str
    values: tuple[tuple[str, Value], ...] = ()  # every parameter of the kind, in its order
    seed: int = 0

    def __getitem__(self, name: str) -> Any:
        return dict(self.values)[name]

    def __str__(self) -> str:
        words = [self.kind, *(f"{name}={value}" for name, value in self.values)]
        return " ".join([*words, f"seed={self.seed}"])

    def to_json(self) -> dict[str, Any]:
        """The fault as JSON values."""
        return {"kind": self.kind, "values": dict(self.values), "seed": self.seed}


def _after(count: str) -> tuple[Parameter, ...]:
    return (
        Parameter("after", 0, "so many of `count` after the command; 0: at once"),
        Parameter("count", count, "what `after` counts", choices=COUNTS),
    )


_AT = Parameter("at", 0, "an address in flash")
_HOW = Parameter(
    "how", "error", "with the controller's error flag, or unnoticed", choices=("error", "silent")
)
_TIMES = Parameter("times", 0, "so often, then it works again; 0: always")
_OFF = Parameter("off_ms", 0, "power returns so much later; 0: not before `rack power BOARD on`")
_NOISE = (
    Parameter("chance", 0.01, "the share of bytes", low=0.0, high=1.0),
    Parameter("every", 0, "every so many bytes exactly, instead of `chance`"),
    Parameter("way", "both", "from the board, to it, or both", choices=("out", "in", "both")),
)
_DELAY = Parameter("ms", 50, "how long the line stands still", high=10_000)

KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("flash-program", "a word cannot be programmed", "until cleared", (_AT, _HOW, _TIMES)),
        Kind("flash-erase", "a sector cannot be erased", "until cleared", (_AT, _HOW, _TIMES)),
        Kind(
            "flash-cell",
            "a bit of flash reads the same whatever is programmed",
            "until cleared",
            (
                _AT,
                Parameter("bit", 0, "of the byte at that address", high=7),
                Parameter("value", 0, "what it reads", high=1),
            ),
        ),
        Kind(
            "flash-rot",
            "programmed bits of flash lose their charge and read 1",
            "event",
            (
                Parameter("bits", 1, "how many", low=1, high=4096),
                Parameter("at", 0, "start of the range; 0: all of flash"),
                Parameter("bytes", 1, "length of the range", low=1),
            ),
        ),
        Kind(
            "flash-busy",
            "the flash controller stays busy for ever",
            "power cycle ends it",
            (Parameter("after", 0, "so many programmed words after the command"),),
        ),
        Kind("probe-drop", "the probe is unplugged", "until cleared", (
            *_after("requests"),
            Parameter("lasts", "once", "plugged in again at once, after `ms`, or never",
                      choices=("once", "while", "ever")),
            Parameter("ms", 500, "how long a while is", low=1, high=600_000),
        )),
        Kind(
            "probe-slow",
            "the probe takes its time for every request",
            "until cleared",
            (Parameter("ms", 20, "for each request", low=1, high=30_000),),
        ),
        Kind("probe-refuse", "the probe is there and cannot be opened", "until cleared", (_TIMES,)),
        Kind("core-hang", "the core spins on the spot", "reset ends it", _after("cycles")),
        Kind("core-lockup", "the core locks up", "reset ends it", _after("cycles")),
        Kind("uart-lose", "bytes of the console get lost", "until cleared", _NOISE),
        Kind("uart-repeat", "bytes of the console come twice", "until cleared", _NOISE),
        Kind("uart-flip", "a bit of a byte of the console flips", "until cleared", _NOISE),
        Kind(
            "uart-delay", "bytes of the console come late", "until cleared", (*_NOISE, _DELAY)
        ),
        Kind(
            "clock-drift",
            "every oscillator is off",
            "until cleared",
            (Parameter("percent", 2.0, "how far", low=-10.0, high=10.0),),
        ),
        Kind(
            "clock-source",
            "a source of the core's clock never gets ready",
            "until cleared",
            (
                Parameter("lost", "external", "the external oscillator, or the PLL with it",
                          choices=("external", "pll")),
            ),
        ),
        Kind("brown-out", "the supply dips: reset, and RAM is lost", "event", _after("cycles")),
        Kind(
            "power-cut",
            "the power fails; the word or sector being written is torn",
            "event",
            (*_after("words"), _OFF),
        ),
        Kind("daemon-kill", "the process behind the board is killed", "event", _after("requests")),
    )
}  # fmt: skip


def fault(kind: str, seed: int = 0, **values: object) -> Fault:
    """A fault of the kind with these parameters, the others at their defaults; FaultError."""
    known = KINDS.get(kind)
    if known is None:
        raise FaultError(f"no fault {kind!r}; there are: {', '.join(KINDS)}")
    names = [parameter.name for parameter in known.parameters]
    for name in values:
        if name not in names:
            raise FaultError(f"{kind} has no {name!r}; it takes: {', '.join(names) or 'nothing'}")
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= SEED_LIMIT:
        raise FaultError(f"the seed is {seed}, no number from 0 to {SEED_LIMIT}")
    checked = ((p.name, p.value(values.get(p.name, p.default))) for p in known.parameters)
    return Fault(kind, tuple(checked), seed)


def parse(kind: str, words: Iterable[str], seed: int = 0) -> Fault:
    """A fault from words such as "at=0x08000100"; FaultError."""
    values: dict[str, object] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or name in values:
            raise FaultError(f"{word!r} is no setting, or its second; write each once as key=value")
        values[name] = value
    return fault(kind, seed, **values)


def from_json(values: object) -> Fault:
    """The fault that `to_json` gave; FaultError."""
    match values:
        case {"kind": str(kind), "values": dict(given), "seed": int(seed)}:
            return fault(kind, seed, **{str(name): value for name, value in given.items()})
        case _:
            raise FaultError("that is no fault")


def _number(given: object, fraction: bool) -> int | float | None:
    if isinstance(given, bool):
        return None
    try:
        if fraction:
            return float(given) if isinstance(given, str | int | float) else None
        if isinstance(given, str):
            return int(given, 0)
    except ValueError:
        return None
    return given if isinstance(given, int) else None
