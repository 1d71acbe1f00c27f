"""Other forms of a rack: Zephyr's hardware map in, labgrid's exporter out, a schema for editors."""

import json
from importlib.resources import files

import pytest
import yaml
from jsonschema import Draft202012Validator

from farm.errors import InventoryError
from farm.inventory import load_rack
from farm.labgrid_file import exporter_file
from farm.zephyr_map import read_map

ROOT_TEXT = """version: 1
types:
  m7: {mcu: stm32f767zi, target: stm32f767zi}
  nucleo-f767zi: {mcu: stm32f767zi, target: stm32f767zi}
boards:
"""
MAP = """
- {connected: true, id: "000683759358", product: J-Link, runner: pyocd,
   platform: [nrf52840dk/nrf52840], serial: /dev/serial/by-id/usb-SEGGER_J-Link_000683759358-if00,
   fixtures: [temp_probe]}
- connected: false
  id: "066DFF01"
  platform: nucleo_f767zi
  product: STM32 STLink
  runner: openocd
  serial: /dev/ttyACM3
- {connected: true, id: x1, probe_id: "0240AA", platform: frdm, runner: pyocd,
   product: DAPLink CMSIS-DAP}
"""
GOOD = [
    '{id: a, type: m7, probe: "stlink:A"}',
    '{id: a, type: m7, probe: "jlink:01", serial: {by: probe, interface: 2}}',
    '{id: a, type: m7, probe: "stlink:A", serial: {by: location, at: "1-1:1.2"}}',
    '{id: a, type: m7, probe: "stlink:A", power: {hub: "1-1.4", port: 2}, state: retired}',
    '{id: a, type: m7, probe: "jlink:A", power: {switch_off: [p], switch_on: [p]}, swd_hz: 10000}',
    '{id: a, type: m7, probe: "virtual:A", tags: {rack: A, slot: 3}, connect_mode: halt}',
]
WRONG = [
    '{id: all, type: m7, probe: "stlink:A"}',
    '{id: a b, type: m7, probe: "stlink:A"}',
    '{id: a, type: m7, probe: "usb:A"}',
    "{id: a, type: nucleo-f767zi}",
    '{id: a, type: m7, probe: "stlink:A", color: red}',
    '{id: a, type: m7, probe: "stlink:A", serial: {by: probe, at: x}}',
    '{id: a, type: m7, probe: "stlink:A", serial: {by: path}}',
    '{id: a, type: m7, probe: "stlink:A", power: {hub: "1-1", port: 0}}',
    '{id: a, type: m7, probe: "stlink:A", power: {switch_off: [], switch_on: [x]}}',
    '{id: a, type: m7, probe: "stlink:A", swd_hz: 5}',
    '{id: a, type: m7, probe: "stlink:A", state: broken}',
    '{id: a, type: m7, probe: "stlink:A", tags: {type: x}}',
    '{id: a, type: m7, probe: "stlink:A", tags: {x: {y: 1}}}',
]


@pytest.fixture(scope="module")
def schema():
    text = (files("farm") / "boards.schema.json").read_text(encoding="utf-8")
    Draft202012Validator.check_schema(json.loads(text))
    return Draft202012Validator(json.loads(text))


@pytest.mark.parametrize("row", GOOD)
def test_what_the_loader_takes_the_schema_takes(schema, write_rack, row):
    text = f"{ROOT_TEXT}  - {row}\n"
    assert load_rack(write_rack(text)).boards
    assert not list(schema.iter_errors(yaml.safe_load(text)))


@pytest.mark.parametrize("row", WRONG)
def test_what_the_loader_refuses_the_schema_refuses(schema, write_rack, row):
    text = f"{ROOT_TEXT}  - {row}\n"
    with pytest.raises(InventoryError):
        load_rack(write_rack(text))
    assert list(schema.iter_errors(yaml.safe_load(text)))


def test_the_rack_of_the_project_is_valid_by_its_schema(schema, rack):
    assert not list(schema.iter_errors(yaml.safe_load(rack.path.read_text(encoding="utf-8"))))


def test_a_hardware_map_becomes_entries_that_load(write_rack, tmp_path):
    rack = load_rack(write_rack(ROOT_TEXT + "  - " + GOOD[0] + "\n"))
    hardware_map = tmp_path / "map.yml"
    hardware_map.write_text(MAP)
    found = read_map(hardware_map, rack)
    lines = "\n".join(each.line for each in found).replace("TYPE", "m7")
    boards = load_rack(write_rack(ROOT_TEXT + lines + "\n")).boards
    assert [board.id for board in boards] == ["nrf52840dk-01", "nucleo-f767zi-02", "frdm-03"]
    assert [b.probe for b in boards] == ["jlink:000683759358", "stlink:066DFF01", "cmsisdap:0240AA"]
    assert [board.state for board in boards] == ["active", "maintenance", "active"]
    assert boards[0].tags == {"fixture.temp_probe": "yes"}
    assert (boards[0].serial.by, boards[1].serial.by) == ("path", "probe")
    assert "no type is called 'nrf52840dk/nrf52840'" in found[0].doubts[0]
    assert "twister flashes it with openocd" in found[1].doubts[0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("boards: []", "must be a list"),
        ("- {id: 683, platform: x}", "put it in quotes"),
        ("- {id: a, platform: x, colour: y}", "unknown key 'colour'"),
        ("- {id: 'a; rm', platform: x}", "serial number"),
        ("- {id: a, connected: 3, platform: x}", "connected must be true or false"),
    ],
)
def test_a_wrong_hardware_map_is_refused_by_line(tmp_path, text, words):
    path = tmp_path / "map.yml"
    path.write_text(text)
    with pytest.raises(InventoryError, match=words) as caught:
        read_map(path, None)
    assert "map.yml:1:" in str(caught.value)


def test_a_labgrid_exporter_gets_the_real_boards(write_rack):
    rows = (
        '  - {id: a, type: m7, probe: "stlink:0667FF", power: {hub: "1-1", port: 4}}\n'
        '  - {id: b, type: m7, probe: "cmsisdap:01", serial: {by: probe, interface: 2}}\n'
        '  - {id: c, type: m7, probe: "virtual:C"}\n'
    )
    text, doubts = exporter_file(load_rack(write_rack(ROOT_TEXT + rows)))
    groups = yaml.safe_load(text)
    assert list(groups) == ["a", "b"]
    assert groups["a"]["USBDebugger"] == {"match": {"ID_SERIAL_SHORT": "0667FF"}}
    assert groups["a"]["USBPowerPort"]["index"] == 4
    match = groups["b"]["USBSerialPort"]["match"]
    assert match == {"@ID_SERIAL_SHORT": "01", "ID_USB_INTERFACE_NUM": "02"}
    assert ["c: virtual" in doubts[0], "b: labgrid" in doubts[1]] == [True, True]
