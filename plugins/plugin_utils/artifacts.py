# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a build on the controller needs, sees and is called, worked out without touching anything."""

from __future__ import annotations

import hashlib
import json
import typing as t
from collections.abc import Callable, Mapping, Sequence

App = t.Mapping[str, t.Any]
Environment = dict[str, str]

FORMAT = 1  # another one and nothing that was built before is used again
# What a command may know of the controller's environment. Passwords of vaults and keys of clouds are not among it.
INHERITED = {
    *("HOME", "USER", "LOGNAME", "TMPDIR", "NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "SSL_CERT_DIR"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"),
}
NPM_SETTING = "NPM_CONFIG_"
SECRET_WORDS = ("auth", "token", "password")
# One machine has two names.
MACHINES = {"arm64": "aarch64", "amd64": "x86_64"}
HOST_SYSTEM = "Linux"


class Tools(t.NamedTuple):
    """What the controller has: git's path and Node.js's version (empty: none), and what machine it is."""

    git: str
    node: str
    system: str
    machine: str


def lacks(app: App, tools: Tools, architecture: str) -> list[str]:
    """Why the app cannot be built on this controller, a sentence each.

    architecture: the host's, as ``uname -m`` says it; empty where nobody knows.
    """
    here = f"{app['name']}: build_on: controller"
    found = []
    if not tools.git:
        found.append(f"{here} needs git on the controller, which has none. Install it there.")
    major = app["node_version"].split(".")[0]
    if major and tools.node.split(".")[0] != major:
        has = f"has {tools.node}" if tools.node else "has none"
        found.append(
            f"{here} needs Node.js {major} on the controller, which {has}."
            " Install it there, and name its bin/ in app_controller_path if it is not in the PATH."
        )
    machine, wanted = (MACHINES.get(name, name) for name in (tools.machine, architecture or tools.machine))
    if (tools.system, machine) != (HOST_SYSTEM, wanted):
        found.append(
            f"{here}: the controller is {tools.system} on {machine} and the host {HOST_SYSTEM} on {wanted}, so what is"
            " built here may not run there. Run this from such a machine, or write `build_on: host`."
        )
    return found


def install_environment(
    controller: Mapping[str, str], wanted: Mapping[str, t.Any], path: Sequence[str], exists: Callable[[str], bool]
) -> Environment:
    """The variables of the install.

    Args:
        controller: The controller's own variables.
        wanted: Those that a host's commands get (``app_build_env``). One that names a file of the hosts gives way to
            the controller's own, and is left out where there is no such file.
        path: Directories that come first in PATH.
        exists: Whether the controller has a path.
    """
    known = {
        name: value
        for name, value in controller.items()
        if name.upper() in INHERITED or name.upper().startswith(NPM_SETTING)
    }
    texts = {name: str(value) for name, value in wanted.items()}
    given = {
        name: value
        for name, value in texts.items()
        if not value.startswith("/") or (name not in known and exists(value))
    }
    search = ":".join([*path, controller.get("PATH", "/usr/bin:/bin")])
    return {"LANG": "C.UTF-8", **known, **given, "PATH": search}


def build_environment(install: Mapping[str, str], app: App) -> Environment:
    """Those of the build: the app's own beside. An install would leave tools out where one is NODE_ENV=production."""
    own = {
        name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in app["build_env"].items()
    }
    return {**install, **own}


def hidden(environment: Mapping[str, str]) -> list[str]:
    """Values that must not be shown, as lines of an environment file."""
    return [
        f"{name}={value}"
        for name, value in environment.items()
        if name.upper().startswith(NPM_SETTING) and any(word in name.lower() for word in SECRET_WORDS)
    ]


def artifact_name(app: App, commit: str, environment: Mapping[str, t.Any], tools: Tools) -> str:
    """What the artifact is called: the commit, and what else shaped it.

    environment: what a host's commands get (``app_build_env``).
    """
    shaped = {
        "format": FORMAT,
        "commands": [app["install"], app["build"]],
        "environment": [{key: str(value) for key, value in each.items()} for each in (environment, app["build_env"])],
        "node": tools.node,
        "machine": MACHINES.get(tools.machine, tools.machine),
    }
    digest = hashlib.sha256(json.dumps(shaped, sort_keys=True).encode()).hexdigest()
    return f"{commit[:12]}-{digest[:12]}"
