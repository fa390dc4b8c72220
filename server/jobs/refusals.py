"""What a party's no means, for people: its codes with article and remedy. What they are about stays at the party."""

from __future__ import annotations

from collections.abc import Mapping

from federation.jobs import Job
from federation.proposals import Word
from privacy.errors import Denied, DisclosureNotAccepted, PeerFailed, ProfileForbidden
from privacy.parameters import MINIMUM_KEY_BITS
from privacy.reasons import Finding, Reason
from privacy.texts import LANGUAGES


def refusal_texts(job: Job, word: Word) -> Mapping[str, str]:
    """By language, what ended a job that this party has refused."""
    return {
        language: PeerFailed(
            "peer_failed", party=word.party, problem=_problem(job, word.reasons, language)
        ).render(language)
        for language in LANGUAGES
    }


def _problem(job: Job, codes: tuple[str, ...], language: str) -> str:
    known = {reason.value for reason in Reason}
    findings = [Finding(Reason(code)) for code in codes if code in known]
    lines = [Denied.of(findings).render(language)] if findings else []
    lines += [_obstacle(job, code, language) for code in codes if code not in known]
    return "\n".join(lines) or PeerFailed("job_said_no").render(language)


def _obstacle(job: Job, code: str, language: str) -> str:
    """What the party's owner has not allowed (`clients.approvals`), by the error's code."""
    if code == ProfileForbidden.code:
        forbidden = ProfileForbidden("profile_forbidden", profile=job.profile, minimum=MINIMUM_KEY_BITS)
        return forbidden.render(language)
    if code == DisclosureNotAccepted.code:
        return DisclosureNotAccepted("distance_disclosure_not_accepted").render(language)
    return PeerFailed("job_said_no_for", problem=code).render(language)
