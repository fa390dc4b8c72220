"""The whole error hierarchy. Each class has a stable `code`; each instance a `key` into the text catalogue.

    SilhouetteError
      InputError        ConfigInvalid, SchemaMismatch, IdentifierInvalid, EventInvalid, NotFound, StateConflict,
                        AccountInvalid
      Refused           Denied, StaleSnapshot, CohortTooSmall, CodeNotApproved, ProfileForbidden, DisclosureNotAccepted,
                        LogUnavailable, ReviewerNotIndependent, NotAuthenticated, LoginsLocked, AccessDenied,
                        SecondPersonMissing
      ProtocolError     UnexpectedMessage, MessageInvalid, VersionMismatch, PeerDropped, DeadlinePassed, PeerFailed
      CryptoError       KeyMismatch, CiphertextInvalid, PackingOverflow, SignatureInvalid, SealBroken,
                        ProofInvalid
      AuditBroken

A message names the file, the column, the party and the remedy; it never holds a row value or an identifier.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from privacy.reasons import Finding, Findings, Reason
from privacy.texts import text


class SilhouetteError(Exception):
    """Base of all our errors. `key` names the text in the catalogue's `errors` area, `values` fill it in."""

    code: ClassVar[str] = "error"

    def __init__(self, key: str, /, **values: object) -> None:
        self.key = key
        self.values = values
        super().__init__(key, values)

    def __reduce__(self) -> tuple[Any, ...]:
        # An exception is pickled as a call with its `args`; ours takes its values by name.
        return _raised_elsewhere, (type(self), self.key, self.values)

    def __str__(self) -> str:
        return self.render()

    def for_others(self) -> SilhouetteError:
        """The error as other parties may hear it: an input error's path, columns and counts stay at home."""
        return PeerFailed("party_input_unusable") if isinstance(self, InputError) else self

    def render(self, language: str | None = None) -> str:
        """The message in one language (default: the process's)."""
        return text(f"errors.{self.key}", language=language, **self.values)


def _raised_elsewhere(kind: type[SilhouetteError], key: str, values: dict[str, Any]) -> SilhouetteError:
    """The error of another process of ours."""
    return kind(key, **values)


class InputError(SilhouetteError):
    """What a user gave cannot be used."""

    code = "input_error"


class ConfigInvalid(InputError):
    """A job, a setting or a command line is wrong."""

    code = "config_invalid"


class SchemaMismatch(InputError):
    """A customer table does not fit its registration."""

    code = "schema_mismatch"


class IdentifierInvalid(InputError):
    """An identifier kind or format is unknown."""

    code = "identifier_invalid"


class EventInvalid(InputError):
    """An event of the audit log holds what might be an identifier or free text."""

    code = "event_invalid"


class NotFound(InputError):
    """What somebody names is not there, or not for them to see."""

    code = "not_found"


class StateConflict(InputError):
    """It cannot be done in the state that the thing is in now: another has been faster, or it is over."""

    code = "state_conflict"


class AccountInvalid(InputError):
    """A user's name, password, roles or token is not acceptable, or such an account is there already."""

    code = "account_invalid"


class Refused(SilhouetteError):
    """A rule forbids it. reason: its code for auditors and officers, where there is one."""

    code = "refused"
    reason: ClassVar[Reason | None] = None

    def render(self, language: str | None = None) -> str:
        """The message in one language, after the reason's code."""
        message = super().render(language)
        return message if self.reason is None else f"{self.reason.value}: {message}"


def is_refusal(code: str) -> bool:
    """Whether an error with this code is a `Refused`: to run the same again would be refused again."""
    kinds: tuple[type[Refused], ...] = (Refused, *Refused.__subclasses__())
    return code in {kind.code for kind in kinds}


class Denied(Refused):
    """The gate refuses: `findings` holds every failing reason (`privacy.reasons`)."""

    code = "denied"

    def __init__(self, key: str, /, *, findings: Findings) -> None:
        super().__init__(key, findings=findings)
        self.findings = findings

    @classmethod
    def of(cls, findings: Iterable[Finding]) -> Denied:
        """The refusal for these reasons."""
        return cls("denied", findings=Findings.of(findings))

    def for_others(self) -> Denied:
        """The codes alone: what they are about stays at home."""
        return Denied("denied", findings=self.findings.without_details())


class StaleSnapshot(Refused):
    """A message rests on consents that have changed since (R-CONSENT-STALE-SNAPSHOT)."""

    code = "stale_snapshot"
    reason = Reason.CONSENT_STALE_SNAPSHOT


class CohortTooSmall(Refused):
    """Fewer subjects than `k_min` would be exposed."""

    code = "cohort_too_small"
    reason = Reason.COHORT_TOO_SMALL


def reasons_of(error: SilhouetteError) -> tuple[Reason, ...]:
    """The codes of a refusal; none for other errors."""
    if isinstance(error, Denied):
        return tuple(dict.fromkeys(finding.reason for finding in error.findings))
    return (error.reason,) if isinstance(error, Refused) and error.reason is not None else ()


class CodeNotApproved(Refused):
    """A run carries application code that this node has not installed."""

    code = "code_not_approved"


class ProfileForbidden(Refused):
    """A job asks for weaker cryptography than this node allows."""

    code = "profile_forbidden"


class DisclosureNotAccepted(Refused):
    """A job would tell others more than this node's owner has accepted."""

    code = "disclosure_not_accepted"


class LogUnavailable(Refused):
    """The audit log cannot be written: without it nothing is processed."""

    code = "log_unavailable"
    reason = Reason.LOG_UNAVAILABLE


class ReviewerNotIndependent(Refused):
    """A decision would be reviewed by somebody who set or approved what it rests on (R-ADM-NO-HUMAN-PATH)."""

    code = "reviewer_not_independent"
    reason = Reason.ADM_NO_HUMAN_PATH


class NotAuthenticated(Refused):
    """Nobody has proved who calls: a wrong password, or a login, code or token that is unknown or over."""

    code = "not_authenticated"


class LoginsLocked(Refused):
    """Too many logins failed under one name: for a while no password is looked at."""

    code = "logins_locked"


class AccessDenied(Refused):
    """The caller's roles do not give this."""

    code = "access_denied"


class SecondPersonMissing(Refused):
    """It takes two persons, and a second one has not confirmed exactly this, or not in time."""

    code = "second_person_missing"


class ProtocolError(SilhouetteError):
    """A peer did not follow the protocol."""

    code = "protocol_error"


class UnexpectedMessage(ProtocolError):
    """A message came from the wrong party, in the wrong round or out of turn."""

    code = "unexpected_message"


class MessageInvalid(ProtocolError):
    """A message cannot be decoded, is oversized, or a value is out of range."""

    code = "message_invalid"


class VersionMismatch(ProtocolError):
    """Two parties run versions that cannot work together."""

    code = "version_mismatch"


class PeerDropped(ProtocolError):
    """A party has gone silent."""

    code = "peer_dropped"


class DeadlinePassed(ProtocolError):
    """A step took longer than the job allows."""

    code = "deadline_passed"


class PeerFailed(ProtocolError):
    """A party reported a failure of its own."""

    code = "peer_failed"


class CheckpointUnknown(Refused):
    """A rerun goes on from trees that this party has not kept: what is unfinished is forgotten everywhere."""

    code = "checkpoint_unknown"


class CryptoError(SilhouetteError):
    """A cryptographic check failed."""

    code = "crypto_error"


class KeyMismatch(CryptoError):
    """A ciphertext or message belongs to another key."""

    code = "key_mismatch"


class CiphertextInvalid(CryptoError):
    """A number is not a valid ciphertext of this key."""

    code = "ciphertext_invalid"


class PackingOverflow(CryptoError):
    """A value does not fit its slot."""

    code = "packing_overflow"


class SignatureInvalid(CryptoError):
    """A frame was not signed by the party it names."""

    code = "signature_invalid"


class SealBroken(CryptoError):
    """A sealed payload cannot be opened."""

    code = "seal_broken"


class ProofInvalid(CryptoError):
    """A Merkle proof does not lead to the root that it is for."""

    code = "proof_invalid"


class AuditBroken(SilhouetteError):
    """An audit log is not what was signed: something was changed, removed, put in, or shown to others differently.

    `values` holds the log's `party` and, where it can be told, the `position` (sequence number) of the event.
    """

    code = "audit_broken"
