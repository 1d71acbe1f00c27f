"""Which probe is a board's: pyOCD's own classes choose, the USB devices below them are made up."""

from types import SimpleNamespace

import pytest
from pyocd.probe import aggregator
from pyocd.probe.jlink_probe import JLinkProbe
from pyocd.probe.stlink.usb import STLinkUSBInterface

from farm import probe_search, targets
from farm.errors import AwayError
from farm.rack.inventory import Board, BoardType
from farm.usb import UsbProbe

TYPE = BoardType("t", "stm32f412zg", "stm32f412xg")


def board(probe: str) -> Board:
    return Board("b1", TYPE, probe)


@pytest.fixture
def classes():
    targets.register()
    return aggregator.PROBE_CLASSES


@pytest.fixture
def jlinks(classes, monkeypatch):
    """Plug in J-Links of these numbers, as pylink tells them."""

    def plug(*numbers: int) -> None:
        found = [SimpleNamespace(SerialNumber=n, acProduct=b"J-Link") for n in numbers]
        link = SimpleNamespace(connected_emulators=lambda: found)
        monkeypatch.setattr(JLinkProbe, "_get_jlink", classmethod(lambda _: link))
        monkeypatch.setitem(classes, "jlink", JLinkProbe)

    return plug


@pytest.fixture
def stlinks(classes, monkeypatch):
    """Plug in ST-Links of these numbers."""

    def plug(*numbers: str) -> None:
        names = {"vendor_name": "ST", "product_name": "ST-Link"}
        found = [SimpleNamespace(serial_number=number, **names) for number in numbers]
        monkeypatch.setattr(STLinkUSBInterface, "get_all_connected_devices", lambda: found)

    return plug


@pytest.mark.parametrize("uid", ["000960177309", "960177309"])
def test_a_jlink_is_found_as_usb_spells_it_and_as_pyocd_does(jlinks, uid):
    jlinks(96017730, 960177309)
    assert probe_search.find(board(f"jlink:{uid}")).unique_id == "960177309"


def test_an_stlink_is_found_in_capitals_and_small_letters_but_never_by_a_part(stlinks):
    stlinks("066DFF", "066DFF01")
    assert probe_search.find(board("stlink:066dff")).unique_id == "066DFF"
    assert probe_search.find(board("stlink:66D")) is None


def test_two_probes_of_one_number_are_an_error_and_neither_is_taken(stlinks):
    stlinks("066DFF", "066dff")
    with pytest.raises(AwayError, match=r"b1: more than one probe .*unplug the others"):
        probe_search.find(board("stlink:066DFF"))


def test_twins_are_named_by_their_usb_places_before_pyocd_lists_anything(classes, monkeypatch):
    twins = [UsbProbe("cmsisdap", "01ab", "", at) for at in ("1-2", "1-3.4")]
    monkeypatch.setattr(probe_search, "find_probes", lambda _: twins)
    monkeypatch.setitem(classes, "cmsisdap", None)
    with pytest.raises(AwayError, match=r"cmsisdap:01AB, at USB 1-2 and 1-3\.4, so"):
        probe_search.find(board("cmsisdap:01AB"))


def test_without_segger_s_library_a_jlink_says_what_to_install(classes, monkeypatch):
    monkeypatch.delitem(classes, "jlink", raising=False)
    with pytest.raises(AwayError, match="b1: SEGGER's J-Link library is not installed"):
        probe_search.find(board("jlink:960177309"))
