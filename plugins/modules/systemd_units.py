#!/usr/bin/python
# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keep services, timers and sockets running as their files say."""

from __future__ import annotations

DOCUMENTATION = r"""
module: systemd_units
short_description: Keep services, timers and sockets running as their files say
version_added: 0.1.0
description:
  - Takes all units of a set in one call, once their files are in C(/etc/systemd/system). Enables, starts and restarts
    exactly what is not as wanted, and stops what left the list.
  - A service is restarted where it is older than its unit file or than a file under O(units[].restart_on), and where
    the kernel says that it runs in another directory than O(units[].working_directory) leads to now.
  - The instances of one app are restarted one after the other, each proven up before the next. A service counts as up
    when it has stayed so for O(units[].min_uptime) and O(units[].health_url) answers 200. Where it does not, the app's
    further instances stay as they are, the other apps go on, and the task fails at its end with the reason and the end
    of the unit's journal.
  - What the processes have read is written down as digests in C(/var/lib/minato/systemd_units), for root alone.
author:
  - The minato.fleet maintainers (@minato-fleet)
requirements:
  - systemd 248 or newer
options:
  name:
    description: Name of the set. Units that an earlier call of the same name had, and this one has not, are stopped.
    type: str
    required: true
  units:
    description: All units of the set.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the unit, without C(.service).
        type: str
        required: true
      activation:
        description: What starts it, a V(timer) or V(socket) of the same name, or V(service), itself at boot.
        type: str
        choices: [service, timer, socket]
        default: service
      instances:
        description: The instances of a template unit. C(%i) in what follows stands for each.
        type: list
        elements: str
        default: []
      working_directory:
        description: Directory that the process runs in. Links are followed. Not compared where it is left out.
        type: str
        default: ""
      restart_on:
        description: Files whose content the process reads when it starts.
        type: list
        elements: str
        default: []
      min_uptime:
        description: How long it has to stay up to count as started, in seconds.
        type: float
        default: 2
      health_url:
        description:
          - URL that answers 200 while it can do its work. It is asked in every run.
          - No certificate is checked, because an address of the host's own is not what it names.
        type: str
        default: ""
      health_timeout:
        description: How long it may take until O(units[].health_url) answers 200, in seconds.
        type: float
        default: 30
      warm_up_url:
        description:
          - URL that is asked once O(units[].health_url) answers after a start, so that its first users find it warm.
            The units that are started together are asked 200 times in all, within two seconds. Empty for none.
          - For what nobody uses yet. The answers decide nothing.
        type: str
        default: ""
      exposure_max:
        description: The task fails where C(systemd-analyze security) gives its service more than this.
        type: float
        default: 2.5
      enabled:
        description: Whether it starts at boot.
        type: bool
        default: true
      state:
        description: Whether it runs now.
        type: str
        choices: [started, stopped]
        default: started
  written:
    description: In check mode, the unit files that the task before would have written.
    type: list
    elements: path
    default: []
attributes:
  check_mode:
    description: Predicts from the same plan that a run carries out, also where the unit files are not there yet.
    support: full
  diff_mode:
    description: Shows what differs between the units as they run and as they are wanted; of files, that they changed.
    support: full
"""

EXAMPLES = r"""
- name: Keep the units running
  minato.fleet.systemd_units:
    name: apps
    units:
      - name: morizo-aiv2
        instances: ["8000", "8001"]
        working_directory: /opt/morizo-aiv2/current
        restart_on: [/opt/morizo-aiv2/shared/.env]
        health_url: http://127.0.0.1:%i/health
      - name: morizo-report
        activation: timer
"""

RETURN = r"""
steps:
  description: What was done, or would be done in check mode, one line each.
  returned: always
  type: list
  elements: str
  sample: ["restart api.service (cwd: /opt/api/releases/0001 -> /opt/api/releases/0002)"]
exposure:
  description: The score of each unit's service in C(systemd-analyze security), from 0, which is best, to 10.
  returned: always
  type: dict
  sample: {"morizo-aiv2": 1.3}
failures:
  description: The units that did not come up.
  returned: when there are any
  type: list
  elements: dict
  contains:
    unit:
      description: Name of the unit.
      type: str
    reason:
      description: Why it is not up.
      type: str
    log:
      description: The end of its journal.
      type: list
      elements: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.minato.fleet.plugins.module_utils._systemd_units import UP, Step, diff, expand, plan
from ansible_collections.minato.fleet.plugins.module_utils._systemd_units_host import FailedError, Failure, Host

UNIT = {
    "name": {"type": "str", "required": True},
    "activation": {"type": "str", "choices": ["service", "timer", "socket"], "default": "service"},
    "instances": {"type": "list", "elements": "str", "default": []},
    "working_directory": {"type": "str", "default": ""},
    "restart_on": {"type": "list", "elements": "str", "default": []},
    "min_uptime": {"type": "float", "default": 2},
    "health_url": {"type": "str", "default": ""},
    "health_timeout": {"type": "float", "default": 30},
    "warm_up_url": {"type": "str", "default": ""},
    "exposure_max": {"type": "float", "default": 2.5},
    "enabled": {"type": "bool", "default": True},
    "state": {"type": "str", "choices": ["started", "stopped"], "default": "started"},
}


def run(module: AnsibleModule) -> dict[str, Any]:
    """Plan, carry the plan out unless in check mode, and return the module's result."""
    params = module.params
    host = Host(module.run_command, params["name"], module.check_mode)
    units = host.resolve(expand(params["units"]))
    seen = host.read(units, params["written"] if module.check_mode else ())
    steps = plan(seen, units, host.owned())
    result = {"changed": bool(steps), "steps": [str(step) for step in steps], "diff": diff(steps)}
    retired = [step.unit for step in steps if step.action == "retire"]
    if retired:
        ended = "would be" if module.check_mode else "is"
        module.warn(f"{', '.join(retired)}: not wanted any more; {ended} stopped and does not start at boot")
    failures: list[Failure] = []
    left: list[Step] = []
    if not module.check_mode:
        failures = host.apply(units, steps)
        started = {step.unit for step in steps}
        running = [unit for unit in units if unit.name not in started and seen[unit.name].active in UP]
        failures += host.ask(unit for unit in running if unit.name.endswith(".service"))
        left = host.left(units, failures) if steps else []
    result["exposure"] = host.exposure(units)
    for path in host.strangers(units):
        module.warn(f"{path} was not written by this set, and wins over what was: remove it, or put it into the data")
    if not module.check_mode:
        host.remember(units)
        tell(result, failures, [str(step) for step in left], params["units"])
    return result


def tell(result: dict[str, Any], failures: list[Failure], left: list[str], units: list[dict[str, Any]]) -> None:
    """Raise FailedError where something is not as it should be."""
    told = [str(failure) for failure in failures]
    if left:
        told.append("systemd does not run what it was told to: " + "; ".join(left))
    scores = result["exposure"]
    told += [
        f"unit {unit['name']}: systemd-analyze security gives it {scores[unit['name']]}, more than its exposure_max of"
        f" {unit['exposure_max']}: take back what opens it, or raise exposure_max"
        for unit in units
        if scores.get(unit["name"], 0) > unit["exposure_max"]
    ]
    if told:
        listed = [{"unit": each.unit.name, "reason": each.what, "log": list(each.log)} for each in failures]
        raise FailedError("\n\n".join(told), **result, failures=listed)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "units": {"type": "list", "elements": "dict", "required": True, "options": UNIT},
            "written": {"type": "list", "elements": "path", "default": []},
        },
        supports_check_mode=True,
    )
    try:
        result = run(module)
    except FailedError as error:
        module.fail_json(msg=str(error), **error.facts)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
