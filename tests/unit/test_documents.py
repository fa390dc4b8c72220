"""The documents say what the code does: commands, keys, the example job, twins in two languages, links."""

from __future__ import annotations

import re
import shlex
from datetime import date
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest
import typer.main

import clients.cli
import server.cli
from clients.gate.draft import draft_policy
from clients.gate.policy import catalog_of
from clients.home import NodeSettings
from clients.tables import ConsentSpec, FieldSpec, TableSpec
from clients.tables.consents import read_consents
from federation.jobfile import JobFile, PartyEntry, read_job_file
from federation.jobs import (
    Deadlines,
    EnterprisePlan,
    ForgetPlan,
    Job,
    MatchPlan,
    PartyPlan,
    RiskPlan,
    ScorecardPlan,
    ScoringPlan,
    SegmentsPlan,
)
from privacy.consent import PROVIDE, SENSITIVE, ConsentKind, Need
from privacy.decision import Request, decide

ROOT = Path(__file__).resolve().parents[2]
TWINS = (("README.md", "README.zh-CN.md"), ("docs/quickstart.md", "docs/quickstart.zh-CN.md"))
GUIDES = [name for pair in TWINS for name in pair]
EXAMPLES = ["examples/default_credit/README.md", "examples/sample_world/README.md"]
DOCUMENTS = sorted(
    file
    for pattern in ("*.md", "docs/**/*.md", "examples/**/*.md", "benchmarks/**/*.md")
    for file in ROOT.glob(pattern)
)
PROGRAMS = {
    "silhouette": typer.main.get_command(server.cli.app),
    "silhouette-node": typer.main.get_command(clients.cli.app),
}
RECORDS: dict[str, type[Any]] = {
    "Job": Job,
    "JobFile": JobFile,
    "PartyPlan": PartyPlan,
    "PartyEntry": PartyEntry,
    "MatchPlan": MatchPlan,
    "SegmentsPlan": SegmentsPlan,
    "RiskPlan": RiskPlan,
    "ScorecardPlan": ScorecardPlan,
    "ScoringPlan": ScoringPlan,
    "EnterprisePlan": EnterprisePlan,
    "ForgetPlan": ForgetPlan,
    "Deadlines": Deadlines,
    "TableSpec": TableSpec,
    "FieldSpec": FieldSpec,
    "ConsentSpec": ConsentSpec,
    "NodeSettings": NodeSettings,
}
SPELLED_IN_FILES = {"parties": "party"}
"""A job file lists a `Job`'s parties as `[[party]]`."""

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def text_of(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def blocks_of(name: str) -> list[tuple[str, str]]:
    """(language, content) of every fenced block."""
    return _BLOCK.findall(text_of(name))


def headings_of(text: str) -> list[str]:
    return re.findall(r"^#{1,6} .+$", _BLOCK.sub("", text), re.MULTILINE)


def shell_lines(name: str) -> list[list[str]]:
    """The commands in the shell blocks of a document, split into words."""
    lines = [line for language, block in blocks_of(name) if language == "sh" for line in block.splitlines()]
    return [shlex.split(line) for line in lines if line.strip()]


def mentions(name: str) -> list[list[str]]:
    """What the running text quotes of our programs: often a command without all its options."""
    quoted = re.findall(r"`((?:silhouette|silhouette-node|make) [^`]+)`", _BLOCK.sub("", text_of(name)))
    return [shlex.split(line) for line in quoted]


def check_command(words: list[str], *, is_complete: bool) -> None:
    """Parse a command line of ours as its program would, without running it. Raises `click.UsageError`."""
    command: click.Command = PROGRAMS[words[0]]
    rest = words[1:]
    while isinstance(command, click.Group):
        found = command.commands.get(rest[0]) if rest else None
        if found is None:
            raise click.UsageError(f"no such command: {shlex.join(words)}")
        command, rest = found, rest[1:]
    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    if unknown := {word for word in rest if word.startswith("--")} - known - {"--help"}:
        raise click.UsageError(f"no such option: {unknown}")
    if is_complete:
        command.make_context(words[0], list(rest))


def fields_of(record: type[Any]) -> list[str]:
    return [
        SPELLED_IN_FILES.get(field.encode_name, field.encode_name) for field in msgspec.structs.fields(record)
    ]


@pytest.mark.parametrize("name", [*GUIDES, *EXAMPLES])
def test_commands_exist_with_their_options(name: str) -> None:
    complete = [words for words in shell_lines(name) if words[0] in PROGRAMS]
    quoted = [words for words in mentions(name) if words[0] in PROGRAMS]
    assert complete or quoted
    for words in complete:
        check_command(words, is_complete=True)
    for words in quoted:
        check_command(words, is_complete=False)


@pytest.mark.parametrize("name", GUIDES)
def test_make_targets_exist(name: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", text_of("Makefile"), re.MULTILINE))
    used = {words[1] for words in (*shell_lines(name), *mentions(name)) if words[0] == "make"}
    assert used
    assert used <= targets


def test_a_wrong_command_line_is_noticed() -> None:
    for line in ("silhouette dance", "silhouette run --home x", "silhouette-node init --home x --tabel y"):
        with pytest.raises(click.UsageError):
            check_command(shlex.split(line), is_complete=True)


@pytest.mark.parametrize("name", TWINS[1])
def test_every_command_is_in_the_guide(name: str) -> None:
    used = shell_lines(name)
    for program, app in PROGRAMS.items():
        assert isinstance(app, click.Group)
        for command in app.commands:
            assert any(words[:2] == [program, command] for words in used), f"{program} {command}"


@pytest.mark.parametrize("record", RECORDS)
@pytest.mark.parametrize("name", TWINS[1])
def test_every_key_is_in_the_guide(name: str, record: str) -> None:
    rows = set(re.findall(r"^\| `(\w+)` \|", text_of(name), re.MULTILINE))
    assert set(fields_of(RECORDS[record])) <= rows


@pytest.mark.parametrize("name", TWINS[1])
@pytest.mark.parametrize(
    "record", [MatchPlan, SegmentsPlan, RiskPlan, ScorecardPlan, EnterprisePlan, Deadlines]
)
def test_defaults_in_the_guide_are_the_defaults(name: str, record: type[Any]) -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| `?([^|`]+?)`? \|", section_of(name, record), re.MULTILINE))
    for field in msgspec.structs.fields(record):
        default = msgspec.to_builtins(field.default)
        if default is None:
            continue  # `min_child_rows`: described as k_min
        assert rows[field.encode_name] == msgspec.json.encode(default).decode().replace(",", ", ")


def section_of(name: str, record: type[Any]) -> str:
    """The part of a guide under the heading of one table of the job file."""
    table = record.__name__.removesuffix("Plan").lower()
    part = text_of(name).split(f"\n### `[{table}]`", 1)[1]
    return part.split("\n#", 1)[0]


@pytest.mark.parametrize("name", GUIDES)
def test_job_files_in_the_guides_are_accepted(name: str, tmp_path: Path) -> None:
    jobs = [block for language, block in blocks_of(name) if language == "toml"]
    assert jobs
    for block in jobs:
        file = tmp_path / "job.toml"
        file.write_text(block, "utf-8")
        for party in read_job_file(file).party:
            spec = msgspec.convert(party.table, TableSpec)
            registered = {field.name for field in spec.fields}
            assert {*party.segment_fields, *party.risk_fields} <= registered


@pytest.mark.parametrize("name", GUIDES)
def test_job_files_in_the_guides_pass_a_rehearsals_gate(name: str, tmp_path: Path) -> None:
    """The policies that a rehearsal drafts for itself admit them: every column has a class that the job may use."""
    for block in [block for language, block in blocks_of(name) if language == "toml"]:
        file = tmp_path / "job.toml"
        file.write_text(block, "utf-8")
        found = read_job_file(file)
        for entry in found.party:
            spec = msgspec.convert(entry.table, TableSpec)
            day = date(2026, 1, 1)
            policy = draft_policy(entry.name, spec, found.job, "0" * 16, day)
            request = Request(
                purpose=found.job.purpose,
                own=entry.name,
                label_holder=found.job.roles.label_holder,
                parties=found.job.roles.all,
                fields={field.name: field.kind for field in spec.fields},
                methods=found.job.methods,
                coordinator="0" * 16,
                today=day,
            )
            findings, terms = decide(policy, catalog_of(policy), request)
            assert findings == ()
            assert terms is not None


@pytest.mark.parametrize("name", TWINS[1])
def test_the_guides_consent_log_has_every_word_that_its_job_needs(name: str, tmp_path: Path) -> None:
    (log,) = (block for language, block in blocks_of(name) if language == "csv")
    (block,) = (block for language, block in blocks_of(name) if language == "toml")
    (tmp_path / "bank").mkdir()
    (tmp_path / "bank" / "consents.csv").write_text(log, "utf-8")
    (tmp_path / "job.toml").write_text(block, "utf-8")
    found = read_job_file(tmp_path / "job.toml")
    table = msgspec.convert(found.party[0].table, TableSpec)
    spec = msgspec.structs.replace(table, extra_prefixes=("12",))
    words, problems = read_consents(spec)
    assert problems == []
    assert words is not None
    policy = draft_policy("bank", spec, found.job, "0" * 16, date(2026, 1, 1))
    provided = Need(found.job.purpose, ConsentKind.SEPARATE, PROVIDE, "shop")
    sensitive = Need(found.job.purpose, ConsentKind.SEPARATE, SENSITIVE + "financial_situation")
    assert set(words.needs) == {Need(found.job.purpose), provided, sensitive}
    assert policy.purposes[0].sensitive_necessity.keys() == {"financial_situation"}


def test_the_example_job_is_accepted() -> None:
    file = ROOT / "examples" / "default_credit" / "job.toml"
    found = read_job_file(file)
    assert found.job.roles.all == ("bank", "partner")
    assert found.job.segments is None
    for party, n_fields in zip(found.party, (13, 10), strict=True):
        spec = msgspec.convert(party.table, TableSpec)
        assert Path(spec.path).parent == file.parent / "data"
        assert tuple(field.name for field in spec.fields) == party.risk_fields
        assert len(party.risk_fields) == n_fields
        assert spec.consents is None


@pytest.mark.parametrize(("english", "chinese"), TWINS)
def test_twins_have_the_same_shape(english: str, chinese: str) -> None:
    assert blocks_of(english) == blocks_of(chinese)
    levels = [
        [heading.split(" ")[0] for heading in headings_of(text_of(name))] for name in (english, chinese)
    ]
    assert levels[0] == levels[1]
    rows = [len(re.findall(r"^\|", text_of(name), re.MULTILINE)) for name in (english, chinese)]
    assert rows[0] == rows[1]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda file: str(file.relative_to(ROOT)))
def test_relative_links_resolve(document: Path) -> None:
    for link in _LINK.findall(_BLOCK.sub("", document.read_text("utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), f"{document.name} links to {link}"
        if anchor:
            anchors = {slug_of(heading) for heading in headings_of(target.read_text("utf-8"))}
            assert anchor in anchors, f"{document.name} links to {link}"


def slug_of(heading: str) -> str:
    """The anchor that repository hosts give a heading."""
    words = heading.lstrip("#").strip().lower()
    return re.sub(r"[^\w\- ]", "", words).replace(" ", "-")


def test_the_licence_is_the_one_declared() -> None:
    assert 'license = "Apache-2.0"' in text_of("pyproject.toml")
    words = text_of("LICENSE").split()
    assert words[:3] == ["Apache", "License", "Version"]
    assert "END OF TERMS AND CONDITIONS" in " ".join(words)
