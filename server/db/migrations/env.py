"""Run by Alembic, on the connection and within the transaction of `server.db.migrating`."""

from __future__ import annotations

from alembic import context

from server.db.migrating import configuration_of

context.configure(connection=context.config.attributes["connection"], **configuration_of())
context.run_migrations()
