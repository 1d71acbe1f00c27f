"""The fully connected kernel of six channels at a time."""

from engine import c_text, dense, tiled
from engine.features import clamped_bytes
from engine.graph import Graph, Op
from engine.kernel_row import Description, Features, KernelRow, Table

DENSE_BYTES = 32  # tr_dense in kernels.h


def describe(graph: Graph, op: Op) -> Description:
    """tr_dense with the one stream that it reads."""
    found = tiled.tiles(graph, op)
    assert found is not None
    assert op.weights is not None
    table = Table(
        "stream",
        lambda name: c_text.numbers_table(name, "int32_t", dense.stream(op, found).tolist()),
        4 * dense.word_count(op, found),
    )
    fields: dict[str, int | str] = {
        "inputs": op.weights.shape[1],
        "sixes": dense.sixes(op),
        "outputs": len(op.weights),
        "shift": found.shift,
        "clamp_min": op.clamp[0],
        "clamp_max": op.clamp[1],
        "run": found.tile.replace("tile", "sixes"),
    }
    return Description("tr_dense", fields, DENSE_BYTES, (table,))


def count(graph: Graph, op: Op) -> Features:
    """Sixes of channels, then twos; groups of four inputs in each."""
    found = tiled.tiles(graph, op)
    assert found is not None
    assert op.weights is not None
    sixes = dense.sixes(op)
    twos = -(-(len(op.weights) - dense.SIX * sixes) // 2)
    return {
        "calls": 1,
        "sixes": sixes,
        "six_groups": sixes * dense.groups(op),
        "general_sixes": sixes * (found.shift == 0),
        "twos": twos,
        "two_groups": twos * -(-op.weights.shape[1] // 4),
        "clamped": clamped_bytes(graph, op),
    }


def _is_dense(graph: Graph, op: Op) -> bool:
    """Whether inputs come in pairs of groups: the kernel reads whole ones."""
    assert op.weights is not None
    return -(-op.weights.shape[1] // 4) % 2 == 0 and tiled.tiles(graph, op) is not None


ROWS: tuple[KernelRow, ...] = (
    KernelRow("tr_fully_connected", "fully_connected", "dense.c", _is_dense, count, describe),
)
