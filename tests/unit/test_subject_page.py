"""The subject's own page: who gets in, what it shows, that each step makes a case, and that nothing of it leaks."""

import html
import io
import logging
import re
import shutil
import subprocess
import zipfile
from datetime import timedelta

import pytest
from consent_desk import PHONES, files_with
from fastapi.testclient import TestClient
from held_scene import BAD, home_with_results

from clients.consents.node import changes_of
from clients.consents.tables import Source
from clients.desk.app import make_desk
from clients.desk.serving import desk_token
from clients.desk.subject import sessions as sessions_module
from clients.desk.subject.routes import COOKIE
from clients.desk.subject.sessions import Sessions
from clients.rights import access, copies, receipts
from clients.rights.courier import NoCourier
from clients.rights.engine import Engine, Hooks
from clients.rights.store import CaseStore
from federation.pace import utc_now
from privacy.consent import Statement
from privacy.errors import Denied
from privacy.rights import CaseState, RequestKind

PERSON = PHONES[3]
BUTTONS = ("copy", "explain", "refuse-automation", "opt-out", "restrict", "delete")


@pytest.fixture
def home(tmp_path):
    made = home_with_results(tmp_path)
    changes = changes_of(made, Source.API)
    changes.give(
        changes.identifiers([PERSON]), [Statement(purpose="marketing", granted=True, notice="notice-1")]
    )
    yield made
    made.vault.close()


@pytest.fixture
def client(home):
    """A browser that speaks English; TLS is the proxy's."""
    return TestClient(
        make_desk(home),
        base_url="https://testserver",
        headers={"Accept-Language": "en-GB,en;q=0.9"},
        raise_server_exceptions=False,
    )


def holder(home):
    return {"Authorization": f"Bearer {desk_token(home)}"}


def link_for(home, client, phone=PERSON):
    answer = client.post("/v1/subjects/sessions", json={"identifier": phone}, headers=holder(home))
    assert answer.status_code == 200
    return answer.json()["link"]


def enter(home, client, phone=PERSON):
    page = client.post(link_for(home, client, phone))
    assert page.status_code == 200
    return page


def form_of(page):
    return re.search(r'name="form" value="([^"]+)"', page.text)[1]


def ask(client, kind, **fields):
    return client.post("/s/ask", data={"form": form_of(client.get("/s")), "kind": kind, **fields})


def number_on(page):
    return re.search(r'class="mono">([0-9a-f]{32})<', page.text)[1]


def code_on(page):
    return re.search(r'Code: <span class="mono">([a-z0-9]{12})<', page.text)[1]


# --- ways in


def test_a_link_works_once_and_looking_at_it_does_not_use_it_up(home, client):
    link = link_for(home, client)
    assert [client.get(link).status_code for _ in range(2)] == [200, 200]
    assert client.post(link).status_code == 200
    assert client.post(link).status_code == 403
    assert client.get(link).status_code == 403


def test_the_cookie_is_strict_and_nothing_is_kept(home, client):
    answer = client.post(link_for(home, client), follow_redirects=False)
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"{COOKIE}=")
    for part in ("HttpOnly", "Secure", "SameSite=strict", "Path=/", "Max-Age=1800"):
        assert part in cookie
    page = client.get("/s")
    assert page.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert page.headers["referrer-policy"] == "no-referrer"
    assert "<script" not in page.text
    assert "http://" not in page.text
    assert "https://" not in page.text


def test_links_and_sessions_end(home, monkeypatch):
    clock = [utc_now()]
    sessions = Sessions(home, lambda: clock[0])
    link = sessions.invite(PERSON.encode()).path.rpartition("/")[2]
    late = sessions.invite(PERSON.encode()).path.rpartition("/")[2]
    secret = sessions.enter(link)
    assert sessions.get(secret).identifier == PERSON.encode()
    clock[0] += timedelta(minutes=10)
    assert sessions.enter(late) is None
    clock[0] += timedelta(minutes=20)
    assert sessions.get(secret) is None
    assert PERSON not in repr(sessions_module.Session(PERSON.encode(), clock[0]))
    monkeypatch.setattr(sessions_module, "MOST_AT_ONCE", 2)
    made = [sessions.invite(PERSON.encode()).path.rpartition("/")[2] for _ in range(3)]
    assert [sessions.is_good(one) for one in made] == [False, True, True]


@pytest.mark.parametrize("path", ["/s", "/s/case/" + "0" * 32, "/s/nothing"])
def test_without_a_session_nothing_is_shown(client, path):
    page = client.get(path)
    assert page.status_code == 403
    assert "closed" in page.text


def test_only_the_holders_own_system_makes_links(client):
    assert client.post("/v1/subjects/sessions", json={"identifier": PERSON}).status_code == 401


# --- what is shown


def test_it_says_who_uses_what_for_what(home, client):
    page = html.unescape(enter(home, client).text)
    for shown in (
        "Bank of the Example", "Segments for marketing", "Without segments everybody is sent everything.",
        "shop company", "privacy@shop.example", "your consent (agreed)", "I withdraw my consent", "Delete my data",
        "Stop marketing", "No automated decisions about me", "I want a person to look at it", "Explain a decision",
    ):  # fmt: skip
        assert shown in page, shown
    assert PERSON not in page
    assert BAD not in page


def test_it_speaks_the_browsers_language_or_the_chosen_one(home, client):
    assert 'lang="en"' in enter(home, client).text
    chosen = client.get("/s?lang=zh-CN")
    assert 'lang="zh-CN"' in chosen.text
    assert "撤回同意" in chosen.text
    assert 'lang="zh-CN"' in client.get("/s").text, "the choice stays"
    assert 'lang="zh-CN"' in client.get("/q", headers={"Accept-Language": "fr"}).text


# --- steps


@pytest.mark.parametrize("kind", BUTTONS)
def test_each_button_makes_a_case_in_one_step(home, client, kind):
    enter(home, client)
    page = ask(client, kind)
    assert page.status_code == 200
    case = CaseStore(home.vault).get(number_on(page))
    assert (case.kind, case.state, case.record.identified) == (RequestKind(kind), CaseState.RECEIVED, True)
    assert str(case.due) in page.text
    assert PERSON not in page.text


def test_withdrawing_is_for_one_purpose(home, client):
    enter(home, client)
    case = CaseStore(home.vault).get(number_on(ask(client, "withdraw", purpose="marketing")))
    assert (case.kind, case.record.purpose) == (RequestKind.WITHDRAW, "marketing")


def test_correcting_names_the_field(home, client):
    enter(home, client)
    case = CaseStore(home.vault).get(number_on(ask(client, "correct", field="monthly_income", value="5100")))
    assert case.locators.correction.field == "monthly_income"
    bad = ask(client, "correct", field="monthly_income", value="much")
    assert bad.status_code == 422
    assert "much" not in bad.text


def test_a_form_is_good_once_and_for_its_session_only(home, client):
    enter(home, client)
    form = form_of(client.get("/s"))
    data = {"form": form, "kind": "delete"}
    assert client.post("/s/ask", data=data).status_code == 200
    assert client.post("/s/ask", data=data).status_code == 403
    assert client.post("/s/ask", data={"kind": "delete"}).status_code == 403
    assert len(CaseStore(home.vault).lines()) == 1


def test_what_is_no_request_is_refused(home, client):
    enter(home, client)
    for fields in ({"kind": "everything"}, {"kind": "delete", "purpose": "marketing"}):
        assert ask(client, **fields).status_code == 422
    big = client.post("/s/ask", data={"form": "x" * 10_000})
    assert big.status_code == 413
    assert CaseStore(home.vault).lines() == []


def test_leaving_ends_the_session(home, client):
    enter(home, client)
    assert client.post("/s/leave", data={"form": form_of(client.get("/s"))}).status_code == 200
    assert client.get("/s").status_code == 403


# --- later, with number and code


def test_number_and_code_open_that_case_alone(home, client):
    enter(home, client)
    first, second = ask(client, "copy"), ask(client, "delete")
    client.cookies.clear()
    page = client.post("/q", data={"case": number_on(first), "code": code_on(first)})
    assert page.status_code == 200
    assert number_on(page) == number_on(first)
    assert "/s/case/" in str(client.get("/s").url), "there is nothing else to see"
    assert client.get(f"/s/case/{number_on(second)}").status_code == 422
    assert client.post("/s/ask", data={"form": "x", "kind": "delete"}).status_code == 403


def test_wrong_codes_are_refused_and_end(home, client):
    enter(home, client)
    page = ask(client, "copy")
    number, code = number_on(page), code_on(page)
    client.cookies.clear()
    wrong = client.post("/q", data={"case": number, "code": "0" * 12})
    unknown = client.post("/q", data={"case": "0" * 32, "code": code})
    assert wrong.status_code == unknown.status_code == 403
    assert wrong.text == unknown.text, "nobody learns which cases there are"
    for _ in range(access.MOST_TRIES):
        with pytest.raises(Denied):
            access.check(home, number, "0" * 12)
    with pytest.raises(Denied):
        access.check(home, number, code)


def test_copy_and_receipt_are_handed_out(home, client):
    enter(home, client)
    page = ask(client, "copy")
    number = number_on(page)
    hooks = Hooks(
        makers={RequestKind.COPY: copies.maker},
        ended=lambda node, cases: (
            receipts.issue(node, [receipts.receipt_case(one, "bank") for one in cases]) and None
        ),
    )
    Engine(home, NoCourier(), [], hooks=hooks).step()
    page = client.get(f"/s/case/{number}")
    assert "Your copy is ready" in page.text
    form = form_of(page)
    data = {"form": form, "case": number}
    archive = client.post("/s/file", data={**data, "what": "copy"})
    names = zipfile.ZipFile(io.BytesIO(archive.content)).namelist()
    assert names == ["copy.en.html", "copy.json", "copy.zh-CN.html"]
    assert client.post("/s/file", data={**data, "what": "copy"}).status_code == 422, "once"
    receipt = client.post("/s/file", data={**data, "what": "receipt"})
    assert receipt.headers["content-disposition"].startswith("attachment")
    assert number in client.post("/s/file", data={**data, "what": "receipt-page"}).text
    assert client.post("/s/file", data={**data, "form": "x", "what": "receipt"}).status_code == 403
    assert client.post("/s/file", data={**data, "case": "0" * 32, "what": "receipt"}).status_code == 422


# --- the holder's own systems


def test_a_request_through_the_holders_system(home, client):
    asked = {"identifier": PERSON, "kind": "delete"}
    filed = client.post("/v1/requests", json=asked, headers=holder(home)).json()
    assert filed["state"] == "received"
    assert filed["code"]
    assert filed["access"] == ""  # a stranger gets nothing that would open the copy afterwards
    wrong = client.post(f"/v1/requests/{filed['number']}/verify", json={"code": "x"}, headers=holder(home))
    assert (wrong.status_code, wrong.json()["code"]) == (403, "R-IDENTITY-UNVERIFIED")
    done = client.post(
        f"/v1/requests/{filed['number']}/verify", json={"code": filed["code"]}, headers=holder(home)
    )
    assert done.status_code == 200
    shown = client.get(f"/v1/requests/{filed['number']}", headers=holder(home))
    assert shown.json()["verified_by"] == "code"
    assert PERSON not in shown.text
    access.check(home, filed["number"], done.json()["access"])
    missing = client.get("/v1/requests/" + "0" * 32, headers=holder(home))
    assert missing.status_code == 422
    assert client.get(f"/v1/requests/{filed['number']}").status_code == 401


# --- nothing leaks


def test_nothing_of_the_person_stands_in_urls_logs_or_answers(tmp_path, home, client, caplog):
    caplog.set_level(logging.DEBUG)
    pages = [enter(home, client), ask(client, "delete"), ask(client, "copy")]
    assert all(PERSON not in page.text and PERSON not in str(page.url) for page in pages)
    assert PERSON not in caplog.text.replace(f'"{PERSON}"', "")
    kept = {"customers.csv", "decisions.csv"}
    assert set(files_with(tmp_path, PERSON)) <= kept


def test_what_goes_wrong_inside_is_told_to_nobody(home, client, caplog, monkeypatch):
    enter(home, client)

    def fails(*_):
        raise RuntimeError(PERSON)

    monkeypatch.setattr("clients.desk.subject.pages.purposes_of", fails)
    page = client.get("/s")
    assert page.status_code == 500
    assert PERSON not in page.text
    assert PERSON not in caplog.text
    assert "RuntimeError" in caplog.text


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
def test_a_browser_shows_it_on_a_narrow_screen(home, client, tmp_path):
    page = tmp_path / "page.html"
    page.write_text(enter(home, client).text, "utf-8")
    shot = tmp_path / "page.png"
    done = subprocess.run(
        [
            CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--window-size=360,1600",
            f"--user-data-dir={tmp_path / 'profile'}", f"--screenshot={shot}", page.as_uri(),
        ],
        capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-500:]
    assert shot.stat().st_size > 5_000
