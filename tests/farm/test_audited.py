"""What commands do to boards stands in the audit, with how it ended."""

import pytest

from farm.commands.audited import audited
from farm.errors import BenchError
from farm.store import Store


def test_what_worked_is_done(rack, board):
    with audited(rack, "flash", board, image_sha256="ab", image="x.elf"):
        pass
    with Store(rack=rack) as store:
        (entry,) = store.entries(board.id)
    assert (entry.action, entry.result, entry.image_sha256) == ("flash", "done", "ab")
    assert entry.facts == {"image": "x.elf"}


@pytest.mark.parametrize(
    ("error", "result"),
    [
        (BenchError("no probe"), "failed: no probe"),
        (OSError("no room"), "failed: no room"),
        (KeyboardInterrupt(), "interrupted"),
    ],
)
def test_what_did_not_work_says_so(rack, board, error, result):
    with pytest.raises(type(error)), audited(rack, "power", board, switch="off"):
        raise error
    with Store(rack=rack) as store:
        assert [entry.result for entry in store.entries()] == [result]
