"""The only reader of customer tables: CSV and Parquet files, minimised while loading.

`loading.load`, which only the gate may call (`clients.gate`), reads the columns a job needs and no others, keeps the
rows it may use, and says for every other row why not (the funnel). `validate` tells a data holder what is wrong with a
file before anyone asks for it. Both find all problems of a table before they report. No message here holds a cell's
value or an identifier.
"""

from clients.tables.problems import Problem, Problems
from clients.tables.report import FieldReport, TableReport, validate
from clients.tables.schema import ColumnSchema, TableSchema, read_schema
from clients.tables.specs import ConsentSpec, FieldSpec, TableSpec
from clients.tables.subjects import FunnelStep
from clients.tables.table import CustomerTable

__all__ = [
    "ColumnSchema", "ConsentSpec", "CustomerTable", "FieldReport", "FieldSpec", "FunnelStep",
    "Problem", "Problems", "TableReport", "TableSchema", "TableSpec", "read_schema", "validate",
]  # fmt: skip
