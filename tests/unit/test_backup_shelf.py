"""The guard against the coordinator's real shelf of ledgers, through its application."""

import pytest
from backup_scene import CASE, OTHER_CASE, located, make_home
from post_scene import Scene

from clients.backup.guard import compare
from clients.backup.ledger import LEDGER_FILE, ledger_of
from clients.backup.shredding import shred
from privacy.errors import Denied


@pytest.fixture
def home(tmp_path):
    made = make_home(tmp_path)
    yield made
    made.vault.close()


def test_the_ledger_lies_on_the_coordinators_shelf(home, tmp_path):
    scene = Scene.create(tmp_path)
    shelf = scene.client("bank")
    compare(home, shelf)
    for number, case in ((1, CASE), (2, OTHER_CASE)):
        shred(home, [located(home, number)], case, escrow=shelf)
    head = ledger_of(home).head
    assert (shelf.head(), shelf.head().count) == (head, 2)
    assert list(shelf.entries(1)) == ledger_of(home).entries()
    scene.start()
    compare(home, scene.client("bank"))
    file = home.folder / LEDGER_FILE
    file.write_bytes(file.read_bytes().splitlines(keepends=True)[0])
    with pytest.raises(Denied):
        compare(home, scene.client("bank"))
    assert scene.client("shop").head().count == 0
