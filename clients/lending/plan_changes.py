"""What a new version of a decision policy changes, named by grade or rule: for who approves it, and for the record."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from typing import Any, Literal

import msgspec

from clients.lending.plan import DecisionPolicy
from privacy.texts import text


class Change(msgspec.Struct, frozen=True):
    """One difference. about: "policy", a grade's name or a rule's id; keys: what is different of it, as in the file."""

    kind: Literal["added", "removed", "changed", "moved"]
    about: str
    keys: tuple[str, ...] = ()

    def render(self, language: str | None = None) -> str:
        """One line for people."""
        keys = f" ({', '.join(self.keys)})" if self.keys else ""
        return text(f"lending.change.{self.kind}", language=language, name=self.about) + keys


def changes_between(old: DecisionPolicy, new: DecisionPolicy) -> tuple[Change, ...]:
    """Every difference: of the policy itself, its grades, and its rules, whose order counts. Empty for one version."""
    before, after = (msgspec.to_builtins(plan) for plan in (old, new))
    found = list(_parts({"policy": _alone(before)}, {"policy": _alone(after)}))
    for table, key in (("grade", "name"), ("rule", "id")):
        parts = [{part[key]: part for part in plan[table]} for plan in (before, after)]
        found += _parts(*parts)
        orders = ([name for name in part if name in parts[0] and name in parts[1]] for part in parts)
        found += [Change("moved", name) for name, other in zip_longest(*orders) if name != other]
    return tuple(found)


def _alone(plan: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in plan.items() if key not in {"grade", "rule"}}


def _parts(before: dict[str, Any], after: dict[str, Any]) -> Iterator[Change]:
    for name in dict.fromkeys((*before, *after)):
        if name not in after:
            yield Change("removed", name)
        elif name not in before:
            yield Change("added", name)
        elif before[name] != after[name]:
            different = tuple(key for key in after[name] if before[name].get(key) != after[name][key])
            yield Change("changed", name, different)
