"""docs/operators.md: its commands parse, its rack file loads, its rungs and metrics exist."""

import argparse
import re
import shlex
from pathlib import Path

import pytest
import yaml

from farm import cli
from farm.commands.boards import unknown_targets
from farm.golden.baseline import KEYS
from farm.ladder import recovery
from farm.mcus import load_mcu
from farm.metrics import registry_of
from farm.rack.inventory import BOARD_KEYS, load_rack, mcu_names

PAGE = (Path(__file__).parents[2] / "docs" / "operators.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"(?:^    .*\n|^\n(?=    ))+", PAGE, re.MULTILINE)
COMMANDS = sorted(
    {line.split("#")[0].strip() for line in re.findall(r"^    (tinyrack .*)$", PAGE, re.MULTILINE)}
)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_the_page_parses(command):
    parser = argparse.ArgumentParser()
    cli.add_commands(parser.add_subparsers())
    words = shlex.split(command.partition(">")[0])[1:]
    assert parser.parse_args(words).run


def test_the_rack_of_the_page_loads_and_every_key_is_told_of(write_rack):
    (text,) = (block for block in BLOCKS if "version: 1" in block)
    (board,) = load_rack(write_rack(re.sub("^    ", "", text, flags=re.MULTILINE))).boards
    assert (board.tags, board.power.port) == ({"rack": "A", "slot": "3"}, 2)
    assert all(f"`{key}`" in PAGE for key in BOARD_KEYS)


def test_every_microcontroller_has_a_row_with_a_target_that_pyocd_has(write_rack):
    rows = re.findall(r"^\| `(stm32\w+)` \| `(\w+)` \|", PAGE, re.MULTILINE)
    assert sorted(mcu for mcu, _ in rows) == list(mcu_names())
    lines = [f"  {mcu}: {{mcu: {mcu}, target: {target}}}" for mcu, target in rows]
    types = "version: 1\ntypes:\n" + "\n".join(lines) + "\nboards: []\n"
    assert not unknown_targets(load_rack(write_rack(types)))


def test_every_rung_is_in_the_table_with_its_deadline():
    for rung in recovery.RUNGS:
        row = next(line for line in PAGE.splitlines() if line.startswith(f"| {rung.name} |"))
        assert f"| {rung.deadline_s:.0f} s |" in row


def test_the_row_of_silicon_has_the_keys_of_the_table():
    (text,) = (block for block in BLOCKS if "timing_model: silicon" in block)
    (row,) = yaml.safe_load(text)
    assert tuple(row) == KEYS
    assert load_mcu(row["mcu"])


def test_the_metrics_of_the_page_are_those_that_are_served(rack):
    served = {metric.name for metric in registry_of(rack, rack.boards).collect()}
    named = set(re.findall(r"`(tinyrack_[a-z_]+?)(?:_total)?`", PAGE))
    assert named == served
    rules = [block for block in BLOCKS if "expr:" in block]
    used = set(re.findall(r"tinyrack_[a-z_]+?(?=_total|[{\[])", "".join(rules)))
    assert used <= served
    assert all(yaml.safe_load(block) for block in rules)
