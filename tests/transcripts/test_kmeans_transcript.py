"""What crosses the wire in clustering: declared tags, no value and no key."""

import struct

import numpy as np
import pytest

from federation import insight, kmeans
from federation.clusters import KMeansOptions
from federation.kmeans_messages import Assignments, PartialDistances, Starts, TotalDistances
from federation.messages import COORDINATOR
from federation.roles import Disclosures, Parties, Rehearsal, View
from federation.wire import decode, encode, tag_of
from privacy.paillier_secret import SecretKey
from privacy.parameters import TESTING_ONLY
from privacy.texts import LANGUAGES, catalogue

SECRET = SecretKey.generate(512, testing_only=True)
CANARY_VALUE = 0.7071067811865476


def carry(message):
    return decode(encode(message))


def run_kmeans(options):
    parties = Parties("bank", ("shop", "telco"))
    generator = np.random.default_rng(1)
    group = generator.integers(0, 2, 80)
    roles = {COORDINATOR: kmeans.Coordinator(parties, profile=TESTING_ONLY)}
    for name in parties.all:
        values = generator.normal(size=(80, 2)) + 4 * group[:, None]
        values[3, 1] = CANARY_VALUE
        view = View(("a", "b"), values)
        if name == "bank":
            roles[name] = kmeans.LabelHolder(
                parties,
                view,
                decryptor=SECRET,
                public_key=SECRET.public,
                options=options,
                profile=TESTING_ONLY,
            )
        else:
            roles[name] = kmeans.FeatureHolder(parties, view, options=options, profile=TESTING_ONLY)
    rehearsal = Rehearsal(roles, carry)
    results = rehearsal.run()
    return rehearsal.transcript, results


AUTO = KMeansOptions(seed=2, n_splits=1, split_rows=20, candidates=(2, 3))


def declared(disclosures: Disclosures, role: str):
    return {tag for one in getattr(disclosures, role) for tag in one.messages}


def role_of(name):
    return {"bank": "label_holder", COORDINATOR: "coordinator"}.get(name, "feature_holder")


def test_every_message_is_declared_for_its_recipient_and_nothing_else_is():
    transcript, _ = run_kmeans(AUTO)
    received = {"label_holder": set(), "feature_holder": set(), "coordinator": set()}
    for _, recipient, message in transcript:
        received[role_of(recipient)].add(tag_of(message))
    assert received == {role: declared(kmeans.DISCLOSES, role) for role in received}


@pytest.mark.parametrize("disclosures", [kmeans.DISCLOSES, insight.DISCLOSES])
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_disclosure_has_a_text(disclosures, language):
    for role in ("label_holder", "feature_holder", "coordinator"):
        for one in getattr(disclosures, role):
            assert f"disclosures.{disclosures.protocol}.{one.what}" in catalogue(language)


@pytest.mark.parametrize("area", ["errors", "disclosures"])
def test_the_texts_agree_in_both_languages(area):
    prefixes = tuple(f"{area}.{topic}" for topic in ("kmeans", "insight"))
    english, chinese = (
        {key: text for key, text in catalogue(language).items() if key.startswith(prefixes)}
        for language in ("en", "zh-CN")
    )
    assert english.keys() == chinese.keys() != set()
    for key, text in english.items():
        assert sorted(placeholders(text)) == sorted(placeholders(chinese[key])), key


def placeholders(text):
    return [part.split("}")[0] for part in text.split("{")[1:]]


def test_no_feature_value_crosses_in_any_of_its_forms():
    transcript, _ = run_kmeans(AUTO)
    fixed = round(CANARY_VALUE * 2**TESTING_ONLY.distance_scale_bits)
    forms = [struct.pack("<d", CANARY_VALUE), struct.pack(">d", CANARY_VALUE), str(CANARY_VALUE).encode()]
    forms += [fixed.to_bytes(8, "little"), fixed.to_bytes(8, "big")]
    for _, _, message in transcript:
        data = encode(message)
        assert not any(form in data for form in forms)


def test_partners_send_ciphertexts_only_and_never_the_same_twice():
    transcript, _ = run_kmeans(AUTO)
    width = SECRET.public.ciphertext_bytes
    seen = set()
    for sender, recipient, message in transcript:
        if role_of(sender) == "feature_holder":
            assert recipient == COORDINATOR
            assert isinstance(message, PartialDistances)
            for at in range(0, len(message.ciphertexts), width):
                seen.add(message.ciphertexts[at : at + width])
    n_sent = sum(
        len(message.ciphertexts) // width
        for _, _, message in transcript
        if isinstance(message, PartialDistances)
    )
    assert len(seen) == n_sent > 0


def test_with_two_partners_the_label_holder_gets_sums_only():
    transcript, _ = run_kmeans(KMeansOptions(n_clusters=2, n_init=1))
    layout = kmeans.layout_of(512, TESTING_ONLY, Parties("bank", ("shop", "telco")))

    def opened(message):
        ciphertexts = SECRET.public.load(message.ciphertexts, layout.plaintexts(message.n_values))
        return np.array(layout.unpack(SECRET.decrypt(ciphertexts), message.n_values))

    partials = [opened(message) for _, _, message in transcript if isinstance(message, PartialDistances)]
    totals = [opened(message) for _, _, message in transcript if isinstance(message, TotalDistances)]
    for number, total in enumerate(totals):
        shop, telco = partials[2 * number : 2 * number + 2]
        assert np.array_equal(total, shop + telco)
        assert not np.array_equal(total, shop)


def test_partners_see_rows_and_labels_that_fit_the_result():
    transcript, results = run_kmeans(KMeansOptions(n_clusters=2, n_init=1))
    to_shop = [message for _, recipient, message in transcript if recipient == "shop"]
    last = [message for message in to_shop if isinstance(message, Assignments)][-1]
    starts = next(message for message in to_shop if isinstance(message, Starts))
    assert np.array_equal(last.labels, results["bank"].assignments)
    assert np.array_equal(starts.rows, results["bank"].starts)
    assert "inertia" not in {name for message in to_shop for name in message.__struct_fields__}


def test_a_segment_profile_crosses_the_wire():
    generator = np.random.default_rng(0)
    view = View(("income",), generator.normal(size=(60, 1)))
    profile = insight.segment_profile(view, generator.integers(0, 2, 60), 2, k_min=5)
    arrived = carry(profile)
    assert tag_of(arrived) in declared(insight.DISCLOSES, "coordinator")
    assert (arrived.sizes, arrived.fields) == (profile.sizes, profile.fields)
