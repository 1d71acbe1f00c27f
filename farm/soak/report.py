"""A soak as text: a line for each look at it, and a table with the findings at its end."""

from __future__ import annotations

from typing import Any

from farm.soak.census import KINDS, Sample

_MIB = 1024


def line(sample: Sample) -> str:
    """One sample as a line of progress."""
    memory = ", ".join(
        f"{sample.number(kind)} {kind}s {sample.total(kind, 'pss_kib') // _MIB} MiB"
        for kind in KINDS
        if sample.number(kind)
    )
    return (
        f"soak: {sample.at_s / 60:5.1f} min, {sample.done} measured, {sample.failures} failed; "
        f"{memory}; {_sum(sample.to_json(), 'descriptors')} descriptors, "
        f"{_sum(sample.to_json(), 'terminals')} terminals, {sample.files} files"
    )


def table(report: dict[str, Any]) -> str:
    """The samples as rows, and the findings below them."""
    head = (
        "| minute | measured | manager MiB | workers MiB | daemons MiB | processes "
        "| descriptors | terminals | files | temporary |"
    )
    rows = [head, "|" + " ---: |" * (head.count("|") - 1)]
    rows += [_row(sample) for sample in report["samples"]]
    rows += ["", "| finding | value | limit | |", "| --- | ---: | ---: | --- |"]
    rows += [
        f"| {f['what']} | {f['value']:g} {f['unit']} | {f['limit']:g} "
        f"| {'fine' if f['fine'] else 'LEAK'} |"
        for f in report["findings"]
    ]
    work = report["work"]
    struck = ", ".join(f"{kind} {count}" for kind, count in report.get("faults", {}).items())
    rows += ["", f"faults: {struck}"] if struck else []
    rows += ["", f"{work['done']} measurements, {work['failures']} failures."]
    return "\n".join(rows) + "\n"


def _row(sample: dict[str, Any]) -> str:
    memory = [sample[kind]["pss_kib"] / _MIB for kind in ("manager", "worker", "daemon")]
    counts = [sum(sample[kind]["count"] for kind in KINDS if kind != "tool")]
    counts += [_sum(sample, "descriptors"), _sum(sample, "terminals")]
    counts += [sample["files"], sample["temporary"]]
    cells = [f"{sample['at_s'] / 60:.1f}", str(sample["done"]), *(f"{m:.0f}" for m in memory)]
    return "| " + " | ".join([*cells, *map(str, counts)]) + " |"


def _sum(sample: dict[str, Any], what: str) -> int:
    return sum(int(sample[kind][what]) for kind in KINDS if kind != "tool")
