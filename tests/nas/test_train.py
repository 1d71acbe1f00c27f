from dataclasses import replace

import numpy as np
import pytest
import torch

from nas.data import Split
from nas.errors import RunError
from nas.network import layers
from nas.supernet import Supernet
from nas.train import (
    Checkpoint,
    TrainSettings,
    as_tensors,
    evaluate,
    evaluate_subnet,
    fine_tune,
    make_deterministic,
    restore,
    train_supernet,
)

make_deterministic()
SETTINGS = TrainSettings(epochs=6, batch=20, random_nets=1)


@pytest.fixture
def data():
    """Three classes that differ by where the bright stripe is."""
    rng = np.random.default_rng(0)
    labels = np.arange(120) % 3
    pixels = rng.normal(0, 0.3, (120, 12, 12, 1)).astype(np.float32)
    for image, label in zip(pixels, labels, strict=True):
        image[4 * label : 4 * label + 4] += 1
    return as_tensors(Split(pixels, labels.astype(np.int64)))


def weights_of(net):
    return [p.detach().clone() for p in net.parameters()]


def test_training_learns_and_recalibration_is_what_makes_it_visible(small_space, data):
    net = Supernet(small_space)
    train_supernet(net, data, SETTINGS, seed=1)
    arch = small_space.max_arch
    score = evaluate_subnet(net, arch, data.images, data)
    assert score.accuracy > 0.9
    wrong = net.recalibrate(torch.randn_like(data.images) * 5, arch)
    assert evaluate(lambda x: net(x, arch, wrong), data).accuracy < score.accuracy
    assert evaluate_subnet(net, small_space.min_arch, data.images, data).accuracy > 0.6


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(small_space, data):
    nets = [Supernet(small_space, seed=2) for _ in range(3)]
    for net, seed in zip(nets, (1, 1, 2), strict=True):
        train_supernet(net, data, TrainSettings(2, batch=20), seed)
    one, two, other = map(weights_of, nets)
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_training_goes_on_from_a_checkpoint_to_the_same_bits(small_space, data):
    whole, first, second = (Supernet(small_space, seed=2) for _ in range(3))
    few, kept = replace(SETTINGS, epochs=4), []
    train_supernet(whole, data, few, 1)
    train_supernet(first, data, few, 1, lambda epoch: kept.append(epoch.checkpoint()))
    train_supernet(second, data, few, 1, start=kept[2])
    assert kept[2].epochs == 3
    assert all(map(torch.equal, weights_of(whole), weights_of(second)))


def test_a_checkpoint_of_another_network_is_refused(small_space):
    with pytest.raises(RunError, match="--fresh"):
        restore(Supernet(small_space), Checkpoint(1, {"weight gains.stem": np.zeros(3)}))


def test_a_step_that_is_not_finite_changes_nothing(small_space, data):
    net = Supernet(small_space)
    before = weights_of(net)
    poisoned = as_tensors(Split(np.full((40, 12, 12, 1), np.nan, np.float32), np.zeros(40, int)))
    epochs = []
    train_supernet(net, poisoned, TrainSettings(1, batch=20), 0, epochs.append)
    assert epochs[0].skipped_steps == 2
    assert all(map(torch.equal, before, weights_of(net)))


def test_fine_tuning_improves_one_network_and_leaves_the_teacher(small_space, data):
    net = Supernet(small_space)
    teacher_before = weights_of(net)
    arch = small_space.sample(np.random.default_rng(0))
    at = as_tensors(Split(data.images.permute(0, 2, 3, 1).numpy(), data.labels.numpy()))
    plain = net.extract(small_space.max_arch, at.images)
    before = evaluate(plain, at).loss
    statistics = net.recalibrate(data.images, arch)
    fine_tune(plain, lambda x: net(x, arch, statistics), at, SETTINGS, 1)
    assert evaluate(plain, at).loss < before
    assert all(map(torch.equal, teacher_before, weights_of(net)))


def test_without_statistics_of_its_own_a_subnet_is_noise(small_space, data):
    net = Supernet(small_space)
    train_supernet(net, data, TrainSettings(epochs=12, batch=20), seed=1)
    of_largest = net.recalibrate(data.images, small_space.max_arch)
    narrow = [a for a in samples_of(small_space, 40) if a.width < 1][:8]
    own = [evaluate_subnet(net, arch, data.images, data).accuracy for arch in narrow]
    shared = [
        evaluate(lambda x, arch=arch: net(x, arch, cut(of_largest, small_space, arch)), data)
        for arch in narrow
    ]
    assert np.mean(own) > np.mean([score.accuracy for score in shared]) + 0.2


def samples_of(space, count):
    rng = np.random.default_rng(3)
    return [space.sample(rng) for _ in range(count)]


def cut(statistics, space, arch):
    """The first channels of another network's statistics, as its weights are shared."""
    return {
        spec.name: tuple(values[: spec.out_channels] for values in statistics[spec.name])
        for spec in layers(space, arch)
        if spec.has_norm
    }
