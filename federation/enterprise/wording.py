"""The names of levels, topics, reasons, and states of enterprise risk, for a reader, in either language."""

from __future__ import annotations

from federation.enterprise.alerts import Outcome, State
from federation.enterprise.early_warning import Strength
from federation.enterprise.levels import Level
from privacy.texts import text

FALLING_ELECTRICITY = "falling_electricity"
"""The reason code of an early warning."""


def level_text(level: Level, language: str | None = None) -> str:
    return text(f"enterprise.level.{level.name}", language=language)


def topic_text(topic: str, language: str | None = None) -> str:
    return text(f"enterprise.topic.{topic}", language=language)


def reason_text(reason: str, language: str | None = None) -> str:
    return text(f"enterprise.reason.{reason}", language=language)


def strength_text(strength: Strength, language: str | None = None) -> str:
    return text(f"enterprise.strength.{strength.value}", language=language)


def state_text(state: State, language: str | None = None) -> str:
    return text(f"enterprise.state.{state.value}", language=language)


def outcome_text(outcome: Outcome, language: str | None = None) -> str:
    return text(f"enterprise.outcome.{outcome.value}", language=language)


def role_text(role: str, language: str | None = None) -> str:
    return text(f"enterprise.role.{role}", language=language)
