"""Who may use a route. Every route declares it, and what declares nothing is a failing test (`walk`).

    @app.get("/jobs", dependencies=[needs(Permission.JOBS_READ)])
    @app.post("/login", dependencies=[open_to_all("before a login nobody has a permission")])
    @app.post("/logout", dependencies=[needs_login("everybody may leave")])

The order of what is checked: who calls (401), that a browser's change comes from its own page, the permission (403).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Final, NamedTuple

from anyio import CapacityLimiter, to_thread
from fastapi import Depends, FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.responses import RedirectResponse

from federation.web.csrf import Csrf, check_site
from federation.web.limits import RateLimits
from federation.web.local_paths import local_path, with_query
from federation.web.problems import NO_LOGIN, PageOfProblem, ProblemDetails, answer, install
from federation.web.refusing import RequestRefused
from privacy.access import Caller, Means, Permission
from privacy.errors import AccessDenied, SilhouetteError

_SEE_OTHER: Final = 303
_ONE_BY_ONE: Final = CapacityLimiter(1)
"""The log takes one event at a time: more who wait for it would take the threads from everybody else."""


@dataclass(frozen=True, slots=True)
class Guard:
    """What an application tells the guard.

    authenticate: who calls, or None; raises `NotAuthenticated` for a proof that is worth nothing. Called in a thread.
    on_denied, on_granted: told the caller, the permission and the route's path template, before anything is done; if
    they raise, nothing is. rates: how often one caller may come.
    api: how the paths begin that programs call; everything else is a page.
    recall: who has called a moment ago with the same proof, or None; is_noted: whether `on_granted` would do nothing.
    Both are asked on the event loop and must not wait: what they know saves a request its way through a thread.
    """

    authenticate: Callable[[Request], Caller | None]
    csrf: Csrf
    on_denied: Callable[[Caller, Permission, str], None]
    on_granted: Callable[[Caller, Permission, str], None] = lambda caller, permission, path: None
    rates: RateLimits | None = None
    api: tuple[str, ...] = ("/api/",)
    login: str = "/login"
    recall: Callable[[Request], Caller | None] = lambda request: None
    is_noted: Callable[[Caller, Permission, str], bool] = lambda caller, permission, path: False

    def is_page(self, request: Request) -> bool:
        """Whether a browser is to be shown something."""
        return not request.url.path.startswith(self.api)

    def install(self, app: FastAPI, page: PageOfProblem | None = None) -> None:
        """Put the guard before an application's routes, and let it say what is refused; `page`: to browsers."""
        app.state.guard = self
        install(app, self._page_of(page), self.is_page)

    def _page_of(self, page: PageOfProblem | None) -> PageOfProblem:
        async def show(request: Request, problem: ProblemDetails) -> Response:
            if problem.status == NO_LOGIN and request.method == "GET":
                return self._to_login(request, problem)
            found = answer(problem) if page is None else page(request, problem)
            return found if isinstance(found, Response) else await found

        return show

    def _to_login(self, request: Request, problem: ProblemDetails) -> Response:
        if request.headers.get("hx-request") == "true":
            # A part of a page: htmx goes there with the whole of it.
            return answer(problem, {"HX-Redirect": self.login})
        query = f"?{request.url.query}" if request.url.query else ""
        path = local_path(request.url.path + query)
        return RedirectResponse(with_query(self.login, {"next": path}), _SEE_OTHER)


def is_bearer(request: Request) -> bool:
    """Whether a program calls, with a token."""
    return request.headers.get("authorization", "").lower().startswith("bearer ")


def bearer_of(request: Request) -> str:
    """The bearer token of a request, or ""."""
    return request.headers["authorization"][len("bearer ") :].strip() if is_bearer(request) else ""


async def caller_of(request: Request) -> Caller | None:
    """Who calls, looked up once for a request. Raises `NotAuthenticated`."""
    if "caller" not in request.scope.setdefault("state", {}):
        guard = guard_of(request)
        known = guard.recall(request)
        request.scope["state"]["caller"] = (
            await run_in_threadpool(guard.authenticate, request) if known is None else known
        )
    found: Caller | None = request.scope["state"]["caller"]
    return found


async def still_may(request: Request) -> bool:
    """Whether whoever was let by could come again with the same request: for answers that go on for long.

    Looked up anew: neither what the request itself remembers nor `Guard.recall` says what has changed since.
    """
    guard, declared = guard_of(request), permission_of(request.scope.get("route"))
    try:
        caller = await run_in_threadpool(guard.authenticate, request)
    except SilhouetteError:
        return False
    if caller is None or declared is None:
        return False
    return not isinstance(declared, Permission) or caller.may(declared)


def guard_of(request: Request) -> Guard:
    """The guard of the application that was called."""
    guard: Guard = request.app.state.guard
    return guard


@dataclass(frozen=True, slots=True)
class Needs:
    """A dependency that lets nobody by without the permission, and gives the caller. permission None: any login."""

    permission: Permission | None
    reason: str = ""

    async def __call__(self, request: Request) -> Caller:
        guard, caller = guard_of(request), await caller_of(request)
        if caller is None:
            raise RequestRefused("unauthorised")
        if guard.rates is not None:
            guard.rates.check(request, caller.name)
        if caller.means is Means.LOGIN:
            await guard.csrf.check(request, caller.login)
        if self.permission is None:
            return caller
        path = path_template(request)
        if not caller.may(self.permission):
            await run_in_threadpool(guard.on_denied, caller, self.permission, path)
            raise AccessDenied("access_denied", name=self.permission.value)
        if not guard.is_noted(caller, self.permission, path):
            await to_thread.run_sync(guard.on_granted, caller, self.permission, path, limiter=_ONE_BY_ONE)
        return caller


@dataclass(frozen=True, slots=True)
class Open:
    """A dependency that lets everybody by. reason: why nothing of anybody's can be seen or changed there."""

    reason: str

    async def __call__(self, request: Request) -> None:
        if not is_bearer(request):
            check_site(request)


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A dependency that does nothing: the route's own code makes sure of who calls. reason: how."""

    reason: str

    async def __call__(self) -> None:
        return None


def needs(permission: Permission) -> Any:
    """Declare that a route needs a permission; as a parameter's default it gives the `Caller`."""
    return Depends(Needs(permission))


def needs_login(reason: str) -> Any:
    """Declare that a route is for everybody who is logged in. reason: why no permission is needed."""
    return Depends(Needs(None, reason))


def open_to_all(reason: str) -> Any:
    """Declare that a route is for everybody. reason: for the reader of the list of routes."""
    return Depends(Open(reason))


def guarded_elsewhere(reason: str) -> Any:
    """Declare that a route has a guard of its own, such as a node's signature or a subject's link. reason: which."""
    return Depends(Elsewhere(reason))


async def _current(request: Request) -> Caller:
    caller = await caller_of(request)
    if caller is None:
        raise RequestRefused("unauthorised")
    return caller


Current = Annotated[Caller, Depends(_current)]
"""A parameter: the caller that the route's declaration has let by."""

Declaration = Permission | Needs | Open | Elsewhere
"""Of a route: the permission, or why there is none."""


class Declared(NamedTuple):
    """A method of a route, and what was declared about who may; None: nothing."""

    method: str
    path: str
    declaration: Declaration | None


def permission_of(route: object) -> Declaration | None:
    """What a route declares; None for nothing or for several things. route: as `walk` meets it, or an APIRoute."""
    dependant: Dependant | None = getattr(route, "dependant", None)
    if dependant is None:
        return None
    found = [*_declared(dependant)]
    if len(found) != 1:
        return None
    (one,) = found
    return one.permission if isinstance(one, Needs) and one.permission is not None else one


def walk(app: FastAPI) -> Iterator[Declared]:
    """Every method of every route. What is not a route of FastAPI's (a mount, a socket) declares nothing."""
    for context in iter_route_contexts(app.routes):
        is_route = isinstance(context.original_route, APIRoute)
        declaration = permission_of(context) if is_route else None
        for method in sorted(context.methods or {"*"}):
            yield Declared(method, context.path or "*", declaration)


def path_template(request: Request) -> str:
    """The path as it is declared: with the names of what stands in it, not with that."""
    template: str = getattr(request.scope.get("route"), "path", "")
    return template


def _declared(dependant: Dependant) -> Iterator[Needs | Open | Elsewhere]:
    for part in dependant.dependencies:
        if isinstance(part.call, Needs | Open | Elsewhere):
            yield part.call
        yield from _declared(part)
