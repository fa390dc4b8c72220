"""The lists that a node publishes, made from its registration, policy, cards, audiences and cases: never from a value.

Sizes are rounded down to multiples of k_min before they are in a list at all.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Final

from clients.audiences import lists
from clients.audiences.standing import fewest_members
from clients.forgetting.cards import cards
from clients.gate.policy import active_policy, catalog_of
from clients.home import NodeHome
from clients.rights.store import CaseStore
from clients.tables import FieldSpec
from federation.pace import today
from federation.publications import (
    LONGEST_LABEL,
    MAX_ITEMS,
    Column,
    Dataset,
    Noun,
    PublishedAudience,
    PublishedModel,
    RegisteredPurpose,
    Wording,
    rounded,
)
from privacy.catalog import Catalog, FieldClass
from privacy.errors import Denied, InputError, SealBroken
from privacy.policy import Policy, Purpose, Titles
from privacy.rights import CaseState

log = logging.getLogger("silhouette.publishing")

Items = (
    tuple[Dataset, ...]
    | tuple[RegisteredPurpose, ...]
    | tuple[PublishedModel, ...]
    | tuple[PublishedAudience, ...]
    | dict[CaseState, int]
)


class Listing:
    """One node's lists. It remembers how long audiences are as long as their files do not change."""

    def __init__(self, home: NodeHome) -> None:
        self._home = home
        self._sizes: dict[tuple[str, int, int], int] = {}

    def of(self, noun: Noun) -> Items:
        """The list of a noun as things are now; what cannot be read is left out."""
        return _MAKERS[noun](self)

    @property
    def policy(self) -> str:
        """Digest of the policy in force, empty without one."""
        found = self._policy()
        return "" if found is None else found.digest

    def datasets(self) -> tuple[Dataset, ...]:
        """The registered table. Columns that nobody may use are not named."""
        policy, settings = self._policy(), self._home.settings
        catalog = Catalog.load() if policy is None else catalog_of(policy)
        spec = settings.table
        columns = (_column(item, catalog, item.name in spec.categorical_fields) for item in spec.fields)
        return (
            Dataset(
                name=settings.name,
                id_kind=spec.id_kind,
                columns=tuple(column for column in columns if column is not None),
                has_label=spec.label_column is not None,
                has_consents=spec.consents is not None,
            ),
        )

    def purposes(self) -> tuple[RegisteredPurpose, ...]:
        """Those of the policy in force. Columns that nobody may use are not named, here as in `datasets`."""
        policy = self._policy()
        if policy is None:
            return ()
        catalog = catalog_of(policy)
        kinds = {item.name: item.kind for item in self._home.settings.table.fields}
        return tuple(_purpose(item, catalog, kinds) for item in policy.purposes)

    def models(self) -> tuple[PublishedModel, ...]:
        """The newest cards."""
        day = today()
        return tuple(
            PublishedModel(
                number=card.number,
                kind=card.kind,
                job=card.job,
                purpose=card.purpose,
                parties=card.parties,
                state=card.state(day).value,
                trained=card.trained,
                rows=rounded(card.rows, card.k_min),
                k_min=card.k_min,
                deadline=card.deadline,
                superseded_by=card.superseded_by,
            )
            for card in cards(self._home)[-MAX_ITEMS:]
        )

    def audiences(self) -> tuple[PublishedAudience, ...]:
        """Those that may still be used."""
        found, k_min = [], fewest_members(self._home)
        for name in lists.names(self._home):
            try:
                audience, people = lists.read(self._home, name), self._people(name)
            except (InputError, Denied, SealBroken, OSError) as error:
                log.warning("an audience is not published: %s", type(error).__name__)
                continue
            found.append(
                PublishedAudience(
                    name=name,
                    purpose=audience.purpose,
                    people=rounded(people, k_min),
                    k_min=k_min,
                    built=audience.built.date(),
                    expires=audience.expires,
                )
            )
        return tuple(found)

    def requests(self) -> dict[CaseState, int]:
        """How many cases there are in each state."""
        counts = CaseStore(self._home.vault).counts()
        return {state: counts[state.value] for state in CaseState if counts.get(state.value)}

    def _policy(self) -> Policy | None:
        try:
            return active_policy(self._home)
        except Denied:
            return None

    def _people(self, name: str) -> int:
        state = (lists.folder_of(self._home, name) / lists.MEMBERS).stat()
        seen = (name, state.st_mtime_ns, state.st_size)
        if seen not in self._sizes:
            self._sizes = {key: size for key, size in self._sizes.items() if key[0] != name}
            self._sizes[seen] = len(lists.members_of(self._home, name))
        return self._sizes[seen]


_MAKERS: Final[Mapping[Noun, Callable[[Listing], Items]]] = {
    Noun.DATASETS: Listing.datasets,
    Noun.PURPOSES: Listing.purposes,
    Noun.MODELS: Listing.models,
    Noun.AUDIENCES: Listing.audiences,
    Noun.REQUESTS: Listing.requests,
}


def _column(item: FieldSpec, catalog: Catalog, is_categorical: bool) -> Column | None:
    kind = catalog.of_column(item.name, item.kind)
    if _is_hidden(kind):
        return None
    title = item.published
    return Column(
        name=item.name[:LONGEST_LABEL],
        kind="" if kind is None else kind.key,
        category="" if kind is None else kind.category,
        sensitivity=None if kind is None else kind.sensitivity,
        is_categorical=is_categorical,
        published=None if title is None else Wording(zh=title.zh, en=title.en),
    )


def _is_hidden(kind: FieldClass | None) -> bool:
    """Whether a column is of a class that nobody may use."""
    return kind is not None and kind.is_prohibited


def _purpose(purpose: Purpose, catalog: Catalog, kinds: Mapping[str, str]) -> RegisteredPurpose:
    """kinds: what the registration says that a column is, by its name."""
    shown = (name for name in purpose.fields if not _is_hidden(catalog.of_column(name, kinds.get(name, ""))))
    return RegisteredPurpose(
        name=purpose.name,
        title=_title(purpose.title),
        basis=purpose.basis,
        treatment=purpose.treatment,
        methods=purpose.methods,
        columns=tuple(name[:LONGEST_LABEL] for name in shown),
        recipients=tuple(item.party for item in purpose.recipients),
        retention_days=purpose.retention_days,
        minimum_age=purpose.minimum_age,
    )


def _title(titles: Titles) -> Wording:
    return Wording(zh=titles.zh[:LONGEST_LABEL], en=titles.en[:LONGEST_LABEL])
