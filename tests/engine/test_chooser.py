"""Modes: less flash within a budget of cycles, the same bits, no more of the arena."""

import itertools
from dataclasses import dataclass

import numpy as np
import pytest
from whole_nets import whole_net

from engine import reference
from engine.chooser import _Search, _State, select
from engine.dispatch import first
from engine.emit import emit
from engine.graph import Graph, Op, Padding, Quant, Tensor
from engine.host import HostModel
from engine.library import library_files
from engine.mode import MODES
from engine.plan import plan
from engine.prices import CORES, FAST, LEVELS, SMALL, Piece, Prices
from engine.shapes import output_shape
from engine.variants import Menu, Variant, menu

LAYERS = (
    ("conv2d", 3, 2, 8), ("depthwise_conv2d", 3, 1, 8), ("conv2d", 1, 1, 16),
    ("depthwise_conv2d", 3, 2, 16), ("conv2d", 1, 1, 20), ("depthwise_conv2d", 3, 1, 20),
    ("conv2d", 1, 1, 8), ("average_pool2d", 6, 6, 8), ("fully_connected", 1, 1, 4),
)  # fmt: skip


def separable():
    """A small network as people detect things with: wide rows first, then narrow ones."""
    rng = np.random.default_rng(3)
    tensors, ops = [Tensor("in", (24, 96, 3), Quant(0.03, -128))], []
    for index, (kind, kernel, stride, channels) in enumerate(LAYERS):
        source = tensors[-1]
        quant = source.quant if kind == "average_pool2d" else Quant(0.03 + 0.001 * index, -128)
        side = 1 if kernel == 3 else 0
        op = Op(
            kind, f"op{index}", (source.name,), f"t{index}", (kernel,) * 2, (stride,) * 2,
            Padding(side, side, side, side), **weights(rng, kind, kernel, source.shape, channels),
        )  # fmt: skip
        tensors.append(Tensor(f"t{index}", output_shape(op, [source]), quant))
        ops.append(op)
    return Graph("separable", tuple(tensors), tuple(ops), ("in",), (tensors[-1].name,))


def weights(rng, kind, kernel, source, channels):
    shapes = {
        "conv2d": (channels, kernel, kernel, source[2]),
        "depthwise_conv2d": (kernel, kernel, source[2]),
        "fully_connected": (channels, np.prod(source)),
    }
    if kind not in shapes:
        return {}
    values = rng.integers(-127, 128, shapes[kind]).astype(np.int8)
    scales = rng.uniform(0.7, 1.4, channels) / (74 * np.sqrt(values.size / channels))
    bias = rng.integers(-200, 200, channels).astype(np.int32)
    return {"weights": values, "weight_scales": scales, "bias": bias}


@pytest.fixture(scope="module")
def net():
    return separable()


def flash_and_cycles(graph, selection):
    """By the prices, of the larger core and of each."""
    found = menu(graph)
    chosen = [
        next(v for v in some if v.row is row)
        for some, row in zip(found.variants, selection.rows, strict=True)
    ]
    code = max(found.code_bytes(core, chosen, selection.small) for core in CORES)
    cycles = [sum(v.cycles_of(core, selection.small) for v in chosen) for core in CORES]
    return code + sum(v.const_bytes for v in chosen), np.array(cycles)


def test_the_fastest_mode_takes_the_first_kernel_of_each_operator(net):
    assert select(net) == first(net)


def test_balanced_takes_less_flash_within_its_budget_and_smallest_no_more_than_that(net):
    (most, before), (less, after), (least, _) = (
        flash_and_cycles(net, select(net, mode)) for mode in MODES
    )
    assert less < 0.8 * most
    assert (after <= 1.08 * before).all()
    assert least <= less


def test_layers_share_what_they_have_code_of_their_own_for_when_they_are_fast(net):
    functions = {
        mode: {
            row.describe(net, op).fields["sweep"]
            for op, row in zip(net.ops, select(net, mode).rows, strict=True)
            if row.c_name == "tr_depthwise_swept"
        }
        for mode in MODES
    }
    assert len(functions["smallest"]) < len(functions["fastest"])


def test_a_choice_is_the_same_every_time(net):
    found = select(net, "balanced")
    select.cache_clear()
    again = select(net, "balanced")
    assert [id(row) for row in again.rows] == [id(row) for row in found.rows]
    assert again.small == found.small


@pytest.mark.parametrize("mode", MODES[1:])
def test_every_mode_computes_the_reference_in_no_more_arena(mode, net):
    for graph in (net, whole_net(7)):
        selection = select(graph, mode)
        arena = plan(graph, selection=selection)
        assert arena.peak_bytes <= plan(graph).peak_bytes
        wanted = reference.run_all(graph, values := inputs_of(graph))
        with HostModel(emit(graph, arena, selection=selection)) as model:
            got = model.run_all(values)
        for name in graph.outputs:
            np.testing.assert_array_equal(got[name], wanted[name])


def inputs_of(graph):
    rng = np.random.default_rng(5)
    shapes = {name: graph.tensor(name).shape for name in graph.inputs}
    return {n: rng.integers(-128, 128, shape).astype(np.int8) for n, shape in shapes.items()}


def test_files_of_a_mode_are_compiled_for_size_and_the_library_says_so(net):
    selection = select(net, "balanced")
    arena = plan(net, selection=selection)
    model = emit(net, arena, selection=selection)
    assert "model.c" in model.flags
    assert set(model.flags) <= set(model.files)
    assert model.sha256 != emit(net, arena, selection=type(selection)(selection.rows)).sha256
    text = library_files(net, arena, model, selection)["CMakeLists.txt"]
    assert 'PROPERTIES COMPILE_OPTIONS "-Os"' in text
    assert "set_source_files" not in library_files(net, plan(net), emit(net))["CMakeLists.txt"]


# -- the search, on prices that are made up ---------------------------------------------------


@dataclass(frozen=True)
class Row:
    source: str
    files: tuple[str, ...]


def made_up(rng):
    """Operators with up to three variants, of functions that they share."""
    names = [f"f{index}" for index in range(5)]
    pieces = {
        (core, level, name): Piece(f"{name[1]}.c", size // (1 + (level == SMALL)), ())
        for name, size in zip(names, rng.integers(100, 1500, 5).tolist(), strict=True)
        for core, level in itertools.product(CORES, LEVELS)
    }
    options = []
    for _ in range(4):
        chosen = rng.choice(5, int(rng.integers(1, 4)), replace=False)
        costs = sorted(rng.integers(1000, 1400, len(chosen)).tolist())
        options.append(tuple(
            Variant(
                Row(f"{index}.c", (f"{index}.c",)), (names[index],), int(rng.integers(0, 300)),
                {place: cost * (1.05 if place[1] == SMALL else 1)
                 for place in itertools.product(CORES, LEVELS)},
            )
            for index, cost in zip(chosen, costs, strict=True)
        ))  # fmt: skip
    return Menu(tuple(options), Prices({}, pieces))


def optimum(found, most):
    """The least flash of every choice of variants and files that keeps within the budget."""
    files, best = found.files, 1 << 30
    fastest = found.fastest_cycles(CORES[0])
    for chosen in itertools.product(*found.variants):
        for bits in itertools.product((False, True), repeat=len(files)):
            small = frozenset(itertools.compress(files, bits))
            if sum(v.cycles_of(CORES[0], small) for v in chosen) <= most * fastest:
                code = found.code_bytes(CORES[0], chosen, small)
                best = min(best, code + sum(v.const_bytes for v in chosen))
    return best


def test_the_search_keeps_its_budget_and_comes_near_the_best_of_all_choices():
    off = []
    for seed in range(25):
        found = made_up(np.random.default_rng(seed))
        search = _Search(found)
        cost = search.cost(search.balanced())
        assert max(cost.cycles) <= 1.08
        best = optimum(found, 1.08)
        assert cost.flash >= best
        off.append(cost.flash / best - 1)
        assert search.cost(_State(1e9)).cycles == (1.0, 1.0)
    assert np.mean(off) < 0.03


def test_an_operator_without_a_price_keeps_its_first_kernel(net, monkeypatch):
    known = menu(net).prices
    kernel = first(net).rows[0].c_name
    less = {key: counts for key, counts in known.cycles.items() if key[2] != kernel}
    monkeypatch.setattr("engine.variants.prices", lambda: Prices(less, known.pieces))
    (only,) = menu(net).variants[0]
    assert only.row is first(net).rows[0]
    assert only.cycles[CORES[0], FAST] == 0
