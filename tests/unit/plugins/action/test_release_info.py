"""Who asks which repository, and so who gets which deploy key."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.minato.fleet.plugins.action.release_info import is_asked_here, is_key_sent

APP = {"name": "medical-api", "build_on": "host", "artifact": None, "version": "main"}
ARGUMENTS: dict[str, Any] = {"target": {}, "detail": False, "deploy_keys": {"medical-api": "k3y"}}


@pytest.mark.parametrize(
    ("app", "arguments", "here", "sent"),
    [
        ({}, {}, False, True),
        ({"build_on": "controller"}, {}, True, False),
        ({"artifact": {"sha256": "a" * 64}}, {}, False, False),
        ({"version": "3f2a9c0"}, {}, False, True),
        ({"version": "3f2a9c01b7de4f5a6b7c8d9e0f1a2b3c4d5e6f70"}, {}, False, False),
        ({}, {"target": {"medical-api": "previous"}}, False, False),
        ({}, {"detail": True}, False, False),
        ({}, {"deploy_keys": {"another-api": "k3y"}}, False, False),
    ],
    ids=["a branch", "the controller's", "an artifact", "a short commit", "a commit", "a rollback", "a list", "no key"],
)
def test_a_host_gets_the_keys_that_it_asks_with(
    app: dict[str, Any], arguments: dict[str, Any], here: bool, sent: bool
) -> None:
    whole = {**APP, **app}
    assert is_asked_here(whole, {**ARGUMENTS, **arguments}) == here
    assert is_key_sent(whole, {**ARGUMENTS, **arguments}) == sent
