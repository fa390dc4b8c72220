"""A customer of a finished job is deleted from every store of a node: everybody else's data stays as it is."""

import secrets
import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest
from needles import found_in_bytes
from scenario_world import World, segments_job

from clients.answered import AnsweredToday
from clients.consents.changes import Restriction
from clients.consents.holding import held
from clients.consents.subjects import kind_label
from clients.finished import HANDLE, per_row, read_handle, record_name, sessions_with
from clients.gate.abroad import AbroadCounter
from clients.home import NodeHome
from clients.lending.appeals import APPEALS, LENDING, Appeal
from clients.rights import copies
from clients.rights.erasers.eraser import FAILED, READ_ONLY, SOURCE_STAYS
from clients.rights.erasing import ERASERS, erase, erasers_of
from clients.rights.locating import locate
from federation.jobs import RiskPlan
from federation.pace import today, utc_now
from privacy.audit import EventType
from privacy.consent import Answer, Need
from privacy.joining import dump
from privacy.rights import Artefact, Result

WHO, OTHER = 11, 12
PARTIES = ("bank", "shop")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A job with segments, trees and scores, in homes that every test gets a copy of."""
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        world = World(folder, patch)
        world.agree("credit_risk")
        world.tables["bank"]["partner_phone"] = [""] * 40 + [world.phones[WHO]] + [""] * 49
        world.build()
        job = segments_job("credit_risk", risk=RiskPlan(trees=2, depth=2, bins=8))
        world.admit(job)
        assert world.run(job).status == "done"
        for home in world.nodes.values():
            home.vault.close()
    return world


class Node:
    """One party's home, and what the test put into it beside the job."""

    def __init__(self, world, folder, party):
        self.phones = world.phones
        for name in ("homes", party):
            shutil.copytree(world.folder / name, folder / name)
        self.home = NodeHome.open(folder / "homes" / party)
        spec = self.home.settings.table
        consents = msgspec.structs.replace(spec.consents, path=str(folder / party / "consents.csv"))
        spec = msgspec.structs.replace(spec, path=str(folder / party / "customers.csv"), consents=consents)
        self.home.write_settings(msgspec.structs.replace(self.home.settings, table=spec))
        self.home = NodeHome.open(self.home.folder)
        self.files = folder
        (self.session,) = sessions_with(self.home.vault, HANDLE)
        self.results = next(self.home.results.glob("*"), None)

    def locate(self, *who):
        return locate(self.home, [self.phones[place].encode() for place in who])

    def sref(self, who, project, epoch=0):
        return self.home.consents.srefs(self.tokens(who), project, epoch)[0]

    def tokens(self, who):
        identifiers = np.array([self.phones[who].encode()])
        return self.home.consents.tokens(kind_label(self.home.settings.table), identifiers)

    def fill(self):
        """One of everything that a node may hold of its people, for two of them."""
        vault = self.home.vault
        people = [self.phones[place] for place in (WHO, OTHER)]
        table = "".join(f"{phone},{place}\n" for place, phone in enumerate(people))
        (self.results / "decisions.csv").write_text(f"identifier,lane\n{table}")
        (self.home.folder / "audiences" / "spring").mkdir(parents=True)
        (self.home.folder / "audiences" / "spring" / "members.csv").write_text(f"identifier,x\n{table}")
        for place in (WHO, OTHER):
            case = secrets.token_hex(16)
            appeal = Appeal(
                number=case,
                policy="0" * 64,
                about="A",
                barred=(),
                requested=today(),
                due=today(),
                sref=self.sref(place, LENDING),
            )
            vault.put(APPEALS + case, msgspec.json.encode(appeal))
            vault.put(f"copies/{case}", dump(self.tokens(place)))
            copies.folder_of(self.home, case).mkdir(parents=True)
            (copies.folder_of(self.home, case) / "copy.json").write_text(self.phones[place])
            AbroadCounter(self.home, today().year).add(self.tokens(place))
        AnsweredToday(self.home, b"model").add(np.array([one.encode() for one in people]))
        vault.put("unfinished/job/risk/label", b"trees")

    def records(self):
        names = self.home.vault.names()
        return {name: self.home.vault.held([name])[name] for name in names}

    def contents(self):
        """Every file of a list, as text."""
        files = [*self.files.rglob("*.csv")]
        return {
            file: file.read_text()
            for file in files
            if "homes" not in file.parts or self.home.folder in file.parents
        }

    def raw(self):
        """Every byte under the node's folders."""
        places = [self.home.folder, Path(self.home.settings.table.path).parent]
        files = [file for place in places for file in sorted(place.rglob("*")) if file.is_file()]
        return b"\n".join(file.read_bytes() for file in files)


@pytest.fixture(params=PARTIES[:1])
def node(request, finished, tmp_path):
    made = Node(finished, tmp_path, request.param)
    yield made
    made.home.vault.close()


def results_of(outcomes):
    return {one.artefact: one.result for one in outcomes}


def test_the_order_is_that_of_the_artefacts(node):
    assert [eraser.artefact for eraser in ERASERS] == list(Artefact)
    assert [eraser.artefact for eraser in erasers_of(node.home, "5e" * 16)] == list(Artefact)


def test_one_is_deleted_and_everybody_else_stays(node):
    node.fill()
    (one,), (other,) = node.locate(WHO), node.locate(OTHER)
    assert one.row == WHO
    assert one.shared
    lists, records = node.contents(), node.records()
    rows, refs = read_handle(records[record_name(node.session, HANDLE)])
    place = rows.tolist().index(WHO)
    needles = [one.identifier, one.token, one.shared[0].ref, node.sref(WHO, LENDING).encode()]
    assert all(
        eraser.remains(node.home, [one]) == [True]
        for eraser in ERASERS
        if eraser.artefact is not Artefact.MODEL
    )

    outcomes = results_of(erase(node.home, [one]))

    gone = set(Artefact) - {Artefact.MODEL, Artefact.BACKUP}
    assert {artefact for artefact, result in outcomes.items() if result is Result.ERASED} == gone
    assert [eraser.remains(node.home, [one]) for eraser in ERASERS] == [[False]] * len(ERASERS)
    of_other = {eraser.artefact for eraser in ERASERS if eraser.remains(node.home, [other]) == [False]}
    assert of_other == {Artefact.MODEL}
    # Nothing is left in any file, nor in any sealed record.
    after = node.records()
    everything = b"\n".join([node.raw(), *after.values()])
    assert found_in_bytes(everything, needles) == []
    assert other.identifier in everything
    # Everybody else has what they had.
    for file in ("decisions.csv", "customers.csv"):
        kept = [line for line in lists[node.results / file].splitlines() if node.phones[WHO] not in line]
        assert (node.results / file).read_text().splitlines() == kept
    consents = Path(node.home.settings.table.consents.path)
    kept = [line for line in lists[consents].splitlines() if not line.startswith(node.phones[WHO])]
    assert consents.read_text().splitlines() == kept
    table = Path(node.home.settings.table.path)
    old, new = lists[table].splitlines(), table.read_text().splitlines()
    assert set(new[WHO + 1]) == {","}
    contact = old[41].replace(node.phones[WHO], "")
    assert new == [*old[: WHO + 1], new[WHO + 1], *old[WHO + 2 : 41], contact, *old[42:]]
    for name, data in records.items():
        if name.startswith(f"job/{node.session}/") and name.rpartition("/")[2] in ("segments", "scores"):
            expected = np.delete(per_row(name.rpartition("/")[2], data), place)
            assert per_row(name.rpartition("/")[2], after[name]).tolist() == expected.tolist()
    left_rows, left_refs = read_handle(after[record_name(node.session, HANDLE)])
    assert left_rows.tolist() == np.delete(rows, place).tolist()
    assert left_refs.tolist() == np.delete(refs, place, axis=0).tolist()
    need = Need("credit_risk")
    assert node.home.consents.answers(node.tokens(OTHER), need, {"notice-1"}, utc_now())[0] == Answer.YES
    assert not node.home.consents.known(node.tokens(WHO))[0]
    assert NodeHome.open(node.home.folder).audit.size == node.home.audit.size


@pytest.mark.parametrize("node", PARTIES[1:], indirect=True)
def test_one_is_deleted_at_a_partner(node):
    (one,) = node.locate(WHO)
    outcomes = results_of(erase(node.home, [one]))
    for artefact in (Artefact.SEGMENT, Artefact.FEATURE, Artefact.MATCH, Artefact.CONSENT, Artefact.SUBJECT):
        assert outcomes[artefact] is Result.ERASED
    assert outcomes[Artefact.SCORE] is Result.NOT_FOUND
    assert (
        found_in_bytes(b"\n".join([node.raw(), *node.records().values()]), [one.identifier, one.token]) == []
    )


def test_a_second_run_changes_nothing(node):
    node.fill()
    subjects = node.locate(WHO)
    erase(node.home, subjects)
    lists, records, events = node.contents(), node.records(), node.home.audit.size
    found = results_of(erase(node.home, subjects))
    assert set(found.values()) <= {Result.NOT_FOUND, Result.RESTRICTED_TECHNICAL}
    assert (node.contents(), node.records(), node.home.audit.size) == (lists, records, events)
    assert not node.home.consents.known(node.tokens(WHO))[0], (
        "looking for a subject must not make it known again"
    )


@pytest.mark.parametrize("last", list(Artefact))
def test_cut_off_after_any_artefact_the_next_run_ends_it(node, last):
    node.fill()
    subjects = node.locate(WHO)
    for eraser in ERASERS:
        eraser.erase(node.home, subjects)
        if eraser.artefact is last:
            break
    if last is not Artefact.SUBJECT:
        tokens = node.tokens(WHO)
        assert node.home.consents.known(tokens)[0], "the last artefact holds the restriction"
    erase(node.home, subjects)
    assert [eraser.remains(node.home, subjects) for eraser in ERASERS] == [[False]] * len(ERASERS)
    assert found_in_bytes(b"\n".join([node.raw(), *node.records().values()]), [subjects[0].identifier]) == []


@pytest.mark.parametrize("artefact", [Artefact.SEGMENT, Artefact.SCORE, Artefact.DECISION, Artefact.MATCH])
def test_killed_between_change_and_clearing_the_files_are_cleared_the_next_time(node, monkeypatch, artefact):
    node.fill()
    subjects = node.locate(WHO)

    def killed(*arguments, **options):
        raise KeyboardInterrupt

    old = [sealed[:16] for sealed in _sealed(node)]
    eraser = next(one for one in ERASERS if one.artefact is artefact)
    with monkeypatch.context() as patch:
        patch.setattr("clients.rights.erasers.eraser.clear_traces", killed)
        with pytest.raises(KeyboardInterrupt):
            eraser.erase(node.home, subjects)
    stay = {sealed[:16] for sealed in _sealed(node)}
    replaced = [head for head in old if head not in stay]
    assert replaced
    eraser.erase(node.home, subjects)
    files = b"".join(file.read_bytes() for file in node.home.folder.glob("vault.sqlite*"))
    assert found_in_bytes(files, replaced) == []


def _sealed(node):
    with node.home.vault.engine.connect() as connection:
        return [row[0] for row in connection.exec_driver_sql("SELECT data FROM sealed")]


def test_a_read_only_table_keeps_the_restriction(node):
    """What cannot be deleted is named, reviewed within 90 days, and nobody may use it."""
    table = Path(node.home.settings.table.path)
    table.chmod(0o440)
    subjects = node.locate(WHO)
    outcomes = {one.artefact: one for one in erase(node.home, subjects)}
    feature, subject = outcomes[Artefact.FEATURE], outcomes[Artefact.SUBJECT]
    assert (feature.result, feature.reason) == (Result.RESTRICTED_TECHNICAL, READ_ONLY)
    assert (subject.result, subject.reason) == (Result.RESTRICTED_TECHNICAL, SOURCE_STAYS)
    assert 0 <= (feature.review - today()).days <= 90
    assert outcomes[Artefact.SCORE].result is Result.ERASED
    assert node.home.consents.restricted(node.tokens(WHO), utc_now())[0]
    assert node.phones[WHO] in table.read_text()
    table.chmod(0o640)
    found = results_of(erase(node.home, subjects))
    assert (found[Artefact.FEATURE], found[Artefact.SUBJECT]) == (Result.ERASED, Result.ERASED)
    assert node.phones[WHO] not in table.read_text()


def test_a_file_that_cannot_be_read_fails_and_keeps_the_subject(node):
    consents = Path(node.home.settings.table.consents.path)
    subjects = node.locate(WHO)
    consents.write_text("not,the,columns\n1,2,3\n")
    outcomes = {one.artefact: one for one in erase(node.home, subjects)}
    assert (outcomes[Artefact.FEATURE].result, outcomes[Artefact.FEATURE].reason) == (Result.FAILED, FAILED)
    assert Artefact.SUBJECT not in outcomes
    assert node.home.consents.known(node.tokens(WHO))[0]


def test_a_withdrawal_from_one_purpose_leaves_other_jobs_alone(node):
    """The matchings that are named are what is erased."""
    (one,) = node.locate(WHO)
    narrowed = msgspec.structs.replace(one, shared=(), is_narrowed=True)
    before = node.contents(), node.records()
    for eraser in ERASERS[:3]:
        assert [outcome.result for outcome in eraser.erase(node.home, [narrowed])] == [Result.NOT_FOUND]
    assert (node.contents(), node.records()) == before


def test_the_same_subject_twice_and_nobody(node):
    subjects = node.locate(WHO, WHO, OTHER)
    absent = msgspec.structs.replace(
        subjects[0], identifier=b"13800000000", token=b"\1" * 16, row=-1, shared=()
    )
    for eraser in ERASERS:
        assert eraser.erase(node.home, []) == []
        found = eraser.erase(node.home, [*subjects, absent])
        assert found[0] == found[1]
        assert found[3].result is Result.NOT_FOUND
        assert eraser.remains(node.home, []) == []


def test_the_log_hears_of_tags_and_keys(node):
    (one,) = node.locate(WHO)
    before = node.home.audit.size
    erase(node.home, [one])
    told = [event for event in node.home.audit.events() if event.seq >= before]
    kinds = [event.type for event in told]
    assert EventType.TAG_DELETED in kinds
    assert EventType.KEY_SHREDDED in kinds
    assert all(len(event.sref) == 64 for event in told if event.type is EventType.TAG_DELETED)


def test_a_restriction_that_holds_is_not_replaced(node):
    table = Path(node.home.settings.table.path)
    table.chmod(0o440)
    node.home.consents.restrict(node.tokens(WHO), Restriction.STATUTORY.value, "AML 34", utc_now())
    erase(node.home, node.locate(WHO))
    (found,) = held(node.home.consents, node.tokens(WHO), utc_now())
    assert [one.reason for one in found.restrictions] == ["statutory"]
