"""Logins of a demo: at the console one account a role, each with a code that is good once."""

import pytest

from federation.access.office import Access
from federation.access.people import is_user_name
from privacy.access import Role
from privacy.errors import NotAuthenticated
from server.accounts import open_access
from server.home import CoordinatorHome
from server.staying import console_logins


@pytest.fixture
def home(tmp_path):
    made = CoordinatorHome.create(tmp_path / "coordinator", "127.0.0.1", 0, "127.0.0.1")
    yield made
    made.database.dispose()


def test_every_role_comes_in_once_and_may_what_it_may(home) -> None:
    codes = console_logins(home)
    access: Access = open_access(home)
    assert set(codes) == {f"demo-{role.value}" for role in Role}
    assert len(set(codes.values())) == len(codes)
    for name, code in codes.items():
        assert is_user_name(name)
        _, caller = access.log_in_once(code)
        assert (caller.name, [role.value for role in caller.roles]) == (name, [name.removeprefix("demo-")])
        assert caller.permissions
        with pytest.raises(NotAuthenticated):
            access.log_in_once(code)


def test_no_code_is_in_the_home_or_its_log(home) -> None:
    codes = console_logins(home)
    home.database.dispose()
    for file in home.folder.rglob("*"):
        if file.is_file():
            held = file.read_bytes()
            assert not any(code.encode() in held for code in codes.values()), file
