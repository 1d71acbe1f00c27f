"""The audit: who did what to which board; every later change of it is found."""

import os
from dataclasses import replace

import pytest
from sqlalchemy import delete, text, update

from farm.errors import FarmError
from farm.store.audit import Who
from farm.store.tables import AUDIT, AUDIT_HEAD, MEASUREMENTS

# SQLite has no switch for a trigger, and every test has a file of its own.
GUARDS_OFF = {
    "sqlite": ("DROP TRIGGER audit_keeps_UPDATE", "DROP TRIGGER audit_keeps_DELETE"),
    "postgresql": ("SET LOCAL session_replication_role = replica",),
}


@pytest.fixture
def full(store, measurement):
    """A store with a measurement between two acts of people."""
    ann = Who("ann", "bench-1", 77)
    store.audit(ann, "quarantine", "f412-01", token=3, result="done", reason="smoke")
    store.add(measurement(provenance={"host": "bench-2", "pid": 5, "lease_token": 4}))
    store.audit(ann, "restore", "f412-01")
    return store


def forge(store, statement):
    """Change something as only somebody can who first takes the guards away."""
    with store.database.writing() as connection:
        for off in GUARDS_OFF[connection.dialect.name]:
            connection.execute(text(off))
        connection.execute(statement)


def test_an_entry_says_who_did_what_and_with_what_result(full):
    first, stored, last = full.entries()
    assert (first.user, first.host, first.pid) == ("ann", "bench-1", 77)
    assert (first.action, first.board, first.lease_token) == ("quarantine", "f412-01", 3)
    assert (first.result, first.facts) == ("done", {"reason": "smoke"})
    assert (stored.action, stored.host, stored.pid, stored.lease_token) == (
        "store",
        "bench-2",
        5,
        4,
    )
    assert stored.facts["measurement"] == 1
    assert [e.seq for e in (first, stored, last)] == [1, 2, 3]
    assert full.entries("other") == []


def test_a_chain_that_nobody_touched_holds(full):
    verdict = full.verify()
    assert (verdict.entries, verdict.measurements) == (3, 1)
    assert verdict.hash == full.entries()[-1].hash


def test_an_empty_chain_holds(store):
    assert store.verify().entries == 0


@pytest.mark.parametrize("statement", [update(AUDIT).values(user="bob"), delete(AUDIT)])
def test_the_database_itself_refuses_to_change_the_audit(full, statement):
    with pytest.raises(FarmError, match="append-only"), full.database.writing() as connection:
        connection.execute(statement)
    full.verify()


CHANGES = {
    "a value": (update(AUDIT).where(AUDIT.c.seq == 2).values(user="bob"), "entry 2 was changed"),
    "facts": (update(AUDIT).where(AUDIT.c.seq == 2).values(facts="{}"), "entry 2 was changed"),
    "torn facts": (update(AUDIT).where(AUDIT.c.seq == 2).values(facts="{"), "entry 2 was changed"),
    "one in the middle": (delete(AUDIT).where(AUDIT.c.seq == 2), "entry 2 is missing"),
    "the last": (delete(AUDIT).where(AUDIT.c.seq == 3), "entry 3 is missing"),
    "the end": (update(AUDIT_HEAD).values(hash="0"), "entry 4 is missing"),
    "a measurement": (update(MEASUREMENTS).values(body="{}"), "measurement 1.* was changed"),
    "no measurement": (delete(MEASUREMENTS), "measurement 1.* is missing"),
}


@pytest.mark.parametrize("change", list(CHANGES))
def test_every_change_is_found_and_named(full, change):
    statement, message = CHANGES[change]
    forge(full, statement)
    with pytest.raises(FarmError, match=message):
        full.verify()


def test_this_process_is_named(store):
    store.audit(Who.me(), "flash", "b", image_sha256="ab")
    assert store.entries()[0].pid == os.getpid()
    assert store.entries()[0].image_sha256 == "ab"


def test_the_hash_covers_every_value(full):
    entry = full.entries()[0]
    names = ("seq", "utc", "user", "host", "pid", "action", "board", "image_sha256", "result")
    hashes = {replace(entry, **{name: 9}).chained("") for name in names}
    assert len(hashes | {entry.chained(""), entry.chained("0")}) == len(names) + 2
