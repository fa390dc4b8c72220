"""The page of a report: one self-contained HTML file without scripts or outside assets."""

from __future__ import annotations

from importlib import resources
from typing import Any

from jinja2 import Environment, StrictUndefined

from server.report import charts
from server.report.wording import Wording

FunnelStep = tuple[str, str, list[tuple[str, bool, int | None]]]
"""Label, kind of bar, and per party: its name, whether it named this step, and the rows (None: hidden)."""


def render_page(report: dict[str, Any], language: str | None = None) -> str:
    """`report.html` for a report of `build_report`, in one language (default: the process's).

    Everything that comes from a job or a release is escaped.
    """
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    source = resources.files(__package__).joinpath("page.html.j2").read_text("utf-8")
    template = environment.from_string(source)
    w = Wording(language)
    return template.render(
        **report,
        w=w,
        charts=charts,
        funnel=funnel_steps(report["match"], w),
        hidden=hidden_reasons(report["match"], w),
    )


def funnel_steps(match: dict[str, Any], w: Wording) -> list[FunnelStep]:
    """The funnels of all parties as one table: from the file over what was excluded to the matched rows.

    A reason that excluded nobody anywhere is left out; those whose counts are hidden everywhere share a row.
    """
    parties: dict[str, dict[str, Any]] = match["parties"]
    excluded = {party: dict(counts["funnel"]) for party, counts in parties.items()}
    shown, hidden = _reasons(match)

    def kept(name: str, label: str) -> FunnelStep:
        found = [(party, counts[name] is not None, counts[name]) for party, counts in parties.items()]
        return label, "main", found

    def left_out(reason: str) -> FunnelStep:
        found = [(party, reason in steps, steps.get(reason)) for party, steps in excluded.items()]
        return w("match.excluded", reason=w.reason(reason)), "soft", found

    steps = [kept("rows", w.reason("rows_in_file")), *(left_out(reason) for reason in shown)]
    if hidden:
        steps.append(
            (
                w("match.excluded_hidden", count=len(hidden)),
                "soft",
                [(party, True, None) for party in parties],
            )
        )
    steps.append(kept("eligible", w.reason("eligible")))
    steps.append(kept("matched", w("match.matched" if match["members"] else "match.matched_all")))
    return steps


def hidden_reasons(match: dict[str, Any], w: Wording) -> list[str]:
    """The reasons whose counts are hidden at every party."""
    return [w.label(f"tables.funnel.{reason}", reason) for reason in _reasons(match)[1]]


def _reasons(match: dict[str, Any]) -> tuple[list[str], list[str]]:
    """(reasons with a count somewhere, reasons that are hidden everywhere), in the funnels' order."""
    funnels = [dict(counts["funnel"]) for counts in match["parties"].values()]
    listed = dict.fromkeys(reason for steps in funnels for reason, rows in steps.items() if rows != 0)
    shown = [reason for reason in listed if any(steps.get(reason) for steps in funnels)]
    return shown, [reason for reason in listed if reason not in shown]
