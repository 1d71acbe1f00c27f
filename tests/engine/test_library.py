"""The folder that compile writes: CMake builds it, and its tables say what the plan says."""

import csv
import io
import shutil
import subprocess

import numpy as np
import pytest
from engine_nets import inputs_for, networks, seeded
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import reference
from engine.emit import emit
from engine.graph import Graph, Op, Quant, Tensor
from engine.library import layer_costs, library_files
from engine.plan import plan

FIRMWARE_CMAKE = """
cmake_minimum_required(VERSION 3.13)
project(firmware C)
add_subdirectory(library)
add_executable(firmware main.c)
target_link_libraries(firmware PRIVATE tinyrack_model)
"""
FIRMWARE_C = """
#include <stdio.h>
#include "model.h"
static int8_t in[TINYRACK_INPUT_BYTES], out[TINYRACK_OUTPUT_BYTES];
int main(void)
{
    if (fread(in, 1, sizeof in, stdin) != sizeof in)
        return 1;
    tinyrack_invoke(in, out);
    return fwrite(out, 1, sizeof out, stdout) != sizeof out;
}
"""


def written(graph, folder):
    arena = plan(graph)
    files = library_files(graph, arena, emit(graph, arena))
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)
    return files


@pytest.mark.skipif(
    not (shutil.which("cmake") and shutil.which("cc")), reason="no cmake or no C compiler here"
)
def test_cmake_builds_the_folder_into_a_firmware(tmp_path):
    graph = seeded(4)
    written(graph, tmp_path / "library")
    (tmp_path / "CMakeLists.txt").write_text(FIRMWARE_CMAKE)
    (tmp_path / "main.c").write_text(FIRMWARE_C)
    build = tmp_path / "build"
    for step in (["-S", str(tmp_path), "-B", str(build)], ["--build", str(build)]):
        done = subprocess.run(
            ["cmake", *step], capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    (x,) = inputs_for(graph, 3)[2:]
    answer = subprocess.run(
        [str(build / "firmware")], input=x.tobytes(), capture_output=True, check=True, timeout=120
    )
    assert answer.stdout == reference.run(graph, x).tobytes()


def test_the_table_has_a_line_a_layer(tmp_path):
    graph = seeded(5)
    files = written(graph, tmp_path / "library")
    rows = list(csv.DictReader(io.StringIO(files["layers.csv"])))
    assert [row["name"] for row in rows] == [op.name for op in graph.ops]
    assert sum(int(row["macs"]) for row in rows) == graph.macs
    assert sum(int(row["const_bytes"]) for row in rows) == emit(graph).const_bytes


def test_a_reshape_that_moves_nothing_costs_nothing(tmp_path):
    quant = Quant(1.0, 0)
    tensors = tuple(
        Tensor(name, shape, quant)
        for name, shape in (("x", (1, 1, 8)), ("y", (2, 2, 2)), ("z", (1, 1, 2)))
    )
    ops = (Op("reshape", "seen", ("x",), "y"), Op("average_pool2d", "pool", ("y",), "z", (2, 2)))
    files = written(Graph("n", tensors, ops, ("x",), ("z",)), tmp_path / "library")
    first, second = csv.DictReader(io.StringIO(files["layers.csv"]))
    assert (first["kernel"], first["const_bytes"]) == ("none", "0")
    assert second["kernel"] in files["model.c"]
    assert "tr_reshape(" not in files["model.c"]


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.text(min_size=1, max_size=12).filter(lambda text: text.isprintable()))
def test_no_name_ends_a_cell_or_starts_a_formula(name):
    quant = Quant(1.0, 0)
    tensors = (Tensor("x", (2, 2, 1), quant), Tensor("y", (1, 1, 1), quant))
    graph = Graph("n", tensors, (Op("average_pool2d", name, ("x",), "y", (2, 2)),), ("x",), ("y",))
    arena = plan(graph)
    text = library_files(graph, arena, emit(graph, arena))["layers.csv"]
    (row,) = csv.DictReader(io.StringIO(text))
    assert row["name"].removeprefix("'") == name.removeprefix("'")
    assert row["name"][0] not in "=+-@"


@settings(max_examples=30, deadline=None, derandomize=True)
@given(networks())
def test_a_step_keeps_no_more_live_than_the_arena_and_no_less_than_its_output(graph):
    arena = plan(graph)
    costs = layer_costs(graph, arena, emit(graph, arena).layers)
    assert max(cost.live_bytes for cost in costs) <= arena.peak_bytes
    for cost in costs:
        assert cost.live_bytes >= np.prod(cost.layer.output_shape)
