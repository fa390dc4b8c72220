"""What this node's own settings and roster say against a job, whatever its policy allows."""

from __future__ import annotations

from clients.home import NodeHome, NodeSettings
from federation.jobs import Job
from federation.messages import COORDINATOR
from privacy.errors import DisclosureNotAccepted, ProfileForbidden, SilhouetteError, UnexpectedMessage
from privacy.parameters import MINIMUM_KEY_BITS


def settings_against(settings: NodeSettings, job: Job) -> list[SilhouetteError]:
    """What the owner has not allowed."""
    found: list[SilhouetteError] = []
    if job.security.key_bits < MINIMUM_KEY_BITS and not settings.allow_testing_profile:
        found.append(ProfileForbidden("profile_forbidden", profile=job.profile, minimum=MINIMUM_KEY_BITS))
    is_partner = settings.name in job.roles.feature_holders
    if job.segments and is_partner and not settings.accept_distance_disclosure:
        found.append(DisclosureNotAccepted("distance_disclosure_not_accepted"))
    return found


def all_against(home: NodeHome, job: Job) -> list[SilhouetteError]:
    """The same, and parties that this node's roster does not have."""
    known = home.roster.identities(without=COORDINATOR)
    strangers = sorted(set(job.roles.all) - known.keys())
    found = settings_against(home.settings, job)
    if strangers:
        found.append(UnexpectedMessage("job_with_strangers", party=", ".join(strangers)))
    return found
