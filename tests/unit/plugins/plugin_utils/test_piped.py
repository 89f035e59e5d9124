"""Whether a connection sends a module, and what it is told, without a file: whatever its settings were."""

from __future__ import annotations

from typing import Any

import pytest
from ansible import constants
from ansible.errors import AnsibleActionFail
from ansible.playbook.play_context import PlayContext
from ansible.plugins.loader import connection_loader
from ansible_collections.minato.fleet.plugins.plugin_utils.piped import insist


def connection(kind: str, **options: Any) -> Any:
    """A connection as tasks have it, with pipelining off."""
    context = PlayContext()
    context.pipelining = False
    made = connection_loader.get(kind, context)
    made.set_options(direct={"pipelining": False, **options})
    assert not made.is_pipelining_enabled()
    return made


@pytest.mark.parametrize("kind", ["ssh", "local"])
def test_a_connection_that_can_has_to(kind: str) -> None:
    made = connection(kind)
    insist(made)
    assert made.is_pipelining_enabled()


def test_a_connection_without_a_setting_of_its_own_goes_by_the_plays(monkeypatch: pytest.MonkeyPatch) -> None:
    made = connection("local")
    monkeypatch.setattr(type(made), "get_option", no_such_option)
    insist(made)
    assert made.is_pipelining_enabled()


def no_such_option(_connection: Any, name: str) -> Any:
    raise KeyError(name)


def test_where_a_file_would_stay_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "DEFAULT_KEEP_REMOTE_FILES", True)
    for kind in ("ssh", "local"):
        with pytest.raises(AnsibleActionFail, match="The deploy key was not sent"):
            insist(connection(kind))


def test_a_terminal_stands_in_the_way_of_a_pipe() -> None:
    with pytest.raises(AnsibleActionFail, match="where ssh asks for a terminal"):
        insist(connection("ssh", ssh_args="-tt"))
