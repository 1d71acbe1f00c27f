"""`tinyrack rack fault` and `rack power off|on`, as an operator types them."""

import json

import pytest

from farm.cli import main
from farm.rack.inventory import Board
from farm.virtual.faults_table import KINDS


def answer(capsys: pytest.CaptureFixture[str], code: int, *words: str) -> dict:
    assert main([*words, "--json"]) == code
    found = json.loads(capsys.readouterr().out)
    return found["results"][0] if code == 0 else found


def test_faults_and_power_from_the_command_line(
    board: Board, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, rack
) -> None:
    monkeypatch.setenv("TINYRACK_BOARDS", str(rack.path))
    b = board.id
    assert "rack up" in answer(capsys, 70, "rack", "fault", b)["error"]
    assert main(["rack", "up", "--boards", b]) == 0
    capsys.readouterr()
    try:
        assert answer(capsys, 0, "rack", "fault", b)["active"] == []
        words = ("rack", "fault", b, "uart-flip", "chance=0.5", "way=out", "--seed", "7")
        what = answer(capsys, 0, *words)["fault"]
        assert (what["kind"], what["values"]["chance"], what["seed"]) == ("uart-flip", 0.5, 7)
        assert answer(capsys, 0, "rack", "fault", b, "--list")["active"] == [what]
        status = answer(capsys, 0, "rack", "status", "--boards", b)
        assert status["faults"] == ["uart-flip chance=0.5 every=0 way=out seed=7"]
        assert answer(capsys, 0, "rack", "fault", b, "--clear")["cleared"] == 1
        assert answer(capsys, 0, "rack", "power", b, "off")["power"] == "off"
        assert answer(capsys, 0, "rack", "status", "--boards", b)["state"] == "off"
        assert main(["rack", "status", "--boards", b]) == 0
        assert "power off" in capsys.readouterr().out
        assert answer(capsys, 0, "rack", "power", b, "on")["power"] == "on"
        assert (
            answer(capsys, 0, "rack", "status", "--boards", b)["state"] == "lockup"
        )  # blank flash
        for wrong in (("no-such",), ("uart-flip", "way=up"), ("uart-flip", "--clear")):
            assert answer(capsys, 2, "rack", "fault", b, *wrong)["exit_code"] == 2
        assert "of which board" in answer(capsys, 2, "rack", "power", "off")["error"]
    finally:
        main(["rack", "down"])


def test_the_kinds_of_faults_are_listed_with_their_parameters(capsys, rack) -> None:
    assert main(["rack", "fault", "--list-kinds"]) == 0
    out = capsys.readouterr().out
    assert all(f"{kind}: " in out for kind in KINDS)
    assert "how=error  with the controller's error flag, or unnoticed, one of error, silent" in out
    assert "of which board" in answer(capsys, 2, "rack", "fault")["error"]
