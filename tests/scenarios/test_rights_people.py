"""Scenarios 23 to 25 and 36 to 38: what people are owed beside deletion, at three deployed nodes, real processes."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta

import httpx
import msgspec
import numpy as np
import pytest
import tomli_w
from json_schema import problems
from lending_scene import ROUTE, condition, plan, rule
from three_nodes import eventually, three_nodes

from clients.compare import PooledParty
from clients.finished import HANDLE, NOBODY, SEGMENTS, read_handle, record_name
from clients.forgetting.cards import cards
from clients.gate.policy import active_policy
from clients.home import for_toml
from clients.lending.plan import Grade, Lane, Scale
from federation.jobs import Method
from federation.pace import today
from federation.terminal import EXIT_INPUT
from privacy.audit_items.small import shipped_schema
from privacy.clocks import answer_due
from privacy.policy import PROMPT_COOLDOWN_DAYS

pytestmark = pytest.mark.timeout(300)

GRADES = (
    Grade(name="A", lane=Lane.FAST, high=0.1),
    Grade(name="B", lane=Lane.DECLINE, low=0.1, human_route=ROUTE),
)
SPREAD_BP = 40
FEWEST_REASONS, MOST_REASONS = 3, 4


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    with three_nodes(tmp_path_factory.mktemp("people")) as made:
        yield made


# --- help for all of them


def results_of(nodes, party="bank"):
    (folder,) = nodes.home(party).results.glob(f"*-{nodes.session[:8]}")
    return folder


def lending_plan(folder, *rules, name="loans.toml", **changes):
    """A decision policy as a file."""
    given = {"scale": Scale.PD, "grades": GRADES, "effective_until": today() + timedelta(days=300)}
    file = folder / name
    file.write_text(tomli_w.dumps(for_toml(plan(*rules, **(given | changes)))), "utf-8")
    return file


def decide(nodes, policy):
    """What `lending decide` counts, and its decisions by identifier."""
    counts = nodes.node_json(
        "bank", "lending", "decide", "--results", str(results_of(nodes)), "--policy", str(policy)
    )
    with (results_of(nodes) / "decisions.csv").open(newline="") as stream:
        return counts, {row["identifier"]: row for row in csv.DictReader(stream)}


def asked(nodes, party, kind, person):
    """A request at the desk, of a person whom the party's own systems have identified."""
    with nodes.desk(party) as desk:
        answer = desk.post("/v1/requests", json={"identifier": person, "kind": kind, "verified_by": "branch"})
        assert answer.status_code == 200, answer.text
        return answer.json()


def ended(nodes, party, number):
    """The case when it is completed there, as the desk shows it to the party's own systems."""
    with nodes.desk(party) as desk:

        def look():
            answer = desk.get(f"/v1/requests/{number}")
            found = answer.json() if answer.status_code == 200 else {"state": ""}
            return found if found["state"] == "completed" else None

        return eventually(look)


def events(nodes, party, kind, artefact=None):
    found = (event for event in nodes.home(party).audit.events() if event.type.value == kind)
    return [event for event in found if artefact is None or event.artefact == artefact]


def assert_log_names_nobody(nodes, *people):
    for party in nodes.PARTIES:
        log = b"\n".join(event.canonical() for event in nodes.home(party).audit.events())
        assert not [person for person in people if person.encode() in log]


def activate(nodes, party, policy, folder):
    file = folder / f"{party}-policy.toml"
    file.write_text(tomli_w.dumps(for_toml(policy)), "utf-8")
    nodes.node(party, "policy", "activate", str(file))


# --- 23


def own_page(nodes, case):
    """What the subject reads in its browser, in Chinese, with the number and the code that it was given."""
    with nodes.desk("bank") as desk:
        del desk.headers["authorization"]
        answer = desk.post("/q", data={"case": case["number"], "code": case["access"]})
        assert answer.status_code == httpx.codes.SEE_OTHER, answer.text
        cookie = answer.headers["set-cookie"].partition(";")[
            0
        ]  # for TLS alone, which a browser takes loopback for
        page = desk.get(answer.headers["location"], headers={"cookie": cookie, "accept-language": "zh-CN"})
        assert page.status_code == httpx.codes.OK, page.text
    return page.text


def contributions(nodes):
    """What raises each person's score most, weightiest first, from the three parties' parts of the trees.

    Nobody in a federation can compute this: the walk reads every party's table and thresholds.
    """
    parties = {name: PooledParty(nodes.local.home_of(name), nodes.session) for name in nodes.PARTIES}
    codes = {name: one.model.binning.transform(one.values()) for name, one in parties.items()}
    label_holder = parties["bank"].model
    people = parties["bank"].context.table.own_identifiers[parties["bank"].context.kept.rows].tolist()
    found = {}
    for row, person in enumerate(people):
        added = defaultdict(float)
        for tree in label_holder.trees:
            node = 0
            while tree.left[node] >= 0:
                owner = label_holder.owners[tree.owner[node]]
                split = parties[owner].model.splits[tree.split[node]]
                is_own = owner == "bank"
                name = label_holder.binning.fields[split.feature] if is_own else f"information from {owner}"
                child = tree.left[node] + (not split.goes_left(codes[owner][row : row + 1])[0])
                added[name] += tree.value[child] - tree.value[node]
                node = child
        raising = sorted((value, name) for name, value in added.items() if value > 0)
        found[person.decode()] = [name for _, name in raising[::-1]][:MOST_REASONS], sum(added.values())
    return found


@pytest.mark.scenario(23)
def test_who_is_refused_a_loan_is_told_the_true_reasons_and_gets_a_person(nodes, tmp_path):
    policy = lending_plan(tmp_path)
    counts, decided = decide(nodes, policy)
    assert counts["lanes"]["decline"] > 0
    true = contributions(nodes)
    scored = {row["identifier"]: float(row["score"]) for row in nodes.customers()}
    base = {round(float(np.log(p / (1 - p))) - true[one][1], 6) for one, p in scored.items()}
    assert len(base) == 1, "the contributions are those of the scores"
    person = next(
        one
        for one, row in decided.items()
        if row["lane"] == "decline" and len(true[one][0]) >= FEWEST_REASONS
    )
    case = asked(nodes, "bank", "explain", person)
    due = date.fromisoformat(case["due"])
    assert today() < due <= answer_due(today())
    done = ended(nodes, "bank", case["number"])
    assert date.fromisoformat(done["reached"]["completed"][:10]) <= due
    folder = nodes.home("bank").folder / "copies" / case["number"]
    told = json.loads((folder / "explanation.json").read_text())
    assert [name.rpartition("|")[2] for name in told["names"]] == true[person][0]
    sentences = [one["zh"] for one in told["reasons"]]
    assert len(set(sentences)) >= FEWEST_REASONS
    assert all(any("\u4e00" <= letter <= "\u9fff" for letter in sentence) for sentence in sentences)
    page = own_page(nodes, case)
    for printed in (page, (folder / "explanation.zh-CN.html").read_text()):
        assert all(sentence in printed for sentence in sentences)
        assert ROUTE.ask.zh in printed
    assert (told["grade"], told["route"]["zh"]) == ("B", ROUTE.ask.zh)
    assert not [other for other in scored if other in page], "no identifier, and nobody else's"
    (event,) = events(nodes, "bank", "adm.explained", case["number"])
    assert event.numbers == {"reasons": len(sentences)}
    assert event.digests["lending_policy"] == counts["version"]

    refusal = asked(nodes, "bank", "refuse-automation", person)
    ended(nodes, "bank", refusal["number"])
    assert events(nodes, "bank", "adm.refused_by_subject", refusal["number"])
    counts, decided = decide(nodes, policy)
    row = decided[person]
    assert (row["lane"], row["why"], row["needs_human"]) == ("manual", "R-ADM-REFUSED-BY-SUBJECT", "True")
    assert (row["grade"], row["score"], row["reasons"]) == ("", "", "")
    assert counts["refused_automation"] == 1
    assert_log_names_nobody(nodes, person)


@pytest.mark.scenario(23)
def test_nothing_is_released_or_decided_without_a_way_to_a_person(nodes, tmp_path):
    nobody = msgspec.structs.replace(GRADES[1], human_route=None)
    policy = lending_plan(tmp_path, name="nobody.toml", grades=(GRADES[0], nobody))
    arguments = ("bank", "lending", "decide", "--results", str(results_of(nodes)), "--policy")
    assert "R-ADM-NO-HUMAN-PATH" in nodes.refused(*arguments, str(policy))
    before = active_policy(nodes.home("bank"))
    purposes = tuple(
        msgspec.structs.replace(item, human_route="") if item.name == "credit_risk" else item
        for item in before.purposes
    )
    (number,) = (card.number for card in cards(nodes.home("bank")) if card.kind == Method.SECUREBOOST)
    file = tmp_path / "model.json"
    activate(nodes, "bank", msgspec.structs.replace(before, purposes=purposes), tmp_path)
    try:
        assert "R-ADM-NO-HUMAN-PATH" in nodes.refused(*arguments, str(lending_plan(tmp_path)))
        assert "R-ADM-NO-HUMAN-PATH" in nodes.refused(
            "bank", "models", "release", number, "--into", str(file)
        )
        assert not file.exists()
        assert not events(nodes, "bank", "model.released")
    finally:
        activate(nodes, "bank", before, tmp_path)
    nodes.node("bank", "models", "release", number, "--into", str(file))
    assert len(events(nodes, "bank", "model.released")) == 1


# --- 24


@pytest.mark.scenario(24)
def test_a_persona_changes_nobodys_rate(nodes, tmp_path):
    policy = lending_plan(tmp_path, rule("sound", condition("grade", one_of=("A",)), spread_bp=SPREAD_BP))
    _, decided = decide(nodes, policy)
    personas = {row["identifier"]: row["segment"] for row in nodes.customers()}
    equal = [one for one, row in decided.items() if row["grade"] == "A"]
    first = equal[0]
    second = next(one for one in equal if personas[one] != personas[first])
    assert decided[first]["spread_bp"] == decided[second]["spread_bp"] == str(SPREAD_BP)
    parity = ("bank", "lending", "parity", "--results", str(results_of(nodes)), "--policy", str(policy))
    found = nodes.node_json(*parity)
    assert found["groups"] >= 1
    assert found["differing"] == 0
    prices = tmp_path / "prices.csv"
    rows = [f"{one},{SPREAD_BP + 5 * (one == second)}" for one in decided]
    prices.write_text("\n".join(["identifier,spread_bp", *rows]) + "\n")
    refused = nodes.refused(*parity, "--prices", str(prices))
    assert "R-PRICE-FEATURE-PROHIBITED" in refused
    good, bad = (event.reasons for event in events(nodes, "bank", "parity.tested"))
    assert (good, bad) == ((), ("R-PRICE-FEATURE-PROHIBITED",))
    persona = lending_plan(
        tmp_path, rule("dear", condition("segment", one_of=("1",)), spread_bp=90), name="persona.toml"
    )
    before = (results_of(nodes) / "decisions.csv").read_bytes()
    arguments = ("bank", "lending", "decide", "--results", str(results_of(nodes)), "--policy", str(persona))
    assert "R-PRICE-FEATURE-PROHIBITED" in nodes.refused(*arguments)
    assert (results_of(nodes) / "decisions.csv").read_bytes() == before
    assert not {one for one in decided if one in refused}
    assert_log_names_nobody(nodes, first, second)


# --- 25


def members(nodes, party, name="spring"):
    return {row["identifier"] for row in read(nodes.home(party).folder / "audiences" / name / "members.csv")}


def read(file):
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream))


def segment_at(nodes, party, person):
    """The segment that a party's record of the job has a person in; NOBODY where the tag is taken out."""
    vault = nodes.home(party).vault
    _, refs = read_handle(vault.get(record_name(nodes.session, HANDLE)))
    found = np.frombuffer(
        msgspec.msgpack.decode(vault.get(record_name(nodes.session, SEGMENTS)))["assignments"], dtype=np.int64
    )
    known = nodes.references(person)
    (place,) = [row for row, ref in enumerate(refs) if ref.tobytes() in known]
    return int(found[place])


@pytest.mark.scenario(25)
def test_who_opts_out_is_on_no_list_and_has_no_tag_at_a_partner(nodes, tmp_path):
    sizes = defaultdict(int)
    for row in nodes.customers():
        sizes[row["segment"]] += 1
    segment = max(sizes, key=sizes.__getitem__)
    given = ("--segment", segment, "--purpose", "marketing", "--name", "spring")
    nodes.node("bank", "audience", "build", "--results", str(results_of(nodes)), *given)
    before = members(nodes, "bank")
    late, gone = sorted(before)[:2]
    with nodes.desk("bank") as desk:
        body = {"identifiers": [late], "purpose": "marketing"}
        assert desk.post("/v1/consents/withdraw", json=body).status_code == 200
    assert late in members(nodes, "bank"), "the word came after the list was built"
    file = tmp_path / "spring.csv"
    made = nodes.node_json("bank", "audience", "export", "spring", "--to", str(file))
    assert {row["identifier"] for row in read(file)} == before - {late}
    assert made["left_out"] == {"R-MARKETING-OPTOUT": 1}
    (event,) = events(nodes, "bank", "audience.exported")
    assert event.reasons == ("R-MARKETING-OPTOUT",)
    # Said at one door, the tag goes at every party: the partners hear of it by post.
    assert segment_at(nodes, "ecommerce", gone) == int(segment)
    assert not events(nodes, "ecommerce", "tag.deleted")
    case = asked(nodes, "bank", "opt-out", gone)
    done = ended(nodes, "bank", case["number"])
    assert done["partners"]["ecommerce"]["state"] == "completed"
    assert gone not in members(nodes, "bank")
    for party in nodes.PARTIES:
        ended(nodes, party, case["number"])
        assert segment_at(nodes, party, gone) == NOBODY[SEGMENTS]
        assert segment_at(nodes, party, late) == int(segment), "a word on one party's purpose is that party's"
        assert events(nodes, party, "tag.deleted")
        assert events(nodes, party, "optout.set", case["number"])
        assert events(nodes, party, "dsr.completed", case["number"])
    assert_log_names_nobody(nodes, late, gone)


# --- 36


@pytest.mark.scenario(36)
def test_nobody_is_asked_again_soon_after_a_no(nodes):
    """Of somebody who has said yes so far, so that no earlier no counts."""
    with nodes.desk("telecom") as desk:

        def prompt(person):
            answer = desk.post("/v1/prompts", json={"identifiers": [person], "purpose": "marketing"})
            assert answer.status_code == 200, answer.text
            assert person not in answer.text
            return answer.json()["answers"][0]

        person = next(row["identifier"] for row in nodes.customers() if agrees(desk, row["identifier"]))
        before = len(events(nodes, "telecom", "notice.presented"))
        assert prompt(person) == {"may_ask": True}
        said = {"identifiers": [person], "purpose": "marketing", "granted": False}
        assert desk.post("/v1/consents", json=said).status_code == 200
        again = prompt(person)
    assert (again["may_ask"], again["reason"]) == (False, "R-PROMPT-COOLDOWN")
    assert date.fromisoformat(again["since"]) == today() + timedelta(days=PROMPT_COOLDOWN_DAYS)
    assert len(events(nodes, "telecom", "notice.presented")) == before + 1, "the second was not shown"
    assert_log_names_nobody(nodes, person)


def agrees(desk, person):
    """Its words on marketing, the general one and that on other parties, are all a yes."""
    (held,) = desk.post("/v1/consents/status", json={"identifiers": [person]}).json()["subjects"]
    words = {one["status"] for one in held["words"] if one["purpose"] == "marketing"}
    return words == {"granted"}


# --- 37


@pytest.mark.scenario(37)
def test_nineteen_items_fit_the_shipped_schema(nodes):
    form = nodes.node_json("bank", "audit", "small")
    assert [item["item"] for item in form["items"]] == list(range(1, 20))
    assert problems(form, shipped_schema(), shipped_schema()) == []
    assert form["people"] > 0
    assert any(item["evidence"]["events"] for item in form["items"])
    assert not [row for row in nodes.customers() if row["identifier"] in json.dumps(form)]
    spoiled = form | {"items": form["items"][1:]}
    assert problems(spoiled, shipped_schema(), shipped_schema())


# --- 38

NOTICED = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
CONTENTS = {
    "cause": "一个共享目录配置错误。",
    "harm": "可能收到诈骗电话。",
    "measures": "已关闭共享并更换口令。",
    "advice": "请勿向来电者提供验证码。",
    "contact": "示例银行个人信息保护负责人 privacy@bank.example",
}


@pytest.mark.scenario(38)
def test_an_incident_of_a_million_has_four_hours_and_a_letter(nodes, tmp_path):
    def incident(*arguments):
        (found,) = nodes.node_json("bank", "incident", *arguments)["incidents"]
        return found

    opened = incident("open", "--what", "一个共享目录曾对外可见。", "--noticed", NOTICED.isoformat())
    number = opened["number"]
    letter = ("incident", "letter", number, "--to", "individuals", "--into", str(tmp_path))
    nodes.node("bank", *letter, status=EXIT_INPUT)  # without the contents of article 57 there is no letter
    assert not list(tmp_path.iterdir())
    words = [word for name, value in CONTENTS.items() for word in (f"--{name}", value)]
    known = incident("classify", number, "--people", "1m_or_more", "--categories", "contact,credit", *words)
    clocks = {clock["duty"]: clock for clock in known["clocks"]}
    assert datetime.fromisoformat(clocks["authority"]["due"]) == NOTICED + timedelta(hours=4)
    assert clocks["authority"]["late"] is False
    nodes.node("bank", *letter)
    nodes.node("bank", "incident", "letter", number, "--to", "authority", "--into", str(tmp_path))
    for told in ("individuals", "authority"):
        for language, categories, numbered in (
            ("zh-CN", ("联系方式", "信贷"), ("一、", "二、", "三、")),
            ("en", ("ontact", "redit"), ("1", "2", "3")),
        ):
            written = (tmp_path / f"{told}-{number[:8]}.{language}.md").read_text()
            for part in (*CONTENTS.values(), *categories, *numbered):
                assert part in written, (told, language, part)
    reported = incident("report", number, "--to", "authority")
    assert {clock["duty"]: clock["done"] is not None for clock in reported["clocks"]}["authority"]
    log = [event for event in nodes.home("bank").audit.events() if event.artefact == number]
    kinds = ["incident.opened", "incident.classified", "incident.reported"]
    assert [event.type.value for event in log] == kinds
    assert log[1].stage == "1m_or_more"
    assert not [word for event in log for word in CONTENTS.values() if word.encode() in event.canonical()]
