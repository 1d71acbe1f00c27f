"""The picture of a plan is well-formed, shows every byte in its place, and repeats."""

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_nets import seeded_branches

from engine.graph import Graph
from engine.memory_map import HEIGHT, TOP, memory_map_svg
from engine.plan import plan
from engine.svg import fitted

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = [
    "</svg><script>alert(1)</script>",
    'a" onload="alert(1)',
    "&lt;&#0;&unknown;]]>",
    "\x00\x08\x1b[31m\u202eright to left\ufffe",
    "\N{GRINNING FACE}" * 500,
    ";;;",
]


def renamed(graph, name):
    """The graph with `name` at the start of every name."""
    return Graph(
        name + graph.name,
        tuple(replace(t, name=name + t.name) for t in graph.tensors),
        tuple(
            replace(
                op,
                name=name + op.name,
                inputs=tuple(name + one for one in op.inputs),
                output=name + op.output,
            )
            for op in graph.ops
        ),
        tuple(name + one for one in graph.inputs),
        tuple(name + one for one in graph.outputs),
        {name + one: values for one, values in graph.constants.items()},
    )


def boxes(picture):
    """Tool tip -> rectangle."""
    found = {}
    for rect in ET.fromstring(picture).iter(f"{SVG}rect"):
        title = rect.find(f"{SVG}title")
        if title is not None:
            found[title.text] = {side: float(rect.get(side)) for side in ("x", "y", "height")}
    return found


@pytest.mark.parametrize("seed", range(4))
def test_every_tensor_and_scratch_lies_where_the_plan_says(seed):
    graph = seeded_branches(seed, 12)
    found = plan(graph)
    drawn = boxes(memory_map_svg(graph, found))
    for name, at in found.offsets.items():
        size = graph.tensor(name).size
        tips = [tip for tip in drawn if f" {name}: {size:,} bytes at {at:,}," in tip]
        assert len(tips) == 1
        box = drawn[tips[0]]
        bottom = TOP + HEIGHT * (1 - at / found.peak_bytes)
        assert box["y"] + box["height"] == pytest.approx(bottom, abs=0.02)
        assert box["height"] == pytest.approx(HEIGHT * size / found.peak_bytes, abs=0.02)
    for name, at in found.scratch_offsets.items():
        assert any(f"scratch {name}: " in tip and f" at {at:,}," in tip for tip in drawn)
    shared = {tip.split(": ")[0] for tip in drawn if tip.startswith("shared ")}
    assert shared == {f"shared {name}" for name in found.in_place}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_text(name):
    graph = renamed(seeded_branches(1, 4), name)
    root = ET.fromstring(memory_map_svg(graph, plan(graph)))
    tags = {element.tag.removeprefix(SVG) for element in root.iter()}
    assert tags == {"svg", "defs", "pattern", "line", "rect", "text", "title"}
    assert not [key for element in root.iter() for key in element.attrib if key.startswith("on")]


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.text(min_size=1, max_size=12))
def test_any_name_gives_well_formed_xml(name):
    graph = renamed(seeded_branches(2, 2), name)
    ET.fromstring(memory_map_svg(graph, plan(graph)).encode())


def test_the_same_plan_gives_the_same_picture():
    graph = seeded_branches(3, 20)
    assert memory_map_svg(graph, plan(graph)) == memory_map_svg(graph, plan(graph))


def test_peak_bound_and_a_white_background_are_there():
    graph = seeded_branches(3, 20)
    found = plan(graph)
    picture = memory_map_svg(graph, found)
    assert f"peak {found.peak_bytes:,}<" in picture
    assert f"lower bound {found.lower_bound_bytes:,}<" in picture
    first = next(ET.fromstring(picture).iter(f"{SVG}rect"))
    assert (first.get("fill"), first.get("x")) == ("#ffffff", None)


@pytest.mark.parametrize("count", [1, 100])
def test_a_picture_is_as_wide_as_its_operators_need(count):
    graph = seeded_branches(5, count)
    picture = memory_map_svg(graph, plan(graph))
    root = ET.fromstring(picture)
    width = float(root.get("width"))
    edges = [float(r.get("x", 0)) + float(r.get("width")) for r in root.iter(f"{SVG}rect")]
    assert max(edges) <= width
    labels = [
        element for element in root.iter(f"{SVG}text") if "rotate" in element.get("transform", "")
    ]
    assert len(labels) == count
    apart = sorted(float(re.match(r"[\d.]+", label.get("x")).group()) for label in labels)
    assert all(right - left >= 11 for left, right in pairwise(apart))


@pytest.mark.parametrize(
    ("name", "columns", "text"),
    [
        ("short", 5, "short"),
        ("model/conv/Relu", 8, "\u2026nv/Relu"),
        ("first;second", 20, "first"),
        ("\u5c42\u5c42\u5c42", 6, "\u5c42\u5c42\u5c42"),
        ("\u5c42\u5c42\u5c42", 5, "\u2026\u5c42\u5c42"),
    ],
)
def test_names_are_cut_to_what_fits(name, columns, text):
    assert fitted(name, columns) == text
