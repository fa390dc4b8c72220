"""What a done job found: the matching's funnel, how good the model is, and the report as one file."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request, Response

from federation.messages import COORDINATOR
from federation.web import figures
from federation.web.guard import needs
from federation.web.languages import language_of
from federation.web.wording import Wording
from privacy.access import Permission
from privacy.errors import NotFound
from server.console.results import Report
from server.console.services import Console
from server.jobs.views import JobView
from server.report.page import funnel_steps, hidden_reasons
from server.report.wording import Wording as ReportWording


def add_quality(app: FastAPI, console: Console) -> None:
    """The routes."""
    pages = console.pages

    @app.get("/jobs/{number}/match", dependencies=[needs(Permission.MATCHES_READ)])
    def match(request: Request, number: str) -> Response:
        job, report = found(console, number)
        language = language_of(request)
        t, w = Wording(language), ReportWording(language)
        return pages.render(
            request,
            "server.console:match.html.j2",
            job=job,
            k_min=report["job"]["k_min"],
            match=report["match"],
            steps=funnel_steps(report["match"], w),
            hidden=hidden_reasons(report["match"], w),
            how=w(f"match.how.{report['match']['mode']}"),
            pictures=_funnels(report, t),
        )

    @app.get("/jobs/{number}/model", dependencies=[needs(Permission.REPORTS_READ)])
    def model(request: Request, number: str) -> Response:
        job, report = found(console, number)
        t = Wording(language_of(request))
        parts = {name: report[name] for name in ("scorecard", "risk") if report.get(name)}
        if not parts:
            raise NotFound("console_result_missing", job=number)
        return pages.render(
            request,
            "server.console:quality.html.j2",
            job=job,
            report=report,
            parts=parts,
            titles={"scorecard": "console.method.scorecard", "risk": "console.method.boosting"},
            holder=report["job"]["label_holder"],
            pictures={name: _pictures(name, part, report, t) for name, part in parts.items()},
            rates=_rates(report, t),
            traffic=_traffic(report, t),
        )

    @app.get("/jobs/{number}/report", dependencies=[needs(Permission.REPORTS_READ)])
    def whole(request: Request, number: str) -> Response:
        job, _ = found(console, number)
        page = console.results.page(job, language_of(request))
        # As a file: the report is one document with its style inside, which no page of ours may have.
        headers = {"Content-Disposition": f'attachment; filename="{number}-report.html"'}
        return Response(page, 200, headers, "text/html; charset=utf-8")


def found(console: Console, number: str) -> tuple[JobView, Report]:
    """A job with its figures. Raises `NotFound` for one that has none."""
    job = console.jobs.get(number)
    report = console.results.report(job)
    if report is None:
        raise NotFound("console_result_missing", job=number)
    return job, report


def _funnels(report: Report, t: Wording) -> list[figures.Figure]:
    """One a party: rows of its file, those that may be used, those that are shared."""
    return [
        figures.funnel(
            f"funnel-{party}",
            str(t("console.match.funnel", party=party)),
            [
                (str(t("console.match.rows")), counts["rows"]),
                (str(t("console.match.eligible")), counts["eligible"]),
                (str(t("console.match.matched")), counts["matched"]),
            ],
            str(t("console.match.step")),
            str(t("console.match.people")),
        )
        for party, counts in report["match"]["parties"].items()
    ]


def _pictures(name: str, part: dict[str, Any], report: Report, t: Wording) -> list[figures.Figure]:
    """Quality alone and together, and what it rests on."""
    holder = report["job"]["label_holder"]
    labels = [str(t("console.quality.alone", party=holder)), str(t("console.quality.joint"))]
    measures = {
        "auc": str(t("console.quality.auc")),
        "ks": str(t("console.quality.ks")),
    }
    series = {title: [part[key]["bank_only"], part[key]["joint"]] for key, title in measures.items()}
    shares = part["importance"]
    return [
        figures.bars(f"{name}-quality", str(t("console.quality.title")), labels, series, ""),
        figures.bars(
            f"{name}-importance",
            str(t("console.quality.importance")),
            [f"{party} · {field or t('console.quality.all_fields')}" for party, field, _ in shares],
            {str(t("console.quality.share")): [round(share, 4) for _, _, share in shares]},
            str(t("console.quality.field")),
            sideways=True,
        ),
    ]


def _rates(report: Report, t: Wording) -> figures.Figure | None:
    """The default rate in each segment, where the job has both."""
    segments = report.get("segments")
    if not segments or all(rate is None for rate in segments["default_rate"]):
        return None
    return figures.bars(
        "default-rates",
        str(t("console.quality.rates")),
        [str(t("console.persona.segment", number=number + 1)) for number in range(segments["k"])],
        {str(t("console.quality.rate")): segments["default_rate"]},
        str(t("console.persona.column")),
    )


def _traffic(report: Report, t: Wording) -> figures.Figure:
    """What every party sent and received, in megabytes."""
    parties = [party for party in report["bytes"]["sent"] if party != COORDINATOR]
    series = {
        str(t("console.quality.sent")): [
            round(report["bytes"]["sent"][party] / 1_000_000, 3) for party in parties
        ],
        str(t("console.quality.received")): [
            round(report["bytes"]["received"][party] / 1_000_000, 3) for party in parties
        ],
    }
    return figures.bars(
        "traffic", str(t("console.quality.traffic")), parties, series, str(t("console.party.column"))
    )
