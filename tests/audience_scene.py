"""A node with a segment of customers who agreed to marketing, for the tests of lists."""

from __future__ import annotations

import msgspec
import pandas as pd
from consent_desk import NOTICE, PHONES, make_home
from policy_scene import policy, purpose, recipient

from clients.consents.node import changes_of
from clients.consents.tables import Source
from clients.gate.policy import activate
from clients.gate.retention import RESULTS
from privacy.consent import PROVIDE, ConsentKind, Statement
from privacy.policy import Relation

PEOPLE = [f"138{number:08d}" for number in range(12)]
"""The first eight are in segment 2, the others in segment 0."""
FEW = 5
"""k_min of a node that allows the testing profile."""


def marketing_home(folder, people=PEOPLE, **changes):
    """Everybody has agreed to marketing, and that "shop" be given it; "agency" works on the node's behalf."""
    made = make_home(folder, f"phone,purpose,status\n{PHONES[9]},marketing,withdrawn\n")
    made.write_settings(msgspec.structs.replace(made.settings, allow_testing_profile=True))
    del made.settings
    recipients = (recipient(), recipient("agency", Relation.ENTRUSTED))
    built = policy(purpose(recipients=recipients, **changes), overrides=())
    notices = tuple(msgspec.structs.replace(item, still_valid=(NOTICE,)) for item in built.notices)
    activate(made, msgspec.structs.replace(built, notices=notices))
    made.vault.put(RESULTS + "job-1", b"", days=10)
    agree(made, people)
    return made


def agree(home, people):
    changes = changes_of(home, Source.CLI)
    separate = {"kind": ConsentKind.SEPARATE, "scope": PROVIDE, "recipient": "shop"}
    said = [
        Statement(purpose="marketing", granted=True),
        Statement(purpose="marketing", granted=True, **separate),
    ]
    changes.give(changes.identifiers(people), said)


def results_of(home, people=PEOPLE):
    folder = home.results / "job-1"
    folder.mkdir(parents=True)
    segments = [2 if place < 8 else 0 for place in range(len(people))]
    table = pd.DataFrame({"identifier": people, "row": range(len(people)), "segment": segments})
    table.to_csv(folder / "customers.csv", index=False)
    return folder
