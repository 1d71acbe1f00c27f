"""Probes and consoles on USB: found without opening any, paired by what is certain first."""

from dataclasses import dataclass

import pytest

from farm.commands import scan
from farm.inventory import load_rack
from farm.usb import UsbProbe, find_probes, usb_uid


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
        ("stlink", "0483", "3748", "P\xffq\x06uUPH", "50FF710675555048"),
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


def test_two_probes_of_one_number_are_a_doubt():
    twins = [UsbProbe("jlink", uid, "", at) for uid, at in (("0012", "1-1"), ("12", "1-2"))]
    assert scan.doubts(twins) == [
        "2 probes have the serial number 12; keep only one of them plugged in"
    ]


def test_a_proposed_entry_is_valid(write_rack):
    line = scan.entry(UsbProbe("jlink", "000960177309", "J-Link", "1-1"))
    line = line.replace("NAME", "new-1").replace("TYPE", "t")
    text = "version: 1\ntypes: {t: {mcu: stm32f412zg, target: stm32f412xg}}\nboards:\n" + line
    assert load_rack(write_rack(text)).boards[0].probe_uid == "000960177309"


def test_old_stlink_serials_become_hex_as_in_pyocd():
    assert usb_uid("0667FF") == "0667FF"
    assert usb_uid("P\xff\x01") == "50FF01"
