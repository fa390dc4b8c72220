"""A finished job's result, as the report gets it, and a reader of the pages that it becomes."""

from html.parser import HTMLParser
from typing import Any

import msgspec

from federation import session as control
from federation.insight import FieldProfile, SegmentProfile
from federation.jobs import Job, PartyPlan, PartyRole, RiskPlan, SegmentsPlan
from federation.messages import Message
from server.report import render_page

K_MIN = 50
COMPARE = {
    "segments": {"ari_pooled": 0.9987, "largest_centroid_difference": 2.5e-9},
    "risk": {
        "auc_pooled": 0.7914,
        "ks_pooled": 0.4475,
        "auc_sklearn": 0.7926,
        "ks_sklearn": 0.4481,
        "largest_score_difference": 0.0,
    },
}
HOSTILE = "<script>alert('x')</script>"


def make_job(**changes: Any) -> Job:
    parties = (
        PartyPlan(
            name="bank",
            role=PartyRole.LABEL_HOLDER,
            segment_fields=("income",),
            risk_fields=("income", "debt"),
        ),
        PartyPlan(
            name="shop", role=PartyRole.FEATURE_HOLDER, segment_fields=("orders",), risk_fields=("orders",)
        ),
    )
    return Job(
        **{
            "name": "spring",
            "purpose": "credit_risk",
            "parties": parties,
            "segments": SegmentsPlan(),
            "risk": RiskPlan(trees=7, depth=3, bins=16, min_child_rows=20),
            **changes,
        }
    )


def builtins(*messages: Message) -> dict[str, Any]:
    return {str(message.__struct_config__.tag): msgspec.to_builtins(message) for message in messages}


def make_result() -> dict[str, Any]:
    income = FieldProfile(
        field="income",
        counts=(600, None, None),
        means=(10.0, 40.0, None),
        band_names=("q1-q2", "q3", "q4", "missing"),
        bands=((400, 100, 100, 0), (None, None, 120, None), (None, None, None, None)),
    )
    orders = FieldProfile(
        field="orders",
        counts=(600, 300, None),
        means=(2.0, -1.0, None),
        band_names=("q1-q4",),
        bands=((600,), (300,), (None,)),
    )
    match = control.MatchRelease(
        rows=2000,
        eligible=1500,
        matched=1000,
        funnel=(("duplicate", 420), ("under_age", 0), ("no_consent", None)),
    )
    clusters = control.ClusterRelease(n_clusters=3, stability=((2, 0.91), (3, 0.987)), iterations=17)
    risk = control.RiskRelease(
        model="7e" * 16,
        train_rows=700,
        test_rows=300,
        auc_alone=0.7123,
        ks_alone=0.3121,
        auc_joint=0.7897,
        ks_joint=0.4419,
        importance=(("bank", "debt", 0.2), ("shop", "", 0.5), ("bank", "income", 0.3)),
        default_rate=(0.05, 0.125, None),
    )
    sizes = (600, 300, None)
    releases = {
        "bank": builtins(match, SegmentProfile(sizes=sizes, fields=(income,)), clusters, risk),
        "shop": builtins(match, SegmentProfile(sizes=sizes, fields=(orders,))),
    }

    def party(sent: int, received: dict[str, int]) -> dict[str, Any]:
        return {
            "seconds": 1.5,
            "bytes_sent": {"coordinator": sent, "peer": 100},
            "bytes_received": {"coordinator": 7},
            "received": {**received, "session.start_stage/1": 1},
        }

    traffic = {
        "match": {
            "bank": party(1_000, {"align.matched/2": 1}),
            "shop": party(2_000, {"align.key/2": 1, "align.matched/2": 1}),
        },
        "risk": {
            "bank": party(50_000, {"boosting.candidates/1": 21, "boosting.sides/1": 18}),
            "shop": party(80_000, {"boosting.chosen/1": 20, "boosting.finish/1": 1, "boosting.level/1": 21}),
        },
    }
    seconds = {"join": 2.0, "match": 1.25, "risk": 30.5}
    return {"seconds": seconds, "traffic": traffic, "releases": releases}


class Page(HTMLParser):
    """Tags must balance; text, attributes and ids are kept."""

    VOID = frozenset({"meta", "br", "hr", "img", "link", "input"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.pieces: list[str] = []

    @classmethod
    def read(cls, report: dict[str, Any], language: str) -> "Page":
        page = cls()
        page.feed(render_page(report, language))
        page.close()
        assert page.open == []
        return page

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.pieces.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.pieces).split())

    @property
    def ids(self) -> set[str | None]:
        return {attributes.get("id") for _, attributes in self.tags}
