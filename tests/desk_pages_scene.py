"""A node's desk with something on every page, and browsers of people with every role."""

import asyncio
import re
from html.parser import HTMLParser

import httpx
import pandas as pd
from desk_scene import DeskScene, proposal
from gate_scene import policy_for

from clients.approvals.inbox import Inbox
from clients.consents.node import changes_of
from clients.consents.tables import Source
from clients.desk.accounts import open_access
from clients.desk.console.app import make_console
from clients.desk.console.services import Desk
from clients.gate.policy import activate
from clients.gate.retention import RESULTS
from clients.home import NodeHome
from clients.results import write_customers_file
from clients.rights.intake import Intake, Request
from federation.access.office import Access
from federation.access.passwords import TESTING_ONLY
from federation.pace import utc_now
from privacy.access import Role
from privacy.consent import Statement
from privacy.policy import PurposeClass
from privacy.rights import RequestKind

PASSWORD = "eine ganze Reihe Schafe"
CANARY = "13900000005"
"""A person of the bank's table, with a consent, a request and a place in the results."""
RESULT = "look-abc"
NUMBER = "J-ABCDEFGH"
NAMES = {role: f"{role.value}-one" for role in Role}
SECOND = "officer-two"


class DeskOfBank:
    """The desk, its home and its browsers."""

    def __init__(self, folder):
        self.scene = DeskScene.create(folder)
        self.home: NodeHome = self.scene.homes["bank"]
        home = self.home
        open_access(home)
        access = Access.of(home.vault.engine, home.audit, profile=TESTING_ONLY)
        for role, name in NAMES.items():
            access.accounts.add(name, [role], by="operator", password=PASSWORD, language="en")
        access.accounts.add(SECOND, [Role.OFFICER], by="operator", password=PASSWORD, language="en")
        self.access = access
        self.desk = Desk.of(home, access)
        self.app = make_console(self.desk)
        self.fill()

    def fill(self):
        home = self.home
        Inbox(home).mirror([proposal(number=NUMBER)], utc_now())
        changes = changes_of(home, Source.API)
        phones = [f"139{number:08d}" for number in range(40)]
        changes.give(
            changes.identifiers(phones), [Statement(purpose="credit_risk", granted=True, notice="rehearsal")]
        )
        write_customers_file(
            home.results / RESULT,
            pd.DataFrame(
                {
                    "row": range(40),
                    "identifier": phones,
                    "segment": [0] * 25 + [1] * 13 + [2] * 2,
                    "score": 0.5,
                }
            ),
        )
        home.vault.put(RESULTS + RESULT, b"", days=30)
        self.case = Intake(home).file(Request(kind=RequestKind.ACCESS), CANARY).case.number

    def browser(self, role=None, name=None):
        return Browser(self, name or (NAMES[role] if role else None))

    def events(self, *kinds):
        return [event for event in self.home.audit.events() if not kinds or event.type in kinds]


class Browser:
    """One person's browser: keeps its cookies, sends a form's token, and does not follow on."""

    def __init__(self, desk, name):
        self.desk, self.cookies = desk, httpx.Cookies()
        if name:
            found = self.post("/desk/login", {"name": name, "password": PASSWORD})
            assert found.status_code == 303, found.text

    def get(self, path, **headers):
        return asyncio.run(self._call("GET", path, headers=headers))

    def post(self, path, data=None, files=None, csrf=None):
        data = {**(data or {}), "csrf": self.csrf() if csrf is None else csrf}
        return asyncio.run(self._call("POST", path, data=data, files=files))

    def csrf(self):
        secret = self.cookies.get("silhouette-desk-bank")
        return self.desk.desk.csrf.token(self.desk.access.logins.lookup(secret).login) if secret else ""

    async def _call(self, method, path, headers=None, **more):
        transport = httpx.ASGITransport(self.desk.app)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://desk.test", cookies=self.cookies
        ) as client:
            found = await client.request(
                method, path, headers={"accept-language": "en", **(headers or {})}, **more
            )
            self.cookies = client.cookies
            return found


class Page(HTMLParser):
    """What a page is made of."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.ids, self.labelled = [], [], set()
        self._in_label = 0
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self._in_label += tag == "label"
        attributes["_inside_label"] = self._in_label > 0
        self.tags.append((tag, attributes))
        if "id" in attributes:
            self.ids.append(attributes["id"])
        if tag == "label" and "for" in attributes:
            self.labelled.add(attributes["for"])

    def handle_endtag(self, tag):
        self._in_label -= tag == "label"

    def of(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def unlabelled(self):
        fields = [*self.of("select"), *self.of("textarea"), *self.of("input")]
        return [
            one
            for one in fields
            if one.get("type") not in {"hidden", "submit"}
            and not one["_inside_label"]
            and one.get("id") not in self.labelled
            and not one.get("aria-label")
        ]

    @property
    def links(self):
        return {one["href"] for one in self.of("a") if one.get("href", "").startswith("/")}


def marketing(desk):
    """The same policy for marketing, so that audiences may be built."""
    from desk_scene import JOB

    activate(desk.home, policy_for(desk.home, JOB, treatment=PurposeClass.MARKETING), is_rehearsal=True)


def words_of(html):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))
