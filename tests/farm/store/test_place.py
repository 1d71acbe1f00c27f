"""Where the store is: what is named, else the environment, else the rack, else the state."""

from dataclasses import replace
from pathlib import Path

from farm.store.place import place_of


def test_what_is_named_wins_over_the_environment_and_that_over_the_rack(rack, monkeypatch):
    rack = replace(rack, store="of-rack.db")
    assert place_of(None, rack).path == rack.path.parent / "of-rack.db"
    monkeypatch.setenv("TINYRACK_STORE", "/var/of-environment.db")
    assert place_of(None, rack).path == Path("/var/of-environment.db")
    assert place_of("named.db", rack).path == Path("named.db")
    assert place_of(Path("named.db"), rack).path == Path("named.db")


def test_a_rack_without_a_store_uses_the_state_folder(rack):
    assert place_of(None, rack) == place_of()


def test_a_server_is_named_without_its_password():
    place = place_of("postgresql://me:secret@host/db")
    assert place.path is None
    assert str(place) == "postgresql://me:***@host/db"
    assert "secret" not in str(place_of("postgresql://host/db?password=secret&sslpassword=secret"))
