"""Alembic's environment: `env.py` is run by it, `versions/` holds one step each."""
