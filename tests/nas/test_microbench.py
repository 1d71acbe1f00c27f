"""Calibration networks are a function of the seed and cover what a search proposes."""

import numpy as np
import pytest

from engine.dispatch import layers
from engine.emit import emit
from engine.reference import run_all
from nas.microbench import heldout_networks, layer_images, plain_image, random_input, whole_networks
from nas.network import INPUT
from nas.shape import shape_graph
from nas.space import default_space

SEARCHED = {
    "tr_pointwise", "tr_conv2d", "tr_depthwise_swept", "tr_add", "tr_average_pool",
    "tr_fully_connected",
}  # fmt: skip


def everything(seed):
    return [*layer_images(seed), *whole_networks(seed, 10), *heldout_networks(seed, 19)]


def test_equal_seeds_give_equal_networks_and_others_give_others():
    first, second = (emit(whole_networks(5, 1)[0]).sha256 for _ in range(2))
    assert first == second
    assert emit(whole_networks(6, 1)[0]).sha256 != first
    assert (random_input(layer_images(0, 1)[0], 1) == random_input(layer_images(0, 1)[0], 1)).all()


def test_more_networks_of_a_seed_begin_with_the_fewer():
    few, more = whole_networks(0, 2), whole_networks(0, 3)
    assert [emit(g).sha256 for g in few] == [emit(g).sha256 for g in more[:2]]


def test_names_tell_the_networks_apart():
    names = [graph.name for graph in everything(0)]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_every_count_that_a_search_can_ask_for_is_exercised(seed):
    fitted = [*layer_images(seed), *whole_networks(seed, 10)]
    seen = {
        f"{layer.kernel}.{name}"
        for graph in fitted
        for layer in layers(graph)
        for name, value in layer.features.items()
        if value
    }
    plain = layers(plain_image(seed), plain=True)
    seen |= {f"{layer.kernel}.{name}" for layer in plain for name in layer.features}
    assert {column.partition(".")[0] for column in seen} >= SEARCHED
    rng = np.random.default_rng(seed)
    for resolution, channels in ((16, 1), (28, 1), (32, 3)):
        space = default_space(resolution, channels, 10)
        archs = [space.min_arch, space.max_arch, *(space.sample(rng) for _ in range(5))]
        for layer in (layer for arch in archs for layer in layers(shape_graph(space, arch))):
            asked = {f"{layer.kernel}.{name}" for name, value in layer.features.items() if value}
            assert asked <= seen, layer.name


def test_windows_of_every_search_kernel_and_stride_are_timed():
    windows = {
        (op.kernel[0], op.stride[0])
        for graph in layer_images(0)
        for op in graph.ops
        if op.kind == "depthwise_conv2d"
    }
    assert windows == {(kernel, stride) for kernel in (3, 5, 7) for stride in (1, 2)}


def test_heldout_networks_have_other_resolutions():
    fitted = {g.tensor(INPUT).shape[0] for g in whole_networks(0, 30)}
    held = {g.tensor(INPUT).shape[0] for g in heldout_networks(0, 30)}
    assert not fitted & held


def test_outputs_are_spread_so_that_a_wrong_kernel_shows():
    for graph in everything(0)[:12]:
        values = run_all(graph, random_input(graph, 0))
        assert values[graph.output].std() > 5
        assert all(np.unique(value).size > 1 for value in values.values() if value.size > 16)


def test_networks_stay_small_enough_for_any_board():
    for graph in everything(0):
        assert graph.macs < 2_000_000
        assert max(tensor.size for tensor in graph.tensors) <= 24_576
