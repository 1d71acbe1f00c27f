"""Where the store is: a SQLite file or a PostgreSQL database, by path or URL."""

import os
from dataclasses import dataclass
from pathlib import Path

import platformdirs
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from farm.errors import InventoryError
from farm.rack.inventory import Rack

VARIABLE = "TINYRACK_STORE"
_DRIVERS = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}
_DRIVERS |= {name: name for name in ("postgresql+psycopg", "sqlite")}


@dataclass(frozen=True)
class Place:
    """A database; `path` is its file, None for one on a server."""

    url: URL
    path: Path | None

    def __str__(self) -> str:
        return str(self.path) if self.path else _shown(self.url)


def place_of(where: Path | str | None = None, rack: Rack | None = None) -> Place:
    """The place given, else $TINYRACK_STORE, else the rack's, else the user's state folder.

    A relative path in boards.yaml begins at the folder of that file. InventoryError for a URL of
    another kind of database.
    """
    given = where or os.environ.get(VARIABLE) or (_of_rack(rack) if rack else None)
    if not given:
        return _file(platformdirs.user_state_path("tinyrack") / "results.db")
    if isinstance(given, Path) or "://" not in given:
        return _file(Path(given).expanduser())
    return _from_url(given)


def _shown(url: URL) -> str:
    """As it is given: without the driver, and without passwords."""
    kind = url.get_backend_name()
    url = url.set(query={key: "***" if "password" in key else v for key, v in url.query.items()})
    return url.set(drivername=kind).render_as_string(hide_password=True).replace("%2F", "/")


def _of_rack(rack: Rack) -> Path | str | None:
    if not rack.store or "://" in rack.store:
        return rack.store or None
    return rack.path.parent / Path(rack.store).expanduser()


def _file(path: Path) -> Place:
    return Place(URL.create("sqlite", database=str(path)), path)


def _from_url(text: str) -> Place:
    kinds = "a path, sqlite:///PATH or postgresql://USER@HOST/DATABASE"
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:
        raise InventoryError(f"the store's URL cannot be read; it must be {kinds}") from error
    if url.drivername not in _DRIVERS:
        raise InventoryError(f"the store cannot be a {url.drivername} database; it must be {kinds}")
    if url.drivername != "sqlite":
        return Place(url.set(drivername=_DRIVERS[url.drivername]), None)
    if not url.database or url.database == ":memory:":
        raise InventoryError("the store must outlive this process: name a file, sqlite:///PATH")
    return _file(Path(url.database))
