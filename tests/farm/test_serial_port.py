import os
from dataclasses import dataclass

import pytest
import serial

from farm import serial_port
from farm.errors import BenchError, ConsoleError
from farm.rack.inventory import Board, BoardType, SerialSpec
from farm.serial_port import choose_port, find_port, open_port
from farm.usb import UsbProbe

TYPE = BoardType("nucleo-f412zg", "stm32f412zg", "stm32f412xg")


@dataclass
class Port:
    device: str
    serial_number: str | None = None
    location: str | None = None
    vid: int | None = None
    pid: int | None = None
    product: str | None = None


PORTS = [
    Port("/dev/ttyS0"),
    Port("/dev/ttyACM0", "0670FF", "1-1.4:1.2"),
    Port("/dev/ttyACM1", "0671AA", "1-1.5:1.0"),
    Port("/dev/ttyACM2", "0671AA", "1-1.5:1.2"),
    Port("/dev/ttyUSB0", "FTX1", "2-1"),
]


BY_PROBE = SerialSpec()


def board(serial: SerialSpec = BY_PROBE, probe: str = "stlink:0670ff") -> Board:
    return Board("b1", TYPE, probe, serial)


def chosen(found: Board) -> str:
    return choose_port(found, list(PORTS))


def test_a_console_is_found_by_the_probe_it_belongs_to() -> None:
    assert chosen(board()) == "/dev/ttyACM0"
    assert chosen(board(probe="jlink:000670FF")) == "/dev/ttyACM0"


def test_an_interface_picks_one_of_several_ports() -> None:
    with pytest.raises(BenchError, match=r"b1.*ttyACM1, /dev/ttyACM2"):
        chosen(board(probe="stlink:0671AA"))
    assert chosen(board(SerialSpec(interface=2), "stlink:0671AA")) == "/dev/ttyACM2"
    assert chosen(board(SerialSpec(interface=0), "stlink:0671AA")) == "/dev/ttyACM1"


def test_a_console_is_found_by_location_or_serial_number() -> None:
    assert chosen(board(SerialSpec("location", "2-1"))) == "/dev/ttyUSB0"
    assert chosen(board(SerialSpec("serial", "ftx1"))) == "/dev/ttyUSB0"


def test_no_other_console_is_taken_instead() -> None:
    for spec in (
        SerialSpec("location", "1-1"),
        SerialSpec("serial", "FTX"),
        SerialSpec("serial", "FTX1", interface=0),
    ):
        with pytest.raises(ConsoleError, match="found none"):
            chosen(board(spec))


def test_a_missing_path_or_a_virtual_board_that_is_down_says_what_to_do() -> None:
    with pytest.raises(ConsoleError, match="plugged in"):
        find_port(board(SerialSpec("path", "/dev/no-such-console")))
    with pytest.raises(BenchError, match="rack up"):
        find_port(board(probe="virtual:TR-NO-SUCH-BOARD"))


def test_a_console_is_opened_for_one_process_alone() -> None:
    far, near = os.openpty()
    named = board(SerialSpec("path", os.ttyname(near)))
    try:
        with open_port(named, 1_000_000) as port:
            os.write(far, b"hello")
            assert port.read(5) == b"hello"
            with pytest.raises(ConsoleError, match="end that"), open_port(named, 1_000_000):
                pass
        with open_port(named, 1_000_000):
            pass
    finally:
        os.close(far)
        os.close(near)


def test_what_is_no_console_is_refused(tmp_path: object) -> None:
    with (
        pytest.raises(BenchError, match="cannot be opened"),
        open_port(board(SerialSpec("path", str(tmp_path))), 1_000_000),
    ):
        pass


def test_a_console_that_another_program_uses_is_named_so(board, monkeypatch):
    ours, theirs = os.openpty()
    path = os.ttyname(theirs)
    monkeypatch.setattr(serial_port, "find_port", lambda _: path)
    with (
        serial.Serial(path, exclusive=True),
        pytest.raises(ConsoleError, match=f"console {path} is in use by process {os.getpid()} "),
        serial_port.open_port(board, 115_200),
    ):
        pass
    os.close(ours)
    os.close(theirs)


def test_a_port_without_a_number_is_its_probe_s_by_their_usb_device(monkeypatch):
    ports = [Port("/dev/ttyACM0", None, "1-3:1.1"), Port("/dev/ttyACM1", None, "1-4:1.1")]
    probe = UsbProbe("cmsisdap", "0240AA", "", "1-4", (ports[1],))
    monkeypatch.setattr(serial_port, "find_probes", lambda _: [probe])
    assert choose_port(board(probe="cmsisdap:0240aa"), ports) == "/dev/ttyACM1"
    with pytest.raises(BenchError, match="found none"):
        choose_port(board(probe="cmsisdap:0240bb"), ports)


def test_a_number_with_colons_is_compared_whole() -> None:
    ports = [Port("/dev/ttyACM0", "7C:DF:A1", "1-3")]
    assert choose_port(board(SerialSpec("serial", "7c:df:a1")), ports) == "/dev/ttyACM0"
    with pytest.raises(BenchError, match="found none"):
        choose_port(board(SerialSpec("serial", "DF:A1")), ports)
