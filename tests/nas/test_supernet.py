import numpy as np
import pytest
import torch

from engine import dispatch
from engine.quantize import run_float
from nas.data import Split, resize
from nas.lower import float_net, int8_accuracy, quantise
from nas.network import OUTPUT, layers, macs
from nas.shape import shape_graph
from nas.space import Block
from nas.supernet import Supernet, resized
from nas.tinynas import TinyNAS
from nas.train import make_deterministic

make_deterministic()


@pytest.fixture
def net(small_space):
    return Supernet(small_space, seed=3)


def images(count=16, size=12, seed=0):
    return torch.randn((count, 1, size, size), generator=torch.Generator().manual_seed(seed))


def archs(space, count=6):
    rng = np.random.default_rng(1)
    return [space.min_arch, space.max_arch, *(space.sample(rng) for _ in range(count))]


def test_an_extracted_network_equals_the_supernet_at_that_architecture(net):
    for arch in archs(net.space):
        x = images()
        statistics = net.recalibrate(x, arch)
        plain = net.extract(arch, x)
        expected = net(x[:5], arch, statistics)
        assert torch.equal(plain(resized(x[:5], arch.resolution)), expected)


def test_an_extracted_network_shares_nothing(net):
    arch = net.space.max_arch
    before = net.weights["stem"].detach().clone()
    plain = net.extract(arch, images())
    with torch.no_grad():
        for parameter in plain.parameters():
            parameter.add_(1)
    assert torch.equal(net.weights["stem"], before)


def test_the_supernet_keeps_no_state_between_calls(net):
    small, large = net.space.min_arch, net.space.max_arch
    x = images()
    first = net(x, small)
    net(x, large)
    net.recalibrate(x, large)
    assert torch.equal(net(x, small), first)


def test_a_narrow_layer_is_the_first_channels_and_the_centre_of_the_kernel(net):
    spec = next(s for s in layers(net.space, net.space.min_arch) if s.name == "s1b0_depthwise")
    weight = net._weight(spec)
    full = net.weights["s1b0_depthwise"]
    assert spec.kernel == 3
    assert full.shape[-1] == 5
    assert torch.equal(weight, full[: spec.out_channels, :, 1:4, 1:4])


def test_statistics_of_another_architecture_are_not_those_of_this_one(net):
    arch = net.space.max_arch
    x = images(64)
    own = net.recalibrate(x, arch)
    shifted = {name: (mean + 1, variance * 4) for name, (mean, variance) in own.items()}
    assert not torch.allclose(net(x, arch, own), net(x, arch, shifted), atol=1e-2)
    # Judged by its own statistics over the same images, it does what it does in training.
    assert torch.allclose(net(x, arch, own), net(x, arch), atol=1e-4)


def test_a_skip_adds_the_input_of_its_block(net):
    kinds = [s.kind for s in layers(net.space, net.space.max_arch)]
    blocks = [b for stage in net.space.max_arch.stages for b in stage]
    assert kinds.count("add") == sum(b.skip for b in blocks) > 0


def test_every_weight_of_the_supernet_is_trained_by_the_largest_network(net):
    net(images(), net.space.max_arch).square().sum().backward()
    silent = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == []


def test_the_engine_computes_the_same_function(net):
    for arch in archs(net.space):
        x = images(8, arch.resolution)
        plain = net.extract(arch, x)
        lowered = float_net(plain, "net")
        result = run_float(lowered, x.permute(0, 2, 3, 1).numpy())[OUTPUT]
        expected = plain(x).detach().numpy()
        np.testing.assert_allclose(result.reshape(expected.shape), expected, rtol=1e-4, atol=1e-4)


def test_the_planned_graph_has_the_layers_of_the_quantised_one(net):
    for arch in archs(net.space):
        x = images(8, arch.resolution)
        real = quantise(net.extract(arch, x), "net", x.permute(0, 2, 3, 1).numpy())
        planned = shape_graph(net.space, arch)
        assert real.macs == planned.macs == macs(net.space, arch)
        for one, two in zip(real.ops, planned.ops, strict=True):
            same = ("kind", "name", "inputs", "output", "kernel", "stride", "padding", "clamp")
            assert [getattr(one, key) for key in same] == [getattr(two, key) for key in same]
            assert real.tensor(one.output).shape == planned.tensor(two.output).shape
        pairs = zip(dispatch.layers(real), dispatch.layers(planned), real.ops, strict=True)
        others = [op for one, two, op in pairs if one.kernel != two.kernel]
        # Sums of four inputs are small, their factors large: trained weights decide the shift.
        assert all(op.kind == "conv2d" and op.weights[0].size <= 4 for op in others)


def test_int8_accuracy_counts_right_answers(net):
    x = images(30, 8, seed=4)
    nhwc = x.permute(0, 2, 3, 1).numpy()
    plain = net.extract(net.space.min_arch, x)
    graph = quantise(plain, "net", nhwc)
    answers = plain(x).argmax(1).numpy()
    agreement = int8_accuracy(graph, Split(nhwc, answers))
    assert agreement >= 0.8
    assert int8_accuracy(graph, Split(nhwc, (answers + 1) % 3)) <= 1 - agreement


def test_images_are_resized_alike_in_training_and_for_the_board():
    x = images(3, 12)
    board = resize(x.permute(0, 2, 3, 1).numpy(), 8)
    assert np.allclose(resized(x, 8).permute(0, 2, 3, 1).numpy(), board, atol=1e-6)


def test_inverted_residuals_can_be_made_alone():
    blocks = (Block(3, 3, False), Block(5, 6, True))
    stage = TinyNAS.create_inverted_residual_blocks(8, 16, 12, blocks, stride=2)
    assert stage(torch.zeros(2, 8, 12, 12)).shape == (2, 16, 6, 6)
