import gzip
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from nas.data import load_dataset, resize, split_dataset
from nas.errors import DataError

IMAGES, LABELS = "images-idx3-ubyte", "labels-idx1-ubyte"


def idx(array):
    header = bytes((0, 0, 8, array.ndim)) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    return header + array.astype(np.uint8).tobytes()


@pytest.fixture
def idx_directory(tmp_path):
    """30 training and 12 test images of 3 classes, one part packed."""
    rng = np.random.default_rng(0)
    for part, count in (("train", 30), ("t10k", 12)):
        pixels = rng.integers(0, 256, (count, 12, 12))
        (tmp_path / f"{part}-{IMAGES}").write_bytes(idx(pixels))
        packed = gzip.compress(idx(np.arange(count) % 3))
        (tmp_path / f"{part}-{LABELS}.gz").write_bytes(packed)
    return tmp_path


def test_digits_are_split_once_and_for_all():
    one, two = load_dataset("digits"), load_dataset("digits")
    assert one.fingerprint() == two.fingerprint()
    assert len(one.train) + len(one.val) + len(one.test) == 1797
    assert (one.resolution, one.channels, len(one.classes)) == (16, 1, 10)
    images = [image.tobytes() for s in (one.train, one.val, one.test) for image in s.images]
    assert len(set(images)) == 1797  # no image is in two splits
    assert min(np.bincount(one.test.labels)) >= 30


def test_pixels_are_in_minus_one_to_one():
    images = load_dataset("digits").train.images
    assert images.dtype == np.float32
    assert (images.min(), images.max()) == (-1, 1)


@given(st.integers(2, 20), st.integers(2, 20), st.floats(-1, 1))
def test_resizing_keeps_a_flat_image_flat(old, new, level):
    flat = np.full((1, old, old, 2), level, np.float32)
    result = resize(flat, new)
    assert result.shape == (1, new, new, 2)
    np.testing.assert_allclose(result, level, atol=1e-5)


def test_resizing_to_the_same_size_changes_nothing():
    images = load_dataset("digits").val.images[:4]
    np.testing.assert_allclose(resize(images, 16), images, atol=1e-6)


def test_a_dataset_comes_at_other_resolutions():
    data = load_dataset("digits")
    assert data.at(16) is data
    assert data.at(12).test.images.shape == (len(data.test), 12, 12, 1)


def test_an_unknown_data_set_says_what_there_is():
    with pytest.raises(DataError, match="digits, fashion-mnist, or a directory"):
        load_dataset("cifar")


def test_a_missing_fashion_mnist_says_how_to_get_it(tmp_path):
    with pytest.raises(DataError, match="apt install dataset-fashion-mnist"):
        load_dataset("fashion-mnist", tmp_path)


def test_idx_files_are_read_packed_or_not(idx_directory):
    by_name = load_dataset("fashion-mnist", idx_directory)
    by_path = load_dataset(str(idx_directory))
    assert (len(by_name.train), len(by_name.val), len(by_name.test)) == (25, 5, 12)
    assert by_name.fingerprint() == by_path.fingerprint()
    assert by_name.classes == ("0", "1", "2")
    limited = load_dataset("fashion-mnist", idx_directory, limit=12)
    assert (len(limited.train), len(limited.val), len(limited.test)) == (10, 2, 12)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data[:-1],
        lambda data: data + b"x",
        lambda data: data[:3],
        lambda data: b"\0\0\x0d\3" + data[4:],
        lambda data: data[:4] + b"\xff\xff\xff\xff" + data[8:],
        lambda _: b"",
    ],
)
def test_spoilt_idx_files_are_refused_by_name(idx_directory, spoil):
    path = idx_directory / f"train-{IMAGES}"
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(DataError, match=path.name):
        load_dataset("fashion-mnist", idx_directory)


@pytest.mark.parametrize("junk", [b"no gzip", gzip.compress(os.urandom(999))[:50]])
def test_spoilt_archives_are_refused_by_name(idx_directory, junk):
    path = idx_directory / f"t10k-{LABELS}.gz"
    path.write_bytes(junk)
    with pytest.raises(DataError, match=path.name):
        load_dataset("fashion-mnist", idx_directory)


def test_an_archive_that_unpacks_to_more_than_its_header_says_is_not_read_whole(idx_directory):
    path = idx_directory / f"t10k-{LABELS}.gz"
    path.write_bytes(gzip.compress(idx(np.arange(12) % 3) + bytes(1 << 24)))
    with pytest.raises(DataError, match="the header says 12"):
        load_dataset("fashion-mnist", idx_directory)


def test_a_missing_idx_file_is_named(idx_directory):
    (idx_directory / f"t10k-{IMAGES}").unlink()
    with pytest.raises(DataError, match=f"t10k-{IMAGES}"):
        load_dataset("fashion-mnist", idx_directory)


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(1)
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for index in range(10):
            pixels = rng.integers(0, 256, (40, 60, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{index}.png")
    return tmp_path


def test_a_folder_for_each_class_becomes_a_data_set(folder):
    data = load_dataset(str(folder))
    assert data.classes == ("cat", "dog")
    assert (data.resolution, data.channels) == (32, 3)
    assert (len(data.train), len(data.val), len(data.test)) == (12, 4, 4)
    assert data.fingerprint() == load_dataset(str(folder)).fingerprint()


def test_grey_images_have_one_channel(folder):
    for path in folder.rglob("*.png"):
        Image.open(path).convert("L").save(path)
    assert load_dataset(str(folder)).channels == 1


def test_a_file_that_is_no_image_is_named(folder):
    (folder / "cat" / "3.png").write_bytes(b"\x89PNG but no more")
    with pytest.raises(DataError, match=r"3\.png"):
        load_dataset(str(folder))


def test_a_folder_without_classes_says_what_to_make(tmp_path):
    with pytest.raises(DataError, match="one sub-directory for each class"):
        load_dataset(str(tmp_path))


def test_a_class_of_too_few_images_is_named():
    images = np.zeros((8, 4, 4, 1), np.float32)
    with pytest.raises(DataError, match="'few'"):
        split_dataset("x", ("many", "few"), images, np.array([0] * 6 + [1] * 2))


def test_a_data_set_of_one_class_is_none(idx_directory):
    for part, count in (("train", 30), ("t10k", 12)):
        packed = gzip.compress(idx(np.zeros(count)))
        (idx_directory / f"{part}-{LABELS}.gz").write_bytes(packed)
    with pytest.raises(DataError, match="2 classes or more"):
        load_dataset("fashion-mnist", idx_directory)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "spoil",
    [
        lambda png: png[:33] + b"\0\0\0\1\xe8\x38\xfd\x88" + png[33:],  # a chunk of no name
        lambda png: png[:16] + (10_000).to_bytes(4, "big") * 2 + png[24:],  # 100 million pixels
        lambda png: png[: len(png) // 2],
    ],
)
def test_a_damaged_image_is_named(folder, spoil):
    path = folder / "cat" / "3.png"
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(DataError, match=r"3\.png"):
        load_dataset(str(folder))


def test_16_bits_a_pixel_are_read_as_8(folder):
    for index, path in enumerate(sorted(folder.rglob("*.png"))):
        Image.fromarray(np.full((8, 8), 257 * index, np.uint16)).save(path)
    data = load_dataset(str(folder))
    levels = {round((float(x) + 1) * 127.5) for x in data.train.images[:, 0, 0, 0]}
    assert len(levels) == 12
    assert levels < set(range(20))
