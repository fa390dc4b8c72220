"""Scorecard training refuses messages that are early, late, repeated or not from whom they should be."""

from collections import deque

import pytest
from scorecard_delivery import changed, refused, run_until
from scorecard_scene import Scene, over_the_wire

from federation.messages import Message
from federation.scorecard_fit import ScorecardOptions
from federation.scorecard_messages import (
    MESSAGES,
    Begin,
    Coefficients,
    Finish,
    MaskedGradient,
    MaskedResiduals,
    MaskSums,
    OpenedGradient,
    OpenedMaskSums,
    Residuals,
    RowMasks,
)
from privacy.errors import UnexpectedMessage

OPTIONS = ScorecardOptions(degree=3, passes=2, batches=2)
SCENE = Scene(seed=9, partners=2, n_rows=112)
STEPPED = [Coefficients, Residuals, MaskedResiduals, MaskedGradient, OpenedGradient]


class Stranger(Message, frozen=True, tag="nobody.says_this/1"):
    """A message that belongs to no step of this."""


@pytest.fixture
def roles():
    return SCENE.roles(OPTIONS)


@pytest.fixture(scope="module")
def earlier():
    """The transcript of an earlier training with the same keys."""
    return SCENE.train_together(OPTIONS)[1]


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.__name__)
def test_a_message_is_taken_once_and_only_from_its_sender_and_for_its_step(roles, kind):
    sender, recipient, message = run_until(roles, kind)
    role = roles[recipient]
    for impostor in {*SCENE.parties.all, "mallory"} - {sender}:
        # Any partner may send its gradient when it is ready.
        if not (kind is MaskedGradient and impostor in SCENE.parties.feature_holders):
            refused(UnexpectedMessage, role, impostor, message)
    for step in (-1, 1, 7) if kind in STEPPED else ():
        refused(UnexpectedMessage, role, sender, changed(message, step=step))
    refused(UnexpectedMessage, role, sender, Stranger())
    role.receive(sender, message)
    refused(UnexpectedMessage, role, sender, message)


def is_due(name, heard, sender, message):
    """Whether a party that has heard so much, [(sender, kind, step)], may take a message: the protocol, told again."""
    kind, step = type(message), getattr(message, "step", None)
    count = {known: [of for _, of, _ in heard].count(known) for known in MESSAGES}
    if name != "bank":
        return is_due_at_partner(name, count, sender, kind, step)
    last = SCENE.parties.feature_holders[-1]
    if not count[OpenedMaskSums]:
        return sender == last and kind is (OpenedMaskSums if count[RowMasks] else RowMasks)
    now = min(count[MaskedResiduals], count[MaskedGradient] // 2)
    senders = {MaskedResiduals: (last,), MaskedGradient: SCENE.parties.feature_holders}.get(kind, ())
    return sender in senders and step == now < OPTIONS.steps and (sender, kind, step) not in heard


def is_due_at_partner(name, count, sender, kind, step):
    is_last = name == SCENE.parties.feature_holders[-1]
    before = SCENE.parties.all[SCENE.parties.all.index(name) - 1]
    taken, done = count[Coefficients], count[OpenedGradient]
    has_residuals = is_last or count[Residuals] == taken
    if kind is Coefficients:
        ready = count[MaskSums] if is_last else count[Begin]
        # The last one may have to keep the next step's polynomials until L's answer is there.
        on_time = taken == done or (is_last and taken == done + 1)
        return sender == before and ready and has_residuals and on_time and step == taken < OPTIONS.steps
    if kind is Residuals:
        return sender == "carrier" != name and step == taken - 1 == count[Residuals]
    due = {
        Begin: not count[Begin],
        MaskSums: is_last and count[Begin] and not count[MaskSums],
        OpenedGradient: taken > done == step and has_residuals,
        Finish: done == OPTIONS.steps and not count[Finish],
    }
    return sender == "bank" and due.get(kind, False)


def test_in_every_state_every_message_of_an_earlier_run_that_is_not_due_is_refused(roles, earlier):
    """And refusing changes nothing: the training ends as in the clear."""
    heard = {name: [] for name in roles}
    queue = deque((name, out) for name, role in roles.items() for out in role.start())
    n_refused = 0
    while True:
        for sender, recipient, old in earlier:
            if not is_due(recipient, heard[recipient], sender, old):
                refused(UnexpectedMessage, roles[recipient], sender, old)
                n_refused += 1
        if not queue:
            break
        sender, out = queue.popleft()
        assert is_due(out.to, heard[out.to], sender, out.message)
        heard[out.to].append((sender, type(out.message), getattr(out.message, "step", None)))
        queue.extend((out.to, reply) for reply in roles[out.to].receive(sender, over_the_wire(out.message)))
    assert n_refused > 1000
    for name, expected in zip(SCENE.parties.all, SCENE.train_in_the_clear(OPTIONS), strict=True):
        assert roles[name].result.weights == pytest.approx(expected.weights, abs=1e-9)


def test_training_cannot_be_finished_early(roles):
    for kind in (Begin, Coefficients, Residuals, OpenedGradient):
        _, recipient, _ = run_until(SCENE.roles(OPTIONS), kind)
        refused(UnexpectedMessage, SCENE.roles(OPTIONS)[recipient], "bank", Finish())
    sender, recipient, message = run_until(roles, OpenedGradient, "shop")
    roles[recipient].receive(sender, message)
    refused(UnexpectedMessage, roles[recipient], "bank", Finish())
    assert roles[recipient].result is None


def test_polynomials_that_overtake_the_opening_wait_for_it_one_at_a_time_and_only_a_partners():
    scene = Scene(seed=9, partners=3, n_rows=112)
    first, second = scene.feature_holder("shop", OPTIONS), scene.feature_holder("carrier", OPTIONS)
    early = Coefficients(step=0, ciphertexts=b"")
    refused(UnexpectedMessage, first, "bank", early)
    refused(UnexpectedMessage, second, "shop", changed(early, step=1))
    assert second.receive("shop", early) == []
    refused(UnexpectedMessage, second, "shop", early)
    refused(UnexpectedMessage, scene.feature_holder("grid", OPTIONS), "carrier", early)


def test_a_partner_in_the_middle_refuses_the_next_step_before_it_has_this_ones_residuals():
    roles = Scene(seed=9, partners=3, n_rows=112).roles(OPTIONS)
    sender, recipient, message = run_until(roles, Residuals, "carrier")
    refused(UnexpectedMessage, roles[recipient], "shop", Coefficients(step=1, ciphertexts=b""))
    roles[recipient].receive(sender, message)
    assert roles[recipient].receive("shop", Coefficients(step=1, ciphertexts=b"")) == []
