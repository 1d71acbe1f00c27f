"""A store on each kind of database; PostgreSQL where its server is installed."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, insert

from farm.store import Store
from farm.store.place import place_of
from farm.store.tables import AUDIT_HEAD, METADATA

NOBODY_THERE = "no PostgreSQL server is installed (`apt-get install postgresql`)"
OWNER = "postgres"  # who runs the server where the tests run as root, which it refuses


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The URL of a PostgreSQL server of these tests' own; no database name."""
    pytest.importorskip("psycopg", reason="tinyrack[postgres] is not installed")
    programs = [shutil.which("pg_ctl"), *map(str, Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))]
    found = next(filter(None, programs), None)
    if found is None:
        pytest.skip(NOBODY_THERE)
    folder = Path(tempfile.mkdtemp(prefix="tinyrack-pg-"))  # short: sockets have short paths
    try:
        user = _owner(folder)
        data, log = f"{folder}/data", f"{folder}/log"
        settings = f"-F -c listen_addresses= -c unix_socket_directories={folder}"
        _run(user, folder, found, "initdb", "-s", "-D", data, "-o", "-A trust --no-sync -U farm")
        _run(user, folder, found, "start", "-s", "-w", "-D", data, "-l", log, "-o", settings)
        yield f"postgresql://farm@/DATABASE?host={folder}"
        _run(user, folder, found, "stop", "-s", "-m", "immediate", "-D", data)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(user: int | None, folder: Path, *command: str) -> None:
    """Without pipes: the server would keep them open."""
    quiet = subprocess.DEVNULL
    subprocess.run(
        command, user=user, check=True, stdout=quiet, stderr=quiet, cwd=folder, timeout=60
    )


def _owner(folder: Path) -> int | None:
    if os.geteuid() != 0:
        return None
    try:
        user = pwd.getpwnam(OWNER)
    except KeyError:
        pytest.skip(f"the tests run as root and there is no user {OWNER!r} to run the server as")
    os.chown(folder, user.pw_uid, user.pw_gid)
    return user.pw_uid


@pytest.fixture
def postgres(server, request) -> str:
    """The URL of an empty database of a server."""
    return _new_database(server, f"t{abs(hash(request.node.nodeid)):x}")


@pytest.fixture(scope="session")
def shared(server) -> Iterator[tuple[str, Store]]:
    """A store on a server, for many tests, and its URL."""
    url = _new_database(server, "shared")
    with Store(url) as store:
        yield url, store


@pytest.fixture(scope="session")
def template(tmp_path_factory) -> Path:
    """An empty store: to copy it is faster than to make one."""
    path = tmp_path_factory.mktemp("template") / "results.db"
    Store(path).close()
    return path


def _new_database(server: str, name: str) -> str:
    url = place_of(server.replace("DATABASE", "postgres")).url
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    engine.dispose()
    return server.replace("DATABASE", name)


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request, tmp_path) -> str:
    """The URL of a database without tables, of each kind in turn."""
    if request.param == "postgresql":
        return request.getfixturevalue("postgres")
    return f"sqlite:///{tmp_path / 'results.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def where(request, tmp_path) -> str:
    """The URL of an empty store, on each kind of database in turn."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("template"), tmp_path / "results.db")
        return f"sqlite:///{tmp_path / 'results.db'}"
    url, store = request.getfixturevalue("shared")
    with store.database.writing() as connection:
        names = ", ".join(table.name for table in METADATA.sorted_tables)
        connection.exec_driver_sql(f"TRUNCATE {names} RESTART IDENTITY")
        connection.execute(insert(AUDIT_HEAD).values(id=1, seq=0, hash=""))
    return url


@pytest.fixture
def store(where) -> Iterator[Store]:
    with Store(where) as opened:
        yield opened
