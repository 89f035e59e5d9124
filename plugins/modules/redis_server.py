#!/usr/bin/python
# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Have a Redis server run, and run as configured."""

from __future__ import annotations

DOCUMENTATION = r"""
module: redis_server
short_description: Have a Redis server run, and run as configured
version_added: 0.1.0
description:
  - Asks the running server what its settings are, that it takes the password, and that it serves nobody without one.
  - Where an answer is not the wanted one, as after a start with another configuration, or where the unit is down or not
    enabled, the unit is enabled and restarted, and the server is asked again. The run fails if it is still not as
    wanted.
  - The configuration files are written by others before.
author:
  - The minato.fleet maintainers (@minato-fleet)
options:
  unit:
    description: The server's systemd unit, which has to tell systemd when it is ready (C(Type=notify)).
    type: str
    default: redis-server.service
  host:
    description: Address where it listens.
    type: str
    default: 127.0.0.1
  port:
    description: Port where it listens.
    type: int
    default: 6379
  socket:
    description: Path of the Unix socket where it listens; if given, it is asked there.
    type: str
    default: ""
  password:
    description: Password of the user C(default).
    type: str
    required: true
  settings:
    description: Names of settings, and their values as C(CONFIG GET) tells them. The user has to have C(+config|get).
    type: dict
    default: {}
extends_documentation_fragment:
  - minato.fleet.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
"""

EXAMPLES = r"""
- name: Run Redis, and see that it runs as configured
  minato.fleet.redis_server:
    password: "{{ vault_redis_password }}"
    settings:
      maxmemory: 134217728
      maxmemory-policy: allkeys-lru
"""

RETURN = r"""
differences:
  description: What was not as wanted before.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: A setting, or what else was looked at.
      type: str
    before:
      description: What was seen.
      type: str
    after:
      description: What is wanted.
      type: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.minato.fleet.plugins.module_utils._redis import Difference, Place, differences, look

UP = {"LoadState": "loaded", "ActiveState": "active", "UnitFileState": "enabled"}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "unit": {"type": "str", "default": "redis-server.service"},
            "host": {"type": "str", "default": "127.0.0.1"},
            "port": {"type": "int", "default": 6379},
            "socket": {"type": "str", "default": ""},
            "password": {"type": "str", "required": True, "no_log": True},
            "settings": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    before = found(module)
    if before and not module.check_mode:
        put_right(module)
        remaining = found(module)
        if remaining:
            module.fail_json(msg=complaint(module, remaining))
    result: dict[str, Any] = {"changed": bool(before), "differences": [one._asdict() for one in before]}
    if before and module._diff:
        result["diff"] = {
            "before": "".join(f"{one.name}: {one.before}\n" for one in before),
            "after": "".join(f"{one.name}: {one.after}\n" for one in before),
        }
    module.exit_json(**result)


def found(module: AnsibleModule) -> list[Difference]:
    """Return what is not as wanted, of the unit and of the server."""
    asked = module.params
    wanted = {name: str(value) for name, value in asked["settings"].items()}
    place = Place(asked["host"], asked["port"], asked["socket"])
    return unit_differences(module) + differences(look(place, asked["password"], list(wanted)), wanted)


def unit_differences(module: AnsibleModule) -> list[Difference]:
    """Return how the unit is not up."""
    properties = f"--property={','.join(UP)}"
    _rc, said, _error = module.run_command(["systemctl", "show", properties, "--", module.params["unit"]])
    state = dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
    return [
        Difference(f"unit's {name}", state.get(name, ""), value)
        for name, value in UP.items()
        if state.get(name, "") != value
    ]


def put_right(module: AnsibleModule) -> None:
    """Enable the unit and start it anew: it reads its configuration only then."""
    unit = module.params["unit"]
    module.run_command(["systemctl", "enable", "--quiet", "--", unit], check_rc=True)
    module.run_command(["systemctl", "reset-failed", "--", unit])
    rc, _said, error = module.run_command(["systemctl", "restart", "--", unit])
    if rc:
        module.fail_json(msg=f"{unit} does not start: {error.strip()}\n{last_words(module)}")


def complaint(module: AnsibleModule, remaining: list[Difference]) -> str:
    """Say what is still not as wanted after the restart."""
    wrong = "; ".join(f"{one.name} is {one.before}, wanted is {one.after}" for one in remaining)
    return (
        f"{module.params['unit']} was restarted and is still not as wanted: {wrong}. See whether another server "
        f"has its place, and which file the unit starts it with. Its last words:\n{last_words(module)}"
    )


def last_words(module: AnsibleModule) -> str:
    """Return the end of the unit's log, with what the journal has been sent and has not stored yet."""
    module.run_command(["journalctl", "--sync"])
    command = ["journalctl", f"--unit={module.params['unit']}", "--lines=20", "--output=cat", "--no-pager"]
    return str(module.run_command(command)[1])


if __name__ == "__main__":
    main()
