"""Other forms of a rack: Zephyr's hardware map in, labgrid's exporter out, a schema for editors."""

import json
from importlib.resources import files

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from farm.errors import InventoryError
from farm.rack.board import SWD_HZ, SerialSpec
from farm.rack.inventory import load_rack, mcu_names
from farm.rack.labgrid_file import exporter_file
from farm.rack.zephyr_map import read_map

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
    '{id: a, type: m7, probe: "stlink:A", tags: {x: "1,2"}}',
    '{id: a, type: m7, probe: "virtual:A b"}',
    '{id: a, type: m7, probe: "stlink:A", serial: {by: location, at: garbage}}',
    '{id: a, type: m7, probe: "stlink:A", serial: {by: path, path: "socket://h:1"}}',
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
    assert not any("no probe known here" in doubt for each in found for doubt in each.doubts)


def test_a_probe_whose_kind_the_map_does_not_tell_is_doubted(tmp_path):
    (found,) = imported(tmp_path, None, {"id": "1", "platform": "frdm", "product": "FT232R"})
    assert "its product 'FT232R' is no probe known here" in "\n".join(found.doubts)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("boards: []", "must be a list"),
        ("- {id: 683, platform: x}", "put it in quotes"),
        ("- {id: a, platform: x, colour: y}", "unknown key 'colour'"),
        ("- {id: 'a; rm', platform: x}", "serial number"),
        ("- {id: 'a:b:c', platform: x}", "serial number"),
        ("- {id: -x, platform: x}", "serial number"),
        (f"- {{id: {'a' * 200}, platform: x}}", "serial number"),
        ("- {id: a, platform: ''}", "platform is ''; it must be the name"),
        ("- {id: a, platform: é}", "name of a Zephyr board"),
        ("- {id: a, platform: x y}", "name of a Zephyr board"),
        (f"- {{id: a, platform: {'x' * 61}}}", "name of a Zephyr board"),
        ("- {id: a, connected: 3, platform: x}", "connected must be true or false"),
    ],
)
def test_a_wrong_hardware_map_is_refused_by_line(tmp_path, text, words):
    path = tmp_path / "map.yml"
    path.write_text(text)
    with pytest.raises(InventoryError, match=words) as caught:
        read_map(path, None)
    assert "map.yml:1:" in str(caught.value)


def imported(tmp_path, rack, *rows: dict):
    """What becomes of a map with these entries."""
    hardware_map = tmp_path / "map.yml"
    hardware_map.write_text(yaml.safe_dump(list(rows)), encoding="utf-8")
    return read_map(hardware_map, rack)


INJECTION = '/dev/serial/by-id/x"}, power: {switch_on: [x], switch_off: [sh, -c, id]}, tags: {a: "'
SCRAP = st.text(max_size=12) | st.text("\"'{}[]:,#&*!|> \\-yes0129a/@.", max_size=12)
ENTRY = st.fixed_dictionaries(
    {"id": st.integers(0, 99).flatmap(lambda n: SCRAP if n < 15 else st.just(f"0{n}aB")),
     "platform": st.sampled_from(["no", "frdm", "nrf52840dk/x", "b@1/c", "7", "", "a b", "é/x"])},
    optional={"serial": SCRAP.map(lambda s: f"/dev/serial/by-id/{s}") | st.just(INJECTION) | SCRAP,
              "fixtures": st.lists(SCRAP | st.sampled_from(["temp", ": } {"]), max_size=2),
              "product": SCRAP | st.sampled_from(["J-Link", "STM32 STLink"]),
              "connected": st.booleans(), "baud": st.integers()},
)  # fmt: skip


@settings(derandomize=True, max_examples=60, deadline=None)
@given(rows=st.lists(ENTRY, max_size=3))
@example(rows=[{"id": "A", "platform": "x", "serial": INJECTION}])
def test_whatever_a_map_says_it_is_refused_or_its_entries_load_as_meant(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("any")
    lines, refused = (), ""
    try:
        lines = [each.line for each in imported(folder, None, *rows)]
    except InventoryError as error:
        refused = str(error)
    if refused:
        assert "map.yml:" in refused
        return
    kept = [(row, line) for row, line in zip(rows, lines, strict=True) if line]
    path = folder / "boards.yaml"
    types = "version: 1\ntypes: {TYPE: {mcu: stm32f767zi, target: stm32f767zi}}\nboards:"
    rest = "\n".join(line for _, line in kept) or " []"
    path.write_text(f"{types}\n{rest}\n" if kept else types + rest, encoding="utf-8")
    boards = load_rack(path).boards
    assert len(boards) == len(kept)
    for board, (row, _) in zip(boards, kept, strict=True):
        assert board.probe_uid == row["id"]
        by_id = str(row.get("serial", "")).startswith("/dev/serial/by-id/")
        assert board.serial == (SerialSpec("path", row["serial"]) if by_id else SerialSpec())
        assert set(board.tags) <= {f"fixture.{name}" for name in row.get("fixtures", ())}
        assert set(board.tags.values()) <= {"yes"}
        assert (board.state == "active") == row.get("connected", True)
        assert (board.power, board.swd_hz, board.connect_mode) == (None, SWD_HZ, "under-reset")


def test_a_console_path_cannot_bring_a_power_switch_with_it(tmp_path):
    (found,) = imported(tmp_path, None, {"id": "A", "platform": "x", "serial": INJECTION})
    (entry,) = yaml.safe_load(found.line)
    assert entry["serial"] == {"by": "path", "path": INJECTION}
    assert "power" not in entry


def test_what_the_map_or_the_rack_has_already_is_left_out_with_a_word(write_rack, tmp_path):
    row = '  - {id: x-01, type: m7, probe: "cmsisdap:B"}\n'
    rows = [{"id": uid, "platform": "x"} for uid in ("000683", "683", "b", "C")]
    found = imported(tmp_path, load_rack(write_rack(ROOT_TEXT + row)), *rows)
    assert [bool(each.line) for each in found] == [True, False, False, True]
    assert "id: x-02" in found[0].line  # x-01 is in the rack
    assert "probe 'cmsisdap:683' is also the probe of x-02" in found[1].doubts[-1]
    assert "probe 'cmsisdap:b' is also the probe of x-01" in found[2].doubts[-1]


def test_what_an_entry_says_and_nothing_here_uses_is_told(tmp_path):
    row = {"id": "A", "platform": "x", "serial": "/dev/ttyUSB0", "baud": 9600, "fixtures": ["a:b"]}
    (found,) = imported(tmp_path, None, row | {"serial_pty": "p"})
    said = " ".join(found.doubts)
    assert "serial /dev/ttyUSB0 changes" in said
    assert "serial_pty, baud: not used here" in said
    assert "fixture 'a:b' cannot be the name of a tag" in said


def test_the_schema_offers_the_microcontrollers_that_there_are(schema):
    types = schema.schema["properties"]["types"]["additionalProperties"]["properties"]
    assert types["mcu"]["enum"] == list(mcu_names())


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
    assert groups["a"]["USBPowerPort"] == {"match": {"sys_name": "1-1:1.0"}, "index": 4}
    match = groups["b"]["USBSerialPort"]["match"]
    assert match == {"@ID_SERIAL_SHORT": "01", "ID_USB_INTERFACE_NUM": "02"}
    assert ["c: virtual" in doubts[0], "b: labgrid" in doubts[1]] == [True, True]


def test_labgrid_is_told_names_that_it_can_find_since_it_compares_to_the_letter(write_rack):
    rows = (
        '  - {id: a, type: m7, probe: "jlink:960177309", power: {hub: "1", port: 4}}\n'
        '  - {id: b, type: m7, probe: "stlink:1", serial: {by: location, at: "2-1.4:1.2"}}\n'
        '  - {id: c, type: m7, probe: "stlink:2", serial: {by: probe, interface: 10}}\n'
    )
    a, b, c = yaml.safe_load(exporter_file(load_rack(write_rack(ROOT_TEXT + rows)))[0]).values()
    assert a["USBDebugger"]["match"] == {"ID_SERIAL_SHORT": "000960177309"}
    assert a["USBSerialPort"]["match"] == {"@ID_SERIAL_SHORT": "000960177309"}
    assert a["USBPowerPort"]["match"] == {"sys_name": "1-0:1.0"}
    assert b["USBSerialPort"]["match"] == {"@sys_name": "2-1.4:1.2"}
    assert c["USBSerialPort"]["match"]["ID_USB_INTERFACE_NUM"] == "0a"
