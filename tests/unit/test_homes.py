"""The homes of a coordinator and of nodes: made once, private, and pinned to each other."""

import contextlib
import os
import ssl
import stat

import msgspec
import pytest
from cryptography.hazmat.primitives import serialization

from clients.home import NodeHome, NodeSettings
from clients.tables import ConsentSpec, FieldSpec, TableSpec
from federation.files import read_toml, replace_file, write_secret
from federation.messages import COORDINATOR
from federation.roster import Enrolment, Roster, from_json, to_json
from privacy.errors import ConfigInvalid
from privacy.identifiers import IdentifierKind
from privacy.sealing import Identity, PublicIdentity
from privacy.texts import LANGUAGES
from server.home import CoordinatorHome, Running, make_certificate

TABLE = TableSpec(
    path="/data/customers.csv",
    id_column="phone",
    id_kind=IdentifierKind.PHONE,
    fields=(FieldSpec(name="income", transform="log1p", minimum=0.0), FieldSpec(name="age")),
    consents=ConsentSpec(path="/data/consents.csv", id_column="phone", notice="n1"),
)


@pytest.fixture
def coordinator(tmp_path):
    return CoordinatorHome.create(tmp_path / "coordinator", "127.0.0.1", 8440, "silhouette.example")


@pytest.fixture
def node(tmp_path):
    return NodeHome.create(tmp_path / "bank", NodeSettings(name="bank", table=TABLE))


def enrolment_of(home):
    return from_json(home.enrolment_file.read_bytes(), Enrolment, "enrolment.json")


def refuses(key, act, *arguments):
    with pytest.raises(ConfigInvalid) as caught:
        act(*arguments)
    assert caught.value.key == key
    told = [caught.value.render(language) for language in LANGUAGES]
    assert all(told)
    return told[0]


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


# --- a coordinator's home


def test_a_coordinators_home_opens_again(coordinator):
    again = CoordinatorHome.open(coordinator.folder)
    assert again.settings == coordinator.settings
    assert (again.settings.host, again.settings.port) == ("127.0.0.1", 8440)
    assert again.identity.public == coordinator.identity.public
    assert again.roster.url == "https://silhouette.example:8440"
    assert again.roster.parties == ()
    assert again.roster.coordinator == coordinator.identity.public.to_text()
    assert again.roster.certificate.encode() == coordinator.certificate_file.read_bytes()
    assert again.running is None


def test_a_free_port_is_chosen_where_none_is_given(tmp_path):
    home = CoordinatorHome.create(tmp_path, "127.0.0.1", 0, "127.0.0.1")
    assert home.settings.port > 0
    assert home.roster.url == f"https://127.0.0.1:{home.settings.port}"
    assert home.settings.superlink_port != home.settings.port


def test_a_coordinators_home_is_not_overwritten(coordinator):
    before = coordinator.identity.public
    refuses("home_exists", CoordinatorHome.create, coordinator.folder, "127.0.0.1", 1, "x")
    assert CoordinatorHome.open(coordinator.folder).identity.public == before


def test_a_home_that_is_not_set_up_does_not_open(tmp_path):
    refuses("home_missing", CoordinatorHome.open, tmp_path)
    refuses("home_missing", NodeHome.open, tmp_path)


def test_the_environment_names_the_home(coordinator, monkeypatch):
    monkeypatch.setenv("SILHOUETTE_HOME", str(coordinator.folder))
    assert CoordinatorHome.from_environment().folder == coordinator.folder


@pytest.mark.parametrize("mask", [0o000, 0o022])
def test_a_coordinators_secrets_are_for_its_owner_alone(tmp_path, mask):
    before = os.umask(mask)
    try:
        home = CoordinatorHome.create(tmp_path / "home", "127.0.0.1", 1, "127.0.0.1")
    finally:
        os.umask(before)
    secrets = ("tls.key", "loopback.key", "identity.key", "relay.secret", "superexec.secret")
    assert {name: mode(home.folder / name) for name in secrets} == dict.fromkeys(secrets, 0o600)
    assert mode(home.folder) == 0o700
    public = {"tls.crt", "loopback.crt", "federation.json", "coordinator.json"}
    assert {file.name for file in home.folder.iterdir() if file.is_file()} == public | set(secrets)


def test_a_folder_that_was_open_to_others_is_closed(tmp_path):
    folder = tmp_path / "home"
    folder.mkdir(mode=0o755)
    CoordinatorHome.create(folder, "127.0.0.1", 1, "127.0.0.1")
    assert mode(folder) == 0o700


def test_secrets_of_two_homes_differ(tmp_path, coordinator):
    other = CoordinatorHome.create(tmp_path / "other", "127.0.0.1", 1, "127.0.0.1")
    assert other.relay_secret != coordinator.relay_secret
    assert len(other.relay_secret) >= 43
    assert other.superexec_secret_file.read_bytes() != coordinator.superexec_secret_file.read_bytes()
    assert other.identity.public != coordinator.identity.public


def test_a_secret_replaces_one_that_was_readable(tmp_path):
    file = tmp_path / "secret"
    file.write_bytes(b"old and longer")
    file.chmod(0o644)
    write_secret(file, b"new")
    assert (file.read_bytes(), mode(file)) == (b"new", 0o600)


def test_a_roster_is_never_half_written(tmp_path, monkeypatch):
    file = tmp_path / "federation.json"
    replace_file(file, b"old")
    monkeypatch.setattr("pathlib.Path.replace", lambda *_: (_ for _ in ()).throw(OSError("no room")))
    with pytest.raises(OSError, match="no room"):
        replace_file(file, b"new")
    assert file.read_bytes() == b"old"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"host": "x"}', b"\xff"])
def test_damaged_settings_are_named(coordinator, content):
    coordinator.settings_file.write_bytes(content)
    assert "coordinator.json" in refuses(
        "file_invalid", lambda: CoordinatorHome.open(coordinator.folder).settings
    )


# --- enrolling


def test_parties_are_enrolled_and_replaced(coordinator, node, tmp_path):
    coordinator.enrol(enrolment_of(node))
    shop = NodeHome.create(tmp_path / "shop", NodeSettings(name="shop", table=TABLE))
    coordinator.enrol(enrolment_of(shop))
    assert [party.name for party in coordinator.roster.parties] == ["bank", "shop"]
    again = NodeHome.create(tmp_path / "bank2", NodeSettings(name="bank", table=TABLE))
    with pytest.raises(ConfigInvalid, match="other keys"):
        coordinator.enrol(enrolment_of(again))
    coordinator.enrol(enrolment_of(again), replace=True)
    parties = {party.name: party.identity for party in coordinator.roster.parties}
    assert parties == {"bank": again.identity.public.to_text(), "shop": shop.identity.public.to_text()}


def test_the_roster_pins_everyone_but_oneself(coordinator, node):
    coordinator.enrol(enrolment_of(node))
    assert coordinator.roster.identities(without=COORDINATOR) == {"bank": node.identity.public}
    assert coordinator.roster.identities(without="bank") == {COORDINATOR: coordinator.identity.public}


IDENTITY = Identity.generate().public.to_text()


@pytest.mark.parametrize(
    "changes",
    [
        {"name": COORDINATOR},
        {"name": "Bank"},
        {"name": "../bank"},
        {"name": ""},
        {"name": "b" * 33},
        {"identity": "AAAA"},
        {"identity": IDENTITY[:-4]},
        {"identity": "not base64"},
        {"extra": 1},
        {"flower_key": None},
    ],
)
def test_an_unusable_enrolment_is_refused_with_its_file(changes):
    good = {"name": "bank", "identity": IDENTITY, "flower_key": "PEM"}
    assert from_json(msgspec.json.encode(good), Enrolment, "e.json").name == "bank"
    message = refuses("file_invalid", from_json, msgspec.json.encode(good | changes), Enrolment, "e.json")
    assert message.startswith("e.json: ")
    assert any(word in message for word in ("name", "identity", "extra", "flower_key"))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"null"])
def test_files_that_are_no_records_are_refused(content):
    refuses("file_invalid", from_json, content, Enrolment, "e.json")
    refuses("file_invalid", from_json, content, Roster, "federation.json")


def test_a_roster_with_an_unusable_party_is_refused():
    party = Enrolment("bank", IDENTITY, "PEM")
    for roster in (
        Roster("https://x", "PEM", "AAAA", (party,)),
        Roster("https://x", "PEM", IDENTITY, (msgspec.structs.replace(party, name=COORDINATOR),)),
        Roster("https://x", "PEM", IDENTITY, (msgspec.structs.replace(party, identity="AAAA"),)),
        Roster("https://x", "PEM", IDENTITY, (party, party)),
    ):
        refuses("file_invalid", from_json, to_json(roster), Roster, "federation.json")
    good = Roster("https://x", "PEM", IDENTITY, (party,))
    assert from_json(to_json(good), Roster, "federation.json") == good


# --- the certificate


def handshake(served, pinned, tmp_path, name):
    """A TLS handshake in memory: a client that pins one certificate, expects `name` and meets `served`."""
    certificate, key = served
    (tmp_path / "c.pem").write_bytes(certificate)
    (tmp_path / "k.pem").write_bytes(key)
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(tmp_path / "c.pem", tmp_path / "k.pem")
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    client_context = ssl.create_default_context(cadata=pinned.decode())
    client = client_context.wrap_bio(to_client, to_server, server_hostname=name)
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for side in (client, server):
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
    client.write(b"hello")
    return server.read()


@pytest.mark.parametrize("name", ["silhouette.example", "127.0.0.1", "::1"])
def test_the_certificate_verifies_for_its_name(tmp_path, name):
    made = make_certificate(name)
    assert handshake(made, made[0], tmp_path, name) == b"hello"


@pytest.mark.parametrize(
    ("made_for", "asked"),
    [
        ("silhouette.example", "other.example"),
        ("127.0.0.1", "127.0.0.2"),
        ("silhouette.example", "127.0.0.1"),
    ],
)
def test_the_certificate_verifies_for_no_other_name(tmp_path, made_for, asked):
    made = make_certificate(made_for)
    with pytest.raises(ssl.SSLCertVerificationError, match=r"mismatch|not valid"):
        handshake(made, made[0], tmp_path, asked)


def test_another_coordinators_certificate_does_not_verify(tmp_path):
    made, pinned = make_certificate("silhouette.example"), make_certificate("silhouette.example")
    with pytest.raises(ssl.SSLCertVerificationError, match=r"self-signed|signature"):
        handshake(made, pinned[0], tmp_path, "silhouette.example")


# --- is it serving


def test_running_is_what_a_living_process_wrote(coordinator, monkeypatch):
    coordinator.write_running(Running(os.getpid(), {"bank": 7}))
    assert coordinator.running == Running(os.getpid(), {"bank": 7})

    def gone(*_):
        raise ProcessLookupError

    def somebody_elses(*_):
        raise PermissionError

    for ended in (gone, somebody_elses):
        monkeypatch.setattr(os, "kill", ended)
        assert coordinator.running is None, "the number now belongs to nobody, or to another user's process"
    monkeypatch.undo()
    coordinator.write_running(None)
    assert coordinator.running is None
    coordinator.write_running(None)


# --- a node's home


def test_a_nodes_home_opens_again(node):
    again = NodeHome.open(node.folder)
    assert again.settings == NodeSettings(name="bank", table=TABLE)
    assert again.identity.public == node.identity.public
    assert again.identity.public.to_text() == enrolment_of(node).identity


def test_a_nodes_home_is_not_overwritten(node):
    key = (node.folder / "vault.key").read_bytes()
    refuses("home_exists", NodeHome.create, node.folder, node.settings)
    node.settings_file.unlink()
    refuses("home_exists", NodeHome.create, node.folder, NodeSettings("x", TABLE))
    assert (node.folder / "vault.key").read_bytes() == key


def test_a_nodes_secrets_lie_in_its_vault_alone(node):
    secret = node.identity.to_bytes()
    flower_key = node.vault.get("flower_key")
    assert flower_key is not None
    for file in node.folder.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert secret[:32] not in content
            assert secret[32:] not in content
            assert b"PRIVATE" not in content
    assert mode(node.folder) == 0o700
    assert mode(node.folder / "vault.key") == 0o600


def test_the_enrolment_holds_the_public_half_of_the_flower_key(node):
    private = serialization.load_ssh_private_key(node.vault.get("flower_key"), None)
    public = serialization.load_pem_public_key(enrolment_of(node).flower_key.encode())
    assert private.public_key().public_numbers() == public.public_numbers()
    assert public.curve.name == "secp384r1", "SuperLink takes no other curve"


def test_settings_survive_without_what_is_none(node):
    text = node.settings_file.read_text()
    assert "label_column" not in text
    changed = msgspec.structs.replace(node.settings, allow_testing_profile=True, approved_code=("ab" * 32,))
    node.write_settings(changed)
    assert NodeHome.open(node.folder).settings == changed


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ('name = "bank"', "table"),
        ("name = ", "end of document"),
        ('name = "Bank"\n[table]\npath="x"\nid_column="y"\nid_kind="phone"', "name"),
        ('name = "bank"\ncolour = 1\n[table]\npath="x"\nid_column="y"\nid_kind="phone"', "colour"),
        ('name = "bank"\n[table]\npath="x"\nid_column="y"\nid_kind="shoe"', "id_kind"),
        ('name = "bank"\n[table]\npath="x"\nid_column="y"\nid_kind="phone"\nlabel="z"', "label"),
    ],
)
def test_wrong_settings_name_file_and_key(node, content, named):
    node.settings_file.write_text(content)
    message = refuses("file_invalid", lambda: NodeHome.open(node.folder).settings)
    assert "node.toml" in message
    assert named in message


def test_missing_and_undecodable_files_are_named(tmp_path):
    assert "none.toml" in refuses("file_missing", read_toml, tmp_path / "none.toml", NodeSettings)
    (tmp_path / "bad.toml").write_bytes(b"name = '\xff\xfe'")
    assert "bad.toml" in refuses("file_invalid", read_toml, tmp_path / "bad.toml", NodeSettings)


def test_a_vault_without_keys_is_not_a_home(node):
    node.vault.remove("identity")
    refuses("home_missing", lambda: node.identity)


# --- joining


def test_a_node_joins_the_federation_it_is_in(coordinator, node):
    refuses("not_joined", lambda: node.roster)
    coordinator.enrol(enrolment_of(node))
    node.join(coordinator.roster)
    assert NodeHome.open(node.folder).roster == coordinator.roster


def test_a_roster_with_another_identity_is_refused(coordinator, node):
    roster = coordinator.roster
    own = enrolment_of(node)
    other = msgspec.structs.replace(own, identity=Identity.generate().public.to_text())
    half = PublicIdentity(node.identity.public.verify_key, Identity.generate().public.seal_key)
    for parties in (
        (),
        (other,),
        (msgspec.structs.replace(own, identity=half.to_text()),),
        (msgspec.structs.replace(own, name="shop"),),
    ):
        refuses("roster_without_us", node.join, msgspec.structs.replace(roster, parties=parties))
    assert not node.roster_file.exists()


def test_a_refused_roster_leaves_the_old_one(coordinator, node):
    coordinator.enrol(enrolment_of(node))
    node.join(coordinator.roster)
    refuses("roster_without_us", node.join, msgspec.structs.replace(coordinator.roster, parties=()))
    assert node.roster == coordinator.roster


def test_a_damaged_roster_is_named(coordinator, node):
    coordinator.enrol(enrolment_of(node))
    node.join(coordinator.roster)
    node.roster_file.write_bytes(b"{")
    assert "federation.json" in refuses("file_invalid", lambda: node.roster)
