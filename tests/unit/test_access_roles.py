"""Who may do what: the roles as data."""

from __future__ import annotations

import pytest

from privacy.access import PERMISSIONS_OF, TWO_PERSONS, Caller, Means, Permission, Role


def test_every_permission_is_somebodys_and_every_role_has_some():
    assert PERMISSIONS_OF.keys() == set(Role)
    assert frozenset().union(*PERMISSIONS_OF.values()) == set(Permission)


def test_an_administrator_decides_nothing_about_people():
    people = ("results", "audiences", "consents", "requests", "approvals", "models:release")
    assert not [one for one in PERMISSIONS_OF[Role.ADMIN] if one.startswith(people)]


@pytest.mark.parametrize("permission", sorted(TWO_PERSONS))
def test_what_takes_two_persons_is_open_to_more_than_one_role(permission):
    """Otherwise a house with one person per role could never confirm."""
    assert sum(permission in held for held in PERMISSIONS_OF.values()) >= 2


def test_a_caller_has_what_its_roles_give_and_a_token_no_more():
    both = frozenset({Role.ANALYST, Role.OFFICER})
    caller = Caller("ann", both, Means.LOGIN)
    assert caller.permissions == PERMISSIONS_OF[Role.ANALYST] | PERMISSIONS_OF[Role.OFFICER]
    narrow = Caller(
        "ann", both, Means.TOKEN, granted=frozenset({Permission.JOBS_READ, Permission.USERS_MANAGE})
    )
    assert narrow.permissions == {Permission.JOBS_READ}
    assert not Caller("nobody", frozenset(), Means.LOGIN).permissions
