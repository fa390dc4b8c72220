"""What people do at the desk: coming in, approving, registering, answering subjects, doing things with two persons."""

import json
import zipfile
from io import BytesIO

import pytest
from desk_pages_scene import (
    CANARY,
    NAMES,
    NUMBER,
    PASSWORD,
    RESULT,
    SECOND,
    DeskOfBank,
    Page,
    marketing,
    words_of,
)

from clients.approvals.inbox import Inbox
from clients.desk.app import make_desk
from clients.home import NodeHome
from clients.rights.store import CaseStore
from privacy.access import Role
from privacy.audit import EventType
from privacy.rights import CaseState


@pytest.fixture
def desk(tmp_path):
    return DeskOfBank(tmp_path)


def everything_written(desk):
    """The audit log and the node's logs, as they lie on the disk."""
    files = [*(desk.home.folder / "audit").rglob("*"), *(desk.home.folder / "logs").rglob("*")]
    return b"".join(file.read_bytes() for file in files if file.is_file())


# --- coming in


def test_nobody_comes_in_without_a_login(desk):
    stranger = desk.browser()
    found = stranger.get("/desk/requests?all=yes")
    assert found.status_code == 303
    assert found.headers["location"] == "/desk/login?next=%2Fdesk%2Frequests%3Fall%3Dyes"
    assert stranger.post("/desk/login", {"name": "nobody", "password": "x"}).status_code == 401
    assert stranger.get("/desk").headers["location"] == "/desk/"


def test_a_login_leads_back_into_the_desk_and_nowhere_else(desk):
    for wish, leads in (("/desk/audit", "/desk/audit"), ("/v1/status", "/desk/"), ("//evil", "/desk/")):
        data = {"name": SECOND, "password": PASSWORD, "next": wish}
        assert desk.browser().post("/desk/login", data).headers["location"] == leads


def test_a_form_of_nobodys_page_changes_nothing(desk):
    officer = desk.browser(Role.OFFICER)
    assert officer.post(f"/desk/approvals/{NUMBER}/deny", {"note": "no"}, csrf="x").status_code == 403
    assert Inbox(desk.home).decision(NUMBER) is None


def test_a_new_user_comes_in_by_a_code_sets_a_password_and_may_then_work(desk):
    admin = desk.browser(Role.ADMIN)
    found = admin.post("/desk/users", {"name": "eve", "roles": ["auditor", "operator"], "language": ""})
    code = found.text.split("<code>")[1].split("</code>")[0]
    eve = desk.browser()
    assert eve.post("/desk/login", {"code": code}).headers["location"] == "/desk/password"
    assert eve.get("/desk/").status_code == 403, "nothing before the password is set"
    wrong = eve.post("/desk/password", {"new": "lauter kleine Ziegen", "again": "other"})
    assert wrong.status_code == 422
    assert "differ" in wrong.text
    assert (
        eve.post(
            "/desk/password", {"new": "lauter kleine Ziegen", "again": "lauter kleine Ziegen"}
        ).status_code
        == 303
    )
    assert eve.get("/desk/table").status_code == 200
    assert desk.browser().post("/desk/login", {"code": code}).status_code == 401, "good once"
    assert admin.post("/desk/users/eve/state", {"state": "disabled"}).status_code == 303
    assert eve.get("/desk/table").status_code == 303


def test_nobody_changes_their_own_roles(desk):
    found = desk.browser(Role.ADMIN).post(f"/desk/users/{NAMES[Role.ADMIN]}/roles", {"roles": ["officer"]})
    assert found.status_code == 403


# --- approvals


def seen_on(page):
    return {name: hidden(page, name) for name in ("digest", "policy")}


def test_a_person_sees_what_leaves_and_approves(desk):
    operator = desk.browser(Role.OPERATOR)
    page = operator.get(f"/desk/approvals/{NUMBER}")
    assert "What would leave this node" in page.text
    assert (
        operator.post(
            f"/desk/approvals/{NUMBER}/approve", seen_on(page) | {"days": "3", "note": "fine"}
        ).status_code
        == 303
    )
    said = Inbox(desk.home).decision(NUMBER)
    assert said.word.approved
    assert (said.who, said.note) == (NAMES[Role.OPERATOR], "fine")
    assert "is approved until" in operator.get("/desk/approvals").text, "the flash says it"
    assert [event.actor for event in desk.events(EventType.JOB_APPROVED)] == ["operator"]


@pytest.mark.parametrize("name", ["digest", "policy"])
def test_a_yes_is_to_what_the_page_showed(desk, name):
    operator = desk.browser(Role.OPERATOR)
    seen = seen_on(operator.get(f"/desk/approvals/{NUMBER}"))
    for other in ("0" * 64, ""):
        form = seen | {"days": "3", name: other}
        assert operator.post(f"/desk/approvals/{NUMBER}/approve", form).status_code == 409
    assert Inbox(desk.home).decision(NUMBER) is None


def test_a_no_needs_a_reason_and_stays_here(desk):
    officer = desk.browser(Role.OFFICER)
    assert officer.post(f"/desk/approvals/{NUMBER}/deny", {"note": ""}).status_code == 422
    assert officer.post(f"/desk/approvals/{NUMBER}/deny", {"note": "not now"}).status_code == 303
    said = Inbox(desk.home).decision(NUMBER)
    assert not said.word.approved
    assert b"not now" not in said.signed
    assert b"not now" not in everything_written(desk)


def test_an_analyst_decides_nothing(desk):
    analyst = desk.browser(Role.ANALYST)
    assert analyst.post(f"/desk/approvals/{NUMBER}/approve", {"days": "3"}).status_code == 403
    assert desk.events(EventType.ACCESS_DENIED)[-1].stage == "approvals:decide"


# --- the table


def hidden(page, name):
    return next(one["value"] for one in Page(page.text).of("input") if one.get("name") == name)


def register(desk, rows, parts, confirmed="yes", header="phone,income,city,pin"):
    file = desk.home.folder.parent / "new.csv"
    file.write_text(header + "\n" + "\n".join(rows) + "\n", "utf-8")
    operator = desk.browser(Role.OPERATOR)
    assert "new.csv" in operator.get("/desk/register").text
    columns = operator.post("/desk/register/columns", {"file": "new.csv"})
    if columns.status_code != 200:
        return operator, columns
    data = {"file": "new.csv", "id_kind": "phone"} | {f"part-{place}": one for place, one in enumerate(parts)}
    classes = operator.post("/desk/register/classes", data)
    if classes.status_code != 200:
        return operator, classes
    data = {
        "spec": hidden(classes, "spec"),
        "confirmed": confirmed,
        "kind-0": "income",
        "kind-1": "city_tier",
    }
    return operator, operator.post("/desk/register/check", data)


ROWS = [f"139{number:08d},{number * 10},{number % 3},{number}" for number in range(40)]


def test_a_table_is_registered_step_by_step(desk):
    from privacy.catalog import Catalog

    key = next(one.key for one in Catalog.load().classes if not one.is_sensitive and one.key != "income")
    file = desk.home.folder.parent / "new.csv"
    file.write_text("phone,income,city\n" + "\n".join(row.rsplit(",", 1)[0] for row in ROWS) + "\n", "utf-8")
    operator = desk.browser(Role.OPERATOR)
    columns = operator.post("/desk/register/columns", {"file": "new.csv"})
    assert "mobile phone number" in words_of(columns.text)
    data = {
        "file": "new.csv",
        "id_kind": "phone",
        "part-0": "identifier",
        "part-1": "field",
        "part-2": "category",
    }
    classes = operator.post("/desk/register/classes", data)
    data = {"spec": hidden(classes, "spec"), "confirmed": "yes", "kind-0": "income", "kind-1": key}
    check = operator.post("/desk/register/check", data)
    assert "no problem was found" in check.text, words_of(check.text)
    assert desk.home.settings.table.path != str(file.resolve()), "nothing is registered yet"
    assert operator.post("/desk/register", {"spec": hidden(check, "spec")}).status_code == 303
    spec = NodeHome.open(desk.home.folder).settings.table
    assert spec.path == str(file.resolve())
    assert [(one.name, one.kind) for one in spec.fields] == [("income", "income"), ("city", key)]
    assert spec.categorical_fields == ("city",)
    assert desk.events(EventType.FIELD_CLASSIFIED)[-1].actor == NAMES[Role.OPERATOR]
    assert all(CANARY not in page.text for page in (columns, classes, check))


def test_a_file_with_problems_is_not_registered_and_shows_no_value(desk):
    rows = [*ROWS[:20], "13900000005x,1,2,3", "139,oops-value,2,3"]
    operator, check = register(desk, rows, ["identifier", "field", "ignore", "ignore"])
    assert check.status_code == 200
    assert "Nothing is registered" in check.text
    assert "oops-value" not in check.text
    assert CANARY not in check.text
    found = operator.post("/desk/register", {"spec": hidden_or(check, desk)})
    assert found.status_code == 422
    assert NodeHome.open(desk.home.folder).settings.table.path.endswith("bank.csv")


def hidden_or(check, desk):
    import msgspec

    spec = desk.home.settings.table
    path = str((desk.home.folder.parent / "new.csv").resolve())
    return msgspec.json.encode(msgspec.structs.replace(spec, path=path)).decode()


def test_a_file_without_a_header_shows_nobody(desk):
    _, found = register(desk, ROWS, [], header=f"{CANARY},1,2,3")
    assert found.status_code == 422
    assert "header row" in found.text
    assert CANARY not in found.text


def test_a_registration_needs_an_identifier_and_a_person_who_has_looked(desk):
    _, found = register(desk, ROWS, ["ignore", "field", "ignore", "ignore"])
    assert found.status_code == 422
    assert "identifier" in found.text
    _, found = register(desk, ROWS, ["identifier", "field", "ignore", "ignore"], confirmed="")
    assert found.status_code == 422


def test_a_form_cannot_name_another_file(desk):
    import msgspec

    spec = msgspec.structs.replace(desk.home.settings.table, path="/etc/passwd")
    operator = desk.browser(Role.OPERATOR)
    assert operator.post("/desk/register", {"spec": msgspec.json.encode(spec).decode()}).status_code == 422
    assert operator.post("/desk/register/columns", {"file": "../../etc/passwd"}).status_code == 422


def test_a_class_is_changed_by_a_person(desk):
    officer = desk.browser(Role.OFFICER)
    assert officer.post("/desk/fields", {"kind-0": "assets"}).status_code == 303
    assert NodeHome.open(desk.home.folder).settings.table.fields[0].kind == "assets"
    assert officer.post("/desk/fields", {"kind-0": "nonsense"}).status_code == 422


# --- consents


def test_coverage_is_counts_and_a_look_is_logged(desk):
    auditor = desk.browser(Role.AUDITOR)
    assert CANARY not in auditor.get("/desk/consents").text
    assert auditor.post("/desk/consents/lookup", {"identifier": CANARY}).status_code == 403
    officer = desk.browser(Role.OFFICER)
    found = officer.post("/desk/consents/lookup", {"identifier": CANARY})
    assert found.status_code == 200
    assert "credit_risk" in found.text
    assert CANARY not in found.text
    look = next(
        event for event in reversed(desk.events(EventType.ACCESS_GRANTED)) if event.artefact == "lookup"
    )
    assert look.actor == NAMES[Role.OFFICER]
    assert look.sref


def test_an_officer_withdraws_restricts_and_lifts(desk):
    officer = desk.browser(Role.OFFICER)
    subject = hidden(officer.post("/desk/consents/lookup", {"identifier": CANARY}), "subject")
    withdrawn = officer.post("/desk/consents/withdraw", {"subject": subject, "purpose": "credit_risk"})
    assert "withdrawn" in words_of(withdrawn.text)
    subject = hidden(withdrawn, "subject")
    restricted = officer.post("/desk/consents/restrict", {"subject": subject, "reason": "dispute"})
    assert "the subject disputes the data" in restricted.text
    lifted = officer.post(
        "/desk/consents/lift", {"subject": hidden(restricted, "subject"), "reason": "dispute"}
    )
    assert "No restriction holds" in lifted.text
    other = desk.browser(name=SECOND)
    assert other.post("/desk/consents/withdraw", {"subject": subject}).status_code == 404, (
        "another login's look"
    )


# --- requests


def test_a_request_is_filed_verified_and_refused(desk):
    officer = desk.browser(Role.OFFICER)
    filed = officer.post("/desk/requests/new", {"identifier": CANARY, "kind": "delete"})
    assert filed.status_code == 200
    number, code = (part.split("</code>")[0] for part in filed.text.split("<code>")[1:3])
    page = officer.get(f"/desk/requests/{number}")
    assert code not in page.text, "shown once"
    assert officer.post(f"/desk/requests/{number}/verify", {"code": "00000000"}).status_code == 403
    assert officer.post(f"/desk/requests/{number}/verify", {"code": code}).status_code == 303
    assert CaseStore(desk.home.vault).get(number).record.identified
    refused = officer.post(f"/desk/requests/{number}/reject", {"reason": "R-AGENT-AUTHORITY"})
    assert refused.status_code == 303
    assert CaseStore(desk.home.vault).get(number).state is CaseState.REJECTED
    assert "article 50" in officer.get(f"/desk/requests/{number}").text.lower() or "complain" in words_of(
        officer.get(f"/desk/requests/{number}").text
    )


def test_who_asks_for_another_shows_a_paper_of_which_the_digest_stays(desk):
    officer = desk.browser(Role.OFFICER)
    data = {
        "identifier": CANARY,
        "kind": "access",
        "requester": "agent",
        "document_kind": "power-of-attorney",
    }
    found = officer.post(
        "/desk/requests/new", data, files={"document": ("p.pdf", b"paper", "application/pdf")}
    )
    assert "is to be answered by" in found.text
    found = officer.post("/desk/requests/new", {"identifier": CANARY, "kind": "access", "requester": "agent"})
    assert "is to be answered by" not in found.text, "refused at once without a paper"


# --- with two persons


def test_the_audit_bundle_takes_two_persons(desk):
    one, other = desk.browser(Role.OFFICER), desk.browser(Role.AUDITOR)
    assert one.post("/desk/audit/export").status_code == 303
    number = desk.events(EventType.ACCESS_SECOND_ASKED)[-1].artefact
    assert one.post(f"/desk/confirmations/{number}/yes").status_code == 403, "the same person"
    assert desk.browser(Role.ANALYST).post(f"/desk/confirmations/{number}/yes").status_code == 403
    assert one.post("/desk/audit/export").status_code == 303, "nobody has confirmed it"
    assert "Confirm" in other.get("/desk/confirmations").text
    assert other.post(f"/desk/confirmations/{number}/yes").status_code == 303
    bundle = one.post("/desk/audit/export")
    assert bundle.headers["content-type"] == "application/zip"
    assert "verify.py" in zipfile.ZipFile(BytesIO(bundle.content)).namelist()
    assert one.post("/desk/audit/export").status_code == 303, "once"


def test_an_entry_of_the_log_is_proved(desk):
    auditor = desk.browser(Role.AUDITOR)
    assert "Checked just now" in auditor.get("/desk/audit/2").text
    assert auditor.get("/desk/audit/999999").status_code == 404


def test_customers_leave_with_two_persons_and_small_segments_are_never_told(desk):
    analyst, officer = desk.browser(Role.ANALYST), desk.browser(Role.OFFICER)
    page = analyst.get(f"/desk/results/{RESULT}")
    k_min = desk.desk.k_min
    assert f">{25 // k_min * k_min}<" in page.text
    assert ">25<" not in page.text or k_min in {1, 5, 25}
    assert "too few to tell" in page.text
    assert CANARY not in page.text
    assert officer.post(f"/desk/results/{RESULT}/customers").status_code == 303
    number = desk.events(EventType.ACCESS_SECOND_ASKED)[-1].artefact
    assert analyst.post(f"/desk/confirmations/{number}/yes").status_code == 303
    found = officer.post(f"/desk/results/{RESULT}/customers")
    assert CANARY in found.text
    assert "attachment" in found.headers["content-disposition"]
    assert analyst.post("/desk/results/..%2Fx/customers").status_code == 404


def test_an_audience_is_built_and_exported_with_two_persons(desk):
    marketing(desk)
    from desk_scene import JOB

    officer, analyst = desk.browser(Role.OFFICER), desk.browser(Role.ANALYST)
    assert f"{RESULT}/2" not in analyst.get("/desk/audiences/new").text, "too few people are no list"
    data = {"source": f"{RESULT}/0", "purpose": JOB.purpose, "name": "spring", "days": "10"}
    built = analyst.post("/desk/audiences/new", data)
    assert built.status_code == 303, words_of(built.text)
    asked = analyst.post("/desk/audiences/spring/export")
    assert asked.status_code == 303, words_of(asked.text)
    number = desk.events(EventType.ACCESS_SECOND_ASKED)[-1].artefact
    assert officer.post(f"/desk/confirmations/{number}/yes").status_code == 303
    assert CANARY in analyst.post("/desk/audiences/spring/export").text


# --- identifiers


def test_an_identifier_is_in_no_address_title_or_log(desk, caplog):
    caplog.set_level("DEBUG")
    officer = desk.browser(Role.OFFICER)
    pages = [
        officer.post("/desk/consents/lookup", {"identifier": CANARY}),
        officer.post("/desk/consents/lookup", {"identifier": CANARY + "x"}),
        officer.post("/desk/requests/new", {"identifier": CANARY, "kind": "access"}),
        officer.post("/desk/requests/new", {"identifier": CANARY, "kind": "nonsense"}),
        officer.post(
            "/desk/requests/new", {"identifier": CANARY, "kind": "correct", "field": "x", "value": "77077"}
        ),
    ]
    for page in pages:
        assert CANARY not in page.text
        assert "77077" not in page.text
        assert CANARY not in str(page.headers)
    ours = [
        record.getMessage()
        for record in caplog.records
        if not record.name.startswith(("sqlalchemy", "httpx"))
    ]
    assert not [line for line in ours if CANARY in line]
    assert CANARY.encode() not in everything_written(desk)


def test_the_pages_stand_beside_the_other_routes_of_the_desk(desk):
    from fastapi.testclient import TestClient

    client = TestClient(make_desk(desk.home), base_url="http://127.0.0.1")
    assert client.get("/desk/login").status_code == 200
    assert client.get("/static/silhouette.css").status_code == 200
    assert client.get("/desk/approvals", follow_redirects=False).headers["location"].startswith("/desk/login")
    found = client.get("/v1/status")
    assert found.status_code == 401
    assert json.loads(found.content)["code"] == "unauthorised"
    assert client.get("/nowhere").status_code == 404
    assert "content-security-policy" in client.get("/q").headers
