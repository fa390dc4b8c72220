"""What a person is told of what is held about it: everything, in neutral words, once."""

import json
import stat
from datetime import UTC, datetime, timedelta

import msgspec
import pandas as pd
import pytest
from consent_desk import PHONES
from held_scene import BAD, CASE, home_with_results, subject_of

from clients.consents.node import changes_of
from clients.consents.tables import Source
from clients.gate.retention import sweep
from clients.rights import copies
from clients.rights.held import gather, neutral
from privacy.consent import Statement
from privacy.errors import ConfigInvalid
from privacy.texts import LANGUAGES


@pytest.fixture
def home(tmp_path):
    return home_with_results(tmp_path)


def test_a_copy_has_everything_that_is_held(home):
    changes = changes_of(home, Source.API)
    changes.give(changes.identifiers(PHONES[3:4]), [Statement(purpose="marketing", granted=True)])
    copy = gather(home, subject_of(home), CASE)
    assert [(item.column, item.value) for item in copy.fields] == [
        ("phone", PHONES[3]), ("monthly_income", "5003"), ("tenure_months", "3"),
    ]  # fmt: skip
    assert copy.fields[0].title.en == "mobile number"
    assert copy.fields[1].category.zh
    (purpose,) = copy.purposes
    assert (purpose.name, purpose.status) == ("marketing", "granted")
    assert purpose.last_use == datetime.now(UTC).astimezone().date()
    assert [item.party for item in purpose.recipients] == ["shop", "coordinator"]
    assert copy.consents.words[0].stated is not None
    assert {(item.what.en, item.value.en) for item in copy.results} >= {
        ("Score in points", "603"), ("Grade", "D"),
        ("How your application is handled", "a person looks at it before anything is decided"),
    }  # fmt: skip


def test_names_for_groups_inside_the_house_are_never_told(home):
    folder = copies.make(home, CASE, subject_of(home))
    for file in folder.iterdir():
        content = file.read_text("utf-8")
        assert BAD not in content
        assert "钻石" not in content
        assert "decline" not in content
    column = pd.Series([BAD, "钻石", "黄金"])
    assert neutral("quadrant", BAD, column).zh in {f"第 {number} 组" for number in (1, 2, 3)}


def test_a_copy_holds_nobody_else(home):
    folder = copies.make(home, CASE, subject_of(home))
    others = [phone for phone in PHONES if phone != PHONES[3]]
    for file in folder.iterdir():
        content = file.read_text("utf-8")
        assert PHONES[3] in content
        assert not any(phone in content for phone in others)


def test_only_the_nodes_account_can_read_it_and_it_names_its_schema(home):
    folder = copies.make(home, CASE, subject_of(home))
    assert sorted(file.name for file in folder.iterdir()) == ["copy.en.html", "copy.json", "copy.zh-CN.html"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    plain = json.loads((folder / "copy.json").read_bytes())
    assert (plain["schema"], plain["case"]) == ("silhouette copy 1", CASE)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_is_in_both_languages_and_runs_nothing(home, language):
    page = copies.page(gather(home, subject_of(home)), language)
    assert f'lang="{language}"' in page
    assert "<script" not in page
    assert "5003" in page


def test_it_is_handed_out_once(home):
    copies.make(home, CASE, subject_of(home))
    assert copies.is_there(home, CASE)
    assert copies.JSON_FILE in copies.take(home, CASE)
    assert not copies.folder_of(home, CASE).exists()
    with pytest.raises(ConfigInvalid) as raised:
        copies.take(home, CASE)
    assert raised.value.key == "copy_missing"


def test_after_thirty_days_it_is_swept(home, monkeypatch):
    copies.make(home, CASE, subject_of(home))
    later = datetime.now(UTC) + timedelta(days=copies.KEPT_DAYS, seconds=1)
    monkeypatch.setattr("clients.vault._now", lambda: later)
    assert not copies.is_there(home, CASE)
    assert sweep(home) == 1
    assert not copies.folder_of(home, CASE).exists()
    assert [event.artefact for event in home.audit.events()][-1] == "copies"


def test_the_copies_of_a_subject_are_found(home):
    copies.make(home, CASE, subject_of(home))
    copies.make(home, CASE[::-1], subject_of(home, 4))
    assert list(copies.copies_of(home, {subject_of(home).token})) == [CASE]


def test_who_has_no_row_has_no_fields(home):
    nobody = msgspec.structs.replace(subject_of(home), row=-1, identifier=b"13988888888", token=b"\x01" * 16)
    copy = gather(home, nobody)
    assert copy.fields == ()
    assert copy.results == ()
    assert copy.consents.words == ()
