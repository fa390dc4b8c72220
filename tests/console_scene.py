"""A coordinator with everything that its pages show: users, parties, what they publish, jobs in every state."""

import asyncio
import datetime
import re
from dataclasses import replace
from html.parser import HTMLParser
from urllib.parse import urlencode

import httpx
import jobs_scene
import report_scene

from federation.access.office import Access
from federation.access.passwords import TESTING_ONLY
from federation.jobs import ScorecardPlan
from federation.pace import utc_now
from federation.publications import (
    Column,
    Dataset,
    Noun,
    PublishedAudience,
    PublishedModel,
    RegisteredPurpose,
    Wording,
    publication_of,
    sign_publication,
)
from privacy.access import Role
from privacy.catalog import Sensitivity
from privacy.errors import PeerDropped
from privacy.identifiers import IdentifierKind
from privacy.policy import Basis, PurposeClass
from privacy.rights import CaseState
from server.api.app import create_app
from server.api.services import EDGE, Services
from server.console.presence import Presence
from server.jobs.desk import Publications

PASSWORD = "eine ganze Reihe Schafe"
USERS = {
    "mo": (Role.MODELLER,),
    "olga": (Role.OPERATOR,),
    "anna": (Role.ANALYST,),
    "audi": (Role.AUDITOR,),
    "offi": (Role.OFFICER,),
    "adam": (Role.ADMIN,),
    "olaf": (Role.OFFICER, Role.AUDITOR),
}
MODEL = "7e" * 16


def columns(*names):
    sensitivity = {"income": Sensitivity.CONSERVATIVE, "debt": Sensitivity.SENSITIVE}
    return tuple(
        Column(
            name=name,
            kind="income" if name == "income" else "",
            category="financial_situation" if name == "income" else "",
            sensitivity=sensitivity.get(name),
            published=Wording(zh="收入", en="income a month") if name == "income" else None,
        )
        for name in names
    )


LISTS = {
    "bank": {
        Noun.DATASETS: [
            Dataset(
                name="customers",
                id_kind=IdentifierKind.PHONE,
                columns=columns("income", "debt", "late"),
                has_label=True,
                has_consents=True,
            )
        ],
        Noun.PURPOSES: [
            RegisteredPurpose(
                name="credit_risk",
                title=Wording(zh="信贷风险评估", en="Assessing credit risk"),
                basis=Basis.CONSENT,
                treatment=PurposeClass.CREDIT_RISK,
                methods=("matching", "kmeans", "scorecard"),
                recipients=("shop",),
                retention_days=365,
            )
        ],
        Noun.MODELS: [
            PublishedModel(
                number=MODEL,
                kind="boosting",
                job="spring",
                purpose="credit_risk",
                parties=("bank", "shop"),
                state="active",
                trained=datetime.date(2026, 11, 20),
                rows=950,
                k_min=50,
            )
        ],
        Noun.AUDIENCES: [
            PublishedAudience(
                name="spring-offer",
                purpose="marketing",
                people=1200,
                k_min=50,
                built=datetime.date(2026, 11, 1),
                expires=datetime.date(2027, 1, 1),
            )
        ],
        Noun.REQUESTS: {CaseState.RECEIVED: 3, CaseState.COMPLETED: 12},
    },
    "shop": {
        Noun.DATASETS: [
            Dataset(name="buyers", id_kind=IdentifierKind.PHONE, columns=columns("orders", "spend"))
        ],
    },
}


class Scene:
    """The application with its services; `empty`: a coordinator on its first day."""

    def __init__(self, folder, *, empty=False):
        place = folder / "coordinator"
        if empty:
            self.world = None
            from server.home import CoordinatorHome

            home = CoordinatorHome.create(place, "127.0.0.1", 0, "127.0.0.1")
        else:
            place.mkdir(parents=True)
            self.world = jobs_scene.Scene.create(folder, f"sqlite:///{place / 'coordinator.sqlite'}")
            self.world.clock.moment = utc_now() - datetime.timedelta(hours=1)
            home = self.world.home
        made = Services.of(home)
        access = Access.of(home.database, home.audit, profile=TESTING_ONLY)
        presence = Presence(home, lambda _: {0: "online", 1: "online", 2: "offline"})
        self.services = replace(made, access=access, presence=presence)
        self.home, self.access = home, access
        self.app = create_app(self.services)
        for name, roles in USERS.items():
            access.accounts.add(name, roles, by="operator", password=PASSWORD)
        self.secrets, self.jobs = {}, {}
        if not empty:
            self._publish()
            self._jobs()

    # --- what there is

    def _publish(self):
        publications = Publications(self.home.database, self.home)
        for party, lists in LISTS.items():
            for noun, items in lists.items():
                found = publication_of(noun, party, 1, self.world.clock(), items)
                signed = sign_publication(found, self.world.identities[party], self.home.roster.coordinator)
                publications.take(noun, party, signed)

    def _jobs(self):
        world = self.world
        world.clock.forward(seconds=1)
        self.jobs["done"] = self._run("spring", lambda record: record.finish(report_scene.make_result()))
        error = PeerDropped("party_did_not_join", party="shop")
        self.jobs["failed"] = self._run("summer", lambda record: record.fail(error))
        refused = world.jobs.propose(jobs_scene.MODELLER, jobs_scene.job_file("autumn"))
        world.clock.forward(seconds=1)
        self.jobs["refused"] = world.say(refused, "shop", approved=False).number
        stopped = world.jobs.propose(jobs_scene.MODELLER, jobs_scene.job_file("winter"))
        self.jobs["stopped"] = world.jobs.stop(jobs_scene.MODELLER, stopped.number).number
        world.clock.forward(seconds=1)
        self.jobs["running"] = self._run("lending", None)
        world.clock.forward(seconds=1)
        waiting = world.jobs.propose(
            jobs_scene.MODELLER,
            report_scene.make_job(name="holiday", risk=None, scorecard=ScorecardPlan()),
        )
        world.clock.forward(seconds=1)
        self.jobs["proposed"] = world.say(waiting, "bank").number

    def _run(self, name, end):
        """A job that has begun. end: how it ends, or None."""
        world = self.world
        job = world.jobs.propose(jobs_scene.MODELLER, report_scene.make_job(name=name))
        world.clock.forward(seconds=1)
        for party in ("bank", "shop"):
            world.say(job, party)
        runner = world.runner()
        runner.step()
        record = world.record(job.number)
        record.event("inviting", parties=["bank", "shop"], session="s")
        for party in ("bank", "shop"):
            record.event("joined", party=party, version="1")
        record.event("stage_started", stage="match", number=1, of=4)
        record.event("progress", party="bank", done=30, total=120, step="align.blind")
        record.event("party_finished", party="shop", bytes_sent=2_500_000)
        if end is not None:
            end(record)
        runner.step()
        self.runner = runner
        return job.number

    # --- browsers

    def secret_of(self, name):
        if name not in self.secrets:
            self.secrets[name] = self.access.log_in(name, PASSWORD)[0]
        return self.secrets[name]

    def csrf_of(self, name):
        return self.services.csrf.token(self.access.logins.lookup(self.secret_of(name)).login)

    def call(self, method, path, user="", language="en", **more):
        return asyncio.run(self._call(method, path, user, language, more))

    def post(self, path, user, language="en", **fields):
        """A form of a page, as a browser sends it."""
        body = urlencode({"csrf": self.csrf_of(user), **fields}, doseq=True)
        headers = {"content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "same-origin"}
        return self.call("POST", path, user, language, content=body, headers=headers)

    async def _call(self, method, path, user, language, more):
        headers = {"accept-language": language, **more.pop("headers", {})}
        if user:
            headers["cookie"] = f"silhouette-{EDGE}={self.secret_of(user)}"
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://console.test") as client:
            return await client.request(method, path, headers=headers, **more)


class Html(HTMLParser):
    """A page taken apart; its tags must balance."""

    VOID = frozenset({"meta", "br", "hr", "img", "link", "input"})

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.words = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs), tuple(self.open)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, (tag, self.getpos())

    def handle_data(self, data):
        if "script" not in self.open:
            self.words.append(data)

    def all(self, tag):
        return [attributes for name, attributes, _ in self.tags if name == tag]

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(self.words))

    @property
    def links(self):
        return {item["href"] for item in self.all("a") if item.get("href")}
