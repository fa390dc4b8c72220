"""Writes `joint_model.ipynb` from the cells below, run at the coordinator that `silhouette login` has left.

    python examples/notebook/make.py

A notebook is JSON (nbformat 4.5), and these cells need no kernel: they are run here, in order, in one namespace.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import re
from pathlib import Path
from typing import Any, Final

NOTEBOOK: Final = Path(__file__).with_name("joint_model.ipynb")
WORDS: Final = "markdown"
CODE: Final = "code"

CELLS: Final = (
    (
        WORDS,
        """\
# A joint model in ten lines

A bank and an online shop find their shared customers, group them into segments and train a risk model together. This
notebook only asks for it: it holds no row and no key. It needs a coordinator, nodes whose owners have registered
tables, and a token of a modeller (`silhouette login https://coordinator.example:8441 --name ada`).""",
    ),
    (
        CODE,
        """\
from federation.client import connect, draft

console = connect()
console.me().roles""",
    ),
    (WORDS, "What is there to work with: names of columns, never a value or a size."),
    (
        CODE,
        """\
for dataset in console.datasets:
    print(f"{dataset.party}: {', '.join(dataset.fields)}")""",
    ),
    (WORDS, "The job. Which purpose it is for decides, at every party, whether it may run."),
    (
        CODE,
        """\
wanted = draft(
    "notebook",
    "credit_risk",
    label_holder="bank",
    fields={
        "bank": ["monthly_income", "card_utilisation", "enquiries_6m", "late_payments_12m"],
        "ecommerce": ["orders_12m", "night_order_rate", "return_rate", "instalment_rate"],
    },
    segments={"n_clusters": 3},
    risk={"trees": 20, "depth": 3, "learning_rate": 0.2},
)
for party in console.jobs.preview(wanted).parties:
    for stage in party.stages:
        print(
            f"{party.party}, {stage.stage}: {len(stage.leaves)} things leave, of {len(stage.fields)} fields"
        )""",
    ),
    (WORDS, "Every party has to say yes: a person at its desk, or its policy. Then the coordinator runs it."),
    (
        CODE,
        """\
job = console.jobs.propose(wanted)
job.wait(progress=True, timeout=3600)""",
    ),
    (
        WORDS,
        """\
What was released: segments with enough people in them, with what stands out there in percent of everybody's mean; and
how well the model tells who will not pay (AUC), beside the bank's own.""",
    ),
    (
        CODE,
        """\
report = job.report()
print("shared customers:", report.matched)
for segment in report.segments:
    what = ", ".join(f"{item['field']} {item['index']:.0f} %" for item in segment["stands_out"])
    print(f"segment {segment['segment']}: {segment['size']} people; {what or 'nothing stands out'}")
{name: round(auc, 3) for name, auc in report.auc.items() if auc is not None}""",
    ),
    (WORDS, "What goes wrong says what to do about it."),
    (
        CODE,
        """\
from federation.client import Answered

try:
    console.jobs.propose("name = 'nothing'")
except Answered as error:
    print(error)""",
    ),
)


def run(code: str, names: dict[str, Any], number: int) -> list[dict[str, Any]]:
    """The outputs of one cell, as nbformat has them: what it prints, and the value of its last line."""
    tree, printed = ast.parse(code), io.StringIO()
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    value = None
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, f"cell {number}", "exec"), names)  # noqa: S102 (our own cells)
        if last is not None:
            value = eval(compile(ast.Expression(last.value), f"cell {number}", "eval"), names)  # noqa: S307
    outputs: list[dict[str, Any]] = []
    if printed.getvalue():
        outputs.append({"output_type": "stream", "name": "stdout", "text": lines(printed.getvalue())})
    if value is not None:
        data = {"text/plain": lines(repr(value))}
        outputs.append(
            {"output_type": "execute_result", "execution_count": number, "data": data, "metadata": {}}
        )
    return outputs


def lines(content: str) -> list[str]:
    """As nbformat keeps text: lines with their ends."""
    return re.sub(r" +$", "", content, flags=re.MULTILINE).splitlines(keepends=True)


def notebook() -> dict[str, Any]:
    """All cells, executed."""
    names: dict[str, Any] = {}
    cells: list[dict[str, Any]] = []
    number = 0
    for place, (kind, source) in enumerate(CELLS, start=1):
        cell: dict[str, Any] = {
            "id": f"cell-{place}",
            "cell_type": kind,
            "metadata": {},
            "source": lines(source),
        }
        if kind == CODE:
            number += 1
            cell |= {"execution_count": number, "outputs": run(source, names, number)}
        cells.append(cell)
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": cells}


if __name__ == "__main__":
    NOTEBOOK.write_text(json.dumps(notebook(), indent=1, ensure_ascii=False) + "\n", "utf-8")
