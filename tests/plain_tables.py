"""An independent reading of the sample world's files with plain pandas: the expectation of what a node loads."""

import numpy as np
import pandas as pd
from spelled import spell

from privacy.identifiers import IdentifierKind


def plain_pandas(folder, party, today):
    """The table with each row's subject and age, and why a row of the file may not be used ("eligible": it may)."""
    table = pd.read_csv(folder / party / "customers.csv", dtype={"phone": str})
    phones = [None if pd.isna(phone) else phone for phone in table["phone"]]
    table["subject"] = spell(IdentifierKind.PHONE, phones, ("12",))
    if "age" in table:
        years = table["age"]
    else:
        born = pd.to_datetime(table["birth_date"], errors="coerce")
        years = (pd.Timestamp(today) - born).dt.days // 365.2425
    table["years"] = years.where(years.between(0, 120))
    reason = pd.Series("eligible", index=table.index)
    reason[table["years"].isna()] = "age_unknown"
    reason[table["years"] < 14] = "under_age"
    reason[table["subject"].duplicated(keep="last")] = "duplicate"
    reason[table["subject"].isna()] = "identifier"
    return table, reason


def last_words(folder, party, purpose, kind="general", scope="", recipient=""):
    """The last word of each subject on one need, as a series of "granted" and "withdrawn"."""
    said = pd.read_csv(folder / party / "consents.csv", dtype=str, keep_default_na=False)
    said["recipient"] = said["recipient"].str.split(";")
    said = said.explode("recipient")
    about = said[["purpose", "kind", "scope", "recipient"]].eq([purpose, kind, scope, recipient]).all(axis=1)
    return said[about].groupby("phone")["status"].last()


def plain_values(spec, rows):
    """The registered columns of some rows: what is out of its range is missing."""
    values = rows[[field.name for field in spec.fields]].astype(float)
    for field in spec.fields:
        column = values[field.name]
        values[field.name] = column.where(column.between(field.minimum, field.maximum or np.inf))
    return values


def plain_transformed(spec, values):
    """The same after the transforms that the registration asks for."""
    logs = {field.name for field in spec.fields if field.transform == "log1p"}
    return values.apply(lambda column: np.log1p(column) if column.name in logs else column)
