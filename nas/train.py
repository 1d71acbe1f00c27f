"""Training: the supernet by sandwiches with in-place distillation, one network by fine-tuning."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from nas.candidate import Score
from nas.data import Split
from nas.errors import RunError
from nas.plain import PlainNet
from nas.space import Arch
from nas.supernet import Supernet

EVALUATION_BATCH = 1024


@dataclass(frozen=True)
class TrainSettings:
    """How to train; the sizes of steps are those of batches of `batch` images."""

    epochs: int
    batch: int = 64
    learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 1e-4
    clip_norm: float = 2.0
    label_smoothing: float = 0.1
    random_nets: int = 2  # beside the largest and the smallest
    shift_pixels: int = 1  # augmentation: up to so many in each direction


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Where training stands: from here it goes on to the same weights, bit by bit."""

    epochs: int
    arrays: Mapping[str, NDArray[np.float32]]  # weights and momenta


@dataclass(frozen=True, eq=False)
class Epoch:
    """What one pass over the images did."""

    index: int
    epochs: int
    loss: float  # of the largest network, mean over the steps
    skipped_steps: int  # whose loss or gradient was not finite
    checkpoint: Callable[[], Checkpoint]


@dataclass(frozen=True, eq=False)
class Images:
    """A split as tensors: images [N, C, H, W], labels [N]."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


def as_tensors(split: Split) -> Images:
    """The split in torch's layout."""
    images = torch.from_numpy(split.images).permute(0, 3, 1, 2).contiguous()
    return Images(images, torch.from_numpy(split.labels))


def make_deterministic() -> None:
    """One thread and reproducible kernels: the same seed gives the same bits."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)


def train_supernet(
    net: Supernet,
    data: Images,
    settings: TrainSettings,
    seed: int,
    on_epoch: Callable[[Epoch], None] | None = None,
    start: Checkpoint | None = None,
) -> None:
    """Train in place. Each step: the largest network on labels, the others on its outputs."""

    def loss_of(x: Tensor, y: Tensor, rng: np.random.Generator) -> Iterator[Tensor]:
        space = net.space
        top = net(x, space.max_arch)
        yield functional.cross_entropy(top, y, label_smoothing=settings.label_smoothing)
        teacher = top.detach().softmax(1)
        for arch in _students(net, settings, rng):
            yield _distillation(net(x, arch), teacher)

    _train(net, data, settings, seed, loss_of, on_epoch, start)


def _students(net: Supernet, settings: TrainSettings, rng: np.random.Generator) -> list[Arch]:
    drawn = [net.space.sample(rng) for _ in range(settings.random_nets)]
    return [net.space.min_arch, *drawn]


def fine_tune(
    net: PlainNet,
    teacher: Callable[[Tensor], Tensor] | None,
    data: Images,
    settings: TrainSettings,
    seed: int,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> None:
    """Train one network in place, on the labels and, if given, the outputs of `teacher`.

    Its batch-norm statistics are then those of all of `data`.
    """

    def loss_of(x: Tensor, y: Tensor, _: np.random.Generator) -> Iterator[Tensor]:
        logits = net(x)
        yield functional.cross_entropy(logits, y, label_smoothing=settings.label_smoothing)
        if teacher is not None:
            with torch.no_grad():
                target = teacher(x).softmax(1)
            yield _distillation(logits, target)

    net.train()
    _train(net, data, settings, seed, loss_of, on_epoch)
    net.recalibrate(data.images)
    net.eval()


LossOf = Callable[[Tensor, Tensor, np.random.Generator], Iterator[Tensor]]


def _train(
    net: nn.Module,
    data: Images,
    settings: TrainSettings,
    seed: int,
    loss_of: LossOf,
    on_epoch: Callable[[Epoch], None] | None,
    start: Checkpoint | None = None,
) -> None:
    optimiser = _optimiser(net, settings)
    if start is not None:
        restore(net, start, optimiser)
    steps = max(1, len(data) // settings.batch)
    for index in range(start.epochs if start else 0, settings.epochs):
        losses: list[float] = []
        rng = np.random.default_rng([seed, index])
        for step, (x, y) in enumerate(_batches(data, settings, rng)):
            _set_rate(optimiser, settings, (index * steps + step) / (settings.epochs * steps))
            loss = _step(net, optimiser, loss_of(x, y, rng), settings.clip_norm)
            losses += [] if loss is None else [loss]
        mean = sum(losses) / len(losses) if losses else math.nan
        if on_epoch is not None:
            checkpoint = partial(_checkpoint, net, optimiser, index + 1)
            on_epoch(Epoch(index, settings.epochs, mean, steps - len(losses), checkpoint))


def _checkpoint(net: nn.Module, optimiser: torch.optim.Optimizer, epochs: int) -> Checkpoint:
    arrays = {}
    for name, parameter in net.named_parameters():
        arrays[f"weight {name}"] = parameter.detach().numpy().copy()
        momentum = optimiser.state[parameter].get("momentum_buffer")
        if momentum is not None:
            arrays[f"momentum {name}"] = momentum.numpy().copy()
    return Checkpoint(epochs, arrays)


@torch.no_grad()
def restore(
    net: nn.Module, checkpoint: Checkpoint, optimiser: torch.optim.Optimizer | None = None
) -> None:
    """Put weights, and momenta if asked, back; RunError if they are not of this network."""
    for name, parameter in net.named_parameters():
        weight = checkpoint.arrays.get(f"weight {name}")
        if weight is None or weight.shape != tuple(parameter.shape):
            raise RunError(f"the checkpoint has no fitting {name}; start over with --fresh")
        parameter.copy_(torch.from_numpy(weight))
        momentum = checkpoint.arrays.get(f"momentum {name}")
        if optimiser is not None and momentum is not None:
            optimiser.state[parameter]["momentum_buffer"] = torch.from_numpy(momentum.copy())


def _step(
    net: nn.Module, optimiser: torch.optim.Optimizer, losses: Iterator[Tensor], clip_norm: float
) -> float | None:
    """One update from the summed gradients; None, and no update, if they are not finite."""
    optimiser.zero_grad()
    terms = list(losses)
    total = torch.stack(terms).sum()
    torch.autograd.backward(total)
    norm = nn.utils.clip_grad_norm_(net.parameters(), clip_norm)
    if not (torch.isfinite(total) and torch.isfinite(norm)):
        return None
    optimiser.step()
    return terms[0].item()


def _optimiser(net: nn.Module, settings: TrainSettings) -> torch.optim.SGD:
    """Weight decay on convolution and classifier matrices only."""
    parameters = list(net.parameters())
    groups = [
        {
            "params": [p for p in parameters if p.ndim > 1],
            "weight_decay": settings.weight_decay,
        },
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.SGD(
        groups, lr=settings.learning_rate, momentum=settings.momentum, nesterov=True
    )


def _set_rate(optimiser: torch.optim.Optimizer, settings: TrainSettings, done: float) -> None:
    """Up over the first tenth, then down along a cosine; `done` from 0 to 1."""
    warm = min(1.0, done / 0.1 + 0.01)
    rate = settings.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * done))
    for group in optimiser.param_groups:
        group["lr"] = rate


def _batches(
    data: Images, settings: TrainSettings, rng: np.random.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """The images in a new order, each batch shifted; the last, shorter batch is left out."""
    generator = torch.Generator().manual_seed(int(rng.integers(1 << 62)))
    order = torch.randperm(len(data), generator=generator)
    size = min(settings.batch, len(data))
    for start in range(0, len(data) - size + 1, size):
        chosen = order[start : start + size]
        yield _shifted(data.images[chosen], settings.shift_pixels, rng), data.labels[chosen]


def _shifted(x: Tensor, pixels: int, rng: np.random.Generator) -> Tensor:
    """The batch moved by one random offset, edges repeated."""
    if not pixels:
        return x
    top, left = (int(each) for each in rng.integers(2 * pixels + 1, size=2))
    wide = functional.pad(x, (pixels, pixels, pixels, pixels), mode="replicate")
    return wide[:, :, top : top + x.shape[2], left : left + x.shape[3]]


def _distillation(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy (nats) of the student against the teacher's probabilities."""
    return functional.kl_div(logits.log_softmax(1), target, reduction="batchmean")


@torch.no_grad()
def evaluate(forward: Callable[[Tensor], Tensor], data: Images) -> Score:
    """Accuracy and mean cross-entropy of `forward` (images to logits)."""
    right, loss = 0, 0.0
    for start in range(0, len(data), EVALUATION_BATCH):
        labels = data.labels[start : start + EVALUATION_BATCH]
        logits = forward(data.images[start : start + EVALUATION_BATCH])
        right += int((logits.argmax(1) == labels).sum())
        loss += float(functional.cross_entropy(logits, labels, reduction="sum"))
    return Score(right / len(data), loss / len(data))


def evaluate_subnet(net: Supernet, arch: Arch, calibration: Tensor, data: Images) -> Score:
    """Score of one architecture with the supernet's weights and its own statistics."""
    statistics = net.recalibrate(calibration, arch)
    return evaluate(lambda x: net(x, arch, statistics), data)
