"""A party's first list of a noun may come several times at once: each is taken, or is said to be old."""

import threading

import pytest
from databases import postgres_database, postgres_server, sqlite_url
from jobs_scene import Scene

from federation.publications import Noun, publication_of, sign_publication
from privacy.errors import StateConflict
from privacy.rights import CaseState
from server.jobs.desk import Publications

MANY = 8


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    if request.param == "sqlite":
        yield sqlite_url(tmp_path)
        return
    with postgres_server() as server, postgres_database(server) as found:
        yield found


def test_many_first_lists_at_once(tmp_path, url):
    scene = Scene.create(tmp_path, url)
    publications = Publications(scene.engine, scene.home, scene.clock)
    (state, *_), coordinator = CaseState, scene.home.roster.coordinator
    signed = [
        sign_publication(
            publication_of(Noun.REQUESTS, "bank", number, scene.clock(), {state: number}),
            scene.identities["bank"],
            coordinator,
        )
        for number in range(1, MANY + 1)
    ]
    found, barrier = [], threading.Barrier(MANY)

    def take(one):
        barrier.wait()
        try:
            found.append(publications.take(Noun.REQUESTS, "bank", one))
        except StateConflict as conflict:
            found.append(conflict.key)
        except Exception as problem:  # what the test is about
            found.append(type(problem).__name__)

    threads = [threading.Thread(target=take, args=(one,)) for one in signed]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    scene.engine.dispose()
    assert len(found) == MANY
    assert set(found) <= {None, "publication_old"}
    assert publications.of(Noun.REQUESTS)["bank"].number == MANY
