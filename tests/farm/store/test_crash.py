"""Nothing stored is lost by a crash: a few of the many kills of `nox -s crash`."""

import pytest

from farm.errors import FarmError
from farm.store import Store, crash, crash_trial
from farm.store.place import place_of


def test_nothing_stored_is_lost_when_writers_are_killed_at_random_points(tmp_path):
    tally = crash.run(tmp_path, crash.Plan(16, seed=11))
    assert tally.kills == 16
    assert tally.said > 25
    assert tally.early > 0
    assert tally.said <= tally.kept <= tally.said + tally.kills


def test_a_lost_row_would_be_noticed(tmp_path):
    trial = crash_trial.Trial(place_of(tmp_path / "results.db"), chance=None, said={"row 1"})
    Store(trial.place.path).close()
    with pytest.raises(FarmError, match="1 stored rows are lost, the first row 1"):
        trial.check()


def test_the_module_tells_its_figures(capsys):
    assert crash.main(["--kills", "2"]) == 0
    assert "2 writers killed" in capsys.readouterr().out
