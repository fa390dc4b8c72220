"""Routes: what they declare, and pages of lists, versions, keys and streams as they should work."""

import asyncio
import json

import msgspec
import pytest
from fastapi import APIRouter, FastAPI
from web_scene import Scene, problem, raw

from federation.web.guard import Elsewhere, Needs, Open, guarded_elsewhere, needs, permission_of, walk
from federation.web.idempotency import MemoryStorage
from federation.web.paging import Page, Wanted, make_cursor, read_cursor
from federation.web.problems import problem_of
from federation.web.refusing import STATUS, RequestRefused
from privacy import errors
from privacy.access import Permission
from privacy.errors import SilhouetteError
from privacy.texts import catalogue


@pytest.fixture
def scene():
    return Scene()


# --- declarations


def test_every_route_of_the_scene_declares_who_may(scene):
    found = {(one.method, one.path): one.declaration for one in walk(scene.app)}
    assert found["POST", "/api/things"] is Permission.JOBS_PROPOSE
    assert isinstance(found["GET", "/login"], Open)
    assert isinstance(found["GET", "/static/{name}"], Open)
    assert isinstance(found["GET", "/"], Needs)
    assert None not in found.values()


def test_what_declares_nothing_or_two_things_is_found():
    app, router = FastAPI(openapi_url=None), APIRouter(dependencies=[needs(Permission.AUDIT_READ)])

    @app.get("/plain")
    def plain():
        return None

    @app.get("/both", dependencies=[needs(Permission.JOBS_READ), needs(Permission.AUDIT_READ)])
    def both():
        return None

    @app.post("/signed", dependencies=[guarded_elsewhere("a node signs its request")])
    def signed():
        return None

    @router.get("/inside")
    def inside():
        return None

    app.include_router(router, prefix="/deep")
    app.mount("/mounted", lambda scope, receive, send: None)

    @app.websocket("/socket")
    async def socket(socket):
        return None

    found = {one.path: one.declaration for one in walk(app) if not one.path.startswith(("/docs", "/redoc"))}
    assert found == {
        "/plain": None,
        "/both": None,
        "/signed": Elsewhere("a node signs its request"),
        "/deep/inside": Permission.AUDIT_READ,
        "/mounted": None,
        "/socket": None,
    }
    assert permission_of(object()) is None


def test_what_is_used_is_told_with_the_path_as_it_is_declared(scene):
    headers = {"x-csrf": scene.csrf_of("wang")}
    scene.call("POST", "/jobs/J-13912345678/stop", login="wang", headers=headers)
    ((caller, permission, path),) = scene.granted
    assert (caller.name, permission, path) == ("wang", Permission.JOBS_STOP, "/jobs/{number}/stop")


# --- problems


KINDS = [
    item
    for item in vars(errors).values()
    if isinstance(item, type) and issubclass(item, SilhouetteError) and item is not errors.Denied
]
EXPECTED = {
    "NotFound": 404,
    "StateConflict": 409,
    "AccountInvalid": 422,
    "ConfigInvalid": 422,
    "NotAuthenticated": 401,
    "LoginsLocked": 429,
    "LogUnavailable": 503,
    "AccessDenied": 403,
    "SecondPersonMissing": 403,
    "CohortTooSmall": 403,
    "DeadlinePassed": 503,
    "SignatureInvalid": 503,
    "AuditBroken": 503,
}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_of_ours_has_a_status(kind):
    found = problem_of(kind("home_missing", folder="f"), "en")
    assert found.status in {401, 403, 404, 409, 422, 429, 503}
    assert found.status == EXPECTED.get(kind.__name__, found.status)
    assert found.code == "home_missing"
    assert found.title
    assert found.remedy


def test_articles_of_rules_are_named():
    assert problem_of(errors.CohortTooSmall("home_missing", folder="f")).article.startswith("PIPL")
    assert problem_of(errors.AccessDenied("home_missing", folder="f")).article == "PIPL 51"
    assert problem_of(errors.ConfigInvalid("home_missing", folder="f")).article == ""


def test_a_path_in_a_message_of_ours_is_the_field():
    error = errors.ConfigInvalid(
        "file_invalid", file="job", problem="Expected `int`, got `str` - at `$.k_min`"
    )
    assert problem_of(error).field == "$.k_min"


def test_every_code_has_its_texts():
    keys = {f"web.{part}.{code}" for code in STATUS for part in ("title", "remedy")}
    assert keys <= set(catalogue("en"))
    shown = {key for key in catalogue("en") if key.startswith("web.title.")}
    assert shown == {f"web.title.{code}" for code in STATUS}


# --- lists


def test_pages_of_a_list_hold_every_item_once(scene):
    path, seen = "/api/things?limit=3", []
    for _ in range(3):
        found = scene.call("GET", path, token="wang")
        seen += found.json()["items"]
        path = found.headers.get("link", "<>").split("<")[1].split(">")[0]
    assert seen == [1, 2, 3, 4, 5, 6, 7]
    assert path == ""
    assert found.json()["next"] == ""


def test_a_page_that_is_exactly_full_is_the_last():
    wanted = Wanted(limit=2)
    assert wanted.page([1, 2], lambda row: (row,)) == Page([1, 2])
    assert wanted.page([], lambda row: (row,)) == Page([])
    assert wanted.page([1, 2, 3], lambda row: (row,)) == Page([1, 2], make_cursor((2,)))


@pytest.mark.parametrize("key", [("J-ABC", 5), ("Ü/+?", -1), ("", 0)])
def test_a_cursor_is_read_as_it_was_made(key):
    assert read_cursor(make_cursor(key), (str, int)) == key
    with pytest.raises(RequestRefused):
        read_cursor(make_cursor(key), (int, str))


# --- versions


def test_what_somebody_has_already_is_not_sent_again(scene):
    first = scene.call("GET", "/api/thing", token="wang")
    etag = first.headers["etag"]
    assert first.json() == {"name": "first", "size": 0}
    for asked in (etag, f'"other", {etag}', f"W/{etag}", "*"):
        again = scene.call("GET", "/api/thing", token="wang", headers={"if-none-match": asked})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    other = scene.call("GET", "/api/thing", token="wang", headers={"if-none-match": '"other"'})
    assert other.status_code == 200


def test_a_change_of_what_was_seen_is_done_once(scene):
    etag = scene.call("GET", "/api/thing", token="wang").headers["etag"]
    change = {"token": "wang", "json": {"name": "second"}, "headers": {"if-match": etag}}
    done = scene.call("PUT", "/api/thing", **change)
    assert (done.status_code, scene.thing.name) == (200, "second")
    assert done.headers["etag"] != etag
    problem(scene.call("PUT", "/api/thing", **change), 412, "precondition_failed")


# --- twice


KEY = {"idempotency-key": "5d1f8c0e-7b7e-4f6e-9a55-0d9a4c3c1e11"}


def test_the_same_request_is_done_once_and_answered_twice(scene):
    first, second = (
        scene.call("POST", "/api/things", token="wang", json={"name": "x"}, headers=KEY) for _ in range(2)
    )
    assert (first.status_code, first.json()) == (second.status_code, second.json()) == (201, {"number": 1})
    assert first.headers["content-type"] == second.headers["content-type"]
    assert ("idempotency-replayed" in first.headers, second.headers["idempotency-replayed"]) == (
        False,
        "true",
    )
    assert scene.done == [("wang", "x")]


def test_without_a_key_it_is_done_each_time(scene):
    for _ in range(2):
        scene.call("POST", "/api/things", token="wang", json={"name": "x"})
    assert len(scene.done) == 2


def test_what_was_refused_can_be_tried_again_with_the_same_key(scene):
    for _ in range(2):
        found = scene.call("POST", "/api/things", token="wang", json={"name": "x", "size": 13}, headers=KEY)
        problem(found, 403, "R-POLICY-UNAVAILABLE")
    assert scene.call("POST", "/api/things", token="wang", json={"name": "x"}, headers=KEY).status_code == 201


def test_the_second_waits_while_the_first_is_worked_on():
    scene = Scene()
    begun = scene.storage.begin

    def begin(caller, key, digest, claim):
        begun(caller, key, digest, claim)
        return begun(caller, key, digest, claim)

    scene.storage.begin = begin
    found = scene.call("POST", "/api/things", token="wang", json={"name": "x"}, headers=KEY)
    problem(found, 409, "in_progress")
    assert found.headers["retry-after"] == "1"


def test_keys_of_two_callers_are_two():
    storage = MemoryStorage()
    assert storage.begin("wang", "k", "d", "c") is None
    assert storage.begin("li", "k", "d", "c") is None
    assert storage.begin("wang", "k", "d", "c") is not None


# --- streams


def bodies(sent):
    return b"".join(message.get("body", b"") for message in sent).decode()


def test_events_come_with_their_numbers_and_go_on_where_they_broke_off(scene):
    headers = [("authorization", "Bearer wang"), ("last-event-id", "1")]
    sent = asyncio.run(raw(scene.app, "GET", "/api/watch", headers))
    assert sent[0]["status"] == 200
    events = [block.splitlines() for block in bodies(sent).split("\r\n\r\n") if block and block[0] != ":"]
    assert [event[:2] for event in events] == [["id: 2", "event: progress"], ["id: 3", "event: progress"]]
    assert json.loads(events[0][2].removeprefix("data: ")) == {"number": 2, "text": "一\n二"}
    assert scene.streams.count("wang") == 0


def test_a_number_that_is_none_is_refused(scene):
    headers = [("authorization", "Bearer wang"), ("last-event-id", "<b>")]
    sent = asyncio.run(raw(scene.app, "GET", "/api/watch", headers))
    assert sent[0]["status"] == 422


def test_a_stream_beats_and_ends_with_its_client_and_a_caller_has_only_so_many(scene):
    headers = [("authorization", "Bearer wang")]
    path = "/api/watch?most=101"

    async def watch():
        open_ones = [asyncio.create_task(raw(scene.app, "GET", path, headers, until=105)) for _ in range(2)]
        while scene.streams.count("wang") < 2:
            await asyncio.sleep(0.01)
        third = await raw(scene.app, "GET", path, headers)
        return third, await asyncio.wait_for(asyncio.gather(*open_ones), 5)

    third, watched = asyncio.run(watch())
    assert third[0]["status"] == 429
    assert json.loads(bodies(third))["code"] == "too_many"
    assert all(": \r\n" in bodies(sent) for sent in watched), "a heartbeat came"
    assert scene.streams.count("wang") == 0


def test_records_are_plain_json():
    assert msgspec.json.encode(Page([1], "x")) == b'{"items":[1],"next":"x"}'
