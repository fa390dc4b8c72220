"""The key figures of a report as tables for a terminal."""

from __future__ import annotations

from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from server.report.wording import Wording

MODELS: Final = ("bank_only", "joint", "pooled", "pooled_sklearn")


def print_report(report: dict[str, Any], console: Console, language: str | None = None) -> None:
    """Print the figures a modeller looks for first, in one language (default: the process's)."""
    w = Wording(language)
    match = report["match"]
    console.print(_match(report, w))
    if match["members"]:
        console.print(Text(w("match.members", members=match["members"]), style="dim"))
    if match["size_only"]:
        console.print(Text(w("match.size_only"), style="dim"))
    if report["segments"]:
        console.print(_segments(report, w))
    models = [kind for kind in ("scorecard", "risk") if report[kind]]
    for kind in models:
        console.print(_quality(report, kind, w))
    if models and not report["pooled_possible"]:
        console.print(Text(w("pooled_impossible"), style="dim"))
    console.print(_traffic(report, w))


def _table(title: str, *columns: str, numbers_from: int = 1) -> Table:
    # Names are given as Text everywhere: a field's name is never read as markup.
    table = Table(title=Text(title), title_justify="left", title_style="bold")
    for place, column in enumerate(columns):
        table.add_column(Text(column), justify="left" if place < numbers_from else "right")
    return table


def _row(table: Table, *cells: str, style: str | None = None) -> None:
    table.add_row(*(Text(cell) for cell in cells), style=style)


def _match(report: dict[str, Any], w: Wording) -> Table:
    title = f"{w('match.title')}: {w('match.how.' + report['match']['mode'])}"
    table = _table(title, w("party"), w("match.rows"), w("match.eligible"), w("match.matched"))
    for party, counts in report["match"]["parties"].items():
        _row(table, party, *(w.count(counts[name]) for name in ("rows", "eligible", "matched")))
    return table


def _segments(report: dict[str, Any], w: Wording) -> Table:
    segments, k_min = report["segments"], report["job"]["k_min"]
    agreement = w.metric(segments["ari_pooled"])
    title = f"{w('segments.title')}: k = {segments['k']} ({w('segments.ari')}: {agreement})"
    table = _table(title, w("segments.segment"), w("segments.people"), w("segments.default_rate"))
    table.add_column(Text(w("segments.stands_out")))
    for number, size in enumerate(segments["sizes"]):
        highlights = ", ".join(
            f"{item['party']}.{item['field']} {item['index']:.0f}" for item in segments["highlights"][number]
        )
        rate = segments["default_rate"][number]
        _row(table, str(number), w.cell(size, k_min), w.share(rate), highlights)
    return table


def _quality(report: dict[str, Any], kind: str, w: Wording) -> Table:
    risk = report[kind]
    alone = w("risk.alone", party=report["job"]["label_holder"])
    title = f"{w(kind + '.title')} ({w('risk.held_out', rows=w.count(risk['test_rows']))})"
    table = _table(title, "", alone, w("risk.joint"), w("risk.pooled"), w("risk.pooled_sklearn"))
    for name in ("auc", "ks"):
        values = risk[name]
        _row(table, name.upper(), *(w.metric(values[kind]) for kind in MODELS))
    return table


def _traffic(report: dict[str, Any], w: Wording) -> Table:
    sent, seconds = report["bytes"]["by_stage"], report["seconds"]
    parties = list(report["bytes"]["sent"])
    columns = [w("traffic.sent_by", party=party) for party in parties]
    table = _table(w("traffic.title"), w("traffic.stage"), w("traffic.time"), *columns)
    for stage, duration in seconds.items():
        if stage != "total":
            counts = [w.size(sent.get(stage, {}).get(party)) for party in parties]
            _row(table, w.stage(stage), w.seconds(duration), *counts)
    totals = [w.size(report["bytes"]["sent"][party]) for party in parties]
    _row(table, w("traffic.total"), w.seconds(seconds["total"]), *totals, style="bold")
    _row(
        table, w("traffic.memory"), "", *(w.size(report["peak_memory_bytes"].get(party)) for party in parties)
    )
    return table
