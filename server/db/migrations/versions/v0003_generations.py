"""Which logins were proved before everything of an account was ended, and which began with a code."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision: str = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("access_user", sa.Column("generation", sa.Integer(), nullable=False, server_default="0"))
    op.add_column(
        "access_login", sa.Column("by_code", sa.Boolean(), nullable=False, server_default=sa.false())
    )


def downgrade() -> None:
    op.drop_column("access_login", "by_code")
    op.drop_column("access_user", "generation")
