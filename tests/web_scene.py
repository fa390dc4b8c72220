"""A small edge with every kind of route, and a browser and a program that call it."""

import asyncio
import json
import re
from typing import Annotated

import httpx
import msgspec
from fastapi import Body, FastAPI, Form, Query, Request, Response
from starlette.responses import JSONResponse

from federation.web.cookies import Cookies
from federation.web.csrf import Csrf
from federation.web.edge import protect
from federation.web.etags import must_match, reply
from federation.web.events import Event, Streams, last_event_id
from federation.web.figures import bars
from federation.web.guard import Current, Guard, bearer_of, needs, needs_login, open_to_all
from federation.web.idempotency import MemoryStorage, once
from federation.web.limits import LOGINS, RateLimits
from federation.web.pages import NavItem, Pages
from federation.web.paging import Paging, add_link
from federation.web.statics import Statics
from privacy.access import Caller, Means, Permission, Role
from privacy.errors import Denied, NotAuthenticated
from privacy.reasons import Finding, Reason

KEY = bytes(range(32))
SECRET = "canary-13912345678"
"""What no answer and no log may hold."""
ROLES = {"wang": Role.MODELLER, "li": Role.OFFICER, "zhao": Role.ADMIN}


class Thing(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    size: int = 0


class Scene:
    """The application, its parts and what its callbacks were told."""

    def __init__(self, *, secure=False, rates=None, by_address=None, login_rates=None):
        self.denied, self.granted, self.done = [], [], []
        self.thing, self.streams, self.storage = Thing("first"), Streams(2), MemoryStorage()
        self.cookies, self.csrf = Cookies("bank", secure=secure), Csrf(KEY)
        self.scheme = "https" if secure else "http"
        statics = Statics()
        nav = [
            NavItem("/", "web.navigation", None),
            NavItem("/jobs", "web.provenance.purpose", Permission.JOBS_READ),
            NavItem("/audit", "web.provenance.moment", Permission.AUDIT_READ),
        ]
        self.pages = Pages("web.navigation", "bank", nav, self.cookies, self.csrf, statics)
        guard = Guard(
            self.authenticate,
            self.csrf,
            lambda *told: self.denied.append(told),
            lambda *told: self.granted.append(told),
            rates,
        )
        self.app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
        protect(
            self.app,
            guard,
            secure=secure,
            pages=self.pages,
            most_by_prefix={"/api/": 1_000, "/api/large": 5_000},
            by_address=by_address,
        )
        statics.add_to(self.app)
        add_api(self)
        add_pages(self, login_rates or RateLimits(LOGINS))

    def authenticate(self, request):
        if bearer_of(request):
            return self._caller(bearer_of(request), Means.TOKEN, "")
        secret = self.cookies.session(request)
        return self._caller(secret, Means.LOGIN, f"login-of-{secret}") if secret else None

    def _caller(self, name, means, login):
        if name not in ROLES:
            raise NotAuthenticated("access_login_over")
        return Caller(name, frozenset({ROLES[name]}), means, login)

    def csrf_of(self, name):
        return self.csrf.token(f"login-of-{name}")

    def call(self, method, path, *, login="", token="", **more):
        """One request, as a browser with a login or a program with a token."""
        return asyncio.run(self._call(method, path, login, token, more))

    async def _call(self, method, path, login, token, more):
        headers = {"accept-language": "en", **more.pop("headers", {})}
        if token:
            headers["authorization"] = f"Bearer {token}"
        if login:
            headers["cookie"] = f"{'__Host-' if self.scheme == 'https' else ''}silhouette-bank={login}"
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url=f"{self.scheme}://edge.test") as client:
            return await client.request(method, path, headers=headers, **more)


def add_api(scene):
    app = scene.app

    @app.get("/api/things", dependencies=[needs(Permission.JOBS_READ)])
    def things(request: Request, response: Response, paging: Paging):
        after = paging.after(int)
        rows = range((after[0] if after else 0) + 1, 8)[: paging.limit + 1]
        page = paging.page(list(rows), lambda row: (row,))
        add_link(request, response, page)
        return msgspec.to_builtins(page)

    @app.get("/api/thing", dependencies=[needs(Permission.JOBS_READ)])
    def thing(request: Request):
        return reply(request, scene.thing)

    @app.put("/api/thing", dependencies=[needs(Permission.JOBS_PROPOSE)])
    async def change(request: Request):
        must_match(request, scene.thing)
        scene.thing = msgspec.json.decode(await request.body(), type=Thing)
        return reply(request, scene.thing)

    @app.post("/api/things")
    async def make(request: Request, caller: Annotated[Caller, needs(Permission.JOBS_PROPOSE)]):
        async def work():
            made = msgspec.json.decode(await request.body(), type=Thing)
            if made.size == 13:
                raise Denied.of([Finding(Reason.POLICY_UNAVAILABLE, "bank")])
            scene.done.append((caller.name, made.name))
            return JSONResponse({"number": len(scene.done)}, 201)

        return await once(request, scene.storage, caller.name, work)

    @app.post("/api/checked", dependencies=[needs(Permission.JOBS_PROPOSE)])
    def checked(thing: Annotated[dict[str, int], Body()], limit: Annotated[int, Query(le=5)] = 1):
        return {"size": len(thing), "limit": limit}

    @app.post("/api/large", dependencies=[needs(Permission.JOBS_PROPOSE)])
    async def large(request: Request):
        return {"size": len(await request.body())}

    @app.get("/api/fails", dependencies=[needs(Permission.JOBS_READ)])
    def fails():
        raise RuntimeError(SECRET)

    @app.get("/api/watch")
    def watch(request: Request, caller: Annotated[Caller, needs(Permission.JOBS_READ)], most: int = 3):
        first = int(last_event_id(request) or 0)

        async def events():
            for number in range(first + 1, most + 1):
                yield Event(str(number), "progress", {"number": number, "text": "一\n二"})
            if most > 100:
                await asyncio.Event().wait()

        return scene.streams.stream(request, caller.name, events(), heartbeat=0.05)


def add_pages(scene, login_rates):
    app, pages = scene.app, scene.pages

    @app.get("/", dependencies=[needs_login("everybody's first page")])
    def first(request: Request):
        return pages.render(request, "federation.web:layout.html.j2", title="<One>")

    @app.get("/jobs", dependencies=[needs(Permission.JOBS_READ)])
    def jobs(request: Request):
        return pages.render(request, "federation.web:layout.html.j2", title="Jobs")

    @app.post("/jobs")
    def propose(
        request: Request,
        caller: Annotated[Caller, needs(Permission.JOBS_PROPOSE)],
        name: Annotated[str, Form()],
    ):
        scene.done.append((caller.name, name))
        return pages.lead_on(request, "/jobs", key="web.logged_in", name="<b>")

    @app.post("/jobs/{number}/stop", dependencies=[needs(Permission.JOBS_STOP)])
    async def stop(number: str, request: Request, caller: Current):
        form = await request.form()
        scene.done.append((caller.name, number, form.get("why")))
        return Response(status_code=204)

    @app.get("/fails", dependencies=[needs_login("a page")])
    def fails():
        raise RuntimeError(SECRET)

    @app.get("/login", dependencies=[open_to_all("nobody is logged in yet")])
    def login_page(request: Request):
        return pages.render(request, "federation.web:layout.html.j2", title="Log in")

    @app.post("/login", dependencies=[open_to_all("nobody is logged in yet"), open_limit(login_rates)])
    def login(name: Annotated[str, Form()]):
        response = Response(status_code=204)
        scene.cookies.give_session(response, name, 60)
        return response


def open_limit(rates):
    from fastapi import Depends

    return Depends(rates.by_address)


async def raw(app, method, path, headers=(), messages=(), until=None):
    """A request without a client: the messages that the application sends. until: stop the client after so many."""
    sent, incoming = [], [*messages] or [{"type": "http.request", "body": b""}]
    gone = asyncio.Event()

    async def receive():
        if incoming:
            message = incoming.pop(0)
            return await message() if callable(message) else message
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)
        if until is not None and len(sent) >= until:
            gone.set()

    path, _, query = path.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in headers],
        "client": ("127.0.0.1", 1),
        "server": ("edge.test", 80),
    }
    await app(scope, receive, send)
    return sent


def problem(response, status, code):
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    found = json.loads(response.content)
    assert (found["status"], found["code"]) == (status, code)
    assert found["title"]
    assert found["remedy"]
    return found


def picture():
    return bars("sizes", "Sizes </script>", ["A", "B"], {"bank": [1200, None], "shop": [0.5, 2]}, "Segment")


def texts_in(page):
    return re.sub(r"<[^>]+>", " ", page)
