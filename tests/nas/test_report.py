"""A report built from synthetic run directories: what it shows, what it refuses."""

import base64
import json
import math
import random
import re

import pytest

from nas.candidate import UNBOUNDED_CYCLES
from nas.errors import NasError
from nas.report import render_html, write_report
from nas.report_data import load_run
from nas.report_plots import PICTURES, picture_svg
from nas.report_style import DARK, LIGHT, bytes_text, plain

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
KERNELS = ("conv2d_1x1_dsp", "depthwise_3x3_dsp", "conv2d_plain", "add_dsp", "fully_connected_dsp")
BOARDS = {"f412-01": "nucleo-f412zg", "f767-01": "nucleo-f767zi"}
CLOCK_HZ = {"nucleo-f412zg": 100e6, "nucleo-f767zi": 216e6}
MODEL = {"nucleo-f412zg": "m4-v1", "nucleo-f767zi": "m7-v1"}


def candidate(dice, index, board_type, *, measured):
    cycles = dice.uniform(6e5, 9e6) * (0.62 if board_type == "nucleo-f767zi" else 1.0)
    predicted = cycles * dice.gauss(1.0, 0.03)
    truth = round(cycles)
    latency_ms = (truth if measured else predicted) / CLOCK_HZ[board_type] * 1e3
    return {
        "id": f"c{index:04d}",
        "stage": "width" if index < 30 else "depth",
        "arch": {"resolution": 16, "width": 0.5, "depths": [1, 2, 2]},
        "board_type": board_type,
        "accuracy": min(0.985, 0.9 + 0.02 * math.log(cycles / 5e5) + dice.gauss(0, 0.008)),
        "predicted_cycles": predicted,
        "predicted_upper_cycles": predicted * 1.06,
        "measured_cycles": truth if measured else None,
        "latency_ms": latency_ms,
        "peak_sram_bytes": 41_000 if measured else None,
        "predicted_sram_bytes": 40_500,
        "flash_bytes": 118_000 if measured else None,
        "predicted_flash_bytes": 117_000,
        "feasible": latency_ms <= 40,
        "source": "measured" if measured else "predicted",
        "virtual": True,
    }


def measurement(board, board_type, *, virtual=True):
    cycles = 2_412_345 if board_type == "nucleo-f412zg" else 1_501_234
    return {
        "name": "winner",
        "status": "ok",
        "message": "",
        "board": board,
        "board_type": board_type,
        "virtual": virtual,
        "image_sha256": "ab12" * 16,
        "image_key": "cd34" * 16,
        "input_sha256": "ef56" * 16,
        "expected_sha256": "0a1b" * 16,
        "output_sha256": "0a1b" * 16,
        "output_ok": True,
        "samples": [cycles] * 5,
        "cold_cycles": cycles + 9000,
        "cycles": cycles,
        "layer_cycles": [cycles // 4] * 4,
        "clock_hz": int(CLOCK_HZ[board_type]),
        "clock_measured_hz": CLOCK_HZ[board_type] * 1.0001,
        "latency_ms": cycles / CLOCK_HZ[board_type] * 1e3,
        "arena_bytes": 30_720,
        "static_ram_bytes": 38_000,
        "stack_bytes": 1_204,
        "peak_sram_bytes": 39_204,
        "flash_bytes": 104_448,
        "macs": 1_234_567,
        "cycles_per_mac": cycles / 1_234_567,
        "spread_percent": 0.02,
        "timing_model": MODEL[board_type] if virtual else None,
        "provenance": {"compiler": "clang 20.1.2 (zig)", "flags": "-O3", "tinyrack": "0.1.0"},
        "utc": "2026-11-22T14:00:00Z",
    }


def layer(dice, index, kernel, board_type):
    cycles = round(dice.uniform(2e4, 2.4e5))
    return {
        "name": f"block{index // 3}.{('expand', 'depthwise', 'project')[index % 3]}",
        "board_type": board_type,
        "kind": kernel.rsplit("_", 1)[0],
        "kernel": kernel,
        "macs": cycles // 2,
        "predicted_cycles": cycles * dice.gauss(1.0, 0.04),
        "measured_cycles": cycles,
    }


def parts(*, predicted=30, measured=24, boards=BOARDS, layers=8, virtual=True):
    """The three files' contents of a plausible run, for a test to bend."""
    dice = random.Random(7)
    types = list(boards.values())
    rows = [
        candidate(dice, i, types[i % len(types)], measured=i < measured)
        for i in range(predicted + measured)
    ]
    winner = {
        "arch": {"resolution": 16, "width": 0.5, "depths": [1, 2, 2]},
        "limits": {"sram_bytes": 65_536, "flash_bytes": 262_144, "latency_ms": 40},
        "float_accuracy": 0.9722,
        "int8_accuracy": 0.9694,
        "results": [measurement(*pair, virtual=virtual) for pair in boards.items()],
        "promised": {
            each: {"latency_ms": 24.6, "peak_sram_bytes": 39_000, "flash_bytes": 104_000}
            for each in types
        },
        "layers": [
            layer(dice, i, KERNELS[i % len(KERNELS)], each) for each in types for i in range(layers)
        ],
    }
    return {"data": "digits", "seed": 0, "boards": "all"}, rows, winner


def write_run(folder, config, rows, winner):
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "candidates.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "winner.json").write_text(json.dumps(winner))
    return folder


@pytest.fixture
def run_dir(tmp_path):
    return write_run(tmp_path / "run", *parts())


@pytest.fixture(scope="module")
def plain_run(tmp_path_factory):
    """The unbent run with its report, made once for the tests that only read it."""
    folder = write_run(tmp_path_factory.mktemp("plain") / "run", *parts())
    write_report(folder)
    return folder


@pytest.fixture(scope="module")
def plain_html(plain_run):
    return (plain_run / "report.html").read_text(encoding="utf-8")


@pytest.fixture
def _undrawn(monkeypatch):
    """For reports of which only the words are read."""
    monkeypatch.setattr("nas.report.picture_svg", lambda *_: b"<svg/>")


@pytest.fixture
def _drawn_once(monkeypatch):
    """For runs whose pictures all can be drawn: the overview holds each, so one more is enough."""

    def one(name, run, theme):
        drawn = (name, theme) == ("tradeoff", DARK)
        return picture_svg(name, run, theme) if drawn else b"<svg/>"

    monkeypatch.setattr("nas.report.picture_svg", one)


def report_of(folder):
    write_report(folder)
    assert (folder / "report.png").read_bytes().startswith(PNG_MAGIC)
    return (folder / "report.html").read_text(encoding="utf-8")


def test_report_shows_the_winner_beside_its_limits_and_promises(plain_html):
    for text in ("Within every limit", "24.12 ms", "promised 24.60 ms", "limit 40.00 ms"):
        assert text in plain_html
    for text in ("38.3 KiB", "limit 64.0 KiB", "102 KiB", "97.2 %", "96.9 %", "-0.28 points"):
        assert text in plain_html


def test_report_lists_every_measured_candidate_and_no_other(plain_html):
    ids = set(re.findall(r"\bc0\d\d\d\b", plain_html))
    assert ids == {f"c{index:04d}" for index in range(24)}


def test_report_says_in_words_and_in_the_picture_that_virtual_is_not_silicon(plain_html):
    note = re.search(r'<div class="note">(.*?)</div>', plain_html, re.S)
    assert note
    assert re.search(r"virtual board, cycle\s+models m4-v1, m7-v1,\s+not silicon", note[1])


@pytest.mark.usefixtures("_undrawn")
def test_report_of_real_boards_speaks_of_no_virtual_board(tmp_path):
    config, rows, winner = parts(virtual=False)
    rows = [row | {"virtual": False} for row in rows]
    assert "irtual" not in render_html(load_run(write_run(tmp_path / "run", config, rows, winner)))


def test_report_needs_nothing_outside_the_file(plain_html):
    assert "<script" not in plain_html
    sources = re.findall(r'(?:src|srcset|href)="([^"]*)"', plain_html)
    assert len(sources) == 2 * len(PICTURES)
    for source in sources:
        head, _, body = source.partition(",")
        assert head == "data:image/svg+xml;base64"
        assert b"<svg" in base64.b64decode(body)


def test_same_run_gives_the_same_bytes(run_dir, plain_run, plain_html):
    assert report_of(run_dir) == plain_html
    assert (run_dir / "report.png").read_bytes() == (plain_run / "report.png").read_bytes()
    assert not list(run_dir.glob("*.part"))


@pytest.mark.usefixtures("_drawn_once")
@pytest.mark.parametrize(("predicted", "measured"), [(5, 0), (0, 1), (0, 0)])
def test_report_of_few_candidates(tmp_path, predicted, measured):
    bent = parts(predicted=predicted, measured=measured, boards={"f412-01": "nucleo-f412zg"})
    html = report_of(write_run(tmp_path / "run", *bent))
    assert ("No candidate was measured" in html) is (measured == 0)
    assert f"{measured} of {predicted + measured} candidates" in html


@pytest.mark.usefixtures("_undrawn")
def test_bound_that_the_model_did_not_have_is_left_out(tmp_path):
    config, rows, winner = parts(predicted=0, measured=2)
    rows[0]["predicted_upper_cycles"] = UNBOUNDED_CYCLES
    html = render_html(load_run(write_run(tmp_path / "run", config, rows, winner)))
    assert "0 of 0" in html
    assert "1,000,000,000,000,000" not in html


@pytest.mark.usefixtures("_undrawn")
def test_report_of_a_winner_without_layers(tmp_path):
    run = load_run(write_run(tmp_path / "run", *parts(layers=0)))
    assert b"<svg" in picture_svg("layers", run, LIGHT)
    html = render_html(run)
    assert "No layer of the winner was measured" in html


@pytest.mark.usefixtures("_drawn_once")
def test_names_with_markup_are_shown_and_not_obeyed(tmp_path):
    evil = '<script>alert("x")</script> & $\\frac{a}$ \u2603'
    config, rows, winner = parts(predicted=2, measured=2)
    rows[0] |= {"id": evil, "stage": evil}
    winner["layers"][0] |= {"name": evil, "kernel": evil}
    winner["results"][0] |= {"name": evil, "board": evil}
    winner["results"][0]["provenance"][evil] = evil
    html = report_of(write_run(tmp_path / "run", config | {"data": evil, evil: evil}, rows, winner))
    assert "<script" not in html
    assert "&lt;script&gt;alert(&#34;x&#34;)&lt;/script&gt; &amp;" in html


@pytest.mark.usefixtures("_undrawn")
def test_winner_over_a_limit_is_called_so(tmp_path):
    config, rows, winner = parts(predicted=2, measured=2)
    winner["limits"]["latency_ms"] = 20.0
    html = render_html(load_run(write_run(tmp_path / "run", config, rows, winner)))
    assert "Over a limit, as measured on f412-01." in html
    assert html.count("(over)") == 1


@pytest.mark.usefixtures("_undrawn")
def test_wrong_output_is_reported_without_a_latency(tmp_path):
    config, rows, winner = parts(predicted=2, measured=2)
    bad = {"status": "wrong_output", "output_ok": False, "message": "12 of 10 bytes differ"}
    untimed = dict.fromkeys(
        ("cycles", "cold_cycles", "latency_ms", "cycles_per_mac", "spread_percent")
    )
    winner["results"][1] |= bad | untimed | {"samples": [], "layer_cycles": []}
    html = render_html(load_run(write_run(tmp_path / "run", config, rows, winner)))
    assert "No valid measurement on f767-01" in html
    assert "12 of 10 bytes differ" in html
    assert "6.95 ms" not in html


GONE = object()


@pytest.mark.parametrize(
    ("where", "value", "message"),
    [
        (("rows", 1, "accuracy"), math.nan, r"candidates.jsonl line 2: .*NaN"),
        (("rows", 0, "predicted_cycles"), math.inf, r"line 1: .*Infinity"),
        (("rows", 2, "accuracy"), 1.5, r"line 3: accuracy must be .* 0 to 1"),
        (("rows", 0, "predicted_cycles"), GONE, r"predicted_cycles .* is missing"),
        (("rows", 0, "measured_cycles"), 0, r"measured_cycles must be"),
        (("rows", 0, "measured_cycles"), 10**400, r"measured_cycles must be"),
        (("rows", 0, "virtual"), "yes", r"virtual must be true or false"),
        (("rows", 0, "source"), "guessed", r"source must be one of predicted"),
        (("rows", 0, "stage"), "x" * 5000, r"stage must be a text of at most"),
        (("winner", "float_accuracy"), GONE, r"winner.json: float_accuracy .* missing"),
        (("winner", "results"), [], r"results must be a list of at least one"),
        (("winner", "layers"), {}, r"layers must be a list of objects"),
        (("winner", "layers", 1, "kernel"), GONE, r"layers\[1\]: kernel .* missing"),
        (("winner", "limits", "sram_bytes"), GONE, r"limits: sram_bytes .* missing"),
        (("winner", "results", 0, "timing_model"), None, r"timing_model must be"),
        (("winner", "results", 0, "cycles"), 3, r"results\[0\]: .*median"),
    ],
)
def test_malformed_run_is_refused_by_place_and_field(tmp_path, where, value, message):
    config, rows, winner = parts(predicted=2, measured=2)
    *path, last = where
    spot = {"rows": rows, "winner": winner}
    for step in path:
        spot = spot[step]
    spot[last] = value
    if value is GONE:
        del spot[last]
    folder = write_run(tmp_path / "run", config, rows, winner)
    with pytest.raises(NasError, match=message):
        write_report(folder)
    assert not list(folder.glob("report*"))


@pytest.mark.parametrize("name", ["config.json", "candidates.jsonl", "winner.json"])
def test_file_missing_cut_short_or_not_text_is_refused(run_dir, name):
    path = run_dir / name
    whole = path.read_bytes()
    for content in (whole[: len(whole) - 9], b"\xff\xfe\x00", b"[1]\n", b"[" * 100_000):
        path.write_bytes(content)
        with pytest.raises(NasError, match=name):
            load_run(run_dir)
    path.unlink()
    with pytest.raises(NasError, match="the search has not finished"):
        load_run(run_dir)


def test_run_that_is_no_directory_is_refused(tmp_path):
    with pytest.raises(NasError, match="is not a directory"):
        load_run(tmp_path / "none")


def test_dark_picture_differs_from_light_and_has_no_date(run_dir):
    svg = picture_svg("layers", load_run(run_dir), DARK)
    assert DARK.background.encode() in svg
    assert b"<dc:date>" not in svg


def test_texts_for_readers():
    assert [bytes_text(v) for v in (512, 1536, 131_072, 1 << 20)] == [
        "512 B",
        "1.50 KiB",
        "128 KiB",
        "1.00 MiB",
    ]
    assert plain("a$b\n\u2603") == r"a\$b??"
    assert len(plain("x" * 99, 20)) == 20
