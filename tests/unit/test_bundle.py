"""The code of a run: one digest for the installed files and for Flower's bundle of them, and nothing else passes."""

import contextlib
import io
import re
import struct
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clients import worker
from clients.worker import check_code, check_flower_version
from federation import bundle
from federation.bundle import PACKAGES, bundle_digest, digest_of, installed_digest, installed_files
from privacy.errors import CodeNotApproved, VersionMismatch
from privacy.texts import LANGUAGES
from server.flower import build_bundle

FILES = {"privacy/__init__.py": b"one", "server/app.py": b"two", "privacy/texts/en/errors.toml": b"three"}


@pytest.fixture(scope="module")
def fab():
    """A real Flower app bundle of this installation."""
    return build_bundle()


def archive(files, compression=zipfile.ZIP_DEFLATED):
    """A zip archive of (name, content) pairs or of a dictionary."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as made:
        for name, content in files.items() if isinstance(files, dict) else files:
            made.writestr(zipfile.ZipInfo(name), content, compression)
    return stream.getvalue()


def contents(fab):
    with zipfile.ZipFile(io.BytesIO(fab)) as opened:
        return {item.filename: opened.read(item) for item in opened.infolist()}


def refuses(data, key="code_unreadable", act=bundle_digest):
    with pytest.raises(CodeNotApproved) as caught:
        act(data)
    assert caught.value.key == key
    assert all(caught.value.render(language) for language in LANGUAGES)


# --- what the digest covers


def test_flowers_bundle_has_the_digest_of_the_installed_code(fab):
    assert bundle_digest(fab) == installed_digest()
    check_code(fab, ())


def test_all_code_of_the_four_packages_is_covered(fab):
    files = installed_files()
    assert {path.split("/")[0] for path in files} == set(PACKAGES)
    assert {
        "privacy/sealing.py",
        "clients/app.py",
        "server/app.py",
        "privacy/texts/zh-CN/errors.toml",
    } <= set(files)
    assert not [path for path in files if "__pycache__" in path or path.endswith(".pyc")]
    assert set(contents(fab)) == set(files) | {"pyproject.toml", ".info/CONTENT"}


def test_the_digest_does_not_depend_on_the_archive(fab):
    files = contents(fab)
    again = archive(dict(reversed(files.items())), zipfile.ZIP_STORED)
    assert again != fab
    assert bundle_digest(again) == installed_digest()


def test_flowers_own_files_do_not_count(fab):
    files = contents(fab) | {"pyproject.toml": b"other", ".info/CONTENT": b"other"}
    assert bundle_digest(archive(files)) == installed_digest()


@pytest.mark.parametrize("path", ["privacy/sealing.py", "server/app.py", "privacy/texts/en/errors.toml"])
def test_a_changed_or_removed_file_changes_the_digest(fab, path):
    files = contents(fab)
    for other in (
        {**files, path: files[path] + b"\n"},
        {name: data for name, data in files.items() if name != path},
    ):
        assert bundle_digest(archive(other)) != installed_digest()
        refuses(archive(other), "code_unknown", lambda data: check_code(data, ()))


@pytest.mark.parametrize(
    "path",
    [
        "privacy/extra.py",
        "clients/data.csv",
        "server/__pycache__/app.pyc",
        "privacy/",
        "privacy/../evil.py",
        "server//app.py",
    ],
)
def test_an_added_file_changes_the_digest(fab, path):
    other = archive(contents(fab) | {path: b""})
    assert bundle_digest(other) != installed_digest()
    refuses(other, "code_unknown", lambda data: check_code(data, ()))


def test_renaming_and_exchanging_files_changes_the_digest():
    one, two, three = FILES
    base = digest_of(FILES)
    assert digest_of({two: FILES[one], one: FILES[two], three: FILES[three]}) != base
    assert digest_of({"privacy/__init__.pyc": b"one", two: b"two", three: b"three"}) != base
    assert digest_of(dict(reversed(FILES.items()))) == base
    assert digest_of({}) != base


@given(st.dictionaries(st.text("ab/\x00\n", max_size=4), st.binary(max_size=3), max_size=3), st.data())
def test_different_sets_of_files_have_different_digests(files, data):
    other = data.draw(st.dictionaries(st.text("ab/\x00\n", max_size=4), st.binary(max_size=3), max_size=3))
    assert (digest_of(files) == digest_of(other)) == (files == other)


# --- what cannot be a bundle of ours


@pytest.mark.parametrize(
    "name",
    [
        "evil.py", "../privacy/errors.py", "/privacy/errors.py", "./privacy/errors.py", "C:/privacy/errors.py",
        "..\\privacy\\errors.py", "privacy.py", "Privacy/errors.py", "privacy", " privacy/errors.py",
        "pyproject.toml/x", ".info/other", "sitecustomize.py", "silhouette.pth", "",
    ],
)  # fmt: skip
def test_files_outside_the_packages_refuse(name):
    if name == "privacy":  # a file in the place of a package is a member, with a digest of its own
        assert bundle_digest(archive({**FILES, name: b""})) != bundle_digest(archive(FILES))
        return
    refuses(archive({**FILES, name: b""}))


def test_two_files_of_one_name_refuse():
    """Which of the two would another reader take?"""
    with pytest.warns(UserWarning, match="Duplicate"):
        doubled = archive([*FILES.items(), ("server/app.py", b"other"), ("server/app.py", b"two")])
    refuses(doubled)


def test_a_name_cut_at_a_zero_byte_refuses():
    named = archive({**FILES, "server/app.py_evil": b"other"}).replace(
        b"server/app.py_evil", b"server/app.py\x00evil"
    )
    refuses(named)


@pytest.mark.parametrize("data", [b"", b"PK", b"not a zip", bytes(1000), b"PK\x05\x06" + bytes(17)])
def test_what_is_no_archive_refuses(data):
    refuses(data)


def test_truncated_archives_refuse():
    whole = archive(FILES)
    for length in range(0, len(whole), 7):
        refuses(whole[:length])


@settings(max_examples=400)
@given(place=st.integers(0, 10_000), byte=st.integers(0, 255))
def test_a_damaged_archive_refuses_or_has_another_digest(place, byte):
    whole = bytearray(archive({**FILES, "server/long.py": b"a = 1\n" * 200}))
    whole[place % len(whole)] = byte
    with contextlib.suppress(CodeNotApproved):
        digest = bundle_digest(bytes(whole))
        assert re.fullmatch("[0-9a-f]{64}", digest)


def test_a_zip_bomb_refuses_before_it_is_unpacked(monkeypatch):
    monkeypatch.setattr(bundle, "MAX_BUNDLE_BYTES", 1 << 20)
    reads = []
    monkeypatch.setattr(zipfile.ZipFile, "read", lambda *_: reads.append(1))
    refuses(archive({**FILES, "server/bomb.py": bytes(1 << 21)}))
    refuses(archive({f"server/{number}.py": bytes(1 << 18) for number in range(5)}))
    assert not reads


def test_a_zip_bomb_that_lies_about_its_size_refuses():
    """The size in the directory says ten bytes; what follows would be two million."""
    honest = archive({"server/bomb.py": bytes(2_000_000)})
    assert honest.count(struct.pack("<I", 2_000_000)) == 2
    refuses(honest.replace(struct.pack("<I", 2_000_000), struct.pack("<I", 10)))


def test_an_encrypted_archive_refuses():
    data = bytearray(archive(FILES, zipfile.ZIP_STORED))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = data.find(signature)
        data[place + offset] |= 1
    refuses(bytes(data))


@pytest.mark.parametrize("method", [1, 9, 12, 14, 99])
def test_other_compressions_refuse(method):
    data = bytearray(archive({"server/app.py": b"x" * 100}))
    for signature, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        struct.pack_into("<H", data, data.find(signature) + offset, method)
    refuses(bytes(data))


# --- what a node accepts


def test_an_approved_digest_is_accepted():
    other = archive(FILES)
    refuses(other, "code_unknown", lambda data: check_code(data, ()))
    refuses(other, "code_unknown", lambda data: check_code(data, ("0" * 64, bundle_digest(other)[:16])))
    check_code(other, ("0" * 64, bundle_digest(other)))


def test_a_refusal_names_both_digests():
    with pytest.raises(CodeNotApproved) as caught:
        check_code(archive(FILES), ())
    assert bundle_digest(archive(FILES))[:16] in caught.value.render("en")
    assert installed_digest()[:16] in caught.value.render("en")


@pytest.mark.parametrize("installed", ["1.40.9", "1.43.0", "2.0.0", "1.4", "1.410.0"])
def test_another_flower_is_refused(monkeypatch, installed):
    check_flower_version()
    monkeypatch.setattr(worker, "version", lambda _: installed)
    with pytest.raises(VersionMismatch) as caught:
        check_flower_version()
    assert installed in caught.value.render("en")
