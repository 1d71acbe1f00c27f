"""What this host contradicts: packs and programs that are not there, two names of one console."""

from types import SimpleNamespace

import pytest

from farm.cli import main
from farm.errors import InventoryError
from farm.rack.inventory import load_rack
from farm.rack.rack_checks import (
    consoles_apart,
    packs_there,
    programs_missing,
    selected,
)

HEAD = """version: 1
types: {t: {mcu: stm32f412zg, target: stm32f412xg, packs: [nope.pack]}}
boards:
"""


def test_a_pack_that_is_no_file_is_refused_even_for_a_target_that_pyocd_has(write_rack, tmp_path):
    rack = load_rack(write_rack(HEAD + '  - {id: a, type: t, probe: "stlink:A"}\n'))
    with pytest.raises(InventoryError, match=r"type t: its pack .*nope\.pack is no file"):
        packs_there(rack)
    (tmp_path / "nope.pack").touch()
    packs_there(rack)


def test_a_program_that_nobody_can_run_is_doubted(write_rack):
    power = "power: {switch_off: [./no-such, a], switch_on: [true]}"
    power = power.replace("[true]", '["true"]')
    rack = load_rack(write_rack(f'{HEAD}  - {{id: a, type: t, probe: "stlink:A", {power}}}\n'))
    (doubt,) = programs_missing(rack)
    assert doubt.startswith(f"a: {rack.path.parent}/no-such, which switches its power")


def test_two_ways_to_one_console_are_an_error_once_it_is_plugged_in(write_rack, tmp_path):
    tty = tmp_path / "ttyACM0"
    (tmp_path / "by-id").symlink_to(tty)
    rows = (
        f'  - {{id: a, type: t, probe: "stlink:A", serial: {{by: path, path: {tmp_path}/by-id}}}}\n'
        '  - {id: b, type: t, probe: "stlink:B", serial: {by: location, at: "1-4:1.2"}}\n'
        '  - {id: c, type: t, probe: "stlink:C"}\n'
    )
    boards = load_rack(write_rack(HEAD + rows)).boards
    port = SimpleNamespace(device=str(tty), location="1-4:1.2", serial_number="X", vid=None)
    port.pid, port.product = None, None
    consoles_apart(boards, [port])  # a's path is not there
    tty.touch()
    with pytest.raises(InventoryError, match=rf"b: its console {tty} is also the console of a;"):
        consoles_apart(boards, [port])


def test_work_on_a_board_whose_console_is_another_s_is_refused(write_rack, tmp_path, capsys):
    tty = tmp_path / "tty"
    tty.touch()
    (tmp_path / "link").symlink_to(tty)
    row = '  - {{id: {0}, type: t, probe: "stlink:{0}", serial: {{by: path, path: {1}/{2}}}}}\n'
    rows = "".join(
        row.format(*each) for each in (("a1", tmp_path, "tty"), ("b1", tmp_path, "link"))
    )
    rows += row.format("c1", tmp_path, "none") + '  - {id: d1, type: t, probe: "virtual:D"}\n'
    path = write_rack(HEAD + rows)
    for alone in ("c1", "d1"):  # of others it says nothing
        assert [board.id for board in selected(load_rack(path), alone)] == [alone]
    for each in ("a1", "b1", "all"):
        assert main(["monitor", "--boards-file", str(path), "--boards", each]) == 2
    assert capsys.readouterr().err.count("is also the console of a1") == 3
