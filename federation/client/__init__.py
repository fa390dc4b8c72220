"""Driving a coordinator from a program or a notebook, over its API (ADR 27).

    from federation.client import connect, draft

    console = connect("https://coordinator.example:8450", token, certificate="coordinator.pem")
    job = console.jobs.propose(
        draft("spring", "credit_risk", label_holder="bank",
              fields={"bank": ["income", "debt"], "shop": ["spend"]}, risk={"trees": 20})
    )
    job.wait(progress=True)
    job.report().save("spring.html")

Nothing of a node or of the coordinator is needed here, and nothing of either is loaded. All errors are of the families
of `privacy.errors`; what the coordinator refuses is an `Answered`, with its `remedy`.
"""

from federation.client.answered import Answered, ProblemDetails
from federation.client.connecting import Console, connect
from federation.client.drafts import draft
from federation.client.jobs import Job
from federation.client.reports import Report

__all__ = ["Answered", "Console", "Job", "ProblemDetails", "Report", "connect", "draft"]
