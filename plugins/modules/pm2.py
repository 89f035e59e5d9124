#!/usr/bin/python
# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keep the Node.js apps of a host running under PM2."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pm2
short_description: Keep the Node.js apps of a host running under PM2
version_added: 0.1.0
description:
  - Takes all apps of a host in one call. Installs PM2, runs one daemon for each user under systemd (unit
    C(pm2@USER.service), which has to exist), starts what is missing or different, and saves the list so that it comes
    back after a reboot.
  - An app is compared by what really runs, its working directory by what the kernel says. PM2 keeps an old directory
    when it reloads, so an app behind a link that moved is deleted and started.
  - After a start the module waits until every process has stayed up for O(apps[].min_uptime), then reads the host
    again. The task fails, with the end of the app's log, unless nothing is left to do.
  - An app that left the list is stopped. What it leaves on the disk is reported in RV(leavings) and in a warning, and
    stays.
author:
  - The minato.fleet maintainers (@minato-fleet)
requirements:
  - systemd
  - setpriv (util-linux)
options:
  version:
    description: Version of the npm package C(pm2), in full.
    type: str
    required: true
  prefix:
    description: Directory that PM2 is installed in.
    type: path
    default: /opt/pm2
  node_bin:
    description: Directory with the C(node) and C(npm) that run and install PM2 itself.
    type: path
    required: true
  apps:
    description: All apps of this host.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the app in PM2.
        type: str
        required: true
      user:
        description: User that the app and its daemon run as; never root.
        type: str
        required: true
      pm2_home:
        description: Directory with PM2's own files. One for each user.
        type: path
        required: true
      cwd:
        description: Directory that the app runs in. Links are resolved, and the app is started in the real path.
        type: path
        required: true
      script:
        description: Script to run, relative to O(apps[].cwd).
        type: str
        required: true
      args:
        description: Arguments of the script.
        type: list
        elements: str
        default: []
      node:
        description: The C(node) that runs the app. C(node) in O(node_bin) where it is left out.
        type: path
      instances:
        description: Number of processes.
        type: int
        default: 1
      exec_mode:
        description: V(cluster) shares one port among the processes; they run on the node of PM2 itself.
        type: str
        choices: [fork, cluster]
        default: fork
      env:
        description:
          - Environment of the app, on top of C(PATH), C(HOME), C(USER), C(LOGNAME) and C(LANG).
          - Not for secrets. PM2 shows it to whoever may ask and keeps it in the saved list.
        type: dict
        default: {}
      restart_on:
        description: Files whose content the app reads when it starts. It is restarted when one has changed.
        type: list
        elements: path
        default: []
      max_memory_restart:
        description: PM2 restarts a process that grows above this, such as V(600M). No limit where it is left out.
        type: str
      min_uptime:
        description: How long a process has to stay up to count as started, in milliseconds.
        type: int
        default: 2000
      kill_timeout:
        description: How long a process may take to end before it is killed, in milliseconds.
        type: int
        default: 10000
      listen_timeout:
        description: How long a process may take to become ready, in milliseconds.
        type: int
        default: 15000
      wait_ready:
        description:
          - Whether the app says that it is ready with C(process.send("ready")). The task fails where it does not do so
            within O(apps[].listen_timeout), which PM2 itself takes for a start that went well.
        type: bool
        default: false
      max_restarts:
        description:
          - PM2 gives an app up, until the next run, that has ended this often without staying up for
            O(apps[].min_uptime), within that many times O(apps[].min_uptime).
        type: int
        default: 16
      exp_backoff_restart_delay:
        description:
          - How long PM2 waits, in milliseconds, before it starts again an app that has ended. The time grows by half
            with each end, up to 15 seconds, and starts anew once the app has stayed up for half a minute.
          - V(0) for no wait. Then an app whose database is away for some seconds uses up its O(apps[].max_restarts).
        type: int
        default: 100
      health_url:
        description:
          - URL, without TLS, that answers 200 while the app can do its work.
          - It is asked in every run, which fails, with the answer and the end of the log, where it does not do so
            within O(apps[].listen_timeout).
        type: str
        default: ""
      warm_up_url:
        description:
          - URL that is asked 200 times after a start, within two seconds, so that its first users find it warm.
            Empty for none.
          - For what nobody uses yet. The answers decide nothing.
        type: str
        default: ""
      log_dir:
        description: Directory for C(out.log) and C(error.log). It has to exist and to be writable for the user.
        type: path
        required: true
      app:
        description:
          - The app that this is a release of, where two of its releases run side by side. Of one called V(web-b) of the
            app V(web), the logs are C(out-b.log) and C(error-b.log).
          - Left out, its name.
        type: str
attributes:
  check_mode:
    description: Predicts from the same plan that a run carries out, also on a host without Node, PM2 or the user.
    support: full
  diff_mode:
    description: Shows what differs between the processes as they run and as they are wanted.
    support: full
"""

EXAMPLES = r"""
- name: Keep the apps running
  minato.fleet.pm2:
    version: 7.0.4
    node_bin: /opt/node/20/bin
    apps:
      - name: medical-api
        user: medical-api
        pm2_home: /opt/medical-api/.pm2
        cwd: /opt/medical-api/current
        script: server.js
        restart_on: [/opt/medical-api/shared/.env]
        max_memory_restart: 600M
        wait_ready: true
        log_dir: /var/log/medical-api
"""

RETURN = r"""
steps:
  description: What was done, or would be done in check mode, one line each.
  returned: always
  type: list
  elements: str
  sample: ["start api (cwd: /opt/api/releases/0001 -> /opt/api/releases/0002)", "save api"]
leavings:
  description: What apps that are no longer on the list left behind.
  returned: always
  type: list
  elements: dict
  contains:
    app:
      description: Name of the app.
      type: str
    user:
      description: User it ran as.
      type: str
    paths:
      description: Files and directories that are still there.
      type: list
      elements: str
log:
  description: The end of the app's log.
  returned: when an app does not stay up
  type: list
  elements: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.minato.fleet.plugins.module_utils._health import complaint, wait_until_healthy, warm
from ansible_collections.minato.fleet.plugins.module_utils._pm2 import RefusedError, diff, log_file, plan
from ansible_collections.minato.fleet.plugins.module_utils._pm2_host import FailedError, Host, last_words
from ansible_collections.minato.fleet.plugins.module_utils._priority import behind_the_apps

APP = {
    "name": {"type": "str", "required": True},
    "user": {"type": "str", "required": True},
    "pm2_home": {"type": "path", "required": True},
    "cwd": {"type": "path", "required": True},
    "script": {"type": "str", "required": True},
    "args": {"type": "list", "elements": "str", "default": []},
    "node": {"type": "path"},
    "instances": {"type": "int", "default": 1},
    "exec_mode": {"type": "str", "choices": ["fork", "cluster"], "default": "fork"},
    "env": {"type": "dict", "default": {}},
    "restart_on": {"type": "list", "elements": "path", "default": []},
    "max_memory_restart": {"type": "str"},
    "min_uptime": {"type": "int", "default": 2000},
    "kill_timeout": {"type": "int", "default": 10000},
    "listen_timeout": {"type": "int", "default": 15000},
    "wait_ready": {"type": "bool", "default": False},
    "max_restarts": {"type": "int", "default": 16},
    "exp_backoff_restart_delay": {"type": "int", "default": 100},
    "health_url": {"type": "str", "default": ""},
    "warm_up_url": {"type": "str", "default": ""},
    "log_dir": {"type": "path", "required": True},
    "app": {"type": "str"},
}


def run(module: AnsibleModule) -> dict[str, Any]:
    """Plan, carry the plan out unless in check mode, and return the module's result."""
    params = module.params
    apps: list[dict[str, Any]] = [
        {**app, "node": app["node"] or f"{params['node_bin']}/node"} for app in params["apps"]
    ]
    homes = {app["user"]: app["pm2_home"] for app in apps}
    host = Host(module.run_command, params["prefix"], params["node_bin"])
    wanted = host.wanted(params["version"], apps, module.check_mode)
    steps = plan(host.read(homes), wanted)
    leavings = host.leavings(wanted)
    for left in leavings:
        module.warn(
            f"App {left['app']} is not wanted any more. It is stopped, but leaves {', '.join(left['paths'])}:"
            " remove these by hand once nobody needs them"
        )
    shown = diff(steps)
    if not module.check_mode:
        host.remember(wanted, apps, leavings)
        urls = {app["name"]: app["warm_up_url"] for app in apps if app["warm_up_url"]}

        def started(name: str) -> None:
            if name in urls and not complaint(urls[name]):
                warm([urls.pop(name)])

        if steps:
            steps = host.apply(wanted, homes, steps, started)
        for app in apps:
            ask(host, app)
        for step in steps:
            if step.action == "start" and step.app in urls:  # it did not answer at once
                warm([urls[step.app]])
    return {"changed": bool(steps), "steps": [str(step) for step in steps], "leavings": leavings, "diff": shown}


def ask(host: Host, app: dict[str, Any]) -> None:
    """Ask an app that has a health_url whether it can do its work; raises FailedError with its answers and its log."""
    wrong = wait_until_healthy(app["health_url"], app["listen_timeout"] / 1000) if app["health_url"] else ""
    if wrong:
        lines = last_words(log_file(app, "error"), log_file(app, "out"))
        peak = host.memory_peak(app["user"], app["pm2_home"], app["name"]) >> 20
        raise FailedError(
            f"app {app['name']} runs, but cannot do its work: {app['health_url']} answered with {wrong};"
            f" its memory peaked at {peak} MB\nThe end of its log:\n" + ("\n".join(lines) or "(its logs are empty)"),
            app=app["name"],
            log=lines,
        )


def main() -> None:
    """Run the module."""
    behind_the_apps()
    module = AnsibleModule(
        argument_spec={
            "version": {"type": "str", "required": True},
            "prefix": {"type": "path", "default": "/opt/pm2"},
            "node_bin": {"type": "path", "required": True},
            "apps": {"type": "list", "elements": "dict", "required": True, "options": APP},
        },
        supports_check_mode=True,
    )
    try:
        result = run(module)
    except (RefusedError, FailedError) as error:
        module.fail_json(msg=str(error), **getattr(error, "facts", {}))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
