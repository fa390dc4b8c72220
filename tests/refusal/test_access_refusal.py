"""What does not let anybody in: wrong, old, used, revoked and forged proofs, and a second person who is the first."""

from __future__ import annotations

import base64
import contextlib
import hmac
import json
import socket
import threading
import time
import warnings

import httpx
import pytest
from access_scene import PASSWORD, START, Scene, caller
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from federation.access import issuer_keys
from federation.access.accounts import CODE_LIFE
from federation.access.issuer_keys import REFRESH_SECONDS, TRUST_SECONDS, IssuerKeys, keys_at
from federation.access.lockout import MINUTES, MOST_FAILURES, MOST_OF_NAME
from federation.access.office import Access
from federation.access.oidc import Issuer, IssuerSettings, user_name
from federation.access.passwords import TESTING_ONLY
from federation.access.two_persons import LIFE
from privacy.access import Means, Permission, Role
from privacy.errors import (
    AccessDenied,
    AccountInvalid,
    ConfigInvalid,
    LoginsLocked,
    NotAuthenticated,
    NotFound,
    SecondPersonMissing,
    SilhouetteError,
)

WHAT = "ab" * 32
EXPORT = Permission.AUDIENCES_EXPORT
ANN, BEN = caller("ann", Role.ANALYST), caller("ben", Role.OFFICER)


@pytest.fixture
def scene(tmp_path):
    made = Scene(tmp_path)
    made.add("ben", Role.OFFICER)
    yield made
    made.engine.dispose()


def refused(kind, key, act, *arguments):
    with pytest.raises(SilhouetteError) as caught:
        act(*arguments)
    assert (type(caught.value), caught.value.key) == (kind, key)


# --- accounts


def test_after_five_failures_the_right_password_is_not_looked_at(scene):
    scene.add("ann")
    for _ in range(MOST_FAILURES):
        refused(NotAuthenticated, "access_login_wrong", scene.log_in, "ann", "wrong password")
    refused(LoginsLocked, "access_locked", scene.log_in, "ann", PASSWORD)
    stages = [event.stage for event in scene.events() if event.type == "access.login_failed"]
    assert stages == ["password"] * (MOST_FAILURES - 1) + ["locked"]


def test_a_lock_does_not_say_who_is_there(scene):
    scene.add("ann")
    for name in ("ann", "nobody-here"):
        for _ in range(MOST_FAILURES):
            refused(NotAuthenticated, "access_login_wrong", scene.log_in, name, "wrong password")
        refused(LoginsLocked, "access_locked", scene.log_in, name, "wrong password")


def test_failures_of_somebody_else_keep_nobody_out(scene):
    """Neither from the owner's own place, nor when the owner is in and shows the password once more."""
    scene.add("ann")
    log_in = scene.access.log_in
    _, ann = log_in("ann", PASSWORD, "192.0.2.1")
    for _ in range(MOST_FAILURES):
        refused(NotAuthenticated, "access_login_wrong", log_in, "ann", "wrong password", "192.0.2.66")
    refused(LoginsLocked, "access_locked", log_in, "ann", PASSWORD, "192.0.2.66")
    log_in("ann", PASSWORD, "192.0.2.1")
    scene.accounts.verify("ann", PASSWORD, login=ann.login)
    refused(LoginsLocked, "access_locked", log_in, "ann", PASSWORD, "192.0.2.66")
    scene.clock.move(minutes=MINUTES)
    log_in("ann", PASSWORD, "192.0.2.66")


def test_guesses_from_many_places_are_stopped_and_somebody_who_is_in_is_not(scene):
    scene.add("ann")
    log_in = scene.access.log_in
    _, ann = log_in("ann", PASSWORD, "192.0.2.1")
    for number in range(MOST_OF_NAME):
        for name in ("ann", "nobody-here"):
            address = f"198.51.100.{number}"
            refused(NotAuthenticated, "access_login_wrong", log_in, name, "wrong password", address)
    for name in ("ann", "nobody-here"):
        refused(LoginsLocked, "access_locked", log_in, name, PASSWORD, "192.0.2.1")
    for _ in range(MOST_FAILURES - 1):
        with pytest.raises(NotAuthenticated):
            scene.accounts.verify("ann", "wrong password", login=ann.login)
    scene.accounts.verify("ann", PASSWORD, login=ann.login)
    for _ in range(MOST_FAILURES):
        with pytest.raises(NotAuthenticated):
            scene.accounts.verify("ann", "wrong password", login=ann.login)
    with pytest.raises(LoginsLocked):
        scene.accounts.verify("ann", PASSWORD, login=ann.login)


def test_logins_that_succeed_are_not_counted(scene):
    scene.add("ann")
    for _ in range(MOST_OF_NAME + 1):
        scene.log_in("ann")


def test_a_restart_does_not_tell_who_is_there(scene, tmp_path):
    scene.add("ann")
    offices = [
        Access.of(scene.engine, scene.log, now=scene.clock, profile=TESTING_ONLY, key=bytes(32))
        for _ in range(2)
    ]
    for name in ("ann", "nobody-here"):
        for _ in range(MOST_FAILURES):
            refused(NotAuthenticated, "access_login_wrong", offices[0].log_in, name, "wrong password")
        refused(LoginsLocked, "access_locked", offices[1].log_in, name, "wrong password")


@pytest.mark.parametrize("end", ["password", "end_all"])
@pytest.mark.parametrize("means", ["password", "code"])
def test_a_proof_from_before_everything_was_ended_begins_no_login(scene, end, means):
    scene.add("ann")
    if means == "password":
        proof = scene.accounts.verify("ann", PASSWORD)
    else:
        proof = scene.accounts.redeem(scene.accounts.one_time("ann", by="ada-admin"))
    if end == "password":
        scene.accounts.set_password("ann", PASSWORD + "!", by="ann")
    else:
        scene.accounts.end_all("ann", by="ada-admin")
    refused(NotAuthenticated, "access_login_wrong", scene.access.logins.begin, proof)
    scene.access.logins.begin(scene.accounts.redeem(scene.accounts.one_time("ann", by="ada-admin")))


def test_a_login_that_was_ended_issues_no_token(scene):
    scene.add("ann")
    cookie, ann = scene.log_in("ann")
    scene.access.logins.end(cookie)
    issue = scene.access.tokens.issue
    refused(AccessDenied, "access_token_by_login", issue, ann, "notebook", ["modeller"], 1)


def test_whoever_came_by_a_code_needs_no_present_password_and_everybody_else_does(scene):
    scene.accounts.add("ann", [Role.ANALYST], by="ada-admin", must_change=True)
    cookie, ann = scene.access.log_in_once(scene.accounts.one_time("ann", by="ada-admin"))
    assert ann.permissions == frozenset()
    scene.access.change_password(ann, "", PASSWORD)
    refused(NotAuthenticated, "access_login_over", scene.access.logins.lookup, cookie)
    _, again = scene.log_in("ann")
    assert again.permissions
    change = scene.access.change_password
    for acting in (again, ann):  # the login by the code is over, and proves nothing any more
        refused(NotAuthenticated, "access_login_wrong", change, acting, "", PASSWORD + "!")
    program = caller("ann", Role.ANALYST, means=Means.TOKEN)
    refused(AccessDenied, "access_token_by_login", change, program, PASSWORD, PASSWORD + "!")
    change(again, PASSWORD, PASSWORD + "!")


def test_codes_that_are_used_old_or_invented(scene):
    scene.add("ann")
    refused(NotAuthenticated, "access_code_wrong", scene.access.log_in_once, "invented")
    code = scene.accounts.one_time("ann", by="ada-admin")
    scene.access.log_in_once(code)
    refused(NotAuthenticated, "access_code_wrong", scene.access.log_in_once, code)
    late = scene.accounts.one_time("ann", by="ada-admin")
    scene.clock.move(seconds=CODE_LIFE.total_seconds())
    refused(NotAuthenticated, "access_code_wrong", scene.access.log_in_once, late)
    scene.accounts.disable("ann", by="ada-admin")
    with pytest.raises(AccountInvalid):
        scene.accounts.one_time("ann", by="ada-admin")


def test_nobody_changes_their_own_roles(scene):
    scene.add("ann", Role.ADMIN)
    refused(AccessDenied, "access_own_roles", lambda: scene.accounts.set_roles("ann", ["officer"], by="ann"))
    refused(NotFound, "access_user_unknown", lambda: scene.accounts.set_roles("bob", [], by="ann"))


# --- tokens of ours


def test_tokens_that_are_revoked_invented_or_somebody_elses(scene):
    scene.add("ann")
    _, ann = scene.log_in("ann")
    _, ben = scene.log_in("ben")
    record, secret = scene.access.tokens.issue(ann, "notebook", ["modeller"], 1)
    refused(NotFound, "access_token_unknown", scene.access.tokens.revoke, ben, record.id)
    scene.access.tokens.revoke(ann, record.id)
    for bearer in (secret, "slt_invented", "", "invented"):
        refused(NotAuthenticated, "access_bearer_unknown", scene.access.caller_of, bearer)
    cookie, _ = scene.log_in("ann")
    refused(NotAuthenticated, "access_bearer_unknown", scene.access.caller_of, cookie)
    refused(NotAuthenticated, "access_login_over", scene.access.logins.lookup, secret)


def test_tokens_that_are_not_issued(scene):
    scene.add("ann", Role.ANALYST)
    _, ann = scene.log_in("ann")
    issue = scene.access.tokens.issue
    refused(AccessDenied, "access_token_roles", issue, ann, "notebook", ["admin"], 1)
    refused(AccessDenied, "access_token_roles", issue, ann, "notebook", [], 1)
    refused(AccountInvalid, "access_token_days", issue, ann, "notebook", ["analyst"], 366)
    refused(AccountInvalid, "access_token_label", issue, ann, "a\nb", ["analyst"], 1)
    _, secret = issue(ann, "notebook", ["analyst"], 1)
    acting = scene.access.caller_of(secret)
    refused(AccessDenied, "access_token_by_login", issue, acting, "longer", ["analyst"], 365)
    for number in range(19):
        issue(ann, f"notebook {number}", ["analyst"], 1)
    refused(AccountInvalid, "access_token_many", issue, ann, "one more", ["analyst"], 1)
    scene.accounts.set_password("ann", "something for the start", by="ada-admin")
    _, ann = scene.log_in("ann", "something for the start")
    refused(AccessDenied, "access_token_by_login", issue, ann, "notebook", ["analyst"], 1)


# --- the issuer's tokens

SETTINGS = IssuerSettings(
    "https://id.example",
    "silhouette",
    "jwks.json",
    {"risk": Role.AUDITOR, "dpo": Role.OFFICER},
    "realm_access.roles",
)
RSA = RSAKey.generate_key(2048, {"kid": "rsa"})
EC = ECKey.generate_key("P-256", {"kid": "ec"})
ED = OKPKey.generate_key("Ed25519", {"kid": "ed"})
STRANGER = ECKey.generate_key("P-256", {"kid": "ec"})
NOW = int(START.timestamp())
CLAIMS = {
    "iss": "https://id.example",
    "aud": ["other", "silhouette"],
    "sub": "wei",
    "exp": NOW + 300,
    "nbf": NOW - 300,
    "iat": NOW - 300,
    "realm_access": {"roles": ["dpo", "king", 7]},
}


def published(*keys):
    return json.dumps(KeySet(list(keys)).as_dict(private=False)).encode()


def issuer(fetch=lambda: published(RSA, EC, ED), clock=lambda: 0.0, settings=SETTINGS):
    return Issuer(settings, IssuerKeys(fetch, clock), now=lambda: START)


def signed(key=EC, algorithm="ES256", header=None, **changes):
    claims = {name: value for name, value in {**CLAIMS, **changes}.items() if value is not None}
    named = {"alg": algorithm, "kid": key.kid, "vendor": "x"} if header is None else header
    registry = JWSRegistry(algorithms=[algorithm], strict_check_header=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return jwt.encode(named, claims, key, algorithms=[algorithm], registry=registry)


@pytest.mark.parametrize(
    ("key", "algorithm"), [(RSA, "RS256"), (EC, "ES256"), (ED, "EdDSA"), (ED, "Ed25519")]
)
def test_a_token_of_the_issuer_names_a_caller(key, algorithm):
    found = issuer().lookup(signed(key, algorithm))
    assert (found.name, found.roles, found.means) == ("oidc-wei", {Role.OFFICER}, Means.ISSUER)


@pytest.mark.parametrize(
    ("key", "changes"),
    [
        ("access_bearer_audience", {"aud": "other"}),
        ("access_bearer_audience", {"aud": None}),
        ("access_bearer_issuer", {"iss": "https://evil.example"}),
        ("access_bearer_issuer", {"iss": None}),
        ("access_bearer_expired", {"exp": NOW - 60}),
        ("access_bearer_invalid", {"exp": None}),
        ("access_bearer_invalid", {"exp": "tomorrow"}),
        ("access_bearer_early", {"nbf": NOW + 61}),
        ("access_bearer_invalid", {"iat": NOW + 61}),
        ("access_bearer_invalid", {"sub": None}),
    ],
)
def test_claims_that_do_not_hold(key, changes):
    refused(NotAuthenticated, key, issuer().lookup, signed(**changes))


def test_a_minute_of_leeway():
    issuer().lookup(signed(exp=NOW - 59, nbf=NOW + 60))


def part(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def test_a_token_that_is_signed_by_nothing_or_by_the_public_key():
    header, body, signature = signed().split(".")
    unsigned = f"{part({'alg': 'none', 'kid': 'ec'})}.{body}."
    refused(NotAuthenticated, "access_bearer_invalid", issuer().lookup, unsigned)
    refused(NotAuthenticated, "access_bearer_invalid", issuer().lookup, f"{header}.{body}.")
    confused = f"{part({'alg': 'HS256', 'kid': 'rsa'})}.{body}"
    mac = hmac.digest(RSA.as_pem(private=False), confused.encode(), "sha256")
    confused += "." + base64.urlsafe_b64encode(mac).rstrip(b"=").decode()
    refused(NotAuthenticated, "access_bearer_invalid", issuer().lookup, confused)
    forged = f"{header}.{part({**CLAIMS, 'sub': 'root'})}.{signature}"
    refused(NotAuthenticated, "access_bearer_invalid", issuer().lookup, forged)


def test_a_shared_key_among_the_published_ones_signs_nothing():
    shared = OctKey.generate_key(256, {"kid": "oct"})
    keys = json.dumps({"keys": [shared.as_dict(private=True)]}).encode()
    refused(NotAuthenticated, "access_bearer_invalid", issuer(lambda: keys).lookup, signed(shared, "HS256"))


def test_other_keys_and_other_algorithms():
    refused(NotAuthenticated, "access_bearer_invalid", issuer().lookup, signed(STRANGER))
    refused(NotAuthenticated, "access_bearer_invalid", issuer().lookup, signed(RSA, "PS256"))
    refused(NotAuthenticated, "access_bearer_key", issuer().lookup, signed(header={"alg": "ES256"}))
    other = ECKey.generate_key("P-256", {"kid": "unknown"})
    refused(NotAuthenticated, "access_bearer_key", issuer().lookup, signed(other))
    mixed = {"alg": "ES256", "kid": "rsa"}
    refused(NotAuthenticated, "access_bearer_invalid", issuer().lookup, signed(EC, "ES256", mixed))


@pytest.mark.parametrize("bearer", ["", "a", "a.b.c", "....", "é.é.é", "x" * 20_000, "{}.{}.{}", "\x00"])
def test_what_is_no_token(bearer):
    refused(NotAuthenticated, "access_bearer_invalid", issuer().lookup, bearer)


def test_a_critical_header_that_is_not_understood():
    header = {"alg": "ES256", "kid": "ec", "crit": ["exp"], "exp": 1}
    forged = f"{part(header)}.{signed().split('.', 1)[1]}"
    refused(NotAuthenticated, "access_bearer_invalid", issuer().lookup, forged)


def test_roles_that_the_table_does_not_name_give_nothing():
    assert issuer().lookup(signed(realm_access={"roles": ["king", "admin"]})).permissions == frozenset()
    assert issuer().lookup(signed(realm_access=None)).roles == frozenset()
    assert issuer().lookup(signed(realm_access="dpo")).roles == frozenset()


def test_names_of_the_issuers_users_are_nobodys_here():
    assert user_name("wei") == "oidc-wei"
    for name in ("Wei@example.cn", "13812345678", "_abc", "w" * 41, "oidc wei"):
        made = user_name(name)
        assert made.startswith("oidc-_")
        assert name not in made
    assert len({user_name(str(number) * 11) for number in range(10)}) == 10
    claim = IssuerSettings(
        **{**{name: getattr(SETTINGS, name) for name in SETTINGS.__struct_fields__}, "name": "upn"}
    )
    refused(NotAuthenticated, "access_bearer_name", issuer(settings=claim).lookup, signed())


# --- the issuer's keys


def test_an_unknown_key_is_asked_for_at_most_once_a_minute():
    seconds, asked, keys = [0.0], [], [EC]

    def fetch():
        asked.append(seconds[0])
        return published(*keys)

    door = issuer(fetch, lambda: seconds[0])
    door.lookup(signed())
    for _ in range(5):
        refused(NotAuthenticated, "access_bearer_key", door.lookup, signed(RSA, "RS256"))
    assert asked == [0.0]
    keys.append(RSA)
    seconds[0] = REFRESH_SECONDS
    door.lookup(signed(RSA, "RS256"))
    assert asked == [0.0, REFRESH_SECONDS]
    door.lookup(signed())
    assert len(asked) == 2


def test_keys_that_were_taken_back_end_after_a_day_at_the_latest():
    seconds, answers = [0.0], [published(EC)]

    def fetch():
        if not answers:
            raise httpx.ConnectError("away")
        return answers.pop()

    door = issuer(fetch, lambda: seconds[0])
    door.lookup(signed())
    seconds[0] = TRUST_SECONDS - 1
    door.lookup(signed())
    seconds[0] = TRUST_SECONDS
    refused(NotAuthenticated, "access_issuer_keys", door.lookup, signed())
    answers.append(published(RSA))
    seconds[0] += REFRESH_SECONDS
    refused(NotAuthenticated, "access_bearer_key", door.lookup, signed())


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b'{"keys": 1}', b'{"keys": []}', b'{"keys": [{"kty": "EC"}]}', b"\xff"]
)
def test_keys_that_cannot_be_read(data):
    refused(NotAuthenticated, "access_issuer_keys", issuer(lambda: data).lookup, signed())


def test_where_keys_may_be(tmp_path, monkeypatch):
    (tmp_path / "jwks.json").write_bytes(published(EC))
    Issuer(SETTINGS, keys_at("jwks.json", tmp_path), now=lambda: START).lookup(signed())
    refused(ConfigInvalid, "file_missing", keys_at, "other.json", tmp_path)
    for place in ("http://id.example/keys", "ftp://id.example/keys", "http://127.0.0.1.example/keys"):
        refused(ConfigInvalid, "access_issuer_address", keys_at, place, tmp_path)
    for place in ("https://id.example/keys", "http://127.0.0.1:1/keys", "http://localhost:1/keys"):
        keys_at(place, tmp_path)
    refused(NotAuthenticated, "access_issuer_keys", keys_at("http://127.0.0.1:1/keys", tmp_path).find, "ec")


def test_a_known_key_does_not_wait_for_an_issuer_that_is_asked_for_another():
    seconds, asked, go_on = [0.0], threading.Event(), threading.Event()

    def fetch():
        if seconds[0]:
            asked.set()
            assert go_on.wait(10)
        return published(EC)

    keys = IssuerKeys(fetch, lambda: seconds[0])
    keys.find("ec")
    seconds[0] = REFRESH_SECONDS
    failed = []

    def ask():
        try:
            keys.find("bogus")
        except NotAuthenticated as error:
            failed.append(error.key)

    thread = threading.Thread(target=ask)
    thread.start()
    assert asked.wait(10)
    try:
        assert keys.find("ec").kid == "ec"
        refused(NotAuthenticated, "access_bearer_key", keys.find, "bogus")
    finally:
        go_on.set()
        thread.join()
    assert failed == ["access_bearer_key"]


def test_an_issuer_that_drips_is_left_in_time(tmp_path, monkeypatch):
    monkeypatch.setattr(issuer_keys, "ANSWER_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip():
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                connection.sendall(b"HTTP/1.1 200 OK\r\n")
                for number in range(100):
                    connection.sendall(b"X-%d: 1\r\n" % number)
                    time.sleep(0.1)

        thread = threading.Thread(target=drip)
        thread.start()
        place = f"http://127.0.0.1:{listener.getsockname()[1]}/keys"
        begun = time.monotonic()
        refused(NotAuthenticated, "access_issuer_keys", keys_at(place, tmp_path).find, "ec")
        assert time.monotonic() - begun < 5
        thread.join()


# --- two persons


def test_the_same_person_is_no_second_one(scene):
    both = scene.access.two_persons
    number = both.ask(ANN, EXPORT, WHAT, "")
    for same in (ANN, caller("oidc-ann", Role.OFFICER), caller("ann", Role.ANALYST, means=Means.TOKEN)):
        refused(SecondPersonMissing, "second_same_person", both.confirm, same, number)
    refused(SecondPersonMissing, "second_not_yet", both.use, ANN, number, EXPORT, WHAT)
    both.confirm(BEN, number)  # a refused confirmation has left nothing behind


def test_without_the_permission_there_is_neither_asking_nor_confirming(scene):
    both = scene.access.two_persons
    eve = caller("eve", Role.ADMIN)
    refused(AccessDenied, "access_denied", both.ask, eve, EXPORT, WHAT, "")
    number = both.ask(ANN, EXPORT, WHAT, "")
    refused(AccessDenied, "access_denied", both.confirm, eve, number)
    refused(NotFound, "second_unknown", both.get, eve, number)
    refused(NotFound, "second_unknown", both.confirm, BEN, "C-AAAAAAAA")
    assert [event.type for event in scene.events() if event.actor == "eve"] == ["access.denied"] * 2


def test_something_else_than_what_was_confirmed(scene):
    both = scene.access.two_persons
    number = both.ask(ANN, EXPORT, WHAT, "")
    both.confirm(BEN, number)
    wide = caller("ann", Role.ANALYST, Role.MODELLER)
    refused(SecondPersonMissing, "second_other", both.use, ANN, number, EXPORT, "cd" * 32)
    refused(SecondPersonMissing, "second_other", both.use, wide, number, Permission.MODELS_RELEASE, WHAT)
    refused(SecondPersonMissing, "second_other", both.use, BEN, number, EXPORT, WHAT)
    refused(AccessDenied, "access_denied", both.use, caller("ann", Role.ADMIN), number, EXPORT, WHAT)
    both.use(ANN, number, EXPORT, WHAT)
    refused(SecondPersonMissing, "second_used", both.use, ANN, number, EXPORT, WHAT)
    refused(SecondPersonMissing, "second_answered", both.confirm, BEN, number)


def test_a_day_for_the_answer_and_a_day_for_the_deed(scene):
    both = scene.access.two_persons
    late, good = both.ask(ANN, EXPORT, WHAT, ""), both.ask(ANN, EXPORT, WHAT, "")
    scene.clock.move(seconds=LIFE.total_seconds() - 1)
    both.confirm(BEN, good)
    scene.clock.move(seconds=1)
    refused(SecondPersonMissing, "second_too_late", both.confirm, BEN, late)
    scene.clock.move(seconds=LIFE.total_seconds() - 1)
    refused(SecondPersonMissing, "second_too_late", both.use, ANN, good, EXPORT, WHAT)


@pytest.mark.parametrize(
    "send_away",
    [
        lambda accounts: accounts.disable("ben", by="ada-admin"),
        lambda accounts: accounts.set_roles("ben", ["admin"], by="ada-admin"),
        lambda accounts: accounts.set_password("ben", "something for the start", by="ada-admin"),
    ],
)
def test_a_second_person_who_was_sent_away_in_between_has_confirmed_nothing(scene, send_away):
    both = scene.access.two_persons
    number = both.ask(ANN, EXPORT, WHAT, "")
    both.confirm(BEN, number)
    send_away(scene.accounts)
    refused(SecondPersonMissing, "second_gone", both.use, ANN, number, EXPORT, WHAT)
    scene.accounts.set_password("ben", PASSWORD, by="ben")
    scene.accounts.set_roles("ben", ["officer"], by="ada-admin")
    scene.accounts.enable("ben", by="ada-admin")
    both.use(ANN, number, EXPORT, WHAT)


def test_a_no_is_a_no(scene):
    both = scene.access.two_persons
    number = both.ask(ANN, EXPORT, WHAT, "")
    both.refuse(BEN, number)
    refused(SecondPersonMissing, "second_answered", both.confirm, caller("cai", Role.ANALYST), number)
    refused(SecondPersonMissing, "second_refused", both.use, ANN, number, EXPORT, WHAT)
