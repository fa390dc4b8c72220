"""Lists of digests: an input format whose values are checked by form, matched on, and found out in no time."""

from __future__ import annotations

import hashlib

import msgspec
import numpy as np
import pytest
from dirty_tables import PHONE_PREFIX, clean_ids
from gate_scene import admit, home_of, job_for, loaded, policy_for
from hypothesis import given
from hypothesis import strategies as st
from spelled import texts_of
from typer.testing import CliRunner

from clients.cli import app
from clients.sample import make_world
from clients.tables import ConsentSpec, TableSpec, validate
from clients.tables.loading import load
from federation.jobs import MatchPlan
from privacy.digests import IdFormat, hash_identifiers
from privacy.errors import ConfigInvalid
from privacy.identifiers import IdentifierKind
from privacy.texts import LANGUAGES

HASHES = [IdFormat.MD5, IdFormat.SHA256, IdFormat.SM3]
LIBRARY = {IdFormat.MD5: hashlib.md5, IdFormat.SHA256: hashlib.sha256}


@pytest.mark.parametrize(
    ("id_format", "digest"),
    [
        # RFC 1321, appendix A.5; FIPS 180-4 examples; GB/T 32905-2016, appendix A.1.
        (IdFormat.MD5, "900150983cd24fb0d6963f7d28e17f72"),
        (IdFormat.SHA256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (IdFormat.SM3, "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"),
    ],
)
def test_published_digests_of_abc(id_format, digest):
    assert texts_of(hash_identifiers(np.array([b"abc"]), id_format)) == [digest]


@given(
    st.sampled_from(sorted(LIBRARY)), st.lists(st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True), max_size=5)
)
def test_a_digest_is_of_the_canonical_spelling(id_format, phones):
    hashed = hash_identifiers(np.array([phone.encode() for phone in phones], dtype="S11"), id_format)
    assert texts_of(hashed) == [LIBRARY[id_format](phone.encode()).hexdigest() for phone in phones]


def test_plain_identifiers_stay_the_same_array():
    identifiers = np.array([b"12012345678"])
    assert hash_identifiers(identifiers, IdFormat.PLAIN) is identifiers


PHONES = ["12000000001", "12000000002", "12000000003"]


def table(folder, cells, id_format="plain", consents=None):
    path = folder / f"{id_format}.csv"
    path.write_text("".join(f"{cell},1\n" for cell in ["id", *cells]), "utf-8")
    if consents is not None:
        (folder / "consents.csv").write_text("id,purpose,status\n" + consents, "utf-8")
        consents = ConsentSpec(path=str(folder / "consents.csv"), id_column="id", notice="n1")
    return TableSpec(
        path=str(path),
        id_column="id",
        id_kind=IdentifierKind.PHONE,
        id_format=IdFormat(id_format),
        extra_prefixes=(PHONE_PREFIX,),
        consents=consents,
    )


def hexadecimal(phone, id_format):
    return texts_of(hash_identifiers(np.array([phone.encode()]), IdFormat(id_format)))[0]


@pytest.mark.parametrize("id_format", HASHES)
def test_a_plain_and_a_hashed_table_meet_on_digests(tmp_path, id_format):
    plain = load(table(tmp_path, ["+86 12000000001", PHONES[1], "13"]), "p", [], id_format=id_format.value)
    delivered = [hexadecimal(PHONES[1], id_format).upper(), " " + hexadecimal(PHONES[2], id_format)]
    hashed = load(table(tmp_path, delivered, id_format), "p", [], id_format=id_format.value)
    shared = set(texts_of(plain.identifiers)) & set(texts_of(hashed.identifiers))
    assert shared == {hexadecimal(PHONES[1], id_format)}
    assert texts_of(plain.own_identifiers) == PHONES[:2]
    assert hashed.own_identifiers is hashed.identifiers


def test_bad_digests_are_counted_by_reason(tmp_path):
    good = hexadecimal(PHONES[0], "md5")
    cells = [good, good.upper(), good[:-1], "g" + good[1:], PHONES[1], '""', good[:-1] + "\u0000"]
    report = validate(table(tmp_path, cells, "md5"))
    assert report.bad_identifiers == {"missing": 1, "not_digits": 2, "wrong_length": 2}
    assert (report.valid_identifiers, report.respelled, report.duplicates, report.collisions) == (2, 1, 1, 1)


def test_the_consent_log_of_a_hashed_table_is_hashed_too(tmp_path):
    cells = [hexadecimal(phone, "sm3") for phone in PHONES]
    said = (
        f"{cells[0].upper()},p,granted\n{cells[1]},p,granted\n{cells[1]},p,withdrawn\n{PHONES[2]},p,granted\n"
    )
    home = home_of(tmp_path / "home", table(tmp_path, cells, "sm3", said))
    job = job_for("bank", (), "p", match=MatchPlan(id_format=IdFormat.SM3))
    (purpose,) = policy_for(home, job).purposes
    # What it provides rests on an opinion here, so that the general consent alone decides.
    recipients = (msgspec.structs.replace(item, legal_opinion="opinion-1") for item in purpose.recipients)
    admit(home, job, recipients=tuple(recipients), keep_unknown_age=True)
    found = loaded(home, job)
    assert texts_of(found.identifiers) == cells[:1]
    assert dict(found.funnel)["consent_withdrawn"] == dict(found.funnel)["no_consent"] == 1


@pytest.mark.parametrize(
    ("own", "wanted"), [("md5", "plain"), ("md5", "sha256"), ("sha256", "sm3"), ("sm3", "md5")]
)
def test_digests_are_refused_where_they_cannot_be_matched(tmp_path, own, wanted):
    spec = table(tmp_path, [hexadecimal(PHONES[0], own)], own)
    with pytest.raises(ConfigInvalid) as caught:
        load(spec, "p", [], id_format=wanted)
    assert caught.value.key == "table_id_format"
    for language in LANGUAGES:
        message = caught.value.render(language)
        assert f'id_format = "{own}"' in message
        assert hexadecimal(PHONES[0], own) not in message


def test_a_digest_protects_no_phone():
    """Why digests are blinded like plain numbers: who has them walks all numbers.

    Here a range of 10^5 numbers around a sample person's, in the place of the 7 * 10^9 that exist.
    """
    phone = make_world(300, 11).tables["telecom"]["phone"].iloc[0]
    (digest,) = hash_identifiers(np.array([phone.encode()]), IdFormat.MD5)
    start = int(phone) // 10**5 * 10**5
    walked = np.arange(start, start + 10**5).astype("S11")
    found = walked[hash_identifiers(walked, IdFormat.MD5) == digest]
    assert texts_of(found) == [phone]


@pytest.mark.parametrize(("language", "words"), [("en", "24 minutes"), ("zh-CN", "24 分钟")])
def test_the_node_says_why_digests_are_accepted(tmp_path, monkeypatch, language, words):
    monkeypatch.setenv("SILHOUETTE_LANG", language)
    monkeypatch.setenv("COLUMNS", "1000")
    rng = np.random.default_rng(1)
    for id_format, expected in (("md5", True), ("plain", False)):
        cells = clean_ids(rng, 5)
        spec = table(tmp_path, [hexadecimal(cell, id_format) for cell in cells], id_format)
        registration = tmp_path / f"{id_format}.toml"
        registration.write_text(
            f'path = "{spec.path}"\nid_column = "id"\nid_kind = "phone"\nid_format = "{id_format}"\n'
            'extra_prefixes = ["12"]\n',
            "utf-8",
        )
        home = str(tmp_path / f"home-{id_format}")
        commands = [
            ["init", "--home", home, "--name", "shop", "--table", str(registration)],
            ["validate", "--home", home],
            ["validate", "--home", home, "--json"],
        ]
        for command in commands:
            result = CliRunner().invoke(app, command)
            assert result.exit_code == 0, result.output
            if "--json" in command:
                assert ("hashed_identifiers" in result.output) == expected
            else:
                assert (words in result.output) == expected
            assert not any(cell in result.output for cell in cells)
