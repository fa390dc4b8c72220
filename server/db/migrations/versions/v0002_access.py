"""Accounts, logins, tokens, codes that are good once, failed logins, and what waits for a second person."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision: str = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "access_user",
        sa.Column("name", sa.String(length=48), nullable=False),
        sa.Column("password", sa.String(length=200), nullable=False),
        sa.Column("roles", sa.JSON(), nullable=False),
        sa.Column("language", sa.String(length=8), nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("must_change", sa.Boolean(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_login", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("name", name="pk_access_user"),
    )
    op.create_table(
        "access_failure",
        sa.Column("name", sa.String(length=48), nullable=False),
        sa.Column("minute", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", "minute", name="pk_access_failure"),
    )
    op.create_table(
        "access_pending",
        sa.Column("number", sa.String(length=16), nullable=False),
        sa.Column("permission", sa.String(length=40), nullable=False),
        sa.Column("what", sa.String(length=64), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("asker", sa.String(length=48), nullable=False),
        sa.Column("asked", sa.DateTime(timezone=True), nullable=False),
        sa.Column("second", sa.String(length=48), nullable=False),
        sa.Column("answer", sa.String(length=16), nullable=False),
        sa.Column("answered", sa.DateTime(timezone=True), nullable=True),
        sa.Column("used", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("number", name="pk_access_pending"),
    )
    op.create_index("ix_access_pending_asked", "access_pending", ["asked"], unique=False)
    op.create_table(
        "access_login",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("user", sa.String(length=48), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user"], ["access_user.name"], name="fk_access_login_user"),
        sa.PrimaryKeyConstraint("id", name="pk_access_login"),
        sa.UniqueConstraint("digest", name="uq_access_login_digest"),
    )
    op.create_index("ix_access_login_user", "access_login", ["user"], unique=False)
    op.create_table(
        "access_token",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("user", sa.String(length=48), nullable=False),
        sa.Column("label", sa.String(length=80), nullable=False),
        sa.Column("roles", sa.JSON(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user"], ["access_user.name"], name="fk_access_token_user"),
        sa.PrimaryKeyConstraint("id", name="pk_access_token"),
        sa.UniqueConstraint("digest", name="uq_access_token_digest"),
    )
    op.create_index("ix_access_token_user", "access_token", ["user"], unique=False)
    op.create_table(
        "access_code",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("user", sa.String(length=48), nullable=False),
        sa.Column("expires", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user"], ["access_user.name"], name="fk_access_code_user"),
        sa.PrimaryKeyConstraint("digest", name="pk_access_code"),
    )
    op.create_index("ix_access_code_user", "access_code", ["user"], unique=False)


def downgrade() -> None:
    for table, index in (
        ("access_code", "ix_access_code_user"),
        ("access_token", "ix_access_token_user"),
        ("access_login", "ix_access_login_user"),
        ("access_pending", "ix_access_pending_asked"),
    ):
        op.drop_index(index, table_name=table)
        op.drop_table(table)
    op.drop_table("access_failure")
    op.drop_table("access_user")
