"""The checkpoint exchange: every log is cosigned by everyone else, or the exchange says whose log is broken."""

import shutil
from typing import Union

import msgspec
import pytest
from audit_scene import IDENTITIES, KEYS, NAMES, exchange_checkpoint, fill, open_log

from federation.audit_messages import DISCLOSES, MESSAGES, CosignedCheckpoint, KnownSize, ShownCheckpoint
from federation.messages import Message
from federation.roles import Rehearsal
from federation.session import EndSession
from federation.witnessing import CheckpointExchange
from privacy.audit import EventType
from privacy.checkpoints import Checkpoint, Cosignature
from privacy.errors import AuditBroken, SignatureInvalid, UnexpectedMessage
from privacy.texts import LANGUAGES, text


def carry(message):
    return msgspec.msgpack.decode(msgspec.msgpack.encode(message), type=Union[MESSAGES])  # noqa: UP007


@pytest.fixture
def logs(tmp_path):
    made = {name: open_log(tmp_path / name, name) for name in NAMES}
    for count, log in enumerate(made.values()):
        fill(log, 3 * count)
    return made


def exchanges(logs):
    return {
        name: CheckpointExchange(name, {other: KEYS[other] for other in logs if other != name}, log)
        for name, log in logs.items()
    }


def run(logs):
    """A whole exchange; returns (who, to whom, tag) of every message."""
    roles = exchanges(logs)
    assert not any(role.done or role.result for role in roles.values())
    rehearsal = Rehearsal(roles, carry)
    results = rehearsal.run()
    assert all(role.done for role in roles.values())
    assert all(role.progress.done == role.progress.total == 4 for role in roles.values())
    for name, made in results.items():
        assert made == roles[name].result
        assert (made.origin, made) == (name, logs[name].checkpoints()[-1][0])
        signed = {one.witness: one for one in logs[name].checkpoints()[-1][1]}
        assert set(signed) == set(NAMES) - {name}
        for witness, one in signed.items():
            one.verify(KEYS[witness], made)
            assert logs[witness].seen(name) == made
    return [(sender, to, str(message.__struct_config__.tag)) for sender, to, message in rehearsal.transcript]


def test_everyone_cosigns_everyone(logs):
    transcript = run(logs)
    assert len(transcript) == 3 * 2 * 2
    assert {tag for _, _, tag in transcript} == {"audit.checkpoint/1", "audit.cosigned/1"}


def test_the_next_exchange_continues_the_last(logs):
    for _ in range(3):
        transcript = run(logs)
        assert "audit.known/1" not in {tag for _, _, tag in transcript}
        for log in logs.values():
            fill(log, 2)
    run({name: open_log(log.folder, name) for name, log in logs.items()})


def test_without_new_events_the_same_checkpoint_is_shown_again(logs):
    run(logs)
    run(logs)
    run(logs)


def test_nobody_else_is_there(logs):
    alone = CheckpointExchange("bank", {}, logs["bank"])
    assert not alone.done
    assert alone.start() == []
    assert alone.done


def test_a_lost_answer_is_made_up_for(logs):
    """The witness has cosigned, but its answer never arrived: it says what it knows, once."""
    fill(logs["bank"], 3)
    made = logs["bank"].checkpoint()
    logs["shop"].witness(made, KEYS["bank"])
    fill(logs["bank"], 3)
    transcript = run(logs)
    assert transcript.count(("shop", "bank", "audit.known/1")) == 1


def test_an_answer_that_is_lost_for_the_same_size_is_made_up_for(logs):
    logs["shop"].witness(logs["bank"].checkpoint(), KEYS["bank"])
    run(logs)


def test_a_witness_that_forgot_says_so(logs):
    run(logs)
    fill(logs["bank"], 2)
    shutil.rmtree(logs["shop"].folder)
    with pytest.raises(AuditBroken) as caught:  # the others remember the log that it lost
        run(logs | {"shop": open_log(logs["shop"].folder, "shop")})
    assert caught.value.values["party"] == "shop"


def test_a_restored_log_is_found(logs, tmp_path):
    fill(logs["bank"], 2)
    shutil.copytree(logs["bank"].folder, tmp_path / "backup")
    run(logs)
    fill(logs["bank"], 4)
    run(logs)
    restored = open_log(tmp_path / "backup")
    with pytest.raises(AuditBroken) as caught:
        run(logs | {"bank": restored})
    assert caught.value.values["party"] == "bank"


def test_a_split_view_is_found(logs, tmp_path):
    """Different logs are shown to the shop and to the coordinator: the first exchange of both finds it."""
    fill(logs["bank"], 2)
    shutil.copytree(logs["bank"].folder, tmp_path / "fork")
    fork = open_log(tmp_path / "fork")
    fork.append(EventType.ROUND_VOIDED, actor="node")
    fill(logs["bank"], 1)
    exchange_checkpoint(logs["bank"], logs["shop"])
    exchange_checkpoint(fork, logs["coordinator"])
    with pytest.raises(AuditBroken) as caught:
        run(logs)
    assert caught.value.key == "audit_log_forked"
    assert caught.value.values == {"party": "bank", "position": 3}
    evidence = [one for one in logs["coordinator"].witnessed() if one.checkpoint.origin == "bank"]
    assert [one.cosignature is None for one in evidence] == [False, True]
    assert evidence[0].checkpoint.size == evidence[1].checkpoint.size


def shown(logs, **changes):
    made = logs["bank"].checkpoint()
    message = ShownCheckpoint(checkpoint=made, old_size=0, proof=())
    return msgspec.structs.replace(message, **changes)


def started(logs, own="shop"):
    role = exchanges(logs)[own]
    role.start()
    return role


def test_what_is_out_of_turn_is_refused(logs):
    role = exchanges(logs)["shop"]
    with pytest.raises(UnexpectedMessage):  # before the start
        role.receive("bank", shown(logs))
    role.start()
    cosigned = CosignedCheckpoint(
        size=3,
        cosignature=Cosignature.sign(
            IDENTITIES["bank"], "bank", "2026-01-01T00:00:00.000Z", logs["shop"].checkpoint()
        ),
    )
    for sender, message in (
        ("stranger", shown(logs)),
        ("bank", EndSession()),
        ("bank", msgspec.structs.replace(cosigned, size=2)),
        ("coordinator", cosigned),
    ):
        with pytest.raises(UnexpectedMessage):
            role.receive(sender, message)
    assert role.receive("bank", cosigned) == []
    assert role.receive("bank", shown(logs))
    for message in (cosigned, shown(logs), KnownSize(size=0)):
        with pytest.raises(UnexpectedMessage):
            role.receive("bank", message)
    assert not role.done


def test_a_second_correction_is_refused(logs):
    role = started(logs)
    assert role.receive("bank", KnownSize(size=2))
    with pytest.raises(UnexpectedMessage):
        role.receive("bank", KnownSize(size=1))
    (answer,) = role.receive("coordinator", shown_of(logs, "coordinator", old_size=3))
    assert (answer.to, answer.message.size) == ("coordinator", 0)
    with pytest.raises(UnexpectedMessage):
        role.receive("coordinator", shown_of(logs, "coordinator", old_size=3))


def shown_of(logs, name, **changes):
    return msgspec.structs.replace(shown(logs, checkpoint=logs[name].checkpoint()), **changes)


def test_another_who_knows_more_of_this_log_ends_the_exchange(logs):
    role = started(logs)
    with pytest.raises(AuditBroken) as caught:
        role.receive("bank", KnownSize(size=99))
    assert caught.value.values == {"party": "shop", "found": 3, "expected": 99}


def test_a_checkpoint_of_somebody_else_or_unsigned_is_refused(logs):
    role = started(logs)
    with pytest.raises(AuditBroken):
        role.receive("bank", shown_of(logs, "coordinator"))
    forged = msgspec.structs.replace(logs["bank"].checkpoint(), root=bytes(32))
    with pytest.raises(SignatureInvalid):
        role.receive("bank", shown(logs, checkpoint=forged))
    with pytest.raises(SignatureInvalid):
        role.receive(
            "bank",
            CosignedCheckpoint(
                size=3, cosignature=Cosignature("bank", "2026-01-01T00:00:00.000Z", bytes(64))
            ),
        )
    assert not role.done


def test_messages_are_bounded_and_closed(logs):
    for changes in (
        {"old_size": -1},
        {"old_size": 1 << 40},
        {"proof": (b"short",)},
        {"proof": (bytes(32),) * 65},
    ):
        with pytest.raises(msgspec.ValidationError):
            carry(shown(logs, **changes))
    assert carry(shown(logs)).checkpoint == logs["bank"].checkpoint()
    assert isinstance(logs["bank"].checkpoint(), Checkpoint)
    assert all(issubclass(kind, Message) for kind in MESSAGES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_disclosed_has_a_text(language):
    for item in (*DISCLOSES.label_holder, *DISCLOSES.feature_holder, *DISCLOSES.coordinator):
        assert set(item.messages) == {str(kind.__struct_config__.tag) for kind in MESSAGES}
        assert text(f"disclosures.{DISCLOSES.protocol}.{item.what}", language=language)
    assert text("report.protocol.audit", language=language)
    assert text("steps.audit.checkpoints", language=language)
