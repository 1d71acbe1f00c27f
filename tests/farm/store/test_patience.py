"""A server that goes away in the middle of a transaction: nothing is lost, nothing stored twice."""

import pytest
from sqlalchemy import func, select

from farm.store import Store
from farm.store.audit import Who, append
from farm.store.tables import AUDIT, AUDIT_HEAD

ME = Who("me", "here", 1)


@pytest.fixture
def on_server(shared):
    url, _ = shared
    with Store(url) as store:
        yield store


def end_backend(store: Store, connection) -> None:
    """What the server does to each of its connections when it is restarted."""
    pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
    with store.database.reading() as other:
        other.execute(select(func.pg_terminate_backend(pid)))


def test_what_was_cut_off_is_done_again_once(on_server):
    calls = []
    before = len(on_server.entries("cut"))

    def act(connection):
        calls.append(append(connection, ME, "look", "cut").seq)
        if len(calls) == 1:
            end_backend(on_server, connection)

    on_server.database.write(act)
    assert len(calls) == 2
    assert len(on_server.entries("cut")) == before + 1
    on_server.verify()


@pytest.mark.parametrize("is_early", [True, False], ids=["before it", "behind it"])
def test_a_commit_of_which_nobody_heard_is_looked_for(on_server, monkeypatch, is_early):
    dialect = on_server.database._engine.dialect
    commit, calls = dialect.do_commit, []
    before = len(on_server.entries("commit"))

    def cut(connection) -> None:
        """The connection breaks before the server commits, or behind it."""
        monkeypatch.setattr(dialect, "do_commit", commit)
        if not is_early:
            commit(connection)
        pid = connection.dbapi_connection.info.backend_pid
        with on_server.database.reading() as other:
            other.execute(select(func.pg_terminate_backend(pid)))
        connection.cursor().execute("SELECT 1")

    def act(connection):
        calls.append(append(connection, ME, "look", "commit").seq)

    monkeypatch.setattr(dialect, "do_commit", cut)
    on_server.database.write(act)
    assert len(calls) == 1 + is_early
    assert len(on_server.entries("commit")) == before + 1
    on_server.verify()


def test_a_reader_sees_one_state_while_others_write(store, where):
    entries, end = select(func.count()).select_from(AUDIT), select(AUDIT_HEAD.c.seq)
    with store.database.reading() as connection:
        count = connection.execute(entries).scalar_one()
        with Store(where) as other:
            other.audit(ME, "look", "b")
        assert connection.execute(end).scalar_one() == count
    store.verify()
