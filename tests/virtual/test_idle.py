"""A board that only waits leaves the computer alone."""

from __future__ import annotations

import io
import time

from farm.emulation.cost import wakeups
from farm.mcus import load_mcu
from farm.probe import open_probe
from farm.rack.inventory import Board
from farm.serial_port import open_port
from farm.virtual import rack

SETTLED_S, WATCHED_S = 3.0, 3.0
WAKEUPS = 6  # one a second, and some


class Firmware(io.BytesIO):
    name = "echo"

    def segments(self) -> list[tuple[int, bytes]]:
        return [(0x0800_0000, self.getvalue())]


def test_board_that_waits_for_its_console_sleeps_longer_and_longer(
    f412: Board, echo_firmware: bytes
) -> None:
    rack.ensure_up(f412)
    mcu = load_mcu(f412.type.mcu)
    with open_probe(f412, mcu) as probe:
        probe.flash(Firmware(echo_firmware))
        probe.reset()
    found = rack.find(f412.probe_uid)
    assert found
    with open_port(f412, 38400) as port:
        time.sleep(SETTLED_S)
        before = wakeups(found.pid)
        time.sleep(WATCHED_S)
        assert wakeups(found.pid) - before <= WAKEUPS
        port.write(b"?")  # and it still answers at once
        port.timeout = 10.0
        answers = port.read(1) + port.read(1)
    assert answers[-1:] == b"?"
