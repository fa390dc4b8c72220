"""A database URL that shows its password is refused wherever it stands, and is not repeated."""

import traceback

import pytest

from privacy.errors import ConfigInvalid
from server.db.engine import URL_VARIABLE, database_url, open_database

SHOWN = (
    "postgresql://ada@db/one?password=sekret",
    "postgresql://ada@db/one?passfile=/sekret",
    "postgresql://ada@db/one?sslmode=require&sslpassword=sekret",
    "postgresql://ada:p@ss:sekret@db/one",
)


def refuses(act):
    with pytest.raises(ConfigInvalid) as caught:
        act()
    assert caught.value.key == "database_url_invalid"
    assert "sekret" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("url", SHOWN)
def test_a_url_that_shows_its_password(tmp_path, monkeypatch, url):
    monkeypatch.delenv(URL_VARIABLE, raising=False)
    refuses(lambda: database_url(tmp_path, url))
    refuses(lambda: open_database(url))
    (tmp_path / "url").write_text(url)
    refuses(lambda: database_url(tmp_path, "", "url"))
    monkeypatch.setenv(URL_VARIABLE, url)
    refuses(lambda: database_url(tmp_path))


def test_other_things_may_stand_in_the_query(tmp_path, monkeypatch):
    monkeypatch.delenv(URL_VARIABLE, raising=False)
    url = "postgresql://ada@db/one?sslmode=verify-full"
    assert database_url(tmp_path, url) == url
