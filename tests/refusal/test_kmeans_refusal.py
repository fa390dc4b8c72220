"""Clustering refuses what a peer may not send: each case changes one thing in an honest run."""

import msgspec
import numpy as np
import pytest
from refusing import refuses

from federation import kmeans
from federation.clusters import KMeansOptions
from federation.kmeans_messages import Assignments, Key, Outcome, PartialDistances, Starts, TotalDistances
from federation.messages import COORDINATOR, Outgoing
from federation.roles import Parties, View
from privacy.errors import (
    CiphertextInvalid,
    CohortTooSmall,
    KeyMismatch,
    MessageInvalid,
    PackingOverflow,
    SchemaMismatch,
    UnexpectedMessage,
)
from privacy.paillier_secret import SecretKey
from privacy.parameters import STANDARD, TESTING_ONLY

SECRET = SecretKey.generate(512, testing_only=True)
OTHER = SecretKey.generate(512, testing_only=True)
PARTIES = Parties("bank", ("shop", "telco"))


class Running:
    """An honest run, stopped just before the message that `stop` describes is delivered."""

    def __init__(self, stop, options=None):
        options = options or KMeansOptions(n_clusters=3, n_init=2, seed=1, start="random")
        generator = np.random.default_rng(1)
        views = {name: View(("a", "b"), generator.normal(size=(60, 2))) for name in PARTIES.all}
        self.roles = {
            "bank": kmeans.LabelHolder(
                PARTIES,
                views["bank"],
                decryptor=SECRET,
                public_key=SECRET.public,
                options=options,
                profile=TESTING_ONLY,
            ),
            COORDINATOR: kmeans.Coordinator(PARTIES, profile=TESTING_ONLY, max_values=1000),
        }
        for name in PARTIES.feature_holders:
            self.roles[name] = kmeans.FeatureHolder(
                PARTIES, views[name], options=options, profile=TESTING_ONLY
            )
        queue = [(name, out) for name, role in self.roles.items() for out in role.start()]
        self.history = []
        while True:
            sender, out = queue.pop(0)
            if stop(sender, out):
                self.sender, self.message, self.role = sender, out.message, self.roles[out.to]
                return
            self.history.append((sender, out))
            queue.extend((out.to, reply) for reply in self.roles[out.to].receive(sender, out.message))

    def refuses(self, error, key=None, sender=None, **changes):
        """The role refuses the message with some fields changed, or from another sender."""
        message = msgspec.structs.replace(self.message, **changes)
        refuses(error, self.role, sender or self.sender, message, key)


def first(kind, to, iteration=None):
    def stop(sender, out: Outgoing):
        right_round = iteration is None or getattr(out.message, "iteration", None) == iteration
        return isinstance(out.message, kind) and out.to == to and right_round

    return stop


@pytest.mark.parametrize("to", ["shop", COORDINATOR])
def test_short_broken_and_second_keys_are_refused(to):
    run = Running(first(Key, to))
    strict = {
        "shop": kmeans.FeatureHolder(
            PARTIES, View((), np.zeros((60, 0))), options=KMeansOptions(n_clusters=2), profile=STANDARD
        ),
        COORDINATOR: kmeans.Coordinator(PARTIES, profile=STANDARD),
    }
    refuses(KeyMismatch, strict[to], "bank", run.message, "paillier_key_short")
    run.refuses(KeyMismatch, "paillier_key_invalid", modulus=b"")
    run.refuses(UnexpectedMessage, sender="telco")
    run.role.receive("bank", run.message)
    run.refuses(UnexpectedMessage, modulus=OTHER.public.to_bytes())


def test_the_label_holder_refuses_a_short_key_of_its_own():
    view = View(("a",), np.zeros((60, 1)))
    with pytest.raises(KeyMismatch):
        kmeans.LabelHolder(
            PARTIES,
            view,
            decryptor=SECRET,
            public_key=SECRET.public,
            options=KMeansOptions(n_clusters=2),
            profile=STANDARD,
        )


@pytest.mark.parametrize(
    ("rows", "key"),
    [
        ([0, 1, 2, 3, 4], "kmeans_starts_shape"),
        ([0, 1, 2, 3, 4, 60], "kmeans_starts_range"),
        ([0, 1, 2, 3, 4, -1], "kmeans_starts_range"),
        ([0, 1, 1, 3, 4, 5], "kmeans_starts_range"),
    ],
)
def test_bad_start_rows_are_refused(rows, key):
    Running(first(Starts, "shop")).refuses(MessageInvalid, key, rows=np.array(rows))


def test_starts_that_do_not_fit_the_job_are_refused():
    run = Running(first(Starts, "shop"))
    run.refuses(MessageInvalid, "kmeans_starts_shape", rows=np.arange(6, dtype=np.int32))
    run.refuses(MessageInvalid, "kmeans_rows_differ", n_rows=61)
    run.refuses(MessageInvalid, "kmeans_clusters_foreign", n_clusters=4, rows=np.arange(8))
    run.refuses(UnexpectedMessage, n_clusters=0)
    run.refuses(UnexpectedMessage, stage=2)
    run.refuses(UnexpectedMessage, sender="telco")
    run.refuses(UnexpectedMessage, sender=COORDINATOR)
    run.role.receive("bank", run.message)
    run.refuses(UnexpectedMessage)


def test_start_rows_from_the_wrong_half_are_refused():
    options = KMeansOptions(seed=1, n_splits=1, split_rows=10, candidates=(2, 3))
    run = Running(first(Starts, "shop"), options)
    rows = run.message.rows.copy()
    rows[[0, 2]] = rows[[2, 0]]
    run.refuses(MessageInvalid, "kmeans_starts_range", rows=rows)


def test_starts_before_the_key_are_refused():
    run = Running(first(Key, "shop"))
    starts = Starts(stage=1, n_rows=60, n_clusters=3, rows=np.arange(6))
    refuses(UnexpectedMessage, run.role, "bank", starts)


def test_bad_assignments_are_refused():
    run = Running(first(Assignments, "shop", iteration=2))
    labels, stopped = run.message.labels, run.message.stopped
    run.refuses(MessageInvalid, "kmeans_assignments_shape", labels=labels[:-1])
    run.refuses(MessageInvalid, "kmeans_assignments_shape", labels=labels.astype(np.int64))
    run.refuses(MessageInvalid, "kmeans_assignments_shape", stopped=stopped[:-1])
    run.refuses(MessageInvalid, "kmeans_assignments_shape", stopped=stopped.astype(np.uint8))
    run.refuses(MessageInvalid, "kmeans_assignments_range", labels=np.full_like(labels, 3))
    run.refuses(UnexpectedMessage, iteration=1)
    run.refuses(UnexpectedMessage, iteration=3)
    run.refuses(UnexpectedMessage, stage=2)
    run.refuses(UnexpectedMessage, sender="telco")
    run.role.receive("bank", run.message)
    run.refuses(UnexpectedMessage)


def test_more_iterations_than_the_job_allows_are_refused():
    options = KMeansOptions(n_clusters=3, n_init=1, seed=1, max_iter=1, start="random")
    run = Running(first(Assignments, "shop", iteration=2), options)
    run.refuses(MessageInvalid, "kmeans_iterations", stopped=np.array([False]))


def test_outcomes_out_of_turn_or_of_unknown_runs_are_refused():
    run = Running(first(Assignments, "shop"))
    refuses(UnexpectedMessage, run.role, "bank", Outcome(run=0))
    refuses(UnexpectedMessage, run.roles[COORDINATOR], "shop", Outcome(run=0))
    end = Running(first(Outcome, "shop"))
    end.refuses(MessageInvalid, "kmeans_run_unknown", run=2)
    end.refuses(MessageInvalid, "kmeans_run_unknown", run=-1)
    end.refuses(UnexpectedMessage, sender="telco")
    end.role.receive("bank", end.message)
    with pytest.raises(UnexpectedMessage):
        end.role.receive("bank", end.message)


def test_the_coordinator_refuses_bad_partials():
    run = Running(first(PartialDistances, COORDINATOR, iteration=2))
    run.refuses(UnexpectedMessage, sender="mallory")
    run.refuses(UnexpectedMessage, sender="bank")
    run.refuses(UnexpectedMessage, iteration=1)
    run.refuses(UnexpectedMessage, iteration=3)
    run.refuses(UnexpectedMessage, stage=3)
    run.refuses(MessageInvalid, "kmeans_values_many", n_values=1001)
    run.refuses(MessageInvalid, "kmeans_values_many", n_values=0)
    run.role.receive(run.sender, run.message)
    run.refuses(UnexpectedMessage)  # the same party twice


def last_partial():
    """Everything has arrived but the second partner's part."""
    run = Running(lambda sender, out: sender == "telco" and isinstance(out.message, PartialDistances))
    assert isinstance(run.history[-1][1].message, PartialDistances)
    return run


@pytest.mark.parametrize(
    ("error", "key", "change"),
    [
        (KeyMismatch, "kmeans_key_differs", {"key_digest": OTHER.public.digest}),
        (MessageInvalid, "kmeans_values_count", {"n_values": 7}),
        (MessageInvalid, "kmeans_values_count", {"stage": 2}),
        (CiphertextInvalid, "ciphertext_length", {"ciphertexts": b""}),
    ],
)
def test_the_coordinator_refuses_parts_that_do_not_fit(error, key, change):
    if "stage" in change:
        # Stage 2 may follow an exchange of stage 1, but not while stage 1 is being summed.
        run = Running(
            lambda sender, out: (
                sender == "telco" and isinstance(out.message, PartialDistances) and out.message.iteration == 2
            )
        )
        run.refuses(error, key, stage=2, iteration=1)
        return
    last_partial().refuses(error, key, **change)


@pytest.mark.parametrize("tamper", ["cut", "zero", "too large", "not a unit"])
@pytest.mark.parametrize("at", ["coordinator", "label holder"])
def test_tampered_ciphertexts_are_refused(tamper, at):
    run = last_partial() if at == "coordinator" else Running(first(TotalDistances, "bank"))
    data = run.message.ciphertexts
    width = SECRET.public.ciphertext_bytes
    start = {
        "cut": b"",
        "zero": bytes(width),
        "too large": b"\xff" * width,
        "not a unit": int(SECRET.public.n).to_bytes(width, "big"),
    }[tamper]
    run.refuses(CiphertextInvalid, ciphertexts=start + data[width:])


def test_the_label_holder_refuses_bad_totals():
    run = Running(first(TotalDistances, "bank", iteration=2))
    run.refuses(UnexpectedMessage, sender="shop")
    run.refuses(UnexpectedMessage, iteration=1)
    run.refuses(UnexpectedMessage, stage=2)
    run.refuses(KeyMismatch, "kmeans_key_differs", key_digest=OTHER.public.digest)
    run.refuses(MessageInvalid, "kmeans_values_count", n_values=3)
    partial = next(out.message for _, out in run.history if isinstance(out.message, PartialDistances))
    refuses(UnexpectedMessage, run.role, "shop", partial)
    run.role.receive(run.sender, run.message)
    run.refuses(UnexpectedMessage)  # replayed


def test_totals_that_do_not_decrypt_to_packed_numbers_are_refused():
    run = Running(first(TotalDistances, "bank"))
    count = len(run.message.ciphertexts) // SECRET.public.ciphertext_bytes
    large = SECRET.public.encrypt([SECRET.public.max_plaintext] * count)
    run.refuses(PackingOverflow, "slot_overflow", ciphertexts=SECRET.public.dump(large))


@pytest.mark.parametrize("role", ["label holder", "feature holder"])
def test_too_few_rows_and_raw_columns_are_refused(role):
    def build(values):
        view, options = View(("a",), values), KMeansOptions(n_clusters=2)
        if role == "feature holder":
            return kmeans.FeatureHolder(PARTIES, view, options=options, profile=TESTING_ONLY)
        return kmeans.LabelHolder(
            PARTIES,
            view,
            decryptor=SECRET,
            public_key=SECRET.public,
            options=options,
            profile=TESTING_ONLY,
        )

    with pytest.raises(CohortTooSmall):
        build(np.zeros((4, 1)))
    with pytest.raises(SchemaMismatch):
        build(np.full((60, 1), np.nan))
