"""boards.yaml: what is wrong is refused with file, line, key and what is allowed."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farm.errors import InventoryError, NoBoardError
from farm.rack.inventory import (
    PowerSpec,
    SerialSpec,
    find_rack,
    load_rack,
    normal_uid,
    rack_path,
    select,
    warnings,
)
from farm.rack.yaml_fields import MAX_FILE_BYTES

HEAD = """version: 1
types:
  m4: {mcu: stm32f412zg, target: stm32f412xg}
  m7: {mcu: stm32f767zi, target: stm32f767zi}
boards:
"""
GOOD = (
    HEAD
    + """  - {id: a, type: m4, probe: "virtual:A"}
  - {id: b, type: m4, probe: "stlink:0667FF", tags: {rack: A, slot: 3}, serial: {by: probe}}
  - {id: c, type: m7, probe: "jlink:000960", state: maintenance}
  - {id: d, type: m7, probe: "cmsisdap:d1", state: retired}
"""
)


@pytest.fixture
def refuses(write_rack):
    def check(text: str, line: int, *words: str) -> None:
        with pytest.raises(InventoryError) as caught:
            load_rack(write_rack(text))
        message = str(caught.value)
        assert f"boards.yaml:{line}:" in message, message
        for word in words:
            assert word in message, message

    return check


def test_the_default_rack_has_two_boards_of_two_types(rack):
    assert [b.id for b in rack.boards] == ["f412-01", "f412-02", "f767-01", "f767-02"]
    assert all(b.virtual and b.state == "active" for b in rack.boards)
    assert rack.types["nucleo-f412zg"].target == "stm32f412xg"
    assert rack.boards[0].probe_uid == "TR-F412-01"


@pytest.mark.parametrize(
    ("selector", "ids"),
    [
        ("all", "a b"),
        ("virtual", "a"),
        ("type=m4", "a b"),
        ("rack=A", "b"),
        ("slot=3", "b"),
        ("b,a", "a b"),
        ("c", "c"),
        ("c, virtual", "a c"),
    ],
)
def test_selectors_are_a_union_in_the_order_of_the_file(write_rack, selector, ids):
    assert [b.id for b in select(load_rack(write_rack(GOOD)), selector)] == ids.split()


@pytest.mark.parametrize(
    ("selector", "words"),
    [
        ("", "empty"),
        ("x", "no board 'x'"),
        ("type=m7", "known: m4, m7"),
        ("rack=B", "known: A"),
        ("d", "retired"),
        ("a,nope", "no board 'nope'"),
    ],
)
def test_a_selector_that_matches_nothing_is_refused(write_rack, selector, words):
    with pytest.raises(NoBoardError, match=re.escape(words)):
        select(load_rack(write_rack(GOOD)), selector)


def board_line(text: str) -> str:
    return HEAD + "  - {" + text + "}\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("id: a, type: m4, prob: x", ["board 1", "unknown key 'prob'", "did you mean 'probe'"]),
        ("id: a, type: m4", ["board a", "'probe' is missing"]),
        ("id: a, type: m5, probe: 'virtual:A'", ["type is 'm5'", "allowed: m4, m7"]),
        ("id: 7, type: m4, probe: 'virtual:A'", ["id must be text, not a whole number", "quotes"]),
        ("id: all, type: m4, probe: 'virtual:A'", ["'all'"]),
        ("id: a b, type: m4, probe: 'virtual:A'", ["id is 'a b'"]),
        ("id: a, type: m4, probe: 'usb:1'", ["virtual, stlink, cmsisdap, jlink"]),
        ("id: a, type: m4, probe: 'stlnk:1'", ["did you mean 'stlink'"]),
        ('id: "a\\e[1m", type: m4', ["id has the character '\\x1b', which cannot be printed"]),
        (f"id: {'a' * 300}, type: m4", ["id has 300 characters; at most 256"]),
        ("id: a, type: m4, probe: 'virtual:A', tags: {x: 'a,b'}", ["no selector can name"]),
        (
            "id: a, type: m4, probe: 'stlink:A', serial: {by: location, at: garbage}",
            ["a USB socket such as 1-1.4:1.2"],
        ),
        (
            "id: a, type: m4, probe: 'stlink:A', serial: {by: path, path: 'socket://h:1'}",
            ["the whole path of a device"],
        ),
        ("id: a, type: m4, probe: 'stlink:../x'", ["probe is"]),
        ("id: a, type: m4, probe: [1]", ["probe must be text, not a list"]),
        ("id: a, type: m4, probe: 'virtual:A', state: broken", ["active, maintenance, retired"]),
        ("id: a, type: m4, probe: 'virtual:A', tags: [x]", ["tags", "mapping, not a list"]),
        ("id: a, type: m4, probe: 'virtual:A', tags: {x: {y: 1}}", ["x must be text"]),
        ("id: a, type: m4, probe: 'virtual:A', tags: {type: x}", ["may not be called 'type'"]),
        ("id: a, type: m4, probe: 'virtual:A', tags: {'a=b': x}", ["may not be called 'a=b'"]),
        ("id: a, type: m4, probe: 'virtual:A', serial: {by: usb}", ["probe, location, serial"]),
        ("id: a, type: m4, probe: 'virtual:A', serial: {by: path}", ["'path' is missing"]),
        ("id: a, type: m4, probe: 'virtual:A', serial: {by: probe, at: x}", ["unknown key 'at'"]),
        (
            "id: a, type: m4, probe: 'virtual:A', serial: {by: probe, interface: 999}",
            ["from 0 to 255"],
        ),
        ("id: a, id: b, type: m4, probe: 'virtual:A'", ["key 'id' stands twice"]),
        ("id: a, type: m4, probe: &x 'virtual:A'", ["anchors"]),
        ("id: a, type: m4, probe: !!python/object/apply:os.system ['true']", ["tags"]),
    ],
)
def test_a_wrong_entry_is_named_by_line_and_key(refuses, text, words):
    refuses(board_line(text), 6, *words)


@pytest.mark.parametrize(
    ("second", "words"),
    [
        ("id: b, type: m4, probe: 'virtual:B'", "id 'b' stands twice"),
        ("id: B, type: m4, probe: 'virtual:B'", "but for small and capital letters"),
        ("id: e, type: m4, probe: 'jlink:960'", "is also the probe of c"),
        ("id: e, type: m4, probe: 'stlink:0667ff'", "is also the probe of b"),
    ],
)
def test_duplicates_are_refused_whatever_their_spelling(refuses, second, words):
    refuses(GOOD + "  - {" + second + "}\n", 10, words)


def test_one_console_for_two_boards_is_refused(refuses):
    entry = "  - {{id: {0}, type: m4, probe: 'stlink:{0}', serial: {{by: location, at: 1-1}}}}\n"
    refuses(HEAD + entry.format("e") + entry.format("f"), 7, "also the console of e")


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", 1, "empty"),
        ("[]", 1, "must be a mapping, not a list"),
        ("version: 2\ntypes: {}\nboards: []", 1, "reads version 1"),
        ('version: "2"\ntypes: {}\nboards: []', 1, "version 2 is of a newer tinyrack"),
        ("version: 1.1\ntypes: {}\nboards: []", 1, "version 1.1 is of a newer tinyrack"),
        ('version: "1"\ntypes: {}\nboards: []', 1, "must be a whole number, not text"),
        ("version: 1\n\n\0", 3, "unacceptable character #x0000"),
        ("version: one\ntypes: {}\nboards: []", 1, "must be a whole number"),
        ("version: 1\ntypes: {}\nboards: {}", 3, "must be a list"),
        ("version: 1\ntypes: {m: {mcu: stm32, target: x}}\nboards: []", 2, "allowed: stm32f412zg"),
        (
            "version: 1\ntypes: {m: {mcu: stm32f412zg, target: stm32f767zi}}\nboards: []",
            2,
            "target 'stm32f767zi' is not of its mcu",
        ),
        ("version: 1\nboards: []\ntypes: {}\ncolour: red", 4, "unknown key 'colour'"),
        ("version: 1\n---\nversion: 1", 2, "second document"),
        ("version: 1\nboards: [\n", 3, "not valid YAML"),
        ("version: 1\nboards: " + "[" * 20 + "]" * 20, 2, "deeper than 12"),
        ("a: &a [x]\nb: *a", 1, "anchors"),
        ('version: 1\nstore: "\\Uffffffff"', 2, "an escape is beyond Unicode"),
        ('version: 1\n\nstore: "\\U00110000"', 3, "an escape is beyond Unicode"),
    ],
)
def test_a_wrong_file_is_named_by_line(refuses, text, line, words):
    refuses(text, line, words)


def test_a_huge_file_is_refused_unread(write_rack):
    with pytest.raises(InventoryError, match="larger than 256 KiB"):
        load_rack(write_rack("#" * (MAX_FILE_BYTES + 1)))


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "boards.yaml").write_bytes(b"version: 1\n\xff\xfe\x00")
    with pytest.raises(InventoryError, match=r"boards.yaml:2: not UTF-8 text \(byte 11\)"):
        load_rack(tmp_path / "boards.yaml")


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=200) | st.text("{}[]:,-&*!|>'\"#%@ \n\tabx1", max_size=60))
def test_no_text_gets_past_the_checks_or_escapes_as_another_error(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("hostile") / "boards.yaml"
    path.write_text(text, encoding="utf-8", errors="replace")
    with pytest.raises(InventoryError):
        load_rack(path)


def test_serial_specs_are_read(write_rack):
    entries = [
        "{by: location, at: '1-1.4:1.2'}",
        "{by: serial, id: A5, interface: 2}",
        "{by: path, path: /dev/ttyACM0}",
    ]
    lines = [f"  - {{id: b{i}, type: m4, probe: 's', serial: {e}}}" for i, e in enumerate(entries)]
    lines = [line.replace("'s'", f"'stlink:{i}f'") for i, line in enumerate(lines)]
    rack = load_rack(write_rack(HEAD + "\n".join(lines)))
    assert [b.serial for b in rack.boards] == [
        SerialSpec("location", "1-1.4:1.2"),
        SerialSpec("serial", "A5", 2),
        SerialSpec("path", "/dev/ttyACM0"),
    ]
    (warning,) = warnings(rack)
    assert "b2: /dev/ttyACM0 changes when boards are replugged" in warning


def test_the_file_is_the_flag_then_the_variable_then_the_folder(monkeypatch):
    assert str(rack_path()) == "boards.yaml"
    monkeypatch.setenv("TINYRACK_BOARDS", "/x/rack.yaml")
    assert str(rack_path()) == "/x/rack.yaml"
    assert str(rack_path("y.yaml")) == "y.yaml"


def test_a_missing_file_says_which(tmp_path):
    with pytest.raises(InventoryError, match=r"nope\.yaml: no such rack file"):
        load_rack(tmp_path / "nope.yaml")


def test_a_rack_may_be_missing_where_none_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_rack() is None
    monkeypatch.setenv("TINYRACK_BOARDS", "nope.yaml")
    with pytest.raises(InventoryError, match=r"nope\.yaml: no such rack file"):
        find_rack()


def test_normal_uid_ignores_case_kind_and_leading_zeros():
    assert normal_uid("jlink:000960AB") == normal_uid("960ab") == "960ab"
    assert normal_uid("jlink:000") == "0"


def test_the_commented_example_is_a_valid_entry(rack, write_rack):
    lines = rack.path.read_text().splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("#   - id:"))
    entry = []
    for line in lines[start:]:
        if not line.startswith("#   "):
            break
        if not line.lstrip("# ").startswith("{by:"):
            entry.append(line[1:].removeprefix(" ").removeprefix(" "))
    text = "\n".join(line for line in entry if not line.strip().startswith("#"))
    loaded = load_rack(write_rack(HEAD.replace("m4:", "nucleo-f412zg:") + text))
    assert loaded.boards[0].tags == {"rack": "A", "slot": "3"}


def test_a_file_from_the_future_is_refused_by_its_version_and_not_by_its_keys(refuses):
    text = "shelves: []\n" + HEAD.replace("version: 1", "version: 2") + "  - {id: a, cat: b}\n"
    refuses(text, 2, "version 2 is of a newer tinyrack", "upgrade")


def test_defaults_hold_where_a_board_says_nothing_else(write_rack):
    text = HEAD.replace(
        "types:", "defaults: {swd_hz: 1000000, connect_mode: halt, tags: {lab: x, rack: A}}\ntypes:"
    )
    rows = (
        '  - {id: a, type: m4, probe: "stlink:A"}\n'
        '  - {id: b, type: m4, probe: "stlink:B", swd_hz: 2000000, connect_mode: attach,'
        " tags: {rack: B}}\n"
    )
    first, second = load_rack(write_rack(text + rows)).boards
    assert (first.swd_hz, first.connect_mode) == (1_000_000, "halt")
    assert first.tags == {"lab": "x", "rack": "A"}
    assert (second.swd_hz, second.connect_mode) == (2_000_000, "attach")
    assert second.tags == {"lab": "x", "rack": "B"}


def test_a_program_with_a_slash_stands_beside_the_file_for_every_process(write_rack):
    power = "power: {switch_off: [./pdu, ./off], switch_on: [/bin/pdu, 'on']}"
    path = write_rack(board_line(f"id: a, type: m4, probe: 'stlink:A', {power}"))
    (board,) = load_rack(path).boards
    assert board.power == PowerSpec(off=(str(path.parent / "pdu"), "./off"), on=("/bin/pdu", "on"))


def test_power_is_a_hub_port_or_two_commands(write_rack):
    rows = (
        '  - {id: a, type: m4, probe: "stlink:A", power: {hub: "1-1.4", port: 2}}\n'
        '  - {id: b, type: m4, probe: "stlink:B",'
        ' power: {switch_off: [pdu, "off"], switch_on: [pdu, "on"]}}\n'
    )
    first, second = load_rack(write_rack(HEAD + rows)).boards
    assert first.power == PowerSpec("1-1.4", 2)
    assert second.power == PowerSpec(off=("pdu", "off"), on=("pdu", "on"))


@pytest.mark.parametrize(
    ("power", "words"),
    [
        ("{hub: '1-1'}", ["'port' is missing"]),
        ("{hub: '1-1', port: 0}", ["from 1 to 32"]),
        ("{hub: '1-1', port: 1, switch_off: [x]}", ["unknown key 'switch_off'"]),
        ("{hub: '1; rm', port: 1}", ["USB location"]),
        ("{switch_off: [x]}", ["'switch_on' is missing"]),
        ("{switch_off: [], switch_on: [x]}", ["switch_off has 0 entries"]),
        ("{switch_off: x, switch_on: [x]}", ["switch_off must be a list"]),
    ],
)
def test_wrong_power_is_refused(refuses, power, words):
    refuses(board_line(f"id: a, type: m4, probe: 'stlink:A', power: {power}"), 6, *words)


def test_two_boards_on_one_power_switch_are_refused(refuses):
    row = "  - {{id: {0}, type: m4, probe: 'stlink:{0}', power: {{hub: '1-1', port: 1}}}}\n"
    refuses(HEAD + row.format("a") + row.format("b"), 7, "power is also that of a")


def test_packs_of_a_type_and_the_store_are_kept(write_rack):
    text = HEAD.replace("target: stm32f412xg}", "target: x, packs: [packs/a.pack]}")
    text = "store: postgresql://rack/results\n" + text
    rack = load_rack(write_rack(text + '  - {id: a, type: m4, probe: "stlink:A"}\n'))
    assert rack.types["m4"].packs == (str(rack.path.parent / "packs" / "a.pack"),)
    assert rack.store == "postgresql://rack/results"


def test_a_board_of_a_file_without_types_is_refused(write_rack):
    path = write_rack("version: 1\ntypes: {}\nboards:\n  - {id: a, type: t, probe: 'virtual:A1'}\n")
    with pytest.raises(InventoryError, match=r"type is 't' \(allowed: none\)"):
        load_rack(path)
