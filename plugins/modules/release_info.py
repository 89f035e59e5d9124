#!/usr/bin/python
# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Say which releases of the apps are on the host, and which apps need a deploy."""

from __future__ import annotations

DOCUMENTATION = r"""
module: release_info
short_description: Say which releases of the apps are on the host, and which apps need a deploy
version_added: 0.1.0
description:
  - Resolves the wanted version of every app to a commit (C(git ls-remote); no question is asked for a full
    commit), reads the manifests of
    the releases on the host, and works out what M(minato.fleet.release) has to do. All apps of a host in one call;
    changes nothing.
  - Works on a host where nothing is installed yet. Without git, the commit is not known and a deploy is foretold.
  - The repository of an app that is built on the controller is asked from there, so its host needs neither git nor a
    way to it.
author:
  - The minato.fleet maintainers (@minato-fleet)
options:
  apps:
    description: The apps of the host.
    type: list
    elements: dict
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
          - URL of the git repository. An app has this or O(apps[].artifact).
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
          - The app's environment, to be held against O(apps[].env_example) before anything is installed. Empty for no
            comparison.
          - A key of the example that has no value here, nor in O(apps[].migrate_env_files), stops the deploy; one that
            the example does not know is named in a warning. No value is shown.
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
        description: Where install and build run.
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
  target:
    description:
      - Apps that go back to a release which is on the host, by their names. V(previous) stands for the one that was
        switched to last before the one that serves, so that saying it twice comes back; any other is the id of a
        release, the number that it begins with, or its commit, of which 7 digits are enough.
      - No repository is asked for such an app, and nothing of it is removed. RV(apps[].action) is V(start).
      - Refused are a release that is bad or was never finished, that which serves, and one that does not know the
        migrations of a release which served, or failed when it was finished, unless they are listed in
        C(rollback-safe) there.
    type: dict
    default: {}
  across_migrations:
    description: Whether O(target) may be a release whose code does not know what migrations have done to the data.
    type: bool
    default: false
  detail:
    description:
      - Whether to list every release and what runs of it, in place of what is to do. No repository is asked then.
      - What runs is asked of the kernel, process by process; no link counts. The task has to run as root.
    type: bool
    default: false
  others:
    description: The own directories of further apps, by their names, whose slots RV(live) shall have too.
    type: dict
    default: {}
  deploy_keys:
    description:
      - The private key of each repository that is asked over ssh with one, by the app's name, in OpenSSH's format and
        without a passphrase.
      - A host gets those that it asks with, through a pipe, whatever the settings say; ssh gets them through memory. No
        file has them.
    type: dict
    default: {}
  refs:
    description:
      - What C(git ls-remote) answered on the controller, by the name of the app. The action plugin fills it in, for the
        apps that are built there.
    type: dict
    default: {}
attributes:
  check_mode:
    description: Can run in check mode; it changes nothing in any mode.
    support: full
  diff_mode:
    description: Has nothing to show.
    support: none
seealso:
  - module: minato.fleet.release
"""

EXAMPLES = r"""
- name: Find out which apps need a deploy
  minato.fleet.release_info:
    apps:
      - name: medical-api
        user: medical-api
        home: /opt/medical-api
        repository: https://git.medical.test/medical-api.git
        version: main
        shared: [.env]
  register: found

- name: Plan the way back
  minato.fleet.release_info:
    apps: "{{ app_releases }}"
    target:
      medical-api: previous
  register: back

- name: List the releases
  minato.fleet.release_info:
    apps: "{{ app_releases }}"
    detail: true
  register: all

- name: Name the apps of which something runs from a release that it should have left
  ansible.builtin.debug:
    msg: "{{ all.apps | selectattr('stale') | map(attribute='name') }}"

- name: Name those that need a deploy
  ansible.builtin.debug:
    msg: "{{ found.apps | selectattr('action', 'ne', 'none') | map(attribute='name') }}"
"""

RETURN = r"""
live:
  description: The slot that serves, by the name of the app, for O(apps) and O(others); null where none ever did.
  returned: unless O(detail) is set
  type: dict
  sample: {medical-api: b}
apps:
  description: What is there and what is to do, one entry for each app, in their order.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name of the app.
      type: str
      sample: medical-api
    current:
      description: Id of the release that runs, or null.
      type: str
      sample: 0006-9d0e1f2a3b4c
    commit:
      description: The wanted commit; of an artifact, 40 digits of its checksum. Null where git is missing.
      type: str
      sample: 3f2a9c01b7de4f5a6b7c8d9e0f1a2b3c4d5e6f70
    action:
      description:
        - V(none); V(start) where release RV(apps[].id) is built already, or serves with another environment than the
          wanted one; V(deploy) where it is to be built.
      type: str
      sample: deploy
    id:
      description: Id of the release that should run.
      type: str
      sample: 0007-3f2a9c01b7de
    discard:
      description: Ids of failed and unfinished releases, to be removed first.
      type: list
      elements: str
      sample: []
    prune:
      description: Ids of finished releases that are too many, to be removed last.
      type: list
      elements: str
      sample: [0001-0a1b2c3d4e5f]
    steps:
      description:
        - Those of V(compare), V(install), V(build) and V(migrate) that the app asks for on this host.
        - C(hook:POINT) for each point at which it has a hook, such as V(hook:before_switch).
      type: list
      elements: str
      sample: [compare, install, migrate]
    build_on:
      description: Where the app's install and build run; V(controller) for an artifact too, which is sent from there.
      type: str
      sample: host
    live:
      description: The slot that serves, or null.
      type: str
      sample: a
    slot:
      description: The slot that release RV(apps[].id) takes.
      type: str
      sample: b
    left:
      description: A slot that a run which was stopped has left behind, to be emptied, or null.
      type: str
      sample: b
    due:
      description: Whether there is anything to do.
      type: bool
      sample: true
    releases:
      description: With O(detail), in place of what is to do, every release of the app, the newest first.
      type: list
      elements: dict
      contains:
        id:
          description: Its id.
          type: str
          sample: 0006-9d0e1f2a3b4c
        commit:
          description: Its commit; null where its manifest cannot be read.
          type: str
          sample: 9d0e1f2a3b4c5d6e7f8091a2b3c4d5e6f7081920
        version:
          description: What was to be deployed.
          type: str
          sample: v1.4.2
        author:
          description: Who made the commit.
          type: str
          sample: Ono Yoko <ono@medical.test>
        committed_at:
          description: When.
          type: str
          sample: "2026-11-20T09:00:00+09:00"
        activated_at:
          description: When it was switched to last; null for never.
          type: str
          sample: "2026-11-20T00:12:00Z"
        state:
          description: >-
            V(active), the one that serves; V(ready), fit to serve; V(bad); V(building), not finished; V(unreadable),
            without a manifest.
          type: str
          sample: active
        reason:
          description: Why it is bad.
          type: str
          sample: ""
        size_mb:
          description: MB that it takes on the disk; null where it is gone, or somebody is at work in it.
          type: int
          sample: 84
        slot:
          description: The slot that has it, or null.
          type: str
          sample: b
        running:
          description: The app's processes whose working directory, as the kernel has it, is this release or in it.
          type: list
          elements: int
          sample: [4711, 4718]
    stale:
      description:
        - With O(detail), the app's processes that run in a release which no slot has, or which is deleted. C(pid),
          C(release) and C(directory) of each.
        - What builds an unfinished release is none of them.
      type: list
      elements: dict
      sample: []
architecture:
  description: What the host's machine is called, as C(uname -m) says it.
  returned: always
  type: str
  sample: x86_64
"""

import platform
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.minato.fleet.plugins.module_utils import _release_look
from ansible_collections.minato.fleet.plugins.module_utils._git import Git, GitError
from ansible_collections.minato.fleet.plugins.module_utils._priority import behind_the_apps
from ansible_collections.minato.fleet.plugins.module_utils._processes import UnseenError
from ansible_collections.minato.fleet.plugins.module_utils._release_host import Releases
from ansible_collections.minato.fleet.plugins.module_utils._release_rollback import (
    Past,
    RollbackError,
    check_migrations,
    choose,
)
from ansible_collections.minato.fleet.plugins.module_utils._release_slots import SLOTS, Slots
from ansible_collections.minato.fleet.plugins.module_utils._releases import (
    APP_SPEC,
    INFO_SPEC,
    Plan,
    app_secrets,
    artifact_commit,
    build_on,
    mistakes,
    plan,
    resolve,
    steps,
)

ASK_AT_ONCE = 8


def look(app: dict[str, Any], git: str | None, refs: dict[str, str] | None, key: str) -> dict[str, Any]:
    """What is there and what is to do for one app; ``refused`` says why that cannot be told.

    refs: the answer of the app's repository, where the controller has asked it. key: what it is asked with.
    """
    releases = Releases(app["home"], app["user"], app["env_file"])
    slots = releases.slots
    found, current, live = releases.found(), releases.current(), slots.live()
    commit = artifact_commit(app)
    try:
        if refs is None and git and not commit:
            refs = Git(git, app["repository"], key, app["repository_host_keys"]).refs(app["version"])
        if refs is not None:
            commit = resolve(app["version"], refs, [release.commit for release in found])
    except (GitError, ValueError) as error:
        remedy = "Nothing was changed: mend repository or version of the app and run again."
        return {"name": app["name"], "refused": f"{error}. {remedy}"}
    up_to_date = live is not None and slots.is_up_to_date(live)
    todo = plan(found, current, commit, app["keep"], frozenset(slots.held()), up_to_date)
    return _answer(app, releases, commit, todo)


def look_back(app: dict[str, Any], wanted: str, across_migrations: bool) -> dict[str, Any]:
    """What is to do to go back to a release; ``refused`` says why that cannot be done. No repository is asked.

    wanted: an id, or ``previous``.
    """
    releases = Releases(app["home"], app["user"], app["env_file"])
    found, current = releases.found(), releases.current()
    migrates = bool(app["migrate"].strip())
    past = [Past.of(each, releases.manifest(each.id), migrates) for each in found]
    try:
        target = choose(past, current, wanted)
        if not across_migrations:
            check_migrations(past, current, target)
    except RollbackError as error:
        return {"name": app["name"], "refused": f"{error} Nothing was changed."}
    commit = next(each.commit for each in found if each.id == target)
    return _answer(app, releases, commit, Plan("start", target, [], []))


def _answer(app: dict[str, Any], releases: Releases, commit: str | None, todo: Plan) -> dict[str, Any]:
    slots, live = releases.slots, releases.slots.live()
    left = next((slot for slot in SLOTS if slot != live and slots.release(slot)), None)
    return {
        "name": app["name"],
        "current": releases.current(),
        "commit": commit,
        "live": live,
        "slot": slots.idle() if live and app["switch"] == "beside" else live or SLOTS[0],
        "left": left,
        "due": todo.due or left is not None,
        "steps": steps(app),
        "build_on": build_on(app),
        **todo._asdict(),
    }


def main() -> None:
    behind_the_apps()
    module = AnsibleModule(
        argument_spec={
            "apps": {"type": "list", "elements": "dict", "required": True, "options": APP_SPEC},
            **INFO_SPEC,
            "refs": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    apps, target = module.params["apps"], module.params["target"]
    module.no_log_values.update(value for app in apps for value in app_secrets(app))
    wrong = [mistake for app in apps for mistake in mistakes(app)]
    names = [app["name"] for app in apps]
    wrong += [f"target: {name} is not one of the apps: {', '.join(names)}" for name in target if name not in names]
    if wrong:
        module.fail_json(msg="; ".join(wrong))
    if module.params["detail"]:
        module.exit_json(changed=False, apps=listed(module, apps), architecture=platform.machine())
    git, refs, keys = module.get_bin_path("git"), module.params["refs"], module.params["deploy_keys"]

    def ask(app: dict[str, Any]) -> dict[str, Any]:
        if app["name"] in target:
            return look_back(app, str(target[app["name"]]), module.params["across_migrations"])
        return look(app, git, refs.get(app["name"]), keys.get(app["name"], ""))

    with ThreadPoolExecutor(max_workers=ASK_AT_ONCE) as pool:
        answers = list(pool.map(ask, apps))
    refused = ["{}: {}".format(answer["name"], answer["refused"]) for answer in answers if "refused" in answer]
    if refused:
        module.fail_json(msg=" ".join(refused))
    live = {name: Slots(home, "").live() for name, home in module.params["others"].items()}
    live.update((answer["name"], answer["live"]) for answer in answers)
    module.exit_json(changed=False, apps=answers, live=live, architecture=platform.machine())


def listed(module: AnsibleModule, apps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The releases of each app and what runs of them; the host's processes are looked at once for all."""
    try:
        running = _release_look.processes(app["user"] for app in apps)
    except UnseenError as error:
        module.fail_json(msg=f"{error}. Nothing was changed.")
    answers = []
    for app in apps:
        releases = Releases(app["home"], app["user"], app["env_file"])
        told = {"name": app["name"], "current": releases.current(), "live": releases.slots.live()}
        answers.append({**told, **_release_look.look(releases, running)})
    return answers


if __name__ == "__main__":
    main()
