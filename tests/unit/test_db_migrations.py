"""Migrations on SQLite and on a real PostgreSQL: up, down, up again, and exactly the tables of the code."""

import stat
import threading

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from databases import postgres_database, postgres_server, sqlite_url
from sqlalchemy import inspect

from federation.database import writing
from federation.pace import utc_now
from privacy.errors import ConfigInvalid
from server.db.engine import FILE, URL_VARIABLE, database_url, open_database
from server.db.migrating import EMPTY, bring_up_to_date, configuration_of, current, downgrade, latest, upgrade
from server.db.tables import IdempotencyRow


@pytest.fixture(scope="module")
def server():
    with postgres_server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request, tmp_path):
    if request.param == "sqlite":
        engine = open_database(sqlite_url(tmp_path))
        yield engine
        engine.dispose()
        return
    with postgres_database(request.getfixturevalue("server")) as url:
        engine = open_database(url)
        yield engine
        engine.dispose()


def tables_of(engine):
    return set(inspect(engine).get_table_names()) - {"alembic_version"}


def drift(engine):
    with engine.connect() as connection:
        settings = configuration_of()
        target = settings.pop("target_metadata")
        context = MigrationContext.configure(
            connection, opts={"target_metadata": target, "compare_type": settings["compare_type"]}
        )
        return compare_metadata(context, target)


def expected_tables():
    return {name for metadata in configuration_of()["target_metadata"] for name in metadata.tables}


def test_up_down_and_up_again(engine):
    assert current(engine) == ""
    upgrade(engine)
    assert current(engine) == latest()
    assert tables_of(engine) == expected_tables()
    downgrade(engine, EMPTY)
    assert (current(engine), tables_of(engine)) == ("", set())
    upgrade(engine)
    assert tables_of(engine) == expected_tables()


def test_the_migrated_tables_are_those_of_the_code(engine):
    upgrade(engine)
    assert drift(engine) == []


def test_the_comparison_would_see_a_difference(engine):
    upgrade(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE job DROP COLUMN code")
        connection.exec_driver_sql("CREATE TABLE stray (number INTEGER PRIMARY KEY)")
    assert {item[0] for item in drift(engine) if isinstance(item, tuple)} == {"add_column", "remove_table"}


def test_a_start_brings_it_up_to_date_and_the_next_one_changes_nothing(engine):
    bring_up_to_date(engine)
    with writing(engine) as session:
        session.add(IdempotencyRow(caller="ada", key="k" * 16, digest="d", created=utc_now()))
    bring_up_to_date(engine)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT COUNT(*) FROM idempotency").scalar() == 1


def test_two_processes_that_start_together_migrate_once(engine):
    problems = []
    barrier = threading.Barrier(2)

    def start():
        barrier.wait()
        try:
            bring_up_to_date(engine)
        except Exception as problem:
            problems.append(problem)

    threads = [threading.Thread(target=start) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert current(engine) == latest()


@pytest.mark.parametrize("act", [upgrade, bring_up_to_date, lambda engine: downgrade(engine, EMPTY)])
def test_a_newer_database_is_refused_and_left_alone(engine, act):
    upgrade(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(ConfigInvalid) as caught:
        act(engine)
    assert caught.value.key == "database_newer"
    assert (current(engine), tables_of(engine)) == ("9999", expected_tables())


def test_a_migration_that_fails_changes_nothing(engine, monkeypatch):
    from alembic import op

    def fail(*_arguments, **_names):
        raise RuntimeError("disk")

    real, made = op.create_table, []

    def third_fails(*arguments, **names):
        made.append(arguments[0])
        return fail() if len(made) == 3 else real(*arguments, **names)

    monkeypatch.setattr(op, "create_table", third_fails)
    with pytest.raises(RuntimeError, match="disk"):
        upgrade(engine)
    assert (current(engine), tables_of(engine)) == ("", set())


# --- where the database is


def test_by_default_it_is_a_private_file_of_the_home(tmp_path, monkeypatch):
    monkeypatch.delenv(URL_VARIABLE, raising=False)
    open_database(database_url(tmp_path)).connect().close()
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600


def test_a_url_of_the_environment_goes_before_the_file_and_the_settings(tmp_path, monkeypatch):
    (tmp_path / "url").write_text("postgresql://ada:word@db/one\n")
    monkeypatch.delenv(URL_VARIABLE, raising=False)
    assert database_url(tmp_path, "postgresql://ada@db/two").endswith("/two")
    assert database_url(tmp_path, "", "url") == "postgresql+psycopg://ada:word@db/one"
    monkeypatch.setenv(URL_VARIABLE, "postgresql://ada:word@db/three")
    assert database_url(tmp_path, "", "url").endswith("/three")


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("postgresql://ada:word@db/one", "database_url_password"),
        ("mysql://ada@db/one", "database_url_invalid"),
        ("ada", "database_url_invalid"),
    ],
)
def test_a_url_that_is_refused_is_not_repeated(tmp_path, monkeypatch, url, key):
    monkeypatch.delenv(URL_VARIABLE, raising=False)
    with pytest.raises(ConfigInvalid) as caught:
        database_url(tmp_path, url)
    assert caught.value.key == key
    assert "word" not in caught.value.render("en").replace("a password", "")


def test_a_database_that_is_not_there_is_named_without_its_url():
    engine = open_database("postgresql://ada:hidden@127.0.0.1:1/none?connect_timeout=1")
    with pytest.raises(ConfigInvalid) as caught:
        bring_up_to_date(engine)
    assert caught.value.key == "database_unreachable"
    assert "hidden" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_what_is_written_stays_only_when_the_block_ends_well(engine):
    upgrade(engine)
    row = {"caller": "ada", "key": "k" * 16, "digest": "d", "created": utc_now()}

    def write_and_fail():
        with writing(engine) as session:
            session.add(IdempotencyRow(**row))
            session.flush()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_and_fail()
    with writing(engine) as session:
        assert session.get(IdempotencyRow, ("ada", "k" * 16)) is None
