"""Records that a party stores: read as what they were written as, and refused as anything else."""

import msgspec
import pytest

from federation import records, scoring
from federation.binning import Binning
from federation.collinearity_messages import FeatureHolderSelection, LabelHolderSelection
from federation.points_models import FeatureHolderScorecard, LabelHolderScorecard
from federation.woe import WoeBinning
from federation.woe_messages import FeatureHolderBins, LabelHolderBins
from privacy.errors import MessageInvalid

BINNING = Binning(("a", "b"), ((0.5, 1.5), ()), {1: (3.0, 7.0)})
CANARY = "canary-7381"


def test_a_record_is_read_as_it_was_written():
    assert records.decode(Binning, records.encode(BINNING)) == BINNING
    assert Binning.from_bytes(BINNING.to_bytes()) == BINNING


@pytest.mark.parametrize(
    "kind",
    [
        Binning, WoeBinning, LabelHolderBins, FeatureHolderBins, LabelHolderSelection, FeatureHolderSelection,
        LabelHolderScorecard, FeatureHolderScorecard, scoring.LabelHolderModel, scoring.FeatureHolderModel,
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        records.encode(BINNING)[:-1],
        msgspec.msgpack.encode({"fields": CANARY, "model_id": CANARY}),
        msgspec.msgpack.encode([CANARY]),
    ],
)
def test_what_is_no_record_of_its_kind_is_refused_and_not_quoted(kind, data):
    with pytest.raises(MessageInvalid) as caught:
        kind.from_bytes(data)
    assert caught.value.key == "record_unreadable"
    for language in ("en", "zh-CN"):
        assert kind.__name__ in caught.value.render(language)
        assert CANARY not in caught.value.render(language)
    assert caught.value.__cause__ is None
