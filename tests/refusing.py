"""How a refusal test asks a role: it must refuse by name and end up with nothing."""

import pytest

from privacy.texts import LANGUAGES


def refuses(error, role, sender, message, key=None):
    """The role refuses, says why in every language, and has the result it had: none, unless it had finished."""
    before = role.result
    with pytest.raises(error) as caught:
        role.receive(sender, message)
    assert type(caught.value) is error
    if key:
        assert caught.value.key == key
    if caught.value.key != "unexpected_message":
        assert all(caught.value.render(language) for language in LANGUAGES)
    assert role.result is before
