"""The report of a search: one self-contained HTML file and one picture."""

from __future__ import annotations

import base64
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from engine.whole_file import replace_file
from nas import report_tables as tables
from nas.report_data import Run, load_run
from nas.report_plots import PICTURES, headline, overview_png, picture_svg
from nas.report_style import DARK, LIGHT

CAPTIONS = {
    "prediction": "Each measured candidate: cycles foreseen when the search decided about it "
    "against cycles measured. The bar reaches up to the bound that the search used.",
    "tradeoff": "Candidates: filled ones were measured, hollow ones predicted, pale ones are over "
    "a limit; their accuracy is that of the supernet's weights on validation images. The star is "
    "the winner after fine-tuning, its latency as measured, its accuracy in int8 on test images.",
    "layers": "Cycles of each layer of the winner: the bar is measured and coloured by the "
    "kernel that runs it, the line across it is what the latency model foresaw.",
}


def write_report(run_dir: Path) -> None:
    """Write report.html and report.png into the directory of a finished search.

    Reads nothing but that directory, and gives the same bytes for the same run. Raises RunError,
    which names file, line and field, when a part of the run is missing or malformed.
    """
    run = load_run(run_dir)
    replace_file(run_dir / "report.png", overview_png(run))
    replace_file(run_dir / "report.html", render_html(run).encode())


def render_html(run: Run) -> str:
    """The report as one HTML text with every picture inside."""
    environment = Environment(
        loader=PackageLoader("nas"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    good, sentence = tables.verdict(run)
    return environment.get_template("report.html").render(
        run=run,
        tables=tables,
        headline=headline(run).replace(r"\$", "$"),
        good=good,
        sentence=sentence,
        pictures={name: _pictures(name, run) for name in PICTURES},
        captions=CAPTIONS,
    )


def _pictures(name: str, run: Run) -> dict[str, str]:
    """The same picture for light and for dark readers, as data URIs."""
    return {theme.name: _data_uri(picture_svg(name, run, theme)) for theme in (LIGHT, DARK)}


def _data_uri(svg: bytes) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg).decode()
