"""The Python client and its commands at a coordinator's own application, in this process."""

from __future__ import annotations

from console_scene import Scene
from fastapi.testclient import TestClient

from federation.client import connect
from federation.client.jobs import Jobs

URL = "http://127.0.0.1"


def token_of(scene: Scene, name: str) -> str:
    """A token of a user with all their roles."""
    caller = scene.access.logins.lookup(scene.secret_of(name))
    return scene.access.tokens.issue(caller, "test", caller.roles, 1)[1]


def opened(scene: Scene, name: str):
    """The console of a user."""
    return connect(URL, token_of(scene, name), language="en", http=TestClient(scene.app, URL))


def jobs_whose_waits(console, work):
    """The console's jobs, where somebody does `work` while one waits for the first time, and nothing afterwards."""
    left = [work]

    def sleep(_seconds):
        assert left, "waited in vain"
        left.pop()()

    return Jobs(console.calls, sleep)
