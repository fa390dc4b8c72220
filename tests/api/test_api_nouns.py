"""What the interface answers for each noun, and how what changes something is kept from going wrong."""

import asyncio
import io
import json
import zipfile

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from federation.web.limits import Rate
from privacy.merkle import leaf_hash, root_from_inclusion, verify_consistency
from privacy.sealing import Identity
from tests.api_scene import EVERYBODY, MODEL, ApiScene
from tests.jobs_scene import job_file

KEY = "a-key-of-its-own-0001"


def items(answer):
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


def enrolment(name):
    key = ec.generate_private_key(ec.SECP384R1()).public_key()
    pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return {"name": name, "identity": Identity.generate().public.to_text(), "flower_key": pem.decode()}


def test_the_federation_and_its_parties(scene):
    found = scene.call("GET", "/federation").json()
    assert found["parties"] == len(items(scene.call("GET", "/parties")))
    assert found["jobs"]["done"] == 1
    bank = scene.call("GET", "/parties/bank").json()
    assert bank["node"] == "online"
    assert bank["fingerprint"] == scene.jobs.identities["bank"].public.fingerprint
    assert scene.call("GET", "/parties/nobody").status_code == 404


def test_lists_that_parties_publish(scene):
    assert [(row["party"], row["name"]) for row in items(scene.call("GET", "/datasets?party=bank"))] == [
        ("bank", "customers"),
        ("bank", "loans"),
        ("bank", "visits"),
    ]
    assert scene.call("GET", "/datasets/shop/loans").json()["columns"][0]["sensitivity"] == "sensitive"
    assert scene.call("GET", "/datasets/telecom/loans").json()["code"] == "api_item_unknown"
    assert scene.call("GET", "/purposes/bank/credit_risk").json()["title"]["en"] == "name"
    assert [row["party"] for row in scene.call("GET", f"/models/{MODEL}").json()] == ["bank", "shop"]
    assert items(scene.call("GET", "/audiences"))[0]["people"] == 300
    assert items(scene.call("GET", "/requests"))[1]["counts"] == {"received": 2, "completed": 7}


def test_pages_follow_each_other_without_gap_or_repetition(scene):
    seen, path = [], "/datasets?limit=4"
    while path:
        answer = scene.call("GET", path)
        seen += [(row["party"], row["name"]) for row in items(answer)]
        cursor = answer.json()["next"]
        assert bool(cursor) == ("link" in answer.headers)
        path = f"/datasets?limit=4&cursor={cursor}" if cursor else ""
    assert len(seen) == len(set(seen)) == 6
    assert scene.call("GET", "/datasets?cursor=abc").json()["field"] == "query.cursor"
    assert scene.call("GET", "/datasets?limit=201").status_code == 422


def test_jobs_in_pages_and_by_state(scene):
    first = scene.call("GET", "/jobs?limit=1").json()
    second = scene.call("GET", f"/jobs?limit=1&cursor={first['next']}").json()
    assert first["items"][0]["number"] != second["items"][0]["number"]
    assert [row["number"] for row in items(scene.call("GET", "/jobs?state=done"))] == [scene.done.number]
    assert items(scene.call("GET", "/jobs?state=failed")) == []
    assert items(scene.call("GET", "/jobs?party=telecom")) == []
    whole = scene.call("GET", f"/jobs/{scene.done.number}").json()
    assert whole["job"]["risk"]["trees"] == 7
    assert {word["standing"] for word in whole["words"]} == {"approved"}
    assert scene.call("GET", "/jobs/J-AAAAAAAA").status_code == 404


def test_who_has_the_newest_is_not_sent_it_again(scene):
    first = scene.call("GET", f"/jobs/{scene.done.number}")
    again = scene.call("GET", f"/jobs/{scene.done.number}", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_preview_says_what_leaves_whom(scene):
    answer = scene.call("POST", "/jobs/preview", json={"job": job_file("preview")})
    assert answer.status_code == 200, answer.text
    parties = {found["party"]: found for found in answer.json()["parties"]}
    assert set(parties) == {"bank", "shop"}
    assert all(leaves["text"] for stage in parties["shop"]["stages"] for leaves in stage["leaves"])
    assert [row["name"] for row in items(scene.call("GET", "/jobs"))].count("preview") == 0


def test_a_proposal_that_comes_twice_is_made_once(scene):
    wanted = {"job": job_file("winter"), "days": 3}
    first = scene.call("POST", "/jobs", json=wanted, headers={"idempotency-key": KEY})
    again = scene.call("POST", "/jobs", json=wanted, headers={"idempotency-key": KEY})
    assert first.status_code == again.status_code == 201
    assert first.json() == again.json()
    assert again.headers["idempotency-replayed"] == "true"
    other = scene.call("POST", "/jobs", json={"job": job_file("x")}, headers={"idempotency-key": KEY})
    assert (other.status_code, other.json()["code"]) == (422, "key_reused")
    twice = scene.call("POST", "/jobs", json=wanted)
    assert (twice.status_code, twice.json()["code"]) == (409, "job_proposed_already")
    stopped = scene.call("POST", f"/jobs/{first.json()['number']}/stop")
    assert stopped.json()["state"] == "stopped"
    assert "stopped" in stopped.json()["message"]


def test_what_is_wrong_is_named_and_not_repeated(scene):
    secret = "canary-13912345678"
    answer = scene.call("POST", "/jobs", json={"job": job_file("y"), "days": secret})
    problem = answer.json()
    assert (answer.status_code, problem["field"]) == (422, "$.days")
    assert problem["remedy"]
    assert answer.headers["content-type"] == "application/problem+json"
    assert secret not in scene.call("POST", "/jobs", json={secret: 1, "job": "x"}).text
    assert scene.call("POST", "/jobs", content=b"job=1").status_code == 415
    assert scene.call("POST", "/jobs", json={"job": "x" * (1 << 20)}).status_code == 413
    assert scene.call("DELETE", "/jobs").status_code == 405


def test_a_change_by_a_browser_carries_the_token_of_its_page(scene):
    answer = scene.call("POST", "/jobs", csrf=False, json={"job": job_file("z")})
    assert (answer.status_code, answer.json()["code"]) == (403, "csrf")
    foreign = scene.call(
        "POST", "/jobs", json={"job": job_file("z")}, headers={"sec-fetch-site": "cross-site"}
    )
    assert foreign.json()["code"] == "csrf"
    assert (
        scene.call("POST", "/jobs/preview", token=scene.token(), json={"job": job_file("z")}).status_code
        == 200
    )
    csrf = scene.call("GET", "/me").json()["csrf"]
    assert csrf == scene.services.csrf.token(scene.logins[EVERYBODY][1].login)


def test_what_happened_to_a_job(scene):
    path = f"/jobs/{scene.done.number}"
    events = items(scene.call("GET", f"{path}/events?limit=200"))
    assert [event["number"] for event in events] == list(range(1, len(events) + 1))
    (run,) = scene.call("GET", f"{path}/runs").json()
    assert (run["state"], run["stage"], run["session"]) == ("done", "match", "5e" * 16)
    assert run["progress"] == [{"party": "bank", "step": "blind", "done": 8, "total": 8}]
    assert run["bytes_sent"] == {"bank": 1_234}
    assert scene.call("GET", f"{path}/runs/1").json() == run
    assert scene.call("GET", f"{path}/runs/2").json()["code"] == "api_run_unknown"
    stream = scene.call("GET", f"{path}/events/stream", headers={"last-event-id": str(len(events) - 2)})
    told = [json.loads(line[6:]) for line in stream.text.splitlines() if line.startswith("data: ")]
    assert told == events[-2:]


def test_what_jobs_released(scene):
    number = scene.done.number
    (match,) = items(scene.call("GET", "/matches"))
    assert (match["job"], match["matched"]) == (number, 1000)
    funnel = match["parties"][0]["funnel"]
    assert (funnel[2]["step"], funnel[2]["rows"]) == ("no_consent", None)
    (persona,) = items(scene.call("GET", "/personas"))
    assert persona["segments"] == 3
    assert persona["fields"][0]["means"] == [10.0, 40.0, None]
    assert scene.call("GET", f"/personas/{number}").json() == persona
    assert scene.call("GET", f"/jobs/{number}/report").json()["match"]["matched"] == 1000
    missing = scene.call("GET", f"/matches/{scene.waiting.number}")
    assert missing.json()["code"] == "api_result_missing"


def test_the_log_proves_itself(scene):
    found = items(scene.call("GET", "/audit/events?type=job.proposed&limit=1"))
    entry = scene.call("GET", f"/audit/events/{found[0]['seq']}").json()
    assert entry["leaf"] == leaf_hash(entry["line"].encode()).hex()
    early = scene.call("POST", "/audit/checkpoints").json()
    scene.jobs.jobs.propose(scene.logins[EVERYBODY][1], job_file("later"))
    late = scene.call("POST", "/audit/checkpoints").json()
    assert late["size"] > early["size"]
    proof = scene.call("GET", f"/audit/proofs/inclusion?event={found[0]['seq']}&size={early['size']}").json()
    path = [bytes.fromhex(one) for one in proof["hashes"]]
    root = root_from_inclusion(bytes.fromhex(entry["leaf"]), found[0]["seq"], early["size"], path)
    assert root.hex() == early["root"] == proof["root"]
    grown = scene.call("GET", f"/audit/proofs/consistency?old={early['size']}&new={late['size']}").json()
    hashes = [bytes.fromhex(one) for one in grown["hashes"]]
    verify_consistency(early["size"], late["size"], root, bytes.fromhex(late["root"]), hashes)
    assert scene.call("GET", "/audit/proofs/inclusion?event=999999").status_code == 404


def test_the_log_is_searched_by_type_actor_and_what_it_is_about(scene):
    number = scene.done.number
    about = items(scene.call("GET", f"/audit/events?about={number}&limit=200"))
    assert {event["artefact"] for event in about} == {number}
    jobs = items(scene.call("GET", f"/audit/events?type=job&about={number}&actor=party"))
    assert [event["type"] for event in jobs] == ["job.approved", "job.approved"]
    assert jobs[0]["seq"] > jobs[1]["seq"]
    assert items(scene.call("GET", "/audit/events?type=nothing")) == []
    first = scene.call("GET", "/audit/events?limit=2&type=job").json()
    second = scene.call("GET", f"/audit/events?limit=2&type=job&cursor={first['next']}").json()
    assert first["items"][-1]["seq"] > second["items"][0]["seq"]


def test_the_log_leaves_the_house_by_two_persons(scene):
    asked = scene.call("POST", "/audit/exports", who="auditor")
    assert asked.status_code == 202, asked.text
    number = asked.json()["confirmation"]
    early = scene.call("POST", f"/audit/exports/{number}", who="auditor")
    assert (early.status_code, early.json()["code"]) == (403, "second_not_yet")
    own = scene.call("POST", f"/confirmations/{number}/confirm", who="auditor")
    assert own.json()["code"] == "second_same_person"
    waiting = scene.call("GET", "/confirmations", who="officer").json()["items"]
    assert number in {one["number"] for one in waiting}
    assert scene.call("GET", f"/confirmations/{number}", who="admin").status_code == 404
    assert scene.call("POST", f"/confirmations/{number}/confirm", who="officer").json()["answer"] == "yes"
    taken = scene.call("POST", f"/audit/exports/{number}", who="auditor")
    assert taken.headers["content-type"] == "application/zip"
    assert "manifest.sig" in zipfile.ZipFile(io.BytesIO(taken.content)).namelist()
    again = scene.call("POST", f"/audit/exports/{number}", who="auditor")
    assert again.json()["code"] == "second_used"


def test_a_user_is_changed_as_it_was_seen(scene):
    made = scene.call("POST", "/users", json={"name": "ben", "roles": ["analyst"]}, who="admin")
    assert made.status_code == 201, made.text
    seen = scene.call("GET", "/users/ben", who="admin").headers["etag"]
    blind = scene.call("PATCH", "/users/ben", who="admin", json={"disabled": True})
    assert (blind.status_code, blind.json()["code"]) == (428, "precondition_missing")
    changed = scene.call(
        "PATCH", "/users/ben", who="admin", json={"roles": ["auditor"]}, headers={"if-match": seen}
    )
    assert changed.json()["roles"] == ["auditor"]
    late = scene.call("PATCH", "/users/ben", who="admin", json={"disabled": True}, headers={"if-match": seen})
    assert (late.status_code, late.json()["code"]) == (412, "precondition_failed")
    own = scene.call("GET", "/users/admin", who="admin").headers["etag"]
    raised = scene.call(
        "PATCH", "/users/admin", who="admin", json={"roles": ["officer"]}, headers={"if-match": own}
    )
    assert (raised.status_code, raised.json()["code"]) == (403, "access_own_roles")


def test_somebody_comes_in_by_a_code_sets_a_password_and_leaves(scene):
    scene.call("POST", "/users", json={"name": "cai", "roles": ["modeller"]}, who="admin")
    code = scene.call("POST", "/users/cai/code", who="admin").json()["code"]
    came = scene.call("POST", "/logins", who="", json={"code": code})
    assert came.status_code == 201, came.text
    assert (came.json()["must_change"], came.json()["permissions"]) == (True, [])
    cookie = came.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert code not in came.text
    wrong = scene.call("POST", "/logins", who="", json={"name": "cai", "password": "nobody's own words"})
    assert wrong.json()["code"] == "access_login_wrong"
    headers = {"cookie": cookie.split(";")[0], "x-csrf": came.json()["csrf"]}
    assert scene.call("DELETE", "/logins/current", who="", headers=headers).status_code == 204
    assert scene.call("GET", "/me", who="", headers=headers).status_code == 401


def test_tokens_are_ones_own(scene):
    made = scene.call("POST", "/tokens", who="modeller", json={"label": "notebook", "roles": ["modeller"]})
    assert made.status_code == 201, made.text
    token, number = made.json()["token"], made.json()["record"]["id"]
    assert scene.call("GET", "/me", token=token).json()["means"] == "token"
    assert scene.call("POST", "/tokens", token=token, json={"label": "x", "roles": []}).status_code == 403
    assert token not in scene.call("GET", "/tokens", who="modeller").text
    assert scene.call("DELETE", f"/tokens/{number}", who="analyst").status_code == 404
    assert scene.call("DELETE", f"/tokens/{number}", who="modeller").status_code == 204
    assert scene.call("GET", "/me", token=token).status_code == 401


def test_a_party_is_admitted_once_and_its_keys_replaced_as_seen(scene):
    utility = enrolment("utility")
    assert scene.call("POST", "/parties", who="operator", json=utility).status_code == 201
    again = scene.call("POST", "/parties", who="operator", json=enrolment("utility"))
    assert (again.status_code, again.json()["code"]) == (409, "api_party_known")
    bad = scene.call("POST", "/parties", who="operator", json=enrolment("mill") | {"flower_key": "none"})
    assert (bad.status_code, bad.json()["code"]) == (422, "api_flower_key")
    seen = scene.call("GET", "/parties/utility").headers["etag"]
    fresh = enrolment("utility")
    replaced = scene.call("PUT", "/parties/utility", who="operator", json=fresh, headers={"if-match": seen})
    assert replaced.status_code == 200
    assert replaced.headers["etag"] != seen
    late = scene.call("PUT", "/parties/utility", who="operator", json=utility, headers={"if-match": seen})
    assert late.status_code == 412


def test_who_comes_too_often_is_told_when_to_come_again(tmp_path):
    scene = ApiScene.create(tmp_path, Rate("caller", 5, 60))
    answers = [scene.call("GET", "/me") for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert int(answers[-1].headers["retry-after"]) > 0
    assert answers[-1].json()["code"] == "too_many"
    assert scene.call("GET", "/me", who="analyst").status_code == 200


def test_one_reader_has_so_many_watches_and_no_more(scene):
    async def watch():
        path = f"/jobs/{scene.waiting.number}/events/stream"
        open_ones = [asyncio.create_task(scene.request("GET", path, who="analyst")) for _ in range(6)]
        while scene.services.streams.count("analyst") < 6:
            await asyncio.sleep(0.01)
        refused = await scene.request("GET", path, who="analyst")
        for task in open_ones:
            task.cancel()
        await asyncio.gather(*open_ones, return_exceptions=True)
        return refused

    answer = asyncio.run(asyncio.wait_for(watch(), 20))
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many")
