"""Version 1: measurements alone, as the first release wrote them with plain sqlite3."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_KEY = ("image_key", "board_type", "input_sha256", "expected_sha256")


def upgrade() -> None:
    """Make the table and its indexes."""
    op.create_table(
        "measurements",
        sa.Column("id", _ID, primary_key=True, autoincrement=True),
        *(sa.Column(n, sa.Text, nullable=False) for n in ("utc", "name", "status")),
        *(sa.Column(n, sa.Text, nullable=False) for n in ("board", "board_type")),
        sa.Column("virtual", sa.Boolean, nullable=False),
        *(sa.Column(n, sa.Text, nullable=False) for n in _KEY if n != "board_type"),
        sa.Column("timing_model", sa.Text),
        sa.Column("body", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("by_key", "measurements", list(_KEY))
    op.create_index("by_board", "measurements", ["board"])
