"""Bringing a store up to date by alembic, whose import costs as much as SQLAlchemy's own."""

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection


def migrate(connection: Connection, version: int, to: str = "head") -> None:
    """Take every step from `version`, 0 for an empty store, within the connection's transaction.

    to: a step of migrations/versions to stop behind.
    """
    config = Config()
    config.set_main_option("script_location", "farm.store:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    if version == 1:
        command.stamp(config, "0001")  # version 1 knew nothing of alembic
    command.upgrade(config, to)
