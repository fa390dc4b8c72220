"""Every page of the desk, for every role, in both languages: who may, what a browser is given, where links lead."""

import re

import pytest
from desk_pages_scene import CANARY, NAMES, NUMBER, RESULT, DeskOfBank, Page

from clients.desk.console.services import NAV
from federation.web.guard import Needs, walk
from privacy.access import PERMISSIONS_OF, Permission, Role
from privacy.texts import catalogue

PAGES = {
    "/desk/": Permission.OVERVIEW_READ,
    "/desk/approvals": Permission.APPROVALS_READ,
    f"/desk/approvals/{NUMBER}": Permission.APPROVALS_READ,
    f"/desk/approvals/{NUMBER}?rows=yes": Permission.APPROVALS_READ,
    "/desk/table": Permission.TABLES_READ,
    "/desk/table?check=yes": Permission.TABLES_READ,
    "/desk/fields": Permission.FIELDS_CLASSIFY,
    "/desk/register": Permission.TABLES_REGISTER,
    "/desk/purposes": Permission.PURPOSES_READ,
    "/desk/consents": Permission.CONSENTS_READ,
    "/desk/requests": Permission.REQUESTS_READ,
    "/desk/requests?all=yes": Permission.REQUESTS_READ,
    "/desk/requests/{case}": Permission.REQUESTS_READ,
    "/desk/requests/new": Permission.REQUESTS_FILE,
    "/desk/results": Permission.PERSONAS_READ,
    f"/desk/results/{RESULT}": Permission.PERSONAS_READ,
    "/desk/audiences": Permission.AUDIENCES_READ,
    "/desk/audiences/new": Permission.AUDIENCES_BUILD,
    "/desk/models": Permission.MODELS_READ,
    "/desk/retention": Permission.RETENTION_READ,
    "/desk/keys": Permission.KEYS_READ,
    "/desk/audit": Permission.AUDIT_READ,
    "/desk/audit?family=access": Permission.AUDIT_READ,
    "/desk/audit/1": Permission.AUDIT_READ,
    "/desk/confirmations": Permission.OVERVIEW_READ,
    "/desk/users": Permission.USERS_READ,
    f"/desk/users/{NAMES[Role.OFFICER]}": Permission.USERS_READ,
    "/desk/password": None,
}


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    return DeskOfBank(tmp_path_factory.mktemp("pages"))


@pytest.fixture(scope="module")
def browsers(desk):
    return {role: desk.browser(role) for role in Role}


def test_every_route_declares_who_may(desk):
    assert [one for one in walk(desk.app) if one.declaration is None] == []
    free = {one.path for one in walk(desk.app) if not isinstance(one.declaration, Permission)}
    assert free == {"/static/{name}", "/desk", "/desk/login", "/desk/logout", "/desk/password"}
    assert not [
        one for one in walk(desk.app) if isinstance(one.declaration, Needs) and not one.declaration.reason
    ]


def test_every_page_that_can_be_got_is_tried_here(desk):
    got = {one.path for one in walk(desk.app) if one.method == "GET"}
    tried = {
        path.split("?")[0]
        .replace(NUMBER, "{number}")
        .replace("{case}", "{number}")
        .replace(RESULT, "{name}")
        .replace("/audit/1", "/audit/{seq}")
        .replace(NAMES[Role.OFFICER], "{name}")
        for path in PAGES
    }
    elsewhere = {"/static/{name}", "/desk", "/desk/login", "/desk/requests/{number}/receipt.{form}"}
    assert got - tried == elsewhere


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("role", Role)
def test_a_page_is_for_whoever_may(desk, browsers, path, role):
    found = browsers[role].get(path.replace("{case}", desk.case))
    may = PAGES[path] is None or PAGES[path] in PERMISSIONS_OF[role]
    assert found.status_code == (200 if may else 403), found.text[-800:]


@pytest.mark.parametrize("language", ["en", "zh-CN"])
@pytest.mark.parametrize("path", [*PAGES, "/desk/login"])
def test_a_page_is_well_made(desk, browsers, path, language):
    role = next(
        (role for role in Role if PAGES.get(path) is None or PAGES[path] in PERMISSIONS_OF[role]), Role.ADMIN
    )
    url = path.replace("{case}", desk.case) + ("&" if "?" in path else "?") + f"lang={language}"
    browser = browsers[role] if path in PAGES else desk.browser()
    found = browser.get(url)
    browser.cookies.delete("silhouette-language")
    page = Page(found.text)
    assert found.status_code == 200
    assert page.of("html")[0]["lang"] == language
    assert len(page.of("h1")) == 1
    assert page.unlabelled == []
    assert sorted(set(page.ids)) == sorted(page.ids)
    assert not page.of("style")
    assert all(one.get("src") or one.get("type") == "application/json" for one in page.of("script"))
    assert not [one for _, one in page.tags if any(name == "style" or name.startswith("on") for name in one)]
    for one in page.of("form"):
        assert one.get("method") == "get" or 'name="csrf"' in found.text or path == "/desk/login"
    assert found.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
    assert found.headers["cache-control"] == "no-store"
    assert CANARY not in found.text
    if language == "zh-CN":
        assert re.search(r"<h1>[^<]*[\u4e00-\u9fff]", found.text) or RESULT in path or "users/" in path


def test_links_lead_somewhere(desk, browsers):
    for role, browser in browsers.items():
        links = set()
        for path, permission in PAGES.items():
            if permission is None or permission in PERMISSIONS_OF[role]:
                links |= Page(browser.get(path.replace("{case}", desk.case)).text).links
        broken = {link: code for link in links if (code := browser.get(link).status_code) not in {200, 303}}
        assert broken == {}, role


def test_texts_named_by_templates_and_values_exist():
    from importlib import resources

    from clients.desk.console.columns import Part
    from clients.rights.intake import VOUCHES
    from privacy.access import TWO_PERSONS
    from privacy.catalog import Action, Sensitivity
    from privacy.consent import ConsentKind
    from privacy.policy import Basis, PurposeClass, Relation
    from privacy.rights import Requester

    folder = resources.files("clients.desk.console") / "templates"
    named = {
        key
        for file in folder.iterdir()
        for key in re.findall(
            r"""['"]((?:desk|web|receipts|approvals|tables|consents|rights|access)\.[a-z_.]+[a-z])['"]""",
            file.read_text("utf-8"),
        )
    }
    by_value = {
        "part": Part, "sensitivity": Sensitivity, "action": Action, "basis": Basis, "relation": Relation,
        "treatment": PurposeClass, "consent_kind": ConsentKind, "requester": Requester, "role": Role, "role_of": Role,
    }  # fmt: skip
    named |= {f"desk.{place}.{one.value}" for place, kind in by_value.items() for one in kind}
    named |= {f"desk.vouch.{one}" for one in VOUCHES}
    named |= {f"desk.permission.{one.value.replace(':', '_')}" for one in TWO_PERSONS}
    named |= {item.key for item in NAV} | {"desk.site"}
    assert len(named) > 200
    assert sorted(named - set(catalogue("en"))) == []
