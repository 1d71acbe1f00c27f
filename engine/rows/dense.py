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
        "run": _run(op, found.tile) if dense.sixes(op) else 0,
    }
    return Description("tr_dense", fields, DENSE_BYTES, (table,))


def _run(op: Op, tile: str) -> str:
    return tile.replace("tile", "sixes_wide" if dense.are_wide(op) else "sixes")


def count(graph: Graph, op: Op) -> Features:
    """Sixes of channels, then twos; groups of four inputs in each."""
    found = tiled.tiles(graph, op)
    assert found is not None
    assert op.weights is not None
    sixes, wide = dense.sixes(op), dense.are_wide(op)
    twos = -(-(len(op.weights) - dense.SIX * sixes) // 2)
    return {
        "calls": 1,
        "sixes": sixes * (not wide),
        "six_groups": sixes * dense.groups(op) * (not wide),
        "wide_sixes": sixes * wide,
        "wide_groups": sixes * dense.groups(op) * wide,
        "widened": dense.groups(op) * wide,
        "general_sixes": sixes * (found.shift == 0),
        "twos": twos,
        "two_groups": twos * dense.groups(op),
        "filled": op.weights.shape[1] * dense.is_filled(op),
        "clamped": clamped_bytes(graph, op),
    }


def _is_dense(graph: Graph, op: Op) -> bool:
    """Whether inputs are whole pairs of groups, as the kernel reads them, or few enough to copy."""
    assert op.weights is not None
    few = op.weights.shape[1] <= dense.MOST_FILLED
    return (few or not dense.is_filled(op)) and tiled.tiles(graph, op) is not None


ROWS: tuple[KernelRow, ...] = (
    KernelRow("tr_fully_connected", "fully_connected", "dense.c", _is_dense, count, describe),
)
