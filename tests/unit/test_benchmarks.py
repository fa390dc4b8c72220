"""The benchmarks themselves: what they write, how they compare, and that nobody is timed on wrong numbers."""

import json
from dataclasses import fields
from io import StringIO
from itertools import count
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import tomli_w
from rich.console import Console
from typer.testing import CliRunner

from benchmarks import __main__ as command
from benchmarks import cases, gate, gate_scene, matching, peers
from benchmarks.cases import Case, Claim, Way, WrongResult, race, rows_of
from benchmarks.default_credit_over_flower import job_of as credit_job
from benchmarks.gate_training import train
from benchmarks.matching_over_flower import job_of as matching_job
from benchmarks.matching_over_flower import write_tables
from benchmarks.measure import Contestant, measure
from benchmarks.results import PER_SECOND_UNIT, TIE, Results, Row
from benchmarks.settings import FULL, QUICK, Settings, parse_sizes, size_name
from federation.jobfile import read_job_file
from federation.jobs import MatchMode
from privacy.identifiers import IdentifierKind, check_of

TINY = Settings(
    key_bits=512,
    repetitions=1,
    values=20,
    slow_values=2,
    rows=60,
    peer_rows=20,
    terms=12,
    peer_terms=5,
    tree_rows=40,
    match_sizes=(40, 90),
    ecdh_limit=40,
    peer_match_limit=40,
)
SIX_KEYS = ["name", "unit", "ours", "peer", "peer_name", "ratio"]


def without_peers(patch):
    """Make a machine on which none of the optional peers is installed."""

    def load(module):
        raise peers.PeerMissing(module)

    patch.setattr(peers, "load", load)
    cases.heu_peers.cache_clear()


# --- measuring


def test_contestants_take_turns():
    calls = []
    contestants = [Contestant(name, lambda name=name: calls.append(name), 1) for name in ("ours", "peer")]
    measure(contestants, repetitions=3)
    assert calls == ["ours", "peer"] * 3


def test_the_fastest_turn_counts_per_operation():
    readings = iter([0.0, 5.0, 10.0, 12.0, 20.0, 24.0])  # turns of 5, 2 and 4 seconds
    times = measure([Contestant("ours", lambda: None, 10)], 3, clock=lambda: next(readings))
    assert times == {"ours": pytest.approx(2e6 / 10)}


def test_preparation_is_not_counted():
    ticks = count()
    times = measure(
        [Contestant("ours", lambda: None, 1, lambda: next(ticks))], 2, clock=lambda: float(next(ticks))
    )
    assert times == {"ours": pytest.approx(1e6)}


@pytest.mark.parametrize(("names", "repetitions"), [(["a", "a"], 1), (["a"], 0)])
def test_a_measurement_that_would_mix_up_or_miss_results_is_refused(names, repetitions):
    with pytest.raises(ValueError, match="repetition"):
        measure([Contestant(name, lambda: None, 1) for name in names], repetitions)


def test_nobody_is_timed_on_wrong_numbers():
    right = Way(lambda: [1, 2], [1, 2], 2)
    assert set(race({"ours": right}, 1)) == {"ours"}
    with pytest.raises(WrongResult, match="peer"):
        race({"ours": right, "peer": Way(lambda: [1, 3], [1, 2], 2)}, 1)


# --- rows


def test_a_ratio_above_one_means_that_ours_is_faster():
    assert Row("encrypt", "us", ours=4.0, peer=12.0, peer_name="phe").ratio == 3.0
    assert Row("encrypt", "us", ours=12.0, peer=4.0, peer_name="phe").ratio == pytest.approx(1 / 3)
    assert Row("values", PER_SECOND_UNIT, ours=300.0, peer=100.0, peer_name="phe").ratio == 3.0


@pytest.mark.parametrize(
    ("peer", "must_reach", "holds"),
    [(20.0, 10.0, True), (18.0, 10.0, False), (2.0, None, None), (None, 10.0, None), (1.92, TIE, True)],
)
def test_what_must_be_reached_is_checked(peer, must_reach, holds):
    assert Row("encrypt", "us", 2.0, peer, "phe", must_reach).holds is holds


def test_a_missing_peer_is_a_row_that_says_so():
    row = rows_of([Claim("encrypt", "owner", "HEU zpaillier", 1.5)], {"owner": 2.0})[0]
    assert row.to_json() == {
        "name": "encrypt",
        "unit": "us",
        "ours": 2.0,
        "peer": None,
        "peer_name": "HEU zpaillier",
        "ratio": None,
        "must_reach": 1.5,
        "holds": None,
        "note": "not installed",
    }


def test_the_table_shows_missing_peers_broken_promises_and_each_note_once(tmp_path):
    shared = ("linear",)
    results = Results(tmp_path)
    results.add(
        [
            Row("a", "us", 2.0, 30.0, "phe", 20, shared),
            Row("b", "us", 2.0, None, "HEU OU", 20, (*shared, "other")),
        ]
    )
    assert [row.name for row in results.broken()] == ["a"]
    console = Console(width=120, record=True, file=StringIO())
    console.print(results.table("title"))
    shown = console.export_text()
    for text in ("a (1)", "b (1,2)", "15.00x", "not installed", "NO", "(1) linear", "(2) other"):
        assert shown.count(text) == 1, text


# --- files


def test_the_json_is_a_list_with_the_six_keys_first(tmp_path):
    results = Results(tmp_path / "results")
    results.add([Row("a", "us", 1.23456789, 2.0, "phe"), Row("b", "s", 3.0)])
    written = json.loads((tmp_path / "results" / "latest.json").read_text("utf-8"))
    assert [list(row)[:6] for row in written] == [SIX_KEYS, SIX_KEYS]
    assert written[0]["ours"] == 1.235
    assert written[1]["peer"] is None
    machine = json.loads((tmp_path / "results" / "machine.json").read_text("utf-8"))
    assert {"cpu", "cores", "python", "gmp", "version", "packages"} <= set(machine)
    assert machine["packages"]["gmpy2"]


def run_command(monkeypatch, tmp_path, *arguments, cases_found):
    monkeypatch.setattr(command, "all_cases", lambda settings: cases_found)
    app = command.typer.Typer()
    app.command()(command.main)
    return CliRunner().invoke(app, [*arguments, "--into", str(tmp_path)])


def case(group, name):
    return Case(group, name, lambda settings: [Row(name, "us", 1.0)])


def names_in(file):
    return [row["name"] for row in json.loads(file.read_text("utf-8"))]


def test_a_complete_run_is_kept_under_its_version(monkeypatch, tmp_path):
    done = run_command(monkeypatch, tmp_path, cases_found=[case("tree", "a"), case("matching", "b")])
    assert done.exit_code == 0, done.output
    version = json.loads((tmp_path / "machine.json").read_text("utf-8"))["version"]
    assert names_in(tmp_path / "latest.json") == names_in(tmp_path / f"{version}.json") == ["a", "b"]


@pytest.mark.parametrize("arguments", [["--quick"], ["--only", "tree"], ["--sizes", "10k"]])
def test_a_smaller_run_does_not_replace_the_record_of_a_version(monkeypatch, tmp_path, arguments):
    done = run_command(monkeypatch, tmp_path, *arguments, cases_found=[case("tree", "a")])
    assert done.exit_code == 0, done.output
    assert sorted(file.name for file in tmp_path.iterdir()) == ["latest.json", "machine.json"]


def test_an_interrupted_run_keeps_what_it_has(monkeypatch, tmp_path):
    def interrupt(settings):
        raise KeyboardInterrupt

    found = [case("tree", "a"), Case("tree", "b", interrupt), case("tree", "c")]
    done = run_command(monkeypatch, tmp_path, cases_found=found)
    assert done.exit_code == 130
    assert "Interrupted" in done.output
    assert names_in(tmp_path / "latest.json") == ["a"]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["latest.json", "machine.json"]


@pytest.mark.parametrize("arguments", [["--only", "dance"], ["--sizes", "many"]])
def test_unknown_groups_and_sizes_are_refused(monkeypatch, tmp_path, arguments):
    assert run_command(monkeypatch, tmp_path, *arguments, cases_found=[]).exit_code == 2
    assert list(tmp_path.iterdir()) == []


# --- sizes


def test_the_quick_run_is_smaller():
    for field in fields(Settings):
        if field.name == "key_bits":
            continue
        quick, full = getattr(QUICK, field.name), getattr(FULL, field.name)
        smaller = max(quick) < max(full) if field.name == "match_sizes" else quick < full
        assert smaller, field.name
    assert QUICK.key_bits == FULL.key_bits == 2048


def test_sizes_are_read_and_named():
    assert parse_sizes("10k, 1M,250") == (10_000, 1_000_000, 250)
    assert [size_name(size) for size in (10_000, 1_000_000, 250, 1_500)] == ["10k", "1M", "250", "1500"]
    for text in ("", "k", "0", "-1", "1.5k", "10k,"):
        with pytest.raises(ValueError, match="size"):
            parse_sizes(text)


# --- the benchmarks, without optional peers, at sizes that say nothing


@pytest.fixture(scope="module")
def tiny_rows():
    """The rows of every case, by the case's name."""
    with pytest.MonkeyPatch.context() as patch:
        without_peers(patch)
        found = {one.name: one.run(TINY) for one in command.all_cases(TINY)}
    cases.heu_peers.cache_clear()
    return found


def test_every_case_runs_and_names_what_is_missing(tiny_rows):
    assert {one.group for one in command.all_cases(TINY)} == set(command.GROUPS)
    for name, rows in tiny_rows.items():
        assert rows, name
        for row in rows:
            assert row.ours > 0 or row.name.startswith("table of powers")
            assert row.missing == row.peer_name.startswith(("HEU", "openmined"))
            assert (row.ratio is not None) == (row.peer_name == "phe")


def test_matching_runs_in_every_mode_and_ecdh_up_to_its_limit(tiny_rows):
    assert [row.name for row in tiny_rows["matching, 40 ids"]] == [
        "match keyed, 40 ids",
        "match ecdh, 40 ids",
        "match oprf, 40 ids",
    ]
    assert [row.name for row in tiny_rows["matching, 90 ids"]] == [
        "match keyed, 90 ids",
        "match oprf, 90 ids",
    ]


def test_every_line_of_the_performance_table_has_its_promise(tiny_rows):
    rows = [row for name, rows in tiny_rows.items() if name != "matching, 90 ids" for row in rows]
    promised = [(row.name, row.peer_name, row.must_reach) for row in rows if row.must_reach is not None]
    assert sorted(promised) == [
        ("X.[v], 16-bit signed X", "HEU zpaillier", 20),
        ("decrypt: 6 packed", "HEU zpaillier", 20),
        ("decrypt: 6 packed", "phe", 20),
        ("encrypt: from a pool", "HEU zpaillier", 100),
        ("encrypt: key owner", "HEU zpaillier", 1.5),
        ("encrypt: key owner", "phe", 20),
        ("encrypt: key owner, alpha-key", "HEU zpaillier", 8),
        ("encrypt: public key only", "HEU zpaillier", 1.3),
        ("histogram 60 x 10 x 32", "HEU zpaillier", 2.4),
        ("match ecdh, 40 ids", "openmined-psi", 1.4),
        ("match keyed, 40 ids", "openmined-psi", 100),
        ("sum", "HEU zpaillier", TIE),
        ("tree 40 x 10 x 32: from a pool", "HEU zpaillier", 5),
    ]


@pytest.mark.parametrize(("rows", "must_reach"), [(99_999, None), (100_000, 30)])
def test_the_promise_of_oprf_is_meant_for_long_lists(rows, must_reach):
    row = matching.row_of("oprf", "openmined-psi", rows, 10.0, {"openmined-psi": (rows, 400.0)})
    assert row.must_reach == must_reach
    assert row.ratio == 40


def test_a_peers_figure_is_carried_over_and_said_to_be(monkeypatch):
    class Slow:
        name = "openmined-psi"
        sizes: list[int] = []  # noqa: RUF012

        def match(self, own, other):
            self.sizes.append(len(own))
            shared = set(other)
            return {place for place, one in enumerate(own) if one in shared}

    without_peers(monkeypatch)
    monkeypatch.setattr(matching, "OpenMinedPsi", Slow)
    rows = [row for one in matching.cases(TINY) for row in one.run(TINY)]
    assert Slow.sizes == [40]
    assert {row.peer for row in rows} == {rows[0].peer}
    assert all(row.notes == () for row in rows[:3])
    assert all("measured with 40 ids" in row.notes[0] for row in rows[3:])


def test_quick_ciphertexts_are_encryptions():
    key = cases.key_of(TINY.key_bits)
    values = [5, -7, 0, 1 << 60]
    ciphertexts = cases.quick_ciphertexts(key.public, values)
    assert key.decrypt(ciphertexts) == values
    assert len(set(map(int, ciphertexts))) == len(values)


def test_both_lists_share_half_in_random_order():
    own, other = matching.draw_phones(1000)
    assert len(set(own.tolist())) == len(set(other.tolist())) == 1000
    assert len(set(own.tolist()) & set(other.tolist())) == 500
    assert (np.diff(own) < 0).any()
    assert (np.diff(other) < 0).any()
    assert set((own // 10**9).tolist()) == {12}


def test_an_installed_spu_is_measured_at_every_size(monkeypatch):
    class Spu:
        def __init__(self, protocol):
            self.protocol = protocol

        def match(self, folder, files, column):
            lists = [(Path(folder) / name).read_text("ascii").split() for name in files]
            assert [one.pop(0) for one in lists] == [column, column]
            return len(set(lists[0]) & set(lists[1]))

    without_peers(monkeypatch)
    monkeypatch.setattr(matching, "SpuPsi", Spu)
    rows = [row for one in matching.cases(TINY) for row in one.run(TINY)]
    assert [row.peer_name for row in rows] == ["openmined-psi", *peers.SPU_PROTOCOLS] * 5
    assert all(row.missing == (row.peer_name == "openmined-psi") and not row.notes for row in rows)


# --- the gate


def test_the_gate_is_measured_part_by_part_beside_its_job(tmp_path):
    rows, fields = 1_000, 4
    gate_scene.write_files(tmp_path, rows, fields)
    gate.make_home(tmp_path, fields)
    found = {
        "rows": rows,
        "fields": fields,
        "import": gate.import_words(tmp_path, fields),
        "load": gate.load_plainly(tmp_path, fields),
        "gate": gate.pass_gate(tmp_path, fields),
    }
    found["job"] = train(tmp_path / "minimised.npy", 900)
    for phase in ("import", "load", "gate", "job"):
        found[phase]["peak_bytes"] = 1
    assert found["import"]["words"] == 3 * rows
    assert found["load"]["rows"] == rows
    assert rows * (1 - 2 * gate_scene.WITHDRAWN) < found["gate"]["eligible"] < rows
    assert found["gate"]["seconds"] == pytest.approx(sum(found["gate"]["parts"].values()))
    assert all(found["gate"]["parts"][name] > 0 for name in gate.PARTS)
    shown = StringIO()
    gate.report(found, Console(file=shown, width=120))
    assert "The job was run on 900 rows" in shown.getvalue()
    one, twenty = (found["shares"][trees] for trees in ("1", "20"))
    assert 0 < twenty["gate"] < one["gate"] < one["gate_and_import"] < 1


def test_parts_within_parts_are_counted_once(monkeypatch):
    readings = iter([0.0, 1.0, 4.0, 6.0])  # outer 0 to 6, inner 1 to 4
    monkeypatch.setattr(gate.time, "process_time", lambda: next(readings))
    watch = gate.Stopwatch()
    with watch.part("outer"), watch.part("inner"):
        pass
    assert watch.seconds == {"outer": 3.0, "inner": 3.0}


# --- over Flower: the job files and tables (the runs themselves take minutes)


@pytest.mark.parametrize("mode", list(MatchMode))
def test_the_matching_job_is_accepted_and_its_overlap_is_known(tmp_path, mode):
    expected = write_tables(2000, tmp_path)
    usable = []
    for party in ("bank", "shop"):
        texts = pq.read_table(tmp_path / f"{party}.parquet")["phone"].to_pylist()
        assert len(texts) > 2000
        found = normalized(texts)
        assert 0 < sum(one is None for one in found) < 20
        usable.append({one for one in found if one is not None})
    assert len(usable[0] & usable[1]) == expected
    file = tmp_path / "job.toml"
    file.write_text(tomli_w.dumps(matching_job(mode.value)), "utf-8")
    job = read_job_file(file).job
    assert job.match.mode is mode
    assert job.stages == ("match",)


def normalized(texts):
    """Canonical spellings, None where there is none."""
    spell = check_of(IdentifierKind.PHONE, ("12",))
    return [spell(text)[0] for text in texts]


def test_the_credit_job_has_the_published_size(tmp_path):
    job = credit_job(Path("/data"), 64)
    file = tmp_path / "job.toml"
    file.write_text(tomli_w.dumps(job), "utf-8")
    read = read_job_file(file).job
    assert read.risk is not None
    assert (read.risk.trees, read.risk.depth) == (64, 6)
    assert [entry["table"]["path"].startswith("/data/") for entry in job["party"]] == [True, True]
    assert all(Path(entry.policy).exists() for entry in read_job_file(file).party)
