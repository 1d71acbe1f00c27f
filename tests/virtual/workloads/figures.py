"""Cycles a MAC of the virtual boards beside published silicon; writes docs/timing-figures.md.

python -m tests.virtual.workloads.figures [--models FOLDER]

With the folder of MLPerf Tiny's int8 files (by default ../shared/models, if there) the engine's
own networks are measured on the rack too.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from engine.toolchain import compiler_version
from tests.virtual.workloads.workload import macs, network, network_names, run

_TINYRACK = Path(sys.executable).with_name("tinyrack")
ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "timing-figures.md"
PARTS = ("stm32l4r5zi", "stm32f412zg", "stm32h743zi", "stm32f767zi", "stm32f746ng")
PAIR = ("stm32l4r5zi", "stm32h743zi")
FILES = {
    "vww": "mlperf_vww_96_int8.tflite",
    "ic": "mlperf_ic_resnet8_int8.tflite",
    "kws": "mlperf_kws_dscnn_int8.tflite",
    "ad": "mlperf_ad01_int8.tflite",
}
NETWORKS = network_names()
_TITLE = "# Virtual cycles beside published silicon"
_ORIGIN = (
    "Written by `nox -s timing`; [timing.md](timing.md) says what is modelled and from which "
    "sources. Compiler of the workloads: {compiler}, `-O3`."
)
_READING = (
    "Rows marked **virtual** are cycle models, not silicon; nothing in them was fitted to the "
    "other rows. The other rows are other people's engines, compilers and kernels, so only "
    "order and ratio can be compared."
)
Row = tuple[str, ...]


def main() -> None:
    """Measure, print and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    default = ROOT.parent / "shared" / "models"
    parser.add_argument("--models", type=Path, default=default, metavar="FOLDER")
    text = page(parser.parse_args().models)
    PAGE.write_text(text, encoding="utf-8")
    sys.stdout.write(text)


def page(models: Path) -> str:
    """The whole page."""
    ours = {part: [_per_mac(part, name) for name in NETWORKS] for part in PARTS}
    silicon = published()
    parts = [_TITLE, _ORIGIN.format(compiler=compiler_version()), _READING, "## Cycles a MAC"]
    for core in ("cortex-m4", "cortex-m7"):
        rows = [_virtual(part, ours[part]) for part in PARTS if _model(part)[:2] == core[-2:]]
        rows += sorted(_row(line) for line in silicon if line["core"] == core)
        parts += [f"### {core.replace('cortex-m', 'Cortex-M')}", _table(_HEAD, rows)]
    parts += [
        "## M7 cycles by M4 cycles, same kernels",
        _table(_RATIO_HEAD, _ratios(ours, silicon)),
    ]
    parts += _engine(models)
    return "\n\n".join(parts) + "\n"


_HEAD = ("stack", "board", "MHz", "round", *NETWORKS)
_RATIO_HEAD = ("stack", "boards", *NETWORKS)


def _model(part: str) -> str:
    return _RUNS[part, NETWORKS[0]].timing_model


_RUNS: dict[tuple[str, str], Any] = {}


def _per_mac(part: str, name: str) -> float:
    done = _RUNS[part, name] = run(part, network(name))
    return done.cycles / macs(name)


def _virtual(part: str, per_mac: Sequence[float]) -> Row:
    clock = _RUNS[part, NETWORKS[0]].clock_hz // 1_000_000
    name = f"**virtual** {part}, {_model(part)}"
    return ("workloads of this bench", name, str(clock), "-", *_figures(per_mac))


def published() -> list[dict[str, str]]:
    """The rows of published.csv: MLPerf Tiny, closed division, CPU alone."""
    with (Path(__file__).parent / "published.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def cycles_per_mac(line: dict[str, str]) -> list[float | None]:
    """Of a published row, by network; None where nothing was published."""
    rates = [(name, line[f"{name}_per_s"]) for name in NETWORKS]
    clock = float(line["clock_mhz"]) * 1e6
    return [clock / float(rate) / macs(name) if rate else None for name, rate in rates]


def _row(line: dict[str, str]) -> Row:
    stack = f"[{line['stack']}](https://{_source(line['source'])})"
    where = (line["board"], line["clock_mhz"], line["release"])
    return (stack, *where, *_figures(cycles_per_mac(line)))


def _source(place: str) -> str:
    repository, folder = place.split("/closed/")
    return f"{repository}/tree/main/closed/{folder}"


def _figures(values: Iterable[float | None]) -> Row:
    return tuple(f"{v:.2f}" if v else "-" for v in values)


def _ratios(ours: dict[str, list[float]], silicon: list[dict[str, str]]) -> list[Row]:
    m4, m7 = (ours[part] for part in PAIR)
    rows = [("workloads of this bench", "**virtual** " + " / ".join(reversed(PAIR)),
             *_figures(b / a for a, b in zip(m4, m7, strict=True)))]  # fmt: skip
    for line in silicon:
        twin = _twin(line, silicon)
        if twin:
            pairs = zip(cycles_per_mac(twin), cycles_per_mac(line), strict=True)
            boards = f"{line['board']} / {twin['board']}"
            stack = f"{line['stack']}, {line['release']}, {line['submitter']}"
            rows.append((stack, boards, *_figures(b / a if a and b else None for a, b in pairs)))
    return rows


def _twin(line: dict[str, str], silicon: list[dict[str, str]]) -> dict[str, str] | None:
    """The same stack's row on an L4R5, of a row on an M7."""
    same = ("release", "submitter", "core", "stack")
    wanted = [line[k] if k != "core" else "cortex-m4" for k in same]
    if line["core"] != "cortex-m7":
        return None
    found = [o for o in silicon if [_plain(o[k]) for k in same] == [_plain(w) for w in wanted]]
    return next((o for o in found if "L4R5" in o["board"].upper()), None)


def _plain(text: str) -> str:
    return text.removesuffix(".0").removesuffix(".0")


def _engine(models: Path) -> list[str]:
    if not all((models / file).is_file() for file in FILES.values()):
        return []
    rows: dict[str, list[float]] = {}
    for name, file in FILES.items():
        for found in _bench(models / file):
            key = f"{found['board_type']}, {found['timing_model']}"
            rows.setdefault(key, []).append(found["cycles"] / macs(name))
    table = [(f"**virtual** {key}", *_figures(values)) for key, values in sorted(rows.items())]
    text = "MLPerf Tiny's files as they are (`tinyrack bench --no-rewrite`), MACs of the file."
    return ["## This project's engine", text, _table(("board", *NETWORKS), table)]


def _bench(model: Path) -> list[dict[str, Any]]:
    command = (str(_TINYRACK), "bench", str(model), "--json", "--no-rewrite",
               "--boards", "virtual", "--again")  # fmt: skip
    done = subprocess.run(command, capture_output=True, check=True, text=True, timeout=600)
    results: list[dict[str, Any]] = json.loads(done.stdout)["results"]
    return results


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    text = sum(not cell[:1].isdigit() for cell in head if cell in NETWORKS)
    marks = ["---"] * (len(head) - text) + ["---:"] * text
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, marks, *rows))


if __name__ == "__main__":
    main()
