"""A party's own results on its disk: `results/<job>-<session>/customers.csv`, for its own people."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from privacy.errors import ConfigInvalid

CUSTOMERS: Final = "customers.csv"


def write_customers_file(folder: Path, customers: pd.DataFrame) -> None:
    """Write the customers, which have a column `row`: their place in the party's own table."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = folder / CUSTOMERS
    file.touch(mode=0o600)
    customers.sort_values("row").to_csv(file, index=False)


def read_people(file: Path, needed: str) -> pd.DataFrame | None:
    """A file about people as text, so that an identifier keeps its zeros; None for one that is no table with the column
    `needed`. Raises `ConfigInvalid` for one that is not there.
    """
    try:
        found = pd.read_csv(file, dtype=str, keep_default_na=False)
    except FileNotFoundError:
        raise ConfigInvalid("file_missing", file=file) from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError):
        return None
    return found if needed in found else None


def remove_customers(folder: Path, rows: np.ndarray[Any, np.dtype[np.int64]]) -> None:
    """Customers whose rows have left a job leave its results as well, where there are any yet."""
    file = folder / CUSTOMERS
    if file.exists():
        found = pd.read_csv(file, dtype=str)
        gone = found["row"].astype(np.int64).isin(rows)
        if gone.any():
            found[~gone].to_csv(file, index=False)
