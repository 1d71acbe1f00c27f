"""Flash wear: counted by sector as programmed, remembered, told when it is near its rating."""

import re

import pytest
from toy_model import toy

from farm import cli
from farm.errors import BenchError
from farm.image import build_image
from farm.mcus import load_mcu
from farm.probe import open_probe
from farm.rack.board import Board, BoardType
from farm.rack.inventory import load_rack
from farm.virtual import faults, rack
from farm.virtual.faults import fault
from farm.wear import Wear, add_erases, wear_of

F412 = Board("worn-1", BoardType("nucleo-f412zg", "stm32f412zg", "stm32f412xg"), "virtual:TR-WORN")


@pytest.fixture
def board():
    rack.up([F412])
    yield F412
    rack.down([F412.probe_uid])


def test_only_sectors_that_change_are_erased_and_each_is_counted(board):
    mcu = load_mcu(board.type.mcu)
    first, second = (build_image(toy(weights=n), mcu, board.type.name) for n in (256, 40_000))
    with open_probe(board, mcu) as probe:
        assert probe.flash(first).sectors == (0x0800_0000,)
        again = probe.flash(first)
        assert (again.sectors, again.programmed_bytes) == ((), 0)
        assert again.kept_bytes >= first.flash_bytes
        wider = probe.flash(second)
    assert wider.sectors == (0x0800_0000, 0x0800_4000, 0x0800_8000)
    assert wear_of(board) == Wear(4, 2, 0x0800_0000)


def test_what_changed_behind_the_hosts_back_is_programmed_again_and_nothing_else(board):
    """Comparing is done with the flash itself, in the same session and behind lost power."""
    mcu = load_mcu(board.type.mcu)
    image = build_image(toy(weights=40_000), mcu, board.type.name)
    with open_probe(board, mcu) as probe:
        probe.flash(image)
        faults.inject(board, fault("flash-rot", at=0x0800_4100, bytes=64))
        assert probe.flash(image).sectors == (0x0800_4000,)
        probe.verify(image)
    rack.power(board, "cycle")
    faults.inject(board, fault("flash-rot", at=0x0800_8100, bytes=64))
    with open_probe(board, mcu) as probe:
        with pytest.raises(BenchError, match="its flash at 0x08008"):
            probe.verify(image)
        assert probe.flash(image).sectors == (0x0800_8000,)
        probe.verify(image)


def test_wear_adds_up_and_has_a_limit(board):
    assert wear_of(board) == Wear()
    for _ in range(8):
        add_erases(board, [0x0800_0000])
    assert wear_of(board).percent(10_000) == pytest.approx(0.08)
    assert not wear_of(board).is_near(11)
    assert wear_of(board).is_near(10)


def test_what_was_erased_counts_also_where_programming_failed(board):
    mcu = load_mcu(board.type.mcu)
    faults.inject(board, fault("power-cut", after=9))
    with open_probe(board, mcu) as probe, pytest.raises(BenchError, match="flashing failed"):
        probe.flash(build_image(toy(), mcu, board.type.name))
    assert wear_of(board) == Wear(1, 1, 0x0800_0000)


def test_a_mass_erase_wears_every_sector_once_and_a_blank_part_not_at_all(board):
    mcu = load_mcu(board.type.mcu)
    with open_probe(board, mcu) as probe:
        probe.flash(build_image(toy(), mcu, board.type.name))
        probe.mass_erase()
        assert wear_of(board) == Wear(1 + 12, 2, 0x0800_0000)
        probe.mass_erase()
        assert probe.read(0x0800_0000, 64) == b"\xff" * 64
    assert wear_of(board).erases == 13


def test_a_board_near_its_rating_warns_where_boards_are_shown_and_flashed(
    rack_of_one, tmp_path, capsys
):
    board, words = rack_of_one
    add_erases(board, [0x0800_0000] * 8_499)
    elf = tmp_path / "net.elf"
    elf.write_bytes(build_image(toy(), load_mcu(board.type.mcu), board.type.name).elf)
    rack.up([board])
    assert cli.main(["flash", str(elf), "--boards", board.id, *words]) == 0
    said = "warning: worn-1: a sector of its flash has had 85 % of its rated erases; plan a new"
    assert said in capsys.readouterr().err
    for command in (["boards"], ["top", "--once"]):
        cli.main([*command, *words])
        shown = capsys.readouterr()
        assert "has had 85 % of its rated erases" in shown.err + shown.out
    cli.main(["metrics", "--once", *words])
    shown = capsys.readouterr().out
    assert re.search(r'flash_worn_ratio\{board="worn-1",.*\} 0\.85', shown)


@pytest.fixture
def rack_of_one(board, write_rack):
    path = write_rack(
        "version: 1\n"
        "types: {nucleo-f412zg: {mcu: stm32f412zg, target: stm32f412xg}}\n"
        f"boards: [{{id: {board.id}, type: nucleo-f412zg, probe: '{board.probe}'}}]\n"
    )
    return load_rack(path).board(board.id), ["--boards-file", str(path)]
