# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Builds a commit of an app on the controller and keeps what comes of it."""

from __future__ import annotations

import contextlib
import datetime
import os
import platform
import shutil
import signal
import subprocess
import tempfile
import typing as t
from collections.abc import Mapping

from ansible_collections.minato.fleet.plugins.module_utils import _release_run
from ansible_collections.minato.fleet.plugins.module_utils._git import Git, GitError
from ansible_collections.minato.fleet.plugins.plugin_utils import artifacts
from ansible_collections.minato.fleet.plugins.plugin_utils.artifact_store import Artifact, Store, StoreError

VERSION_TIMEOUT = 20  # seconds


class BuildError(Exception):
    """Nothing was built; the text says why, and is shown as it is."""


class Order(t.NamedTuple):
    """What is to be built, and with what.

    app: as ``APP_SPEC`` has it. environment: what a host's commands get. path: directories that come first in PATH.
    timeout: seconds that a command may take. deploy_key: what the repository is asked with; empty for what one has.
    """

    app: dict[str, t.Any]
    commit: str
    environment: dict[str, t.Any]
    path: list[str]
    timeout: int
    deploy_key: str = ""


def tools(path: list[str]) -> artifacts.Tools:
    """What this controller has."""
    search = os.pathsep.join([*path, os.environ.get("PATH", os.defpath)])
    node, version = shutil.which("node", path=search), ""
    if node:
        asked = subprocess.run(
            [node, "--version"], check=False, capture_output=True, text=True, timeout=VERSION_TIMEOUT
        )
        version = asked.stdout.strip().lstrip("v")
    return artifacts.Tools(shutil.which("git") or "", version, platform.system(), platform.machine())


def find(order: Order, store: Store) -> Artifact | None:
    """The artifact, if it was built before."""
    return store.find(artifacts.artifact_name(order.app, order.commit, order.environment, tools(order.path)))


def make(order: Order, store: Store) -> tuple[Artifact, bool]:
    """The artifact, and whether it was built now. Raises BuildError."""
    has = tools(order.path)
    name = artifacts.artifact_name(order.app, order.commit, order.environment, has)
    try:
        # Another run may be at its two commands.
        with store.locked(name, 2 * order.timeout):
            known = store.find(name)
            if known:
                return known, False
            with store.tree(name) as directory:
                made = store.put(name, directory, *_build(order, has, directory))
            store.prune(order.app["keep"])
            return made, True
    except (StoreError, GitError, OSError) as error:
        raise BuildError(f"{order.app['name']}: {error}") from None


def _build(order: Order, has: artifacts.Tools, directory: str) -> tuple[int, dict[str, t.Any]]:
    """Fill the directory; gives the commit's moment and what the manifest says of the build."""
    app = order.app
    git = Git(has.git, app["repository"], order.deploy_key, app["repository_host_keys"])
    author, committed_at = git.export(order.commit, directory)
    problem = _release_run.missing_lockfile(app["install"], os.listdir(directory))
    if problem:
        raise BuildError(f"{app['name']}: {problem}")
    install = artifacts.install_environment(os.environ, order.environment, order.path, os.path.exists)
    for command, environment in (
        (app["install"], install),
        (app["build"], artifacts.build_environment(install, app)),
    ):
        if command.strip():
            _run(order, command, environment, directory)
    manifest = {
        "built_on": "controller",
        "built_at": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "node_version": has.node,
        "author": author,
        "committed_at": committed_at,
    }
    return int(datetime.datetime.fromisoformat(committed_at).timestamp()), manifest


def _run(order: Order, command: str, environment: Mapping[str, str], directory: str) -> None:
    """Run a command in the directory. Raises BuildError with its last lines. What it leaves running is ended."""
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            ["/bin/sh", "-ec", command],
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = process.wait(order.timeout)
            why = f"ended with exit code {code} on the controller"
        except subprocess.TimeoutExpired:
            code, why = 1, f"was stopped on the controller after {order.timeout} s"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if code:
            output.seek(0)
            said = output.read().decode("utf-8", "replace")
            last = _release_run.tail(said, _release_run.secrets(artifacts.hidden(environment)))
            raise BuildError(
                f"{order.app['name']}: `{command}` {why}. No host got anything of it. Its last lines:\n{last}"
            )
