"""Probes and consoles on USB: found without opening any, paired by what is certain first."""

from dataclasses import dataclass
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyocd.probe.stlink.usb import STLinkUSBInterface

from farm.commands import scan
from farm.errors import InventoryError
from farm.rack.board import Board
from farm.rack.inventory import load_rack
from farm.usb import UsbProbe, find_probes, usb_uid

HEAD = "version: 1\ntypes: {t: {mcu: stm32f412zg, target: stm32f412xg}}\nboards:\n"


@dataclass
class Port:
    device: str
    location: str | None = None
    serial_number: str | None = None
    vid: int | None = None
    pid: int | None = None
    product: str | None = None


@pytest.fixture
def sysfs(tmp_path):
    """Add USB devices to a sysfs of our own; the path of it."""
    root = tmp_path / "usb"

    def add(location: str, vendor: str, product_id: str, product: str = "", serial: str = ""):
        device = root / location
        device.mkdir(parents=True)
        words = {"idVendor": vendor, "idProduct": product_id, "product": product, "serial": serial}
        for name, text in words.items():
            if text:
                (device / name).write_text(text + "\n")
        return root

    return add


def test_probes_are_read_from_sysfs_and_hubs_are_not(sysfs):
    sysfs("usb1", "1d6b", "0002")
    root = sysfs("1-2", "0483", "374b", "STM32 STLink", "066DFF000000000000000001")
    (found,) = find_probes([], root)
    assert (found.probe, found.location) == ("stlink:066DFF000000000000000001", "1-2")
    assert 'probe: "stlink:066DFF000000000000000001"' in scan.entry(found)


def test_a_console_is_paired_by_the_device_it_shares_with_its_probe(sysfs):
    sysfs("1-2", "0d28", "0204", "DAPLink CMSIS-DAP", "0240AA")
    root = sysfs("1-3", "0d28", "0204", "DAPLink CMSIS-DAP", "0240BB")
    ports = [Port("/dev/ttyACM1", "1-3:1.1"), Port("/dev/ttyACM0", "1-2:1.1", "0240AA")]
    first, second = find_probes(ports, root)
    assert [port.device for port in first.ports] == ["/dev/ttyACM0"]
    assert [port.device for port in second.ports] == ["/dev/ttyACM1"]
    assert "serial: {by: probe}" in scan.entry(first)
    assert 'serial: {by: location, at: "1-3:1.1"}' in scan.entry(second)


@pytest.mark.parametrize(
    ("kind", "vendor", "product_id", "usb", "port"),
    [
        ("jlink", "1366", "0101", "000960177309", "960177309"),
        ("stlink", "0483", "3748", "P\xffq\x06uUPH7 \x83g", "50FF71067555504837208367"),
        ("cmsisdap", "2e8a", "000c", "E66118F5D7", "e66118f5d7"),
    ],
)
def test_serial_numbers_pair_however_each_tool_spells_them(
    sysfs, kind, vendor, product_id, usb, port
):
    root = sysfs("1-2", vendor, product_id, "", usb)
    (root / "1-2" / "serial").write_bytes(usb.encode() + b"\n")
    (found,) = find_probes([Port("/dev/ttyUSB0", "2-1:1.0", port)], root)
    assert found.kind == kind
    assert [each.device for each in found.ports] == ["/dev/ttyUSB0"]


def test_of_several_consoles_the_entry_names_the_first_interface(sysfs):
    root = sysfs("1-2", "1366", "1051", "J-Link", "960177309")
    ports = [Port(f"/dev/ttyACM{n}", f"1-2:1.{2 * n}", "960177309") for n in (1, 0)]
    (found,) = find_probes(ports, root)
    assert [port.device for port in found.ports] == ["/dev/ttyACM0", "/dev/ttyACM1"]
    assert "serial: {by: probe, interface: 0}" in scan.entry(found)


def test_what_sysfs_lacks_is_known_from_ports(tmp_path):
    port = Port("COM3", "1-4:x.0", "0671FF", 0x0483, 0x374B, "STLink")
    (found,) = find_probes([port], tmp_path)
    assert (found.probe, found.ports) == ("stlink:0671FF", (port,))


def test_a_probe_that_nothing_names_is_a_doubt_and_no_entry(sysfs):
    root = sysfs("1-2", "0483", "374b")
    (found,) = find_probes([], root)
    assert found.uid == ""
    assert "has no serial number" in scan.doubts([found])[0]


def test_two_probes_of_one_number_are_a_doubt_and_none_of_them_is_proposed():
    nameless = UsbProbe("cmsisdap", "", "", "1-4")
    zero = UsbProbe("cmsisdap", "000", "", "1-5", (SimpleNamespace(serial_number="000"),))
    assert ["has no serial" in doubt for doubt in scan.doubts([zero, nameless])] == [True]
    twins = [UsbProbe("jlink", uid, "", at) for uid, at in (("0012", "1-1"), ("12", "1-2"))]
    (doubt,) = scan.doubts(twins)
    assert "2 probes have the serial number 0012, at USB 1-1 and 1-2; keep only one" in doubt
    assert [scan.proposal(probe, twins, []) for probe in twins] == ["", ""]


def loaded(write_rack, line: str) -> Board:
    """The board of an entry as `scan` proposes it, with what a person fills in."""
    line = line.replace("NAME", "new-1").replace("TYPE", "t").replace("WHERE", "1-1:1.0")
    return load_rack(write_rack(HEAD + line)).boards[0]


def test_a_proposed_entry_is_valid(write_rack):
    line = scan.entry(UsbProbe("jlink", "000960177309", "J-Link", "1-1"))
    assert loaded(write_rack, line).probe_uid == "000960177309"


def test_a_probe_without_a_console_is_a_doubt_and_its_entry_has_a_gap(write_rack):
    probe = UsbProbe("stlink", "0667FF", "", "1-4")
    line = scan.proposal(probe, [probe], [])
    assert "the stlink probe at 1-4 has no console of its own" in scan.doubts([probe])[0]
    with pytest.raises(InventoryError, match="at is 'WHERE'; it must be a USB socket"):
        load_rack(write_rack(HEAD + line.replace("NAME", "a").replace("TYPE", "t")))
    assert scan.doubts([probe], [loaded(write_rack, line)]) == []


def test_a_number_that_the_file_cannot_name_is_a_doubt_and_no_entry():
    probe = UsbProbe("cmsisdap", "a:b/c", "", "1-4")
    assert "'a:b/c', which boards.yaml cannot name" in scan.doubts([probe])[0]
    assert scan.proposal(probe, [probe], []) == ""


@settings(derandomize=True, max_examples=60, deadline=None)
@given(st.text(max_size=14) | st.text(min_size=12, max_size=12))
def test_stlink_numbers_are_spelled_as_by_pyocd_s_own_code(serial):
    device = SimpleNamespace(idVendor=0x0483, idProduct=0x3748, manufacturer="", product="")
    device.serial_number = serial
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("usb.util.dispose_resources", lambda _: None)
        assert usb_uid("stlink", serial) == STLinkUSBInterface(device).serial_number
    assert usb_uid("cmsisdap", serial) == usb_uid("jlink", serial) == serial


@pytest.mark.parametrize("serial", ["ABC_1-2", "AB 12", "WCH 00_11-22"])
def test_numbers_with_signs_stay_as_they_are_and_can_be_written(sysfs, write_rack, serial):
    root = sysfs("1-2", "0d28", "0204", "CMSIS-DAP", serial)
    (found,) = find_probes([Port("/dev/ttyACM0", "1-2:1.1", serial)], root)
    assert found.uid == serial
    assert loaded(write_rack, scan.proposal(found, [found], [])).probe_uid == serial


def test_a_raw_number_keeps_the_blanks_at_its_ends(sysfs):
    root = sysfs("1-2", "0483", "3748", "", "\r0123456789 ")
    (root / "1-2" / "serial").write_bytes(b"\r0123456789 \n")
    assert find_probes([], root)[0].uid == "0D3031323334353637383920"
