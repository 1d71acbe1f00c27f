"""`tinyrack bench` without a network: the engine's kernels, on virtual boards."""

import json

import pytest

from engine.benchmarks import kernel_suite
from farm import cli
from farm.virtual import rack as virtual_rack

QUICK = ("average pool 6x6 at 6x6x128", "add at 24x24x32")


@pytest.fixture
def bench(rack, capsys, monkeypatch):
    """Run the command over the two quickest cases; return code, standard output and error."""
    suite = [graph for graph in kernel_suite() if graph.name in QUICK]
    monkeypatch.setattr("farm.commands.bench.kernel_suite", lambda: suite)

    def go(*argv):
        code = cli.main(["bench", *argv, "--boards-file", str(rack.path)])
        return code, *capsys.readouterr()

    yield go
    virtual_rack.down()


def test_every_kernel_is_timed_and_says_with_what(bench):
    code, out, _ = bench("--boards", "type=nucleo-f412zg", "--json", "--repeats", "3")
    rows = json.loads(out)["results"]
    assert code == 0
    assert [row["name"] for row in rows] == list(QUICK)
    assert [row["kernel"] for row in rows] == ["tr_average_pool", "tr_add"]
    for row in rows:
        assert row["output_ok"]
        assert len(row["samples"]) == 3
        assert row["kernel_cycles"] == row["layer_cycles"][-1] > 0
        assert row["kernel_cycles_per_output"] == row["kernel_cycles"] / row["kernel_outputs"]
        assert row["kernel_cycles_per_mac"] is None  # neither of the two multiplies
    pool, add = rows
    assert abs(pool["kernel_cycles"] - pool["cycles"]) < 60  # alone in its network
    assert add["kernel_cycles"] < add["cycles"]

    code, out, _ = bench("--boards", "type=nucleo-f412zg", "--repeats", "3")
    assert code == 0
    assert all(name in out for name in (*QUICK, "tr_add", "f412-0"))
    line = out.splitlines()[-1]
    for part in ("nucleo-f412zg", "cortex-m4", "100 MHz", "zig cc", "-O3", "median of 3",
                 "virtual: cycle model m4-v2, not silicon"):  # fmt: skip
        assert part in line


def test_an_input_without_a_network_is_a_usage_error(bench):
    code, _, err = bench("--input", "x.npy")
    assert code == 2
    assert "needs a NET" in err
