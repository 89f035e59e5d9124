#!/usr/bin/python
# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Take one step of a deploy."""

from __future__ import annotations

DOCUMENTATION = r"""
module: release
short_description: Take one step of a deploy
version_added: 0.1.0
description:
  - A deploy is a row of steps, each a task of its own, so that a person sees how far it is.
    M(minato.fleet.release_info) says which are due.
  - What serves goes on serving until the step V(switch), which changes the link C(<home>/current) by one rename.
  - A run killed at any moment leaves a release whose manifest (C(<home>/releases/<id>.json)) calls it unfinished.
    The next run removes it.
author:
  - The minato.fleet maintainers (@minato-fleet)
options:
  app:
    description: The app.
    type: dict
    required: true
    suboptions:
      name:
        description: Name of the app.
        type: str
        required: true
      user:
        description: The user that the app runs as, and that its steps run as. Its group may read the releases.
        type: str
        required: true
      home:
        description: The app's own directory, which holds C(releases/), C(shared/) and C(current).
        type: path
        required: true
      repository:
        description:
          - URL of the git repository. An app has this or O(app.artifact).
          - A password in an C(https) URL is handed to git through a credential helper and shows up nowhere.
        type: str
        default: ""
      repository_host_keys:
        description:
          - Host keys that the repository's server may show, for a repository that is asked over ssh. Each is a line of
            C(known_hosts), or the key alone.
          - Without any, those that root knows on the host count, or the user who runs the playbook, for an app that is
            built on the controller. With a deploy key, no unknown one is ever taken.
        type: list
        elements: str
        default: []
      artifact:
        description:
          - A tar archive of the app, installed and built elsewhere, with its files at the top. The controller gets it
            and sends it to the host, which needs no way to it.
          - Its checksum stands for the commit.
        type: dict
        suboptions:
          url:
            description: Where the controller downloads it from. A password in it shows up nowhere, nor does its query.
            type: str
            default: ""
          path:
            description: The file on the controller.
            type: path
            default: ""
          sha256:
            description: Its checksum, 64 hexadecimal digits. What has another one is refused.
            type: str
            required: true
      version:
        description:
          - Branch, tag, or commit. A shortened commit is understood if it is the newest of a branch or tag, or
            lies on the host.
          - Of an artifact, what its release is called.
        type: str
        required: true
      path_prefix:
        description: Directories that come first in C(PATH).
        type: list
        elements: path
        default: []
      install:
        description:
          - Command that installs the dependencies; empty for none. C(npm ci) is refused where there is no
            lockfile.
        type: str
        default: npm ci --omit=dev
      build:
        description: Command that builds the app; empty for none.
        type: str
        default: ""
      migrate:
        description: Command that migrates the app's data, once per release, before the switch; empty for none.
        type: str
        default: ""
      migrate_env_files:
        description: Environment files (as of systemd) of the migration. The app's user need not be able to read them.
        type: list
        elements: path
        default: []
      shared:
        description:
          - What is linked from each release to C(shared/).
          - A name that ends in C(/) is a directory of the app's user, made if it is missing; any other must exist.
        type: list
        elements: str
        default: []
      keep:
        description: How many finished releases stay, the running one included. At least 2.
        type: int
        default: 5
      build_memory_max:
        description: Memory that a step may use, in the words of systemd's C(MemoryMax).
        type: str
        default: 1G
      env_file:
        description:
          - The app's environment, to be held against O(app.env_example) before anything is installed. Empty for no
            comparison.
          - A key of the example that has no value here, nor in O(app.migrate_env_files), stops the deploy; one that the
            example does not know is named in a warning. No value is shown.
        type: path
        default: ""
      env_example:
        description:
          - The example of its environment in the app's repository. Every key in it needs a value, also one that has a
            value there; a line that is commented out asks for nothing.
          - Empty for no comparison. The default may be missing in the repository; another name may not.
        type: str
        default: .env.example
      build_on:
        description:
          - Where install and build run. V(controller) is the work of M(minato.fleet.release_artifact), and the steps
            V(reserve) and V(unpack) stand for V(fetch), V(install) and V(build).
        type: str
        choices: [host, controller]
        default: host
      build_env:
        description: Variables of a build on the controller. They are not secret.
        type: dict
        default: {}
      node_version:
        description: Major version of Node.js that a build on the controller needs; empty for none.
        type: str
        default: ""
      switch:
        description: Whether another release is started beside the one that serves, or in its place.
        type: str
        choices: [beside, restart]
        default: beside
      migrations:
        description:
          - The directory of its migrations, a path within the release; empty for none. Whatever lies in it is one,
            apart from hidden files, and its name is in the manifest.
          - The file C(rollback-safe) in it names those that the release before can live with, one a line. A rollback
            over any other is refused.
          - The default may be missing in the release; another name may not.
        type: str
        default: migrations
      hooks:
        description:
          - The app's own commands at points of a deploy, each a mapping of C(command) and C(timeout) (seconds; 60 if it
            is left out).
          - The points are V(before_fetch), V(before_build), V(after_build), V(before_migrate), V(before_start),
            V(before_switch), V(after_switch) and V(on_failure).
        type: dict
        default: {}
  step:
    description:
      - V(begin) locks other runs out, stops a step that a killed run has left behind, removes the releases O(ids), and
        does what V(occupy) does with the slot O(fill), if there is one.
      - V(fetch) makes the release O(id) with the files of O(commit), links what is shared, and lets the app's user in.
      - V(reserve) makes an empty release O(id), where the disk has room for O(artifact).
      - V(unpack) sends O(artifact) to the host and fills the release with it, if it is the one that O(artifact.sha256)
        means and nothing in it leads out of the release.
      - V(compare) holds O(app.env_file) against O(app.env_example).
      - V(install), V(build) and V(migrate) run the app's command of that name in it, as the app's user, in a transient
        unit with the app's memory limit, behind what serves where CPU and disk are short. Only V(migrate) gets the
        variables of O(app.migrate_env_files).
      - Where these have C(MIGRATION_DATABASE_URL) or C(DATABASE_URL) of a PostgreSQL server, V(migrate) holds an
        advisory lock there, so that one migration of the app runs at a time, and waits for it up to O(timeout). This
        needs psycopg2 on the host (C(python3-psycopg2)), and a connection that no pooler in transaction mode passes on.
      - V(hook) runs the app's command at the O(point), as the app's user, in the release, or in O(app.home) where there
        may be none (V(before_fetch), V(on_failure)). It gets the variables of O(app.env_file), if that exists, and
        C(FLEET_APP), C(FLEET_RELEASE), C(FLEET_COMMIT) and C(FLEET_POINT). Where the app has no hook there, nothing
        runs.
      - V(seal) gives it to root, readable by the app's group, and writes down its migrations in the manifest.
      - V(occupy) puts it into O(slot), with the wanted environment, for its processes to be started there.
      - V(switch) makes O(slot) the one that serves (C(current)), and writes that down as V(record) does. Then it waits
        until nobody is connected to O(ports) any more, for O(drain) seconds at most, so that what was asked of the
        release before is answered. Connections that do not end by then end with its processes.
      - V(vacate) empties O(slot), which must not be the one that serves.
      - V(abandon) marks it bad, with O(reason); a release that runs already is left alone.
      - V(remove) removes the releases O(ids).
      - V(record) writes down what became of a deploy that failed. It adds a line of JSON to C(<home>/history.jsonl) on
        the host, which is cut to its last 1000 lines when it has more than 1100, and the same line to
        O(controller_history). It comes before V(end), and does nothing in
        check mode. A line that cannot be written is a warning.
      - V(end) empties the slot O(empty), if there is one, and lets other runs in.
    type: str
    required: true
    choices:
      - begin
      - fetch
      - reserve
      - unpack
      - compare
      - install
      - build
      - seal
      - migrate
      - occupy
      - switch
      - vacate
      - abandon
      - remove
      - hook
      - record
      - end
  point:
    description: Where in the deploy O(step=hook) stands.
    type: str
    choices:
      [before_fetch, before_build, after_build, before_migrate, before_start, before_switch, after_switch, on_failure]
  slot:
    description: One of the app's two slots, for V(occupy), V(switch) and V(vacate).
    type: str
    choices: [a, b]
  fill:
    description: The slot that V(begin) puts a release into that is built already.
    type: str
    choices: [a, b]
  empty:
    description: The slot that V(end) empties, as V(vacate) does.
    type: str
    choices: [a, b]
  id:
    description: Id of the release. For all steps but V(remove) and V(end).
    type: str
  ids:
    description: Ids of the releases to remove.
    type: list
    elements: str
    default: []
  commit:
    description: All 40 digits of the commit to fetch.
    type: str
  deploy_key:
    description:
      - The private key for O(step=fetch) of a repository that is asked over ssh, in OpenSSH's format and without a
        passphrase. Empty for what root has on the host.
      - It goes to the host through a pipe, whatever the settings say, and to ssh through memory; no file has it.
    type: str
    default: ""
  artifact:
    description: The release as it was built elsewhere, for V(reserve) and V(unpack).
    type: dict
    suboptions:
      path:
        description: The archive, on the controller. The action plugin sends it and tells the module where it is then.
        type: path
        required: true
      sha256:
        description: Its checksum.
        type: str
        required: true
      size:
        description: Bytes that it and what is in it take on a disk.
        type: int
        required: true
      manifest:
        description: What the manifest says of where it comes from.
        type: dict
        default: {}
  environment:
    description: Variables for the app's commands, beside C(HOME), C(PATH) and C(LANG). They are not secret.
    type: dict
    default: {}
  ports:
    description: TCP ports of this host that the release before listens on, for V(switch).
    type: list
    elements: int
    default: []
  drain:
    description: Seconds that connections to O(ports) get to end.
    type: int
    default: 0
  timeout:
    description: Seconds that a command may take. A hook has a time of its own.
    type: int
    default: 1800
  reason:
    description: Why the release is bad, or why the deploy ended as it did; of that, V(record) keeps the first line.
    type: str
    default: ""
  result:
    description:
      - What became of the deploy, for V(record).
      - V(failed) where O(id) never served; V(reverted) where it might have, and was taken back.
    type: str
    choices: [failed, reverted]
  action:
    description: What was done, as M(minato.fleet.release_info) says it, or V(rollback); for V(switch) and V(record).
    type: str
    choices: [deploy, start, rollback]
  previous:
    description: Id of the release that served before, for V(switch) and V(record); empty for none.
    type: str
  seconds:
    description: How long it took, for V(switch) and V(record). Without it, the time since V(begin).
    type: float
  host:
    description: The host's name in the inventory. The action plugin fills it in.
    type: str
    default: ""
  controller_history:
    description: The file on the controller that gets a line of each deploy too, of all apps and hosts; empty for none.
    type: path
    default: ~/.local/state/minato.fleet/history.jsonl
  disk_reserve_mb:
    description:
      - V(fetch) refuses to begin unless this much stays free beside a release of the present one's size; V(reserve),
        beside the artifact's.
    type: int
    default: 512
  holder:
    description: The run that this step belongs to. The action plugin fills it in.
    type: str
    default: ""
  over:
    description: A run known to be no more, whose lock may be taken. The action plugin fills it in.
    type: str
    default: ""
attributes:
  check_mode:
    description: Says what the step would change.
    support: full
  diff_mode:
    description: The manifest and the id say what came; no text is shown.
    support: none
seealso:
  - module: minato.fleet.release_info
"""

EXAMPLES = r"""
- name: Build the release
  minato.fleet.release:
    app:
      name: medical-api
      user: medical-api
      home: /opt/medical-api
      repository: https://git.medical.test/medical-api.git
      version: main
      path_prefix: [/opt/node/20/bin]
      build: npm run build
    id: 0007-3f2a9c01b7de
    step: build

- name: Warm the cache of the release before it serves
  minato.fleet.release:
    app:
      name: medical-api
      user: medical-api
      home: /opt/medical-api
      repository: https://git.medical.test/medical-api.git
      version: main
      env_file: /opt/medical-api/shared/.env
      hooks:
        before_switch: {command: npm run warm-cache, timeout: 30}
    id: 0007-3f2a9c01b7de
    step: hook
    point: before_switch
"""

RETURN = r"""
connections:
  description: How many to O(ports) there still were when it stopped waiting.
  returned: for the step V(switch)
  type: int
  sample: 0
output:
  description: The last lines that the command printed, without secrets.
  returned: for the steps V(install), V(build), V(migrate) and V(hook), where there is one
  type: str
  sample: "added 110 packages in 5s"
entry:
  description: What the line of the history says.
  returned: for the steps V(switch) and V(record)
  type: dict
  contains:
    time:
      description: When it was written, UTC.
      type: str
      sample: "2026-11-21T19:00:00Z"
    app:
      description: Name of the app.
      type: str
      sample: medical-api
    host:
      description: The host's name in the inventory.
      type: str
      sample: api-1
    release:
      description: Id of the release.
      type: str
      sample: 0007-3f2a9c01b7de
    previous:
      description: Id of the release that served before, or null.
      type: str
      sample: 0006-9d0e1f2a3b4c
    commit:
      description: Its commit, or null.
      type: str
      sample: 3f2a9c01b7de4f5a6b7c8d9e0f1a2b3c4d5e6f70
    version:
      description: The version that was asked for.
      type: str
      sample: main
    action:
      description: What was done.
      type: str
      sample: deploy
    result:
      description: What became of it.
      type: str
      sample: ok
    reason:
      description: The first line of why, without secrets; empty where nothing was said.
      type: str
      sample: ""
    seconds:
      description: How long it took, or null.
      type: float
      sample: 41.5
    by:
      description: Who did it, on which machine.
      type: str
      sample: ono@desk
"""

import os
from typing import Any, Dict, cast

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.minato.fleet.plugins.module_utils import (
    _connections,
    _release_database,
    _release_history,
    _release_hooks,
    _release_migrations,
    _release_run,
)
from ansible_collections.minato.fleet.plugins.module_utils._git import Git, GitError
from ansible_collections.minato.fleet.plugins.module_utils._priority import behind_the_apps
from ansible_collections.minato.fleet.plugins.module_utils._release_archive import ArchiveError, check_sum, unpack
from ansible_collections.minato.fleet.plugins.module_utils._release_env import compare
from ansible_collections.minato.fleet.plugins.module_utils._release_host import HostError, Releases, now
from ansible_collections.minato.fleet.plugins.module_utils._release_lock import Lock, LockedError
from ansible_collections.minato.fleet.plugins.module_utils._release_slots import SLOTS
from ansible_collections.minato.fleet.plugins.module_utils._releases import (
    APP_SPEC,
    ARTIFACT_SPEC,
    app_secrets,
    mistakes,
    split_credentials,
)

STEPS = ["begin", "fetch", "reserve", "unpack", "compare", "install", "build", "seal", "migrate"]
STEPS += ["occupy", "switch", "vacate", "abandon", "remove", "hook", "record", "end"]
HISTORY = "~/.local/state/minato.fleet/history.jsonl"
Result = Dict[str, Any]


class StepError(Exception):
    """A step failed. The text is shown as it is."""


class Step:
    """The steps of one app's deploy; each method is one, and does all or leaves an unfinished release."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.params: dict[str, Any] = module.params
        self.app: dict[str, Any] = module.params["app"]
        self.id: str = module.params["id"] or ""
        self.releases = Releases(self.app["home"], self.app["user"], self.app["env_file"])
        self.lock = Lock(os.path.join(self.releases.root, ".lock"), self.params["holder"])

    def take(self) -> Result:
        """Take the step that is asked for; the lock tells others what is under way."""
        name = self.params["step"]
        if name not in ("begin", "record", "end"):
            self.lock.note(f"{name} {self.params['point']}" if name == "hook" else name, self._limit())
        return cast(Result, getattr(self, name)())

    def _limit(self) -> int:
        """Seconds that the step may take, and what the run does until the next one."""
        hook = _release_hooks.find(self.app["hooks"], self.params["point"])
        # A migration may wait for another's end first.
        own: int = self.params["timeout"] * (2 if self.params["step"] == "migrate" else 1)
        return max(own, hook.timeout if hook else 0)

    def begin(self) -> Result:
        told = self.lock.take("begin", self.params["timeout"], self.params["over"])
        if told:
            self.module.warn(f"{self.app['name']}: {told}")
        _release_run.stop_leftover(self.app["name"], self.module.get_bin_path("systemctl", required=True))
        self.releases.check_unfinished(self.params["ids"])
        done = self.remove()
        if self.params["fill"]:
            self.releases.occupy(self.params["fill"], self.id)
        return {"changed": done["changed"] or bool(self.params["fill"])}

    def record(self) -> Result:
        return self._write_down(self.params["result"])

    def _write_down(self, result: str) -> Result:
        params, app = self.params, self.app
        manifest = self.releases.manifest(self.id)
        took = self.lock.age() if params["seconds"] is None else params["seconds"]
        env_files = [path for path in [app["env_file"], *app["migrate_env_files"]] if os.path.isfile(path)]
        hidden = _release_run.secrets(_texts(env_files))
        entry = {
            "time": now(),
            "app": app["name"],
            "host": params["host"],
            "release": self.id,
            "previous": params["previous"] or None,
            "commit": params["commit"] or manifest.get("commit") or None,
            "version": app["version"],
            "action": params["action"],
            "result": result,
            "reason": _release_history.reason(_release_run.hide(params["reason"], hidden)),
            "seconds": None if took is None else round(took, 1),
            "by": _release_history.person(params["holder"]),
        }
        path = os.path.join(app["home"], "history.jsonl")
        try:
            _release_history.append(path, entry, 0o644)
            _release_history.cut(path)
        except _release_history.HistoryError as error:
            self.module.warn(f"{app['name']}: {error}")
        return {"changed": True, "entry": entry}

    def end(self) -> Result:
        if self.params["empty"]:
            self.releases.slots.vacate(self.params["empty"])
        self.lock.give_back()
        return {"changed": False}

    def remove(self) -> Result:
        for release_id in self.params["ids"]:
            self.releases.remove(release_id)
        return {"changed": bool(self.params["ids"])}

    def fetch(self) -> Result:
        self.releases.check_disk(self.params["disk_reserve_mb"])
        directory = self.releases.create(self.id, built_on="host", **self._origin())
        git = Git(
            self.module.get_bin_path("git", required=True),
            self.app["repository"],
            self.params["deploy_key"],
            self.app["repository_host_keys"],
        )
        author, committed_at = git.export(self.params["commit"], directory)
        self.releases.write_manifest(self.id, author=author, committed_at=committed_at)
        self.releases.link_shared(self.id, self.app["shared"])
        self.releases.give(self.id)
        return {"changed": True}

    def _origin(self) -> dict[str, Any]:
        url = split_credentials(self.app["repository"])[0]
        return {"version": self.app["version"], "commit": self.params["commit"], "repository": url}

    def reserve(self) -> Result:
        artifact = self.params["artifact"]
        self.releases.check_disk(self.params["disk_reserve_mb"], artifact["size"])
        known = {**artifact["manifest"], "sha256": artifact["sha256"]}
        self.releases.create(self.id, **{**known, **self._origin()})
        return {"changed": True}

    def unpack(self) -> Result:
        artifact = self.params["artifact"]
        check_sum(artifact["path"], artifact["sha256"])
        unpack(artifact["path"], self.releases.directory(self.id))
        self.releases.link_shared(self.id, self.app["shared"])
        if any(self.app["hooks"].get(point) for point in ("before_build", "after_build")):
            self.releases.give(self.id)  # they run as the app's user, and may make files
        return {"changed": True}

    def compare(self) -> Result:
        name, env_file = self.app["env_example"], self.app["env_file"]
        try:
            example = _text(os.path.join(self.releases.directory(self.id), name))
        except FileNotFoundError:
            if name == APP_SPEC["env_example"]["default"]:
                return {"changed": False}
            raise StepError(f"env_example is {name}, which the repository lacks: name another file, or none") from None
        found = compare(example, _text(env_file), map(_text, self.app["migrate_env_files"]))
        if found.missing:
            raise StepError(
                f"{env_file} lacks {', '.join(found.missing)}, which {name} asks for: give each a value there, or"
                f" comment it out in {name} if the app can do without"
            )
        if found.extra:
            self.module.warn(f"{self.app['name']}: {env_file} has {', '.join(found.extra)}, which {name} does not know")
        return {"changed": False}

    def install(self) -> Result:
        problem = _release_run.missing_lockfile(self.app["install"], os.listdir(self.releases.directory(self.id)))
        if problem:
            raise StepError(problem)
        return self._run(self._order(self.app["install"]))

    def build(self) -> Result:
        return self._run(self._order(self.app["build"]))

    def migrate(self) -> Result:
        order = self._order(self.app["migrate"])._replace(env_files=self.app["migrate_env_files"])
        texts = _texts(order.env_files)
        database = _release_database.url(texts)
        if not database:
            return self._run(order)
        try:
            with _release_database.locked(database, self.app["name"], order.timeout) as held:
                done = self._run(order)
        except _release_database.DatabaseError as error:
            raise StepError(_release_run.hide(str(error), _release_run.secrets(texts))) from None
        if held.lost:
            self.module.warn(
                f"{self.app['name']}: the connection that held the lock of the migration broke while that ran."
                " See that no other run migrated at the same time"
            )
        return done

    def hook(self) -> Result:
        point, app = self.params["point"], self.app
        hook = _release_hooks.find(app["hooks"], point)
        if not hook:
            return {"changed": False}
        if point == "on_failure":  # what failed may have lost its connection, and run on
            _release_run.stop_leftover(app["name"], self.module.get_bin_path("systemctl", required=True))
        commit = self.params["commit"] or self.releases.manifest(self.id).get("commit", "")
        told = _release_hooks.variables(app["name"], self.id, commit, point)
        order = self._order(hook.command)
        return self._run(
            order._replace(
                directory=app["home"] if point in _release_hooks.AT_HOME else order.directory,
                environment={**order.environment, **told},
                env_files=[path for path in [app["env_file"]] if path and os.path.isfile(path)],
                timeout=hook.timeout,
            )
        )

    def _order(self, command: str) -> _release_run.Order:
        directory = self.releases.directory(self.id)
        return _release_run.Order(command, directory, self.params["environment"], [], self.params["timeout"])

    def _run(self, order: _release_run.Order) -> Result:
        texts = _texts(order.env_files)
        words = _release_run.arguments(self.app, order)
        done = _release_run.run(self.module.get_bin_path("systemd-run", required=True), words)
        output = _release_run.tail(done.stdout, _release_run.secrets(texts))
        if done.returncode:
            reason = _release_run.reason(self.app, done.returncode, done.stdout, order.timeout)
            raise StepError(f"`{order.command}` {reason}. Its last lines:\n{output}")
        return {"changed": True, "output": output}

    def seal(self) -> Result:
        self.releases.link_shared(self.id, self.app["shared"])
        self.releases.seal(self.id)
        found = _release_migrations.look(self.releases.directory(self.id), self.app["migrations"])
        if found.unknown:
            self.module.warn(
                f"{self.app['name']}: {_release_migrations.SAFE} names {', '.join(found.unknown)}, which"
                f" {self.app['migrations']} does not have"
            )
        self.releases.write_manifest(self.id, **_release_migrations.facts(found, self.app["migrate"]))
        return {"changed": True}

    def occupy(self) -> Result:
        self.releases.occupy(self.params["slot"], self.id)
        return {"changed": True}

    def switch(self) -> Result:
        self.releases.switch(self.params["slot"])
        done = self._write_down("ok")
        return {**done, "connections": _connections.drain(self.params["ports"], self.params["drain"])}

    def vacate(self) -> Result:
        self.releases.slots.vacate(self.params["slot"])
        return {"changed": True}

    def abandon(self) -> Result:
        if not self.releases.manifest(self.id):
            return {"changed": False}
        self.releases.take_back(self.params["slot"], self.id, self.params["reason"])
        return {"changed": True}


def foretold(params: dict[str, Any]) -> bool:
    """Whether the step would change anything."""
    if params["step"] == "hook":
        return bool(params["app"]["hooks"].get(params["point"]))
    quiet = ("begin", "compare", "remove", "record", "end")
    return params["step"] not in quiet or bool(params["ids"] or params["fill"])


def _texts(paths: list[str]) -> list[str]:
    """The texts of environment files, which must be there."""
    for path in paths:
        if not os.path.isfile(path):
            raise StepError(f"the environment file {path} does not exist")
    return [_text(path) for path in paths]


def _text(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as stream:
        return stream.read()


def main() -> None:
    behind_the_apps()
    module = AnsibleModule(
        argument_spec={
            "app": {"type": "dict", "required": True, "options": APP_SPEC},
            "step": {"type": "str", "required": True, "choices": STEPS},
            "id": {"type": "str"},
            "ids": {"type": "list", "elements": "str", "default": []},
            "point": {"type": "str", "choices": list(_release_hooks.POINTS)},
            "fill": {"type": "str", "choices": list(SLOTS)},
            "empty": {"type": "str", "choices": list(SLOTS)},
            "slot": {"type": "str", "choices": list(SLOTS)},
            "commit": {"type": "str"},
            "deploy_key": {"type": "str", "default": "", "no_log": True},
            "artifact": {"type": "dict", "options": ARTIFACT_SPEC},
            "environment": {"type": "dict", "default": {}},
            "ports": {"type": "list", "elements": "int", "default": []},
            "drain": {"type": "int", "default": 0},
            "timeout": {"type": "int", "default": 1800},
            "reason": {"type": "str", "default": ""},
            "disk_reserve_mb": {"type": "int", "default": 512},
            "holder": {"type": "str", "default": ""},
            "over": {"type": "str", "default": ""},
            "result": {"type": "str", "choices": ["failed", "reverted"]},
            "action": {"type": "str", "choices": ["deploy", "start", "rollback"]},
            "previous": {"type": "str"},
            "seconds": {"type": "float"},
            "host": {"type": "str", "default": ""},
            "controller_history": {"type": "path", "default": HISTORY},
        },
        required_if=[("step", step, ("id",)) for step in STEPS if step not in ("remove", "end")]
        + [
            ("step", "fetch", ("commit",)),
            ("step", "reserve", ("commit", "artifact")),
            ("step", "unpack", ("artifact",)),
            ("step", "hook", ("point",)),
            ("step", "switch", ("action",)),
            ("step", "record", ("result", "action")),
        ],
        supports_check_mode=True,
    )
    app = module.params["app"]
    module.no_log_values.update(app_secrets(app))
    wrong = mistakes(app)
    if wrong:
        module.fail_json(msg="; ".join(wrong))
    if module.check_mode:
        module.exit_json(changed=foretold(module.params))
    os.umask(0o027)
    try:
        module.exit_json(**Step(module).take())
    except LockedError as error:
        module.fail_json(msg="{}: {}".format(app["name"], error), locked_by=error.holder)
    except (StepError, HostError, ArchiveError, GitError, _release_migrations.MigrationsError, OSError) as error:
        module.fail_json(msg="{}: {}".format(app["name"], error))


if __name__ == "__main__":
    main()
