"""Each fault as a debugger sees it, through farm.probe, and the board's use after it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from farm import probe as farm_probe
from farm.errors import BenchError, InventoryError
from farm.mcus import load_mcu
from farm.probe import open_probe
from farm.rack.inventory import Board, BoardType
from farm.virtual import faults, rack
from farm.virtual.faults import Fault, active, clear, fault, inject, parse

BOARD = Board("b-1", BoardType("nucleo", "stm32f412zg", "stm32f412xg"), "virtual:TR-FAULTS")
MCU = load_mcu("stm32f412zg")
FLASH, RAM = 0x0800_0000, 0x2000_0000
AT = FLASH + 0x100


@dataclass(frozen=True)
class Blob:
    """Something to flash."""

    name: str
    data: bytes

    def segments(self) -> list[tuple[int, bytes]]:
        return [(FLASH, self.data)]


@pytest.fixture(scope="module", autouse=True)
def own_state(own_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One board for all tests of this file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(own_cache))
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        rack.ensure_up(BOARD)
        yield
        rack.down()


@pytest.fixture(autouse=True)
def sound_board() -> Iterator[None]:
    rack.ensure_up(BOARD)
    clear(BOARD)
    rack.power(BOARD, "cycle")
    yield
    rack.ensure_up(BOARD)


@pytest.fixture
def blob(count_firmware: bytes, request: pytest.FixtureRequest) -> Blob:
    """An image that differs from test to test, so that something has to be programmed."""
    name = request.node.name
    return Blob("counter", count_firmware + bytes(name * 40, "ascii")[:1500].replace(b"\xff", b""))


def program(blob: Blob) -> None:
    with open_probe(BOARD, MCU) as probe:
        probe.flash(blob)
        probe.verify(blob)
        probe.reset()


def after_all_is_well(blob: Blob) -> None:
    clear(BOARD)
    rack.power(BOARD, "on")
    assert active(BOARD) == ()
    program(blob)


@pytest.mark.parametrize(
    ("what", "said"),
    [
        (
            fault("flash-program", at=AT),
            r"flashing failed: flash program page failure \(address 0x",
        ),
        (fault("flash-erase", at=AT), r"flashing failed: flash erase sector failure \(address 0x"),
        (fault("flash-program", at=AT, how="silent"), "flash at 0x08000100 holds 0xff instead of"),
        (fault("flash-cell", at=AT, bit=7, value=1), "flash at 0x08000100 holds 0x.* instead of"),
    ],
    ids=str,
)
def test_broken_flash_is_one_sentence_with_its_address_until_it_is_cleared(
    what: Fault, said: str, blob: Blob
) -> None:
    inject(BOARD, what)
    rack.power(BOARD, "cycle")
    with pytest.raises(BenchError, match=rf"b-1: .*{said}"):
        program(blob)
    assert active(BOARD) == (what,)  # worn cells do not heal
    after_all_is_well(blob)


def test_sector_that_silently_keeps_its_contents_is_found_by_reading_back(blob: Blob) -> None:
    program(Blob("zeros", bytes(2000)))
    inject(BOARD, fault("flash-erase", at=AT, how="silent", times=1))
    with pytest.raises(BenchError, match="holds 0x00 instead of"):
        program(blob)
    assert active(BOARD) == ()
    program(blob)


@pytest.mark.parametrize("kind", ["flash-program", "probe-refuse"])
def test_fault_that_happens_so_often_lets_a_later_attempt_succeed(kind: str, blob: Blob) -> None:
    place = {} if kind == "probe-refuse" else {"at": AT}
    inject(BOARD, fault(kind, times=1, **place))
    with pytest.raises(BenchError):
        program(blob)
    assert active(BOARD) == ()
    program(blob)


def test_rotten_bits_are_found_where_the_seed_says_and_heal_by_flashing(blob: Blob) -> None:
    program(blob)
    what = fault("flash-rot", bits=3, seed=7)
    addresses = inject(BOARD, what)["addresses"]
    with (
        open_probe(BOARD, MCU) as probe,
        pytest.raises(BenchError, match=f"flash at {addresses[0]:#010x} holds"),
    ):
        probe.verify(blob)
    program(blob)
    assert inject(BOARD, what)["addresses"] == addresses  # same seed, same flash, same bits
    program(blob)
    assert inject(BOARD, fault("flash-rot", bits=3, seed=8))["addresses"] != addresses
    assert active(BOARD) == ()
    with pytest.raises(BenchError, match="only 0 bits are programmed there"):
        inject(BOARD, fault("flash-rot", at=FLASH + 0xF0000, bytes=64))


def test_controller_that_stays_busy_times_out_and_is_freed_by_a_power_cycle(
    blob: Blob, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in farm_probe.FLASH_DEADLINES_S:
        monkeypatch.setitem(farm_probe.FLASH_DEADLINES_S, name, 0.4)
    what = fault("flash-busy", after=100)
    inject(BOARD, what)
    with pytest.raises(BenchError, match="flashing failed: flash program page timeout"):
        program(blob)
    with pytest.raises(BenchError, match=r"flashing failed: flash .* timed out"):
        program(blob)  # the reset in between does not help
    assert active(BOARD) == (what,)
    rack.power(BOARD, "cycle")
    assert active(BOARD) == ()
    program(blob)


def test_probe_that_drops_once_is_one_error_and_there_at_the_next_attempt(blob: Blob) -> None:
    with open_probe(BOARD, MCU) as probe:
        inject(BOARD, fault("probe-drop", after=41))
        for _ in range(40):
            probe.read(RAM, 4)
        with pytest.raises(BenchError, match="its probe is unplugged"):
            probe.read(RAM, 4)
    program(blob)
    assert active(BOARD) == ()


def test_probe_that_is_gone_for_a_while_comes_back_and_for_good_does_not(blob: Blob) -> None:
    inject(BOARD, fault("probe-drop", lasts="while", ms=200))
    with pytest.raises(BenchError, match="no probe virtual:TR-FAULTS is connected; check cable"):
        program(blob)
    wait_until(lambda: not active(BOARD))
    program(blob)
    inject(BOARD, fault("probe-drop", lasts="ever"))
    rack.power(BOARD, "cycle")
    with pytest.raises(BenchError, match="no probe virtual:TR-FAULTS is connected"):
        program(blob)
    found = rack.find("TR-FAULTS")
    assert found is not None
    assert (found.alive, found.probe_present) == (True, False)
    after_all_is_well(blob)


def test_slow_probe_is_slow_and_right(blob: Blob) -> None:
    inject(BOARD, fault("probe-slow", ms=5))
    with open_probe(BOARD, MCU) as probe:
        begun_s = time.monotonic()
        first = probe.read(RAM, 64)
        assert time.monotonic() - begun_s >= 0.005
        begun_s = time.monotonic()
        found = rack.find("TR-FAULTS")  # the daemon itself is as fast as ever
        assert found is not None
        assert found.faults == (str(fault("probe-slow", ms=5)),)
        probe.reset_and_halt()
        clear(BOARD)
        assert probe.read(RAM + 0x4000, 64) != first
        probe.flash(blob)
        probe.verify(blob)


def test_probe_that_cannot_be_opened_says_so(blob: Blob) -> None:
    inject(BOARD, fault("probe-refuse"))
    with pytest.raises(BenchError, match=r"b-1: connecting failed: .*the probe cannot be opened"):
        program(blob)
    after_all_is_well(blob)


def counter(probe: farm_probe.Probe) -> int:
    return int.from_bytes(probe.read(RAM, 4), "little")


def stands_at(probe: farm_probe.Probe) -> int:
    """The counter once it has come to rest."""
    deadline = time.monotonic() + 20
    before, now = -1, counter(probe)
    while before != now:
        assert time.monotonic() < deadline
        time.sleep(0.02)
        before, now = now, counter(probe)
    return now


@pytest.mark.parametrize("kind", ["core-hang", "core-lockup"])
def test_core_that_stopped_stays_where_it_is_until_a_reset_and_again_at_the_same_instruction(
    kind: str, blob: Blob
) -> None:
    with open_probe(BOARD, MCU) as probe:
        probe.flash(blob)
        probe.reset()
        what = fault(kind)
        inject(BOARD, what)
        assert active(BOARD) == (what,)
        still = stands_at(probe)
        probe.reset()
        assert active(BOARD) == ()
        wait_until(lambda: counter(probe) != still)
        counts = []
        for _ in range(2):
            probe.reset_and_halt()
            before = counter(probe)
            inject(BOARD, fault(kind, after=70_001))
            probe.reset()
            counts.append((stands_at(probe) - before) % (1 << 32))
        assert counts[0] == counts[1] > 1000
        probe.reset()
        probe.verify(blob)


def test_brown_out_loses_ram_and_the_debug_connection_and_starts_the_board_anew(
    blob: Blob,
) -> None:
    with open_probe(BOARD, MCU) as probe:
        probe.flash(blob)
        probe.reset()
        ram = probe.read(RAM + 0x1000, 64)
        inject(BOARD, fault("brown-out"))
        with pytest.raises(BenchError, match="no acknowledge on the wire"):
            probe.read(RAM, 4)
    assert active(BOARD) == ()
    with open_probe(BOARD, MCU) as probe:
        probe.verify(blob)
        assert probe.read(RAM + 0x1000, 64) != ram
        probe.reset()
        now = counter(probe)
        wait_until(lambda: counter(probe) != now)


def test_power_cut_while_flashing_tears_one_word_and_leaves_the_rest(blob: Blob) -> None:
    image = Blob("zeros", bytes(4000))
    torn = []
    for _ in range(2):
        inject(BOARD, fault("power-cut", after=301, seed=5))
        with pytest.raises(BenchError, match=r"flashing failed: .*no acknowledge on the wire"):
            program(image)
        found = rack.find("TR-FAULTS")
        assert found is not None
        assert found.state == "off"
        rack.power(BOARD, "on")
        with open_probe(BOARD, MCU) as probe:
            torn.append(probe.read(FLASH, 4000))
    assert torn[0] == torn[1]
    assert torn[0][:1200] == bytes(1200)
    assert torn[0][1200:1204] not in (bytes(4), b"\xff" * 4)
    assert torn[0][1204:] == b"\xff" * 2796
    after_all_is_well(blob)


def test_power_that_comes_back_by_itself_lets_a_later_attempt_succeed(blob: Blob) -> None:
    inject(BOARD, fault("power-cut", after=10, off_ms=100))
    with pytest.raises(BenchError, match="flashing failed"):
        program(blob)
    wait_until(lambda: (found := rack.find("TR-FAULTS")) is not None and found.state != "off")
    program(blob)


def test_killed_daemon_is_a_lost_probe_and_starts_anew_without_faults(blob: Blob) -> None:
    inject(BOARD, fault("flash-program", at=AT))
    inject(BOARD, fault("daemon-kill", after=200))
    with pytest.raises(BenchError, match="the connection to the board's daemon broke"):
        program(blob)
    with pytest.raises(BenchError, match="rack up"):
        active(BOARD)
    rack.ensure_up(BOARD)
    after_all_is_well(blob)


def test_switched_off_board_answers_as_one_without_power_and_on_again_boots(blob: Blob) -> None:
    with open_probe(BOARD, MCU) as probe:
        probe.flash(blob)
        with pytest.raises(BenchError, match="is using the debug"):
            rack.power(BOARD, "off")
    rack.power(BOARD, "off")
    rack.power(BOARD, "off")  # already is
    with pytest.raises(BenchError, match="connecting failed: Target not detected"):
        program(blob)
    rack.power(BOARD, "on")
    with open_probe(BOARD, MCU) as probe:
        probe.verify(blob)
        probe.reset()
        now = counter(probe)
        wait_until(lambda: counter(probe) != now)
        assert len(probe.read(RAM, 4)) == 4


@pytest.mark.parametrize(
    ("kind", "words", "said"),
    [
        ("flash-burn", [], "no fault 'flash-burn'; there are: flash-program"),
        ("probe-slow", ["at=3"], "probe-slow has no 'at'; it takes: ms"),
        ("probe-slow", ["ms=0"], "ms is 0, no number from 1 to 30000"),
        ("probe-slow", ["ms=many"], "ms is many, no number"),
        ("uart-lose", ["chance=nan"], "chance is nan, no number"),
        ("uart-lose", ["way=up"], "way is up, not one of out, in, both"),
        ("core-hang", ["after"], "'after' is no setting"),
        ("core-hang", ["after=1", "after=2"], "'after=2' is no setting, or its second"),
    ],
)
def test_fault_that_makes_no_sense_is_refused_before_the_board_hears_of_it(
    kind: str, words: list[str], said: str
) -> None:
    with pytest.raises(InventoryError, match=said):
        parse(kind, words)


def test_address_outside_the_flash_of_the_board_is_refused_by_the_board() -> None:
    with pytest.raises(BenchError, match="at=0x20000000 is not in flash: 0x8000000 to 0x8100000"):
        inject(BOARD, fault("flash-cell", at=RAM))
    assert active(BOARD) == ()


def test_every_kind_goes_to_the_board_and_back_unchanged() -> None:
    spared = {"flash-rot", "brown-out", "power-cut", "daemon-kill", "probe-drop"}  # events at once
    wanted = [
        fault(kind, seed=9, **({"at": AT} if "at" in PARAMETERS[kind] else {}))
        for kind in faults.KINDS
        if kind not in spared
    ]
    for each in wanted:
        inject(BOARD, each)
    assert list(active(BOARD)) == wanted
    assert clear(BOARD) == len(wanted)
    assert active(BOARD) == ()


PARAMETERS = {name: {p.name for p in kind.parameters} for name, kind in faults.KINDS.items()}


def test_every_kind_and_parameter_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "faults.md").read_text(encoding="utf-8")
    rows = {line.split("`")[1]: line for line in text.splitlines() if line.startswith("| `")}
    for name, kind in faults.KINDS.items():
        for parameter in kind.parameters:
            assert f"`{parameter.name}`" in rows[name], f"{name} {parameter.name}"
        assert kind.survives in rows[name], name
    _, _, seen = text.partition("## What is seen")
    told = "\n".join(line.split("|")[1] for line in seen.splitlines() if line.count("|") == 5)
    for name in faults.KINDS:
        assert name in told, name


def wait_until(true: Callable[[], bool], limit_s: float = 20.0) -> None:
    deadline = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)
