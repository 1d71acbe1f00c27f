"""The page says what was measured and how, and never takes a model for silicon."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from farm.benchmark.goals import load_goals
from farm.benchmark.kinds import KERNELS_BEGIN, KERNELS_END, with_kernels
from farm.benchmark.page import page
from farm.benchmark.peers import best_silicon, load_peers
from farm.benchmark.picture import picture
from farm.benchmark.record import KERNELS, Part
from farm.benchmark.record_file import latest, load
from farm.errors import InventoryError

DOCS = Path(__file__).parents[3] / "docs"
PEERS, GOALS = DOCS / "benchmarks-peers.csv", DOCS / "benchmarks-goals.csv"


@pytest.fixture
def history(make):
    file = make(variant="file", cycles=2000, instructions=1100)
    older = make(commit="older", cycles=1700, accepted="exactness")
    silicon = make(board_type="lab-f412", timing_model=None, instructions=None)
    return [older, make(), file, silicon]


def row(text: str, *words: str) -> list[str]:
    """The cells of the first table row with all the words."""
    line = next(x for x in text.splitlines() if x[:1] == "|" and all(w in x for w in words))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_costs_are_by_the_macs_of_the_file_with_and_without_rewrites(history) -> None:
    text = page(history, ())
    cells = row(text, "mlperf_vww_96", "**virtual** `nucleo-f412zg`")
    assert cells[2:] == ["1,000", "1,500", "1.50", "2,000", "2.00", "0.90", "1.10"]


def test_virtual_is_marked_and_silicon_has_no_instructions(history) -> None:
    text = page(history, ())
    assert "**virtual**: model `m4-v2`, not silicon" in row(text, "100", "nucleo-f412zg")[3]
    assert row(text, "100", "lab-f412")[3] == "silicon"
    cells = row(text, "mlperf_vww_96", "lab-f412")
    assert "virtual" not in "".join(cells)
    assert cells[-2:] == ["-", "-"]


def test_flash_is_split_and_kinds_are_per_mac_or_output(history) -> None:
    text = page(history, ())
    assert row(text, "nucleo-f412zg", "folded |")[3:9] == [
        *("4,000", "300", "60,000", "12,000", "44,000", "4,000")
    ]
    kind = row(text, "pointwise, 64")  # instructions and cycles of the file, cycles folded
    assert "0.89" in kind
    assert "1.50" in kind
    assert row(text, "| pool")[1:3] == ["-", "output"]


def test_earlier_commits_stand_with_the_reason_why_they_were_worse(history) -> None:
    text = page(history, ())
    assert row(text, "older")[-1] == "mlperf_vww_96: exactness"
    assert text.index("| aaaaaaaaaaaa | m4-v2 | 1,500") < text.index("| older | m4-v2 | 1,700")


def test_peers_stand_beside_with_what_is_known_of_them(make) -> None:
    peers = load_peers(PEERS)
    new = make(macs=7_489_664)
    cells = row(page([new], peers), "mlperf_vww_96", "X-CUBE-AI v9.0")
    assert cells[3:] == ["1.42", "X-CUBE-AI v9.0 on NUCLEO-L4R5ZI", "-", "2.63*", "3.30"]


def test_peers_have_a_source_and_the_best_silicon_is_the_fastest() -> None:
    peers = load_peers(PEERS)
    assert all(peer.source and (peer.cycles or peer.instructions) for peer in peers)
    found = best_silicon(peers, "mlperf_ad01", "cortex-m7")
    assert found is not None
    assert found[1] / 264_192 == pytest.approx(1.148, abs=0.001)
    assert best_silicon(peers, "other", "cortex-m7") is None


@pytest.mark.parametrize("old", ["11.245", "19711651", "network,core"])
def test_a_damaged_file_of_peers_is_refused(tmp_path, old) -> None:
    path = tmp_path / "peers.csv"
    path.write_text(PEERS.read_text().replace(old, "x"))
    with pytest.raises(InventoryError, match=r"peers\.csv"):
        load_peers(path)


def test_kernels_are_put_between_the_marks_and_nowhere_else(make) -> None:
    parts = (Part("add", 0, 10, 210, 180, "tr_add"),)
    text = f"head\n{KERNELS_BEGIN}\nold\n{KERNELS_END}\ntail\n"
    made = with_kernels(text, [make(case=KERNELS, variant="kernels", parts=parts)])
    assert made is not None
    assert made.startswith(f"head\n{KERNELS_BEGIN}\n")
    assert made.endswith(f"{KERNELS_END}\ntail\n")
    assert "old" not in made
    assert row(made, "tr_add") == ["add", "`tr_add`", "210", "-", "21.0", "-", "18.0"]
    assert with_kernels("no marks", []) is None


def test_the_pages_are_what_the_record_says() -> None:
    docs = PEERS.parent
    history = load(docs / "benchmarks.jsonl")
    assert (docs / "benchmarks.md").read_text() == page(
        history, load_peers(PEERS), load_goals(GOALS)
    )
    kernels = (docs / "kernels.md").read_text()
    assert with_kernels(kernels, latest(history)) == kernels


def test_the_picture_marks_what_is_virtual_and_has_a_bar_for_silicon(history) -> None:
    drawn = ElementTree.fromstring(picture(history[1:], load_peers(PEERS)))
    words = [element.text for element in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert words.count("nucleo-f412zg, virtual") == 2  # folded, and as in the file
    assert "lab-f412, silicon" in words
    assert "X-CUBE-AI v9.0, NUCLEO-L4R5ZI" in words
    assert {"1.50", "2.00"} <= set(words)


@pytest.mark.parametrize(
    ("cycles", "verdict"),
    [(1500, "**missed** by 87.5 %"), (801, "**missed** by 0.1 %"), (800, "met")],
)
def test_goals_are_met_or_missed_by_so_much(make, cycles, verdict) -> None:
    text = page([make(cycles=cycles)], (), load_goals(GOALS))
    cells = row(text, "mlperf_vww_96", "cycles a MAC", "0.8")
    assert cells[-3:] == ["0.8", f"{cycles / 1000:.2f}", verdict]


def test_a_goal_for_a_kind_of_layer_is_held_against_that_kind(make) -> None:
    text = page([make(variant="file")], (), load_goals(GOALS))
    cells = row(text, "pointwise, 64 channels and more", "instructions a MAC")
    assert cells[-3:] == ["0.9", "0.89", "met"]


@pytest.mark.parametrize(("old", "new"), [("cycles a MAC,0.8", "beauty,0.8"), ("0.8", "much")])
def test_a_goal_that_makes_no_sense_is_refused_with_its_line(tmp_path, old, new) -> None:
    path = tmp_path / "goals.csv"
    path.write_text(GOALS.read_text().replace(old, new, 1))
    with pytest.raises(InventoryError, match="line 2"):
        load_goals(path)


def test_modes_stand_beside_the_fastest_of_the_same_network_and_nowhere_else(make) -> None:
    lean = make(mode="balanced", cycles=1590, code_bytes=9000)
    text = page([make(), lean], (), load_goals(GOALS))
    assert row(text, "| balanced |", "| 1,590")[4:9] == [
        "1,590",
        "+6.0 %",
        "9,000",
        "44,000",
        "-5.4 %",
    ]
    assert text.count("1,590") == 1  # no other table takes it for what a network costs
    assert row(text, "| balanced |", "percent more cycles")[-3:] == ["8", "6.00", "met"]
