"""Looking for traces in a database that other programs open and close meanwhile: real processes."""

from __future__ import annotations

import subprocess
import sys

from clients.consents.forgetting import clear_traces
from clients.vault import Vault

_LOOK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("PRAGMA journal_mode = WAL")
connection.execute("SELECT count(*) FROM sealed").fetchone()
connection.close()
"""


def test_a_program_that_comes_and_goes_does_not_take_the_log_away(tmp_path):
    """Who closes a database last removes its log; this process, which only searched the file, is still there."""
    vault = Vault.create(tmp_path)
    file = tmp_path / "vault.sqlite"
    for number in range(5):
        vault.put(f"job/{number}", bytes(5_000))
        clear_traces(vault.engine, [b"a needle that is not there"])
        vault.put(f"answered/{number}", bytes(5_000))
        subprocess.run([sys.executable, "-c", _LOOK, str(file)], check=True)
        assert (tmp_path / "vault.sqlite-wal").exists()
        vault.put(f"lending/{number}", bytes(5_000))
    assert len(vault.names()) == 15
    with vault.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar_one() == "ok"
    vault.close()
