"""The import contracts hold for the real tree, and break when somebody crosses them."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import clients.tables
import privacy

ROOT = Path(privacy.__file__).parents[1]
PACKAGES = ("privacy", "federation", "clients", "server")
CHECK = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
GATE = "The gate is the only way to a table"
CONTRACTS = {
    "Data flows one way": [
        ("privacy/errors.py", "import federation"),
        ("federation/jobs.py", "import clients.vault"),
        ("federation/wire.py", "from server import relay"),
        ("clients/vault.py", "from server.relay import Relay"),
        ("server/relay.py", "from clients.vault import Vault"),
    ],
    "The coordinator cannot import decryption": [
        ("server/relay.py", "from privacy.paillier_secret import SecretKey"),
        ("federation/kmeans.py", "import privacy.paillier_secret"),
        ("privacy/fixed_point.py", "from privacy import paillier_secret"),
    ],
    "Mechanisms do no I/O": [
        ("privacy/masking.py", "import pandas"),
        ("privacy/sealing.py", "def open_url():\n    import httpx\n    return httpx"),
        ("privacy/errors.py", "import flwr"),
    ],
    GATE: [
        ("clients/context.py", "from clients.tables.loading import load"),
        ("clients/explain.py", "from clients.tables import loading"),
        ("clients/consents/importing.py", "def read():\n    import clients.tables.loading"),
    ],
}


def lint(folder):
    """Run import-linter in a folder: (exit code, output)."""
    environment = os.environ | {"PYTHONPATH": str(folder), "COLUMNS": "200"}
    done = subprocess.run(
        [sys.executable, "-c", CHECK],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def copy(tmp_path):
    """A copy of the tree with the project's own contracts."""
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__", "*.j2")
        )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_contracts_are_the_ones_we_rely_on():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    assert settings["root_packages"] == ["server", "clients", "federation", "privacy"]
    assert settings["include_external_packages"] is True
    contracts = {contract["name"]: contract for contract in settings["contracts"]}
    assert set(contracts) == set(CONTRACTS)
    assert contracts["Data flows one way"]["layers"] == ["server | clients", "federation", "privacy"]
    forbidden = contracts["The coordinator cannot import decryption"]
    assert forbidden["source_modules"] == ["server", "federation"]
    assert forbidden["forbidden_modules"] == ["privacy.paillier_secret"]
    assert {"flwr", "pandas", "sqlalchemy", "httpx"} <= set(
        contracts["Mechanisms do no I/O"]["forbidden_modules"]
    )
    assert not [contract for contract in contracts.values() if contract.get("ignore_imports")]


def test_every_part_of_a_node_goes_through_the_gate():
    """Only the gate and the tables themselves may import what loads one: a new module has to be named too."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    (contract,) = [contract for contract in settings["contracts"] if contract["name"] == GATE]
    parts = {f"clients.{file.stem}" for file in (ROOT / "clients").iterdir() if file.name[0] not in "_."}
    assert set(contract["source_modules"]) == parts - {"clients.gate", "clients.tables"}
    assert contract["forbidden_modules"] == ["clients.tables.loading"]
    assert not hasattr(clients.tables, "load"), "the package hands out no way around the gate"


def test_the_real_tree_keeps_them():
    code, output = lint(ROOT)
    assert code == 0, output
    assert "4 kept, 0 broken" in output


PLANTED = [(name, file, line) for name, planted in CONTRACTS.items() for file, line in planted]


@pytest.mark.parametrize(
    ("name", "file", "line"), PLANTED, ids=[f"{file}: {line}" for _, file, line in PLANTED]
)
def test_a_planted_violation_breaks_its_contract(copy, name, file, line):
    target = copy / file
    before = target.read_text("utf-8") if target.exists() else ""
    target.write_text(f"{before}\n\n{line}\n", "utf-8")
    code, output = lint(copy)
    assert code == 1, output
    assert f"{name} BROKEN" in output


def test_the_copy_itself_keeps_them(copy):
    """So that it is the planted line that breaks the contract."""
    code, output = lint(copy)
    assert code == 0, output
    assert "4 kept, 0 broken" in output
