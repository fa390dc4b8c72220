"""Every page: for whom, and how it is built. Nothing inline, a label for every field, links that lead somewhere."""

import re
import string
from importlib import resources
from urllib.parse import urlsplit

import pytest
from console_scene import MODEL, USERS, Html

from federation.web.guard import Needs, Open, walk
from privacy.access import PERMISSIONS_OF, Permission
from privacy.texts import LANGUAGES, catalogue
from server.console import naming

PAGES = {
    "/": Permission.OVERVIEW_READ,
    "/jobs": Permission.JOBS_READ,
    "/jobs?show=done": Permission.JOBS_READ,
    "/jobs/{done}": Permission.JOBS_READ,
    "/jobs/{running}": Permission.JOBS_READ,
    "/jobs/{proposed}": Permission.JOBS_READ,
    "/jobs/{failed}": Permission.JOBS_READ,
    "/jobs/{refused}": Permission.JOBS_READ,
    "/jobs/{stopped}": Permission.JOBS_READ,
    "/jobs/{done}/match": Permission.MATCHES_READ,
    "/jobs/{done}/model": Permission.REPORTS_READ,
    "/jobs/new": Permission.JOBS_PROPOSE,
    "/jobs/file": Permission.JOBS_PROPOSE,
    "/parties": Permission.PARTIES_READ,
    "/parties/bank": Permission.PARTIES_READ,
    "/datasets": Permission.DATASETS_READ,
    "/datasets/bank/customers": Permission.DATASETS_READ,
    "/purposes": Permission.PURPOSES_READ,
    "/matches": Permission.MATCHES_READ,
    "/models": Permission.MODELS_READ,
    f"/models/{MODEL}": Permission.MODELS_READ,
    "/personas": Permission.PERSONAS_READ,
    "/personas/{done}": Permission.PERSONAS_READ,
    "/audiences": Permission.AUDIENCES_READ,
    "/requests": Permission.REQUESTS_READ,
    "/audit": Permission.AUDIT_READ,
    "/audit?family=job&actor=party": Permission.AUDIT_READ,
    "/audit/0": Permission.AUDIT_READ,
    "/confirmations": Permission.OVERVIEW_READ,
    "/users": Permission.USERS_READ,
    "/users/mo": Permission.USERS_READ,
    "/tokens": Permission.TOKENS_MANAGE,
    "/password": None,
}
TEMPLATES = {
    file.name: file.read_text("utf-8") for file in (resources.files("server.console") / "templates").iterdir()
}


def reader_of(permission):
    return next(
        name
        for name, roles in USERS.items()
        if permission is None or any(permission in PERMISSIONS_OF[role] for role in roles)
    )


def address(scene, page):
    return page.format(**scene.jobs)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_for_whoever_may_and_for_nobody_else(scene, page):
    for name, roles in USERS.items():
        permission = PAGES[page]
        may = permission is None or any(permission in PERMISSIONS_OF[role] for role in roles)
        answer = scene.call("GET", address(scene, page), name)
        assert answer.status_code == (200 if may else 403), (name, answer.text[-400:])


@pytest.mark.parametrize("page", ["/login", *PAGES])
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_page_is_built_as_pages_are(scene, page, language):
    user = "" if page == "/login" else reader_of(PAGES[page])
    text = scene.call("GET", address(scene, page), user, language).text
    html = Html(text)
    assert html.all("html")[0]["lang"] == language
    assert len(html.all("h1")) == len(html.all("title")) == 1
    assert not re.search(r"\son[a-z]+=|\sstyle=|<style|(src|href|action)=\"(https?:)?//", text)
    for script in html.all("script"):
        assert script.get("src") or script.get("type") == "application/json"
    labelled = {label["for"] for label in html.all("label") if "for" in label}
    for tag, attributes, inside in html.tags:
        if tag in {"input", "select", "textarea"} and attributes.get("type") not in {"hidden"}:
            has_label = attributes.get("id") in labelled or "label" in inside or attributes.get("aria-label")
            assert has_label, attributes
        if tag == "form" and attributes.get("method") == "post" and user:
            assert text.count('name="csrf"') >= 1
    ids = [attributes["id"] for _, attributes, _ in html.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_every_link_leads_somewhere(scene):
    seen, todo = set(), {("/", name) for name in ("mo", "olaf", "adam", "anna")}
    while todo:
        path, user = todo.pop()
        seen.add((path, user))
        answer = scene.call("GET", path, user)
        assert answer.status_code == 200, (path, user)
        if not answer.headers["content-type"].startswith("text/html") or path.endswith("/report"):
            continue
        for link in Html(answer.text).links:
            plain = urlsplit(link)
            # One of each kind of page is enough, and a page in another language is the same page.
            kind = re.sub(r"\d+", "0", plain.path)
            target = plain.path if kind.startswith("/audit/") else link
            is_known = any(
                re.sub(r"\d+", "0", urlsplit(known).path) == kind for known, who in seen if who == user
            )
            if link.startswith("#") or is_known or any(item == (target, user) for item in todo):
                continue
            todo.add((target, user))
    assert len(seen) > 60


def test_the_navigation_names_only_what_its_reader_may_see(scene):
    links = Html(scene.call("GET", "/", "adam").text).links
    assert {"/users", "/audit"} <= links
    assert not {"/personas", "/audiences", "/jobs/new"} & links


def test_every_route_declares_who_may(scene):
    found = [item for item in walk(scene.app) if not item.path.startswith("/api/")]
    assert [item for item in found if item.declaration is None] == []
    everybody = {item.path for item in found if isinstance(item.declaration, Open)}
    assert everybody == {"/login", "/static/{name}"}
    logged_in = {item.path for item in found if isinstance(item.declaration, Needs)}
    assert logged_in == {"/", "/logout", "/password"}


def test_the_footer_says_where_numbers_come_from(scene):
    for page in ("/jobs/{done}/match", "/jobs/{done}/model", "/personas/{done}"):
        user = reader_of(PAGES[page])
        text = Html(scene.call("GET", address(scene, page), user).text).text
        for words in (
            "Purpose credit_risk",
            "Parties bank · shop",
            "Smallest number shown 50",
            "As of",
            "no ε is used",
        ):
            assert words in text, (page, words)


def test_small_cells_stay_hidden(scene):
    text = Html(scene.call("GET", address(scene, "/personas/{done}"), "anna").text).text
    assert "< 50" in text
    assert "Too few people to be described." in text
    assert "60.0%" in text


def test_a_refusal_names_its_reason_and_what_to_do(scene):
    text = Html(scene.call("GET", address(scene, "/jobs/{refused}"), "mo").text).text
    assert "R-PURPOSE-MISMATCH" in text
    assert catalogue("en")["reasons.PURPOSE_MISMATCH.meaning"] in text
    failed = Html(scene.call("GET", address(scene, "/jobs/{failed}"), "mo", "zh-CN").text).text
    assert catalogue("zh-CN")["errors.party_did_not_join"].format(party="shop") in failed


def test_the_report_is_handed_out_as_a_file(scene):
    answer = scene.call("GET", address(scene, "/jobs/{done}/report"), "mo")
    assert answer.headers["content-disposition"].startswith("attachment")
    assert "0.7897" in answer.text


@pytest.mark.parametrize(
    "path",
    ["/jobs/J-AAAAAAAA", "/parties/nobody", "/datasets/bank/none", "/models/ff", "/jobs/{proposed}/match"],
)
def test_what_is_not_there_is_said_to_be_missing(scene, path):
    answer = scene.call("GET", address(scene, path), "mo")
    assert answer.status_code == 404
    assert len(Html(answer.text).all("h1")) == 1


def test_every_text_of_the_templates_is_filled_in():
    seen = 0
    for name, source in TEMPLATES.items():
        for match in re.finditer(r"\bt\('(console\.[\w.]+)'", source):
            depth, position, inner = 1, match.end(), ""
            while depth:
                depth += {"(": 1, ")": -1}.get(source[position], 0)
                inner += source[position] if depth == 1 else " "
                position += 1
            given = set(re.findall(r"\b([a-z_]+)=(?!=)", inner))
            wanted = {item for _, item, _, _ in string.Formatter().parse(catalogue("en")[match[1]]) if item}
            assert given == wanted, (name, match[1])
            seen += 1
    assert seen > 200


def test_whatever_has_a_name_has_one_in_the_catalogue():
    keys = [
        *(
            key
            for names in (naming.ROLES, naming.STANDINGS, naming.DECIDERS, naming.CASES)
            for key in names.values()
        ),
        *(key for names in (naming.BASES, naming.TREATMENTS, naming.FAMILIES) for key in names.values()),
        *(key for key, _ in (*naming.SENSITIVITIES.values(), *naming.MODEL_STATES.values())),
    ]
    assert set(keys) <= set(catalogue("en"))
