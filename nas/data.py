"""Data sets: images as arrays, split so that the search never sees the test part."""

from __future__ import annotations

import hashlib
import importlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from nas.errors import DataError

FASHION_MNIST_DIRECTORY = Path("/usr/share/datasets/fashion-mnist")
SPLIT_SEED = 20  # of the data, not of the search: every run keeps the same test images apart


@dataclass(frozen=True, eq=False)
class Split:
    """Images float32 [N, H, W, C] in -1..1 and labels int64 [N]."""

    images: NDArray[np.float32]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def head(self, count: int) -> Split:
        """The first `count` images."""
        return Split(self.images[:count], self.labels[:count])


@dataclass(frozen=True, eq=False)
class Dataset:
    """A task: train fits weights, val ranks candidates, test is looked at once, at the end."""

    name: str
    classes: tuple[str, ...]
    train: Split
    val: Split
    test: Split

    @property
    def resolution(self) -> int:
        """Pixels along each side."""
        return int(self.train.images.shape[1])

    @property
    def channels(self) -> int:
        """Values for each pixel."""
        return int(self.train.images.shape[3])

    def at(self, resolution: int) -> Dataset:
        """The same images at another resolution."""
        return self if resolution == self.resolution else _at(self, resolution)

    def fingerprint(self) -> str:
        """Changes when any image, label or split does."""
        digest = hashlib.sha256()
        for split in (self.train, self.val, self.test):
            digest.update(np.ascontiguousarray(split.images).tobytes())
            digest.update(np.ascontiguousarray(split.labels).tobytes())
        return digest.hexdigest()[:16]


def load_dataset(name: str, directory: Path | None = None, limit: int = 12_000) -> Dataset:
    """`digits`, `fashion-mnist`, or the path of a directory: IDX files or a folder for each class.

    At most `limit` images are used for training and validation; the test part is always whole.
    Raises DataError, which says how to get the data.
    """
    if name == "digits":
        return _digits()
    image_files = importlib.import_module("nas.image_files")  # pillow: only for image files
    if name == "fashion-mnist":
        return cast(
            Dataset, image_files.idx_dataset(name, directory or FASHION_MNIST_DIRECTORY, limit)
        )
    path = Path(name)
    if not path.is_dir():
        raise DataError(
            f"there is no data set {name!r}: give digits, fashion-mnist, or a directory that holds "
            "IDX files or one folder of images for each class"
        )
    if image_files.has_idx(path):
        return cast(Dataset, image_files.idx_dataset(path.name, path, limit))
    return cast(Dataset, image_files.folder_dataset(path, limit))


@lru_cache(maxsize=4)
def _at(dataset: Dataset, resolution: int) -> Dataset:
    splits = [
        Split(resize(split.images, resolution), split.labels)
        for split in (dataset.train, dataset.val, dataset.test)
    ]
    return Dataset(dataset.name, dataset.classes, *splits)


def _digits() -> Dataset:
    """scikit-learn's 1,797 handwritten digits, 8x8 brought to 16x16."""
    try:
        datasets = importlib.import_module("sklearn.datasets")  # a second of start-up time
    except ImportError as error:
        raise DataError(
            "digits come with scikit-learn: python -m pip install 'tinyrack[nas]'"
        ) from error
    images, labels = datasets.load_digits(return_X_y=True)
    pixels = (np.asarray(images).reshape(-1, 8, 8, 1) / 8 - 1).astype(np.float32)
    classes = tuple(str(digit) for digit in range(10))
    return split_dataset("digits", classes, resize(pixels, 16), np.asarray(labels, np.int64))


def split_dataset(
    name: str, classes: tuple[str, ...], images: NDArray[np.float32], labels: NDArray[np.int64]
) -> Dataset:
    """A fifth of each class for test, a fifth for val, the rest for train; always the same."""
    rng = np.random.default_rng(SPLIT_SEED)
    parts: tuple[list[NDArray[np.intp]], ...] = ([], [], [])
    for label in range(len(classes)):
        found = rng.permutation(np.flatnonzero(labels == label))
        if len(found) < 5:
            raise DataError(
                f"class {classes[label]!r} of {name} has {len(found)} images; give 5 or more"
            )
        fifth = len(found) // 5
        cuts = (found[2 * fifth :], found[:fifth], found[fifth : 2 * fifth])
        for part, cut in zip(parts, cuts, strict=True):
            part.append(cut)
    orders = [rng.permutation(np.concatenate(part)) for part in parts]
    train, val, test = (Split(images[order], labels[order]) for order in orders)
    return Dataset(name, classes, train, val, test)


def resize(images: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Bilinear, pixel centres aligned: [N, H, W, C] to [N, size, size, C]."""
    rows = resize_weights(images.shape[1], size)
    columns = resize_weights(images.shape[2], size)
    scaled: NDArray[np.float32] = np.einsum(
        "ah,nhwc,bw->nabc", rows, images, columns, optimize=True
    )
    return scaled


def resize_weights(old: int, new: int) -> NDArray[np.float32]:
    """The [new, old] matrix of one direction: a triangle, as wide as the step when shrinking."""
    centres = (np.arange(new) + 0.5) * old / new - 0.5
    width = max(1.0, old / new)
    distance = np.abs(np.clip(centres, 0, old - 1)[:, None] - np.arange(old)[None, :])
    weights = np.maximum(0.0, 1.0 - distance / width)
    scaled: NDArray[np.float32] = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return scaled
