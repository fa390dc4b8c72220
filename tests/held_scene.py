"""A bank's home with a table, results and a policy: what is held of a person, for tests."""

import msgspec
import numpy as np
import pandas as pd
from consent_desk import PHONES, make_home
from policy_scene import policy as make_policy

from clients.consents.rows import as_bytes
from clients.gate.policy import activate
from clients.home import NodeHome
from clients.rights.located import Located
from clients.tables import FieldSpec
from privacy.audit import EventType

CASE = "0123456789abcdef" * 2
BAD = "烂铁"


def home_with_results(folder):
    made = make_home(folder)
    settings = made.settings
    fields = (FieldSpec(name="monthly_income"), FieldSpec(name="tenure_months"))
    table = msgspec.structs.replace(settings.table, fields=fields)
    made.write_settings(msgspec.structs.replace(settings, table=table))
    made.vault.close()
    home = NodeHome.open(folder / "home")
    pd.DataFrame(
        {"phone": PHONES, "monthly_income": range(5000, 5010), "tenure_months": range(10), "hair_colour": "x"}
    ).to_csv(settings.table.path, index=False)
    activate(home, make_policy())
    home.audit.append(EventType.DATASET_ADMITTED, actor="node", artefact="marketing")
    results = home.results / "churn-5e555e55"
    results.mkdir(parents=True)
    pd.DataFrame(
        {
            "identifier": PHONES, "row": range(10), "segment": [2] * 9 + [0], "quadrant": [BAD] * 5 + ["钻石"] * 5,
            "points": range(600, 610), "reasons": ["monthly_income:raises"] * 10,
        }
    ).to_csv(results / "customers.csv", index=False)  # fmt: skip
    pd.DataFrame(
        {
            "identifier": PHONES,
            "row": range(10),
            "grade": "D",
            "lane": "decline",
            "why": "declined",
            "policy": "ab" * 32,
        }
    ).to_csv(results / "decisions.csv", index=False)
    return home


def subject_of(home, place=3):
    tokens = home.consents.tokens("phone/plain", np.array([PHONES[place].encode()], "S11"))
    return Located(identifier=PHONES[place].encode(), token=as_bytes(tokens)[0], row=place)
