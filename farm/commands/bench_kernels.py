"""What `tinyrack bench` shows of the kernel suite: one row a case and board type."""

import math
from collections.abc import Sequence
from typing import Any

from farm.job import Job
from farm.mcus import load_mcu
from farm.measure import Measurement
from farm.output import print_line, print_table

COLUMNS = (
    *("case", "kernel", "kernel cycles ", "cycles/MAC ", "cycles/output "),
    *("network cycles ", "spread % ", "board"),
)


def kernel_figures(job: Job, m: Measurement) -> dict[str, Any]:
    """Keys for a JSON row: the last layer, which is the one that the case is about.

    kernel_cycles: of that layer alone, traced once; null unless the output was right.
    """
    layer = job.model.layers[-1]
    outputs = math.prod(layer.output_shape)
    cycles = m.layer_cycles[-1] if m.layer_cycles else None
    return {
        "kernel": layer.kernel,
        "kernel_cycles": cycles,
        "kernel_macs": layer.macs,
        "kernel_outputs": outputs,
        "kernel_cycles_per_mac": cycles / layer.macs if cycles and layer.macs else None,
        "kernel_cycles_per_output": cycles / outputs if cycles else None,
    }


def print_kernels(measured: Sequence[tuple[Job, Measurement]]) -> None:
    """A table for each board type, with what the figures were made with below it."""
    for board_type in dict.fromkeys(m.board_type for _, m in measured):
        rows = [(job, m) for job, m in measured if m.board_type == board_type]
        print_table(board_type, COLUMNS, [_cells(job, m) for job, m in rows])
        if made := sorted({_made_with(m) for _, m in rows if m.status == "ok"}):
            print_line("\n".join(made))


def _cells(job: Job, m: Measurement) -> tuple[object, ...]:
    figures = kernel_figures(job, m)
    if m.status != "ok":
        return (m.name, figures["kernel"], m.status, *(None,) * 4, m.board)
    per_mac, per_output = figures["kernel_cycles_per_mac"], figures["kernel_cycles_per_output"]
    return (
        m.name,
        figures["kernel"],
        f"{figures['kernel_cycles']:,}",
        None if per_mac is None else f"{per_mac:.2f}",
        f"{per_output:.1f}",
        f"{m.cycles:,}",
        f"{m.spread_percent:.2f}",
        f"{m.board}, stored" if m.source == "stored" else m.board,
    )


def _made_with(m: Measurement) -> str:
    """One line: board type, core, clock, compiler and flags, runs, and whether it is silicon."""
    mcu = str(m.provenance["mcu"])
    what = f"virtual: cycle model {m.timing_model}, not silicon" if m.virtual else "silicon"
    return (
        f"{m.board_type}, {mcu} ({load_mcu(mcu).core}) at {m.clock_hz / 1e6:g} MHz; "
        f"{m.provenance['compiler']} {m.provenance['compiler_flags']}; "
        f"network cycles: median of {len(m.samples)}; {what}"
    )
