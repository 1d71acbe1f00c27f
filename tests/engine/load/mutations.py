"""Files spoiled in many ways, each by a seed and a number: the same pair, the same bytes."""

import random
import struct

import tflite

EXTREMES = (
    0, 1, 2, 3, 4, 7, 8, 64, 127, 128, 255, 256, 4096, 65_535, 65_536, 0x7FFF_FFFF, 0x8000_0000,
    0x8000_0001, 0xFFFF_FFFC, 0xFFFF_FFFE, 0xFFFF_FFFF, 0x7F80_0000, 0x7FC0_0000, 0x0080_0000,
)  # fmt: skip
CHANGES = (1, 1, 1, 1, 2, 2, 3, 6)
LARGE_BUFFER_BYTES = 64
LIKES_SMALL = 10_000  # bytes: a file much smaller is spoiled more often


class Seed:
    """A file to spoil; `places` are ranges without the bulk of its weights."""

    def __init__(self, name, data):
        self.name, self.data = name, data
        self.places = structure(data)
        self.sizes = [place.stop - place.start for place in self.places]


def structure(data):
    """The ranges of a sound file that are not the insides of large buffers."""
    model, cuts = tflite.Model.GetRootAs(data, 0), []
    for index in range(model.BuffersLength()):
        buffer = model.Buffers(index)
        if buffer.DataLength() > LARGE_BUFFER_BYTES:
            values = buffer.DataAsNumpy().tobytes()
            start = data.find(struct.pack("<I", len(values)) + values) + 4
            cuts.append((start, start + len(values)))
    edges = [0, *(edge for cut in sorted(cuts) for edge in cut), len(data)]
    return [range(*pair) for pair in zip(edges[::2], edges[1::2], strict=True) if pair[0] < pair[1]]


def mutated(seeds, seed, number):
    """The file of that number: (name of what it was, bytes)."""
    rng = random.Random(f"{seed}:{number}")
    chosen = rng.choices(seeds, [1 + LIKES_SMALL / len(each.data) for each in seeds])[0]
    data = bytearray(chosen.data)
    for _ in range(rng.choice(CHANGES)):
        if len(data) < 16:
            break
        rng.choice(MUTATIONS)(rng, data, chosen, seeds)
    return chosen.name, bytes(data)


def place(rng, data, chosen, size=1):
    """An offset, mostly in the structure of the file and not in its weights."""
    if rng.random() < 0.1:
        at = rng.randrange(len(data))
    else:
        at = rng.choice(rng.choices(chosen.places, chosen.sizes)[0])
    if size > 1 and rng.random() < 0.9:
        at -= at % size
    return max(0, min(at, len(data) - size))


def flip_bits(rng, data, chosen, seeds):
    for _ in range(rng.choice((1, 1, 2, 8))):
        data[place(rng, data, chosen)] ^= 1 << rng.randrange(8)


def set_bytes(rng, data, chosen, seeds):
    for _ in range(rng.choice((1, 1, 4))):
        data[place(rng, data, chosen)] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))


def set_word(rng, data, chosen, seeds):
    value = rng.choice((*EXTREMES, len(data), len(data) - 1, rng.randrange(1 << 32)))
    struct.pack_into("<I", data, place(rng, data, chosen, 4), value)


def nudge_word(rng, data, chosen, seeds):
    at = place(rng, data, chosen, 4)
    value = struct.unpack_from("<I", data, at)[0] + rng.choice((-8, -4, -2, -1, 1, 2, 4, 8))
    struct.pack_into("<I", data, at, value & 0xFFFF_FFFF)


def set_half(rng, data, chosen, seeds):
    value = rng.choice((0, 4, 6, 0x7FFF, 0x8000, 0xFFFF, rng.randrange(1 << 16)))
    struct.pack_into("<H", data, place(rng, data, chosen, 2), value)


def swap_words(rng, data, chosen, seeds):
    a, b = place(rng, data, chosen, 4), place(rng, data, chosen, 4)
    data[a : a + 4], data[b : b + 4] = data[b : b + 4], data[a : a + 4]


def point_elsewhere(rng, data, chosen, seeds):
    """An offset, as flatbuffers has them, to some other place of the file."""
    at, target = place(rng, data, chosen, 4), place(rng, data, chosen, 4)
    struct.pack_into("<I", data, at, (target - at) & 0xFFFF_FFFF)


def truncate(rng, data, chosen, seeds):
    del data[rng.choice((place(rng, data, chosen), len(data) - rng.randint(1, 16))) :]


def lengthen(rng, data, chosen, seeds):
    data += rng.randbytes(rng.choice((1, 4, 64, 4096)))


def splice(rng, data, chosen, seeds):
    """A stretch of this file or another, laid over or put in."""
    other, size = rng.choice(seeds), rng.choice((4, 8, 16, 64, 256))
    start = place(rng, other.data, other, 4)
    at = place(rng, data, chosen, 4)
    piece = other.data[start : start + size]
    data[at : at + (len(piece) if rng.random() < 0.7 else 0)] = piece


def clear(rng, data, chosen, seeds):
    at, size = place(rng, data, chosen, 4), rng.choice((4, 16, 64))
    data[at : at + size] = bytes([rng.choice((0, 0xFF))]) * len(data[at : at + size])


MUTATIONS = (
    flip_bits, set_bytes, set_word, set_word, nudge_word, nudge_word, set_half, swap_words,
    swap_words, point_elsewhere, point_elsewhere, truncate, lengthen, splice, clear,
)  # fmt: skip
