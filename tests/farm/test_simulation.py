"""The manager's own code over simulated boards: nothing lost, boards busy, costs that stay."""

import json
from dataclasses import replace

import pytest

from farm.simulation.__main__ import main
from farm.simulation.page import page
from farm.simulation.run import Figures, simulate
from farm.simulation.verdict import findings


def test_a_manager_costs_the_same_whatever_the_size_of_its_rack(rack, capsys, tmp_path):
    words = ["--boards", "1,60", "--jobs", "80", "--turns", "2", "--json"]
    main([*words, "--boards-file", str(rack.path), "--out", str(tmp_path / "page.md")])
    facts = json.loads(capsys.readouterr().out)
    assert all(each["value"] < 2 * each["limit"] + 1 for each in facts["findings"])  # a busy host
    one, sixty = facts["figures"]
    assert (one["measured"], sixty["measured"]) == (80, 120)
    assert min(one["busy_percent"], sixty["busy_percent"]) > 95
    assert "| 60 | 120 |" in (tmp_path / "page.md").read_text()


def test_jobs_of_an_image_are_done_one_after_the_other(rack):
    one_type = replace(rack, types={"nucleo-f412zg": rack.types["nucleo-f412zg"]})
    found = simulate(one_type, 1, 100)
    assert found.other_image_percent < 85  # 40 images of 3 submitters: without an order it were 97


FIGURES = Figures(1, 10, 10, 0, 0, 1.0, 1.0, 99.0, 50.0, 1000, 1000)


@pytest.mark.parametrize(
    "worse", [{"jobs_lost": 1}, {"measured": 9}, {"busy_percent": 90.0}, {"manage_ms": 3.0}]
)
def test_a_promise_that_is_not_kept_is_a_finding(worse):
    assert all(each.met for each in findings([FIGURES, replace(FIGURES, boards=9)]))
    found = findings([FIGURES, replace(FIGURES, boards=9, **worse)])
    assert sum(not each.met for each in found) == 1
    facts = {"utc": "", "host": "", "figures": [FIGURES.to_json()]}
    assert "MISSED" in page(facts | {"findings": [each.to_json() for each in found]})
