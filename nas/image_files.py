"""Images from a user's files: IDX archives and a folder for each class. All of it is hostile."""

from __future__ import annotations

import gzip
import math
import warnings
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nas.data import SPLIT_SEED, Dataset, Split, split_dataset
from nas.errors import DataError

IDX_IMAGES = ("train-images-idx3-ubyte", "t10k-images-idx3-ubyte")
IDX_LABELS = ("train-labels-idx1-ubyte", "t10k-labels-idx1-ubyte")
IDX_BYTES_LIMIT = 1 << 30
FOLDER_SIZE = 32
FOLDER_IMAGES_LIMIT = 100_000
PIXELS_LIMIT = 64_000_000
# What pillow raises for damaged files; a damaged chunk of a PNG is a SyntaxError to it.
UNREADABLE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)
FORMATS = ("PNG", "JPEG", "BMP", "PPM", "GIF", "WEBP")
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".ppm", ".pgm", ".gif", ".webp")


def has_idx(directory: Path) -> bool:
    """Whether the directory holds IDX training images."""
    return any((directory / f"{IDX_IMAGES[0]}{suffix}").is_file() for suffix in ("", ".gz"))


def idx_dataset(name: str, directory: Path, limit: int) -> Dataset:
    """The four IDX files of an MNIST-like set, plain or .gz.

    A sixth of the (at most `limit`) training images becomes val; the test files stay whole.
    """
    if not has_idx(directory):
        raise DataError(
            f"{name} is not in {directory}: install it (Debian: apt install dataset-fashion-mnist) "
            "or give the directory of its IDX files with --data-dir"
        )
    train, test = (
        _idx_split(directory, images, labels)
        for images, labels in zip(IDX_IMAGES, IDX_LABELS, strict=True)
    )
    if train.images.shape[1:] != test.images.shape[1:]:
        raise DataError(f"{directory}: training and test images differ in size")
    classes = int(max(train.labels.max(), test.labels.max())) + 1
    if classes < 2:
        raise DataError(f"{directory}: all labels are 0; give images of 2 classes or more")
    order = np.random.default_rng(SPLIT_SEED).permutation(len(train))[:limit]
    if len(order) < 6:
        raise DataError(f"{directory}: {len(order)} training images are too few; give 6 or more")
    cut = len(order) // 6
    val, rest = order[:cut], order[cut:]
    return Dataset(
        name,
        tuple(str(label) for label in range(classes)),
        Split(train.images[rest], train.labels[rest]),
        Split(train.images[val], train.labels[val]),
        test,
    )


def _idx_split(directory: Path, images_name: str, labels_name: str) -> Split:
    images = _read_idx(directory, images_name, dimensions=3)
    labels = _read_idx(directory, labels_name, dimensions=1)
    if len(images) != len(labels) or not len(labels):
        raise DataError(
            f"{directory}: {len(images)} images in {images_name}, {len(labels)} labels in "
            f"{labels_name}; the files do not belong together, get both again"
        )
    if images.shape[1] != images.shape[2] or images.shape[1] < 4:
        raise DataError(f"{directory}/{images_name}: images must be square and 4 pixels or more")
    pixels = images.astype(np.float32)[..., None] / 127.5 - 1
    return Split(pixels, labels.astype(np.int64))


def _read_idx(directory: Path, name: str, dimensions: int) -> NDArray[np.uint8]:
    """Unsigned bytes of the shape that the header gives; sizes are checked before reading."""
    plain, packed = directory / name, directory / f"{name}.gz"
    path = plain if plain.is_file() else packed
    header_bytes = 4 + 4 * dimensions
    try:
        with path.open("rb") if path == plain else gzip.open(path, "rb") as file:
            header = file.read(header_bytes)
            if len(header) < header_bytes or header[:4] != bytes((0, 0, 8, dimensions)):
                raise DataError(f"{path}: not an IDX file of {dimensions} dimensions; get it again")
            shape = tuple(int(each) for each in np.frombuffer(header[4:], ">u4"))
            size = math.prod(shape)
            if size > IDX_BYTES_LIMIT:
                raise DataError(f"{path}: the header claims {size} bytes, more than 1 GiB")
            data = file.read(size + 1)
    except FileNotFoundError as error:
        raise DataError(f"{path}: missing; get the four IDX files of the set") from error
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({error}); get it again") from error
    if len(data) != size:
        raise DataError(f"{path}: {len(data)} bytes of data, the header says {size}; get it again")
    return np.frombuffer(data, np.uint8).reshape(shape)


def folder_dataset(directory: Path, limit: int) -> Dataset:
    """One sub-directory of images for each class, brought to 32x32; grey if all of them are."""
    classes = sorted(p.name for p in directory.iterdir() if p.is_dir() and p.name[0] != ".")
    files = [
        (path, label)
        for label, name in enumerate(classes)
        for path in sorted((directory / name).iterdir())
        if path.suffix.lower() in SUFFIXES and path.is_file()
    ]
    if len(classes) < 2 or not files:
        raise DataError(
            f"{directory}: make one sub-directory for each class (2 or more) and put images "
            f"({', '.join(SUFFIXES)}) into them"
        )
    if len(files) > min(limit, FOLDER_IMAGES_LIMIT):
        order = np.random.default_rng(SPLIT_SEED).permutation(len(files))
        files = [files[i] for i in sorted(order[: min(limit, FOLDER_IMAGES_LIMIT)])]
    images = np.stack([_read_image(path) for path, _ in files])
    if (images == images[..., :1]).all():
        images = images[..., :1]
    labels = np.array([label for _, label in files], np.int64)
    return split_dataset(directory.name, tuple(classes), images, labels)


def _read_image(path: Path) -> NDArray[np.float32]:
    """float32 [32, 32, 3] in -1..1: the middle square, scaled."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # see PIXELS_LIMIT
            with Image.open(path, formats=FORMATS) as image:
                if image.width * image.height > PIXELS_LIMIT:
                    raise DataError(f"{path}: {image.width}x{image.height} pixels are too many")
                small = _middle_square(_in_8_bits(image))
    except UNREADABLE as error:
        raise DataError(f"{path}: not a readable image ({error}); mend or remove it") from error
    return np.asarray(small, np.float32) / 127.5 - 1


def _middle_square(image: Image.Image) -> Image.Image:
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    square = image.convert("RGB").crop((left, top, left + side, top + side))
    return square.resize((FOLDER_SIZE, FOLDER_SIZE), Image.Resampling.BILINEAR)


def _in_8_bits(image: Image.Image) -> Image.Image:
    """Grey levels of 16 bits brought to 8; pillow would cut them off at 255."""
    if not image.mode.startswith("I"):
        return image
    return Image.fromarray((np.asarray(image).clip(0, 0xFFFF) >> 8).astype(np.uint8))
