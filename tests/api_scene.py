"""A coordinator with parties, lists, jobs and accounts of every role, behind its interface for programs."""

from __future__ import annotations

import asyncio
import dataclasses
from dataclasses import dataclass
from pathlib import Path

import httpx
from fastapi import FastAPI

from federation.pace import utc_now
from federation.proposals import JobState
from federation.publications import Noun, publication_of, sign_publication
from federation.web.csrf import HEADER
from federation.web.limits import Rate, RateLimits
from privacy.access import Caller, Role
from server.api.app import create_api
from server.api.services import Services
from server.console.presence import Presence
from server.jobs.views import JobView
from server.records import JobRecord
from tests.jobs_scene import MODELLER, Scene, job_file
from tests.report_scene import make_job, make_result

EVERYBODY = "everybody"
"""A user with all roles."""
RENAMED = {"operator": "operations"}
"""Users are called like their role, where the name is free."""
MODEL = "7e" * 16
WORDING = {"zh": "名称", "en": "name"}
LISTS = {
    Noun.DATASETS: [
        {
            "name": name,
            "id_kind": "phone",
            "columns": [{"name": "income", "kind": "income", "sensitivity": "sensitive"}],
        }
        for name in ("customers", "loans", "visits")
    ],
    Noun.PURPOSES: [
        {"name": "credit_risk", "title": WORDING, "basis": "consent", "treatment": "credit_risk"}
    ],
    Noun.MODELS: [
        {
            "number": MODEL,
            "kind": "boosting",
            "job": "spring",
            "purpose": "credit_risk",
            "parties": ["bank", "shop"],
            "state": "active",
            "trained": "2026-11-20",
            "rows": 650,
            "k_min": 50,
        }
    ],
    Noun.AUDIENCES: [
        {
            "name": "spring",
            "purpose": "marketing",
            "people": 300,
            "k_min": 50,
            "built": "2026-11-20",
            "expires": "2027-01-20",
        }
    ],
    Noun.REQUESTS: {"received": 2, "completed": 7},
}


@dataclass
class ApiScene:
    """What the tests of the interface work on. done, waiting: jobs."""

    jobs: Scene
    services: Services
    app: FastAPI
    logins: dict[str, tuple[str, Caller]]
    done: JobView
    waiting: JobView

    @classmethod
    def create(cls, folder: Path, rate: Rate | None = None) -> ApiScene:
        file = folder / "coordinator" / "coordinator.sqlite"
        scene = Scene.create(folder, f"sqlite:///{file.resolve()}")
        scene.clock.moment = utc_now()
        services = Services.of(scene.home)
        presence = Presence(scene.home, lambda _home: {0: "online", 1: "offline"})
        rates = RateLimits(rate or Rate("caller", 100_000, 60))
        services = dataclasses.replace(services, presence=presence, rates=rates)
        _publish(scene, services)
        done = _finished(scene)
        waiting = scene.jobs.propose(MODELLER, job_file("autumn"))
        people = [*((role.value, [role]) for role in Role), (EVERYBODY, list(Role))]
        logins = {
            name: services.access.logins.begin(
                services.access.accounts.add(RENAMED.get(name, name), roles, by="tests")
            )
            for name, roles in people
        }
        return cls(scene, services, create_api(services), logins, done, waiting)

    def token(self, name: str = EVERYBODY) -> str:
        caller = self.logins[name][1]
        return self.services.access.tokens.issue(caller, "tests", caller.roles, 1)[1]

    def call(
        self, method: str, path: str, who: str = EVERYBODY, *, csrf: bool = True, token: str = "", **more
    ):
        """One request, as a browser that is logged in, or with a token; who "" for nobody."""
        return asyncio.run(self.request(method, path, who, csrf=csrf, token=token, **more))

    async def request(self, method, path, who=EVERYBODY, *, csrf=True, token="", **more):
        headers = {"accept-language": "en", **more.pop("headers", {})}
        if token:
            headers["authorization"] = f"Bearer {token}"
        elif who:
            secret, caller = self.logins[who]
            headers["cookie"] = f"silhouette-coordinator={secret}"
            if csrf:
                headers[HEADER] = self.services.csrf.token(caller.login)
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://edge.test") as client:
            return await client.request(method, f"/api/v1{path}", headers=headers, **more)


def _publish(scene: Scene, services: Services) -> None:
    for party in ("bank", "shop"):
        for noun, items in LISTS.items():
            made = publication_of(noun, party, 1, utc_now(), items)
            signed = sign_publication(made, scene.identities[party], scene.home.roster.coordinator)
            services.publications.take(noun, party, signed)


def _finished(scene: Scene) -> JobView:
    """A job whose run is over, with everything that it released."""
    job = scene.jobs.propose(MODELLER, make_job())
    scene.clock.forward(seconds=1)
    scene.say(job, "bank")
    scene.say(job, "shop")
    claims = scene.claims()
    record = JobRecord.create(scene.home, job.job)
    begun = claims.begin(job.number, record.job_id)
    assert begun is not None
    record.event("inviting", parties=["bank", "shop"], session="5e" * 16)
    record.event("joined", party="bank", version="1.0.0")
    record.event("stage_started", stage="match", number=1, of=3)
    record.event("progress", party="bank", done=3, total=8, step="blind")
    record.event("progress", party="bank", done=8, total=8, step="blind")
    record.event("party_finished", party="bank", bytes_sent=1_000)
    record.event("party_finished", party="bank", bytes_sent=234)
    record.finish(make_result())
    claims.copy(begun, list(record.events()))
    claims.end(begun, JobState.DONE)
    return scene.jobs.get(job.number)
