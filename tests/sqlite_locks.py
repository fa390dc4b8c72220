"""Whether another program finds a SQLite file locked."""

import subprocess
import sys

_TRY = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None)
try:
    connection.execute("BEGIN IMMEDIATE")
except sqlite3.OperationalError:
    print("locked")
"""


def is_locked(file):
    done = subprocess.run([sys.executable, "-c", _TRY, str(file)], capture_output=True, text=True, check=True)
    return done.stdout == "locked\n"
