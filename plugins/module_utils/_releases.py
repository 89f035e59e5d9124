# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a deploy has to do, worked out from what is on a host and what is wanted there. Nothing here touches anything.

A release is a directory ``<home>/releases/<id>`` and its manifest ``<home>/releases/<id>.json``. The id is a growing
number and the first twelve digits of the commit (``0007-3f2a9c01b7de``). The manifest says how far the release is:

building  made, but not finished: whoever made it was stopped
ready     finished; has been, or may be, the running one
active    the running one (``<home>/current`` points to it; where the two disagree, the link is right)
bad       a step failed, or a check after the start
"""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit, urlunsplit

from ansible_collections.minato.fleet.plugins.module_utils import _git_ssh, _release_hooks, _release_migrations

STATES = ("building", "ready", "active", "bad")
UNRESOLVED = "unresolved"
ID = re.compile(r"^(?P<number>\d{4,})-(?:[0-9a-f]{12}|unresolved)$")
OWN_PATH = re.compile(r"^(?!\.\.?/?$)(?!\.\./)(?!.*/\.\.?(/|$))[^/]+(/[^/]+)*/?$")
FULL_COMMIT = re.compile(r"^[0-9a-f]{40}$")
SHORT_COMMIT = re.compile(r"^[0-9a-f]{7,39}$")

#: Where an app comes from that is built elsewhere.
SOURCE_SPEC: dict[str, Any] = {
    "url": {"type": "str", "default": ""},
    "path": {"type": "path", "default": ""},
    "sha256": {"type": "str", "required": True},
}

#: What describes one app to the modules release and release_info: an argument spec.
APP_SPEC: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "user": {"type": "str", "required": True},
    "home": {"type": "path", "required": True},
    "repository": {"type": "str", "default": ""},
    "repository_host_keys": {"type": "list", "elements": "str", "default": [], "no_log": False},
    "artifact": {"type": "dict", "options": SOURCE_SPEC},
    "version": {"type": "str", "required": True},
    "path_prefix": {"type": "list", "elements": "path", "default": []},
    "install": {"type": "str", "default": "npm ci --omit=dev"},
    "build": {"type": "str", "default": ""},
    "migrate": {"type": "str", "default": ""},
    "migrate_env_files": {"type": "list", "elements": "path", "default": []},
    "shared": {"type": "list", "elements": "str", "default": []},
    "keep": {"type": "int", "default": 5},
    "build_memory_max": {"type": "str", "default": "1G"},
    "env_file": {"type": "path", "default": ""},
    "env_example": {"type": "str", "default": ".env.example"},
    "build_on": {"type": "str", "default": "host", "choices": ["host", "controller"]},
    "build_env": {"type": "dict", "default": {}},
    "node_version": {"type": "str", "default": ""},
    "switch": {"type": "str", "default": "beside", "choices": ["beside", "restart"]},
    "hooks": {"type": "dict", "default": {}},
    "migrations": {"type": "str", "default": _release_migrations.DEFAULT},
}

#: What the module release_info takes beside the apps.
INFO_SPEC: dict[str, Any] = {
    "target": {"type": "dict", "default": {}},
    "across_migrations": {"type": "bool", "default": False},
    "detail": {"type": "bool", "default": False},
    "others": {"type": "dict", "default": {}},
    "deploy_keys": {"type": "dict", "default": {}, "no_log": True},
}

#: An archive of a built release, as the module release takes it.
ARTIFACT_SPEC: dict[str, Any] = {
    "path": {"type": "path", "required": True},
    "sha256": {"type": "str", "required": True},
    "size": {"type": "int", "required": True},
    "manifest": {"type": "dict", "default": {}},
}


class Found(NamedTuple):
    """A release as it lies on the host. ``state`` and ``commit`` are empty where no manifest can be read."""

    id: str
    state: str
    commit: str
    directory: bool

    @property
    def usable(self) -> bool:
        return self.directory and self.state in ("ready", "active")


class Plan(NamedTuple):
    """``action``: ``none``; ``start`` (release ``id`` is built already); ``deploy`` (``id`` is to be built).

    ``discard``: failed and unfinished releases, to go before anything is built. ``prune``: finished ones that are too
    many, to go once ``id`` is the current one.
    """

    action: str
    id: str
    discard: list[str]
    prune: list[str]

    @property
    def due(self) -> bool:
        return self.action != "none" or bool(self.discard or self.prune)


def number(release_id: str) -> int:
    """The growing part of an id."""
    return int(release_id.split("-", 1)[0])


def plan(
    found: list[Found],
    current: str | None,
    commit: str | None,
    keep: int,
    held: frozenset[str] = frozenset(),
    up_to_date: bool = True,
) -> Plan:
    """What to do so that ``commit`` runs.

    current: id of the release that serves, or None. commit: 40 digits, or None where it cannot be known. keep: how many
    finished releases stay, the running one included. held: ids of the releases that a slot has. up_to_date: whether
    what serves has the wanted environment.
    """
    live = next((release for release in found if release.id == current and release.directory), None)
    again = [release for release in found if release.usable and release.commit == commit]
    if live and live in again:
        target, action = live.id, "none" if live.state == "active" and up_to_date else "start"
    elif again:
        target, action = max(again, key=lambda release: number(release.id)).id, "start"
    else:
        serial = max((number(release.id) for release in found), default=0) + 1
        target, action = f"{serial:04d}-{commit[:12] if commit else UNRESOLVED}", "deploy"

    # Processes of the old release run until the new one serves.
    protected = {release for release in (target, current) if release} | held
    old = sorted((release.id for release in found if release.usable and release.id not in protected), key=number)
    room = max(keep - len(protected), 0)
    discard = [release.id for release in found if not release.usable and release.id not in protected]
    return Plan(action, target, sorted(discard, key=number), old[: max(len(old) - room, 0)])


def resolve(version: str, refs: dict[str, str], known: list[str]) -> str:
    """The commit that a branch, a tag, or a full or shortened commit stands for.

    refs: what ``git ls-remote`` printed, name -> commit. known: commits of the releases on the host.
    Raises ValueError that says what to write instead.
    """
    if FULL_COMMIT.match(version):
        return version
    if version.startswith("refs/") and version in refs:
        return refs.get(version + "^{}", refs[version])
    branch = refs.get("refs/heads/" + version)
    tag = refs.get("refs/tags/" + version + "^{}", refs.get("refs/tags/" + version))
    if branch and tag and branch != tag:
        raise ValueError(f"version {version} is a branch and a tag: write refs/heads/{version} or refs/tags/{version}")
    if branch or tag:
        return str(branch or tag)
    if SHORT_COMMIT.match(version):
        matches = {commit for commit in [*known, *refs.values()] if commit.startswith(version)}
        if len(matches) == 1:
            return matches.pop()
        if matches:
            raise ValueError(f"version {version} stands for {len(matches)} commits: write more digits")
        raise ValueError(
            f"version {version} is neither a branch, a tag, nor the newest commit of one: write all 40 digits"
        )
    raise ValueError(f"version {version} is neither a branch nor a tag of the repository")


def patterns(version: str) -> list[str]:
    """What to ask ``git ls-remote`` for: nothing if the answer is known, all (``*``) for a shortened commit."""
    if FULL_COMMIT.match(version):
        return []
    if SHORT_COMMIT.match(version):
        return ["*"]
    names = [version] if version.startswith("refs/") else ["refs/heads/" + version, "refs/tags/" + version]
    return names + [name + "^{}" for name in names]


def parse_refs(text: str) -> dict[str, str]:
    """Lines of ``<commit><tab><name>`` as name -> commit."""
    pairs = (line.split("\t", 1) for line in text.splitlines() if "\t" in line)
    return {name: commit for commit, name in pairs}


def parse_manifest(text: str) -> dict[str, Any]:
    """A manifest's keys; empty if the text is none (half written by somebody else's hand)."""
    try:
        manifest = json.loads(text)
    except ValueError:
        return {}
    return manifest if isinstance(manifest, dict) and manifest.get("state") in STATES else {}


def split_credentials(repository: str) -> tuple[str, str, str]:
    """``https://user:password@host/path`` as (URL without both, user, password); other URLs come back as they are."""
    if not repository.startswith(("http://", "https://")):
        return repository, "", ""
    parts = urlsplit(repository)
    host = parts.netloc.rpartition("@")[2]
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if user and not password:  # a token alone
        user, password = "x-access-token", user
    return urlunsplit(parts._replace(netloc=host)), user, password


def steps(app: dict[str, Any]) -> list[str]:
    """The steps that an app asks for on its host; ``hook:after_build`` is the hook at that point."""
    compared = ["compare"] if app["env_file"] and app["env_example"] else []
    commands = ["install", "build", "migrate"] if build_on(app) == "host" else ["migrate"]
    hooks = ["hook:" + point for point in _release_hooks.POINTS if app["hooks"].get(point)]
    return compared + [step for step in commands if app[step].strip()] + hooks


def build_on(app: dict[str, Any]) -> str:
    """Where a release comes from: made on the host, or sent from the controller, as an artifact is."""
    return "controller" if app["artifact"] else str(app["build_on"])


def asks_server(app: dict[str, Any]) -> bool:
    """Whether the app's repository has to be asked what its version means."""
    return not app["artifact"] and bool(patterns(app["version"]))


def artifact_commit(app: dict[str, Any]) -> str | None:
    """What stands for the commit of an app that comes as an artifact: 40 digits of its checksum. None for others."""
    return str(app["artifact"]["sha256"][:40]) if app["artifact"] else None


def app_secrets(app: dict[str, Any]) -> list[str]:
    """What of an app's description must not be shown: the passwords of URLs, and the query of its artifact's."""
    url = (app["artifact"] or {}).get("url", "")
    query = urlsplit(url).query
    return [*url_secrets(app["repository"]), *url_secrets(url), *([query] if len(query) > 8 else [])]


def url_secrets(repository: str) -> list[str]:
    """The password of a URL, as it is written and as it is meant: what must not be shown."""
    password = split_credentials(repository)[2]
    if not password:
        return []
    parts = urlsplit(repository)
    return [password, parts.password or parts.username or password]


def mistakes(app: dict[str, Any]) -> list[str]:
    """What is wrong with an app's description beyond what an argument spec can say."""
    found = []
    if not re.match(r"^[a-z0-9][a-z0-9-]*$", app["name"]):
        found.append("name: may hold lower-case letters, digits and hyphens")
    if not app["home"].startswith("/") or app["home"].rstrip("/") in ("", "/opt", "/home", "/root", "/srv", "/var"):
        found.append("home: must be a directory of the app's own, such as /opt/{}".format(app["name"]))
    reference = re.match(r"^[^\s\x00-\x1f~^:?*\[\\-][^\s\x00-\x1f~^:?*\[\\]*$", app["version"])
    if not reference and not app["artifact"]:
        found.append("version: must be a branch, a tag or a commit")
    found += _source_mistakes(app["repository"], app["artifact"])
    found += _git_ssh.host_key_mistakes(app["repository"], app["repository_host_keys"])
    if app["keep"] < 2:
        found.append("keep: must be 2 or more, the running release and the one before it")
    found += [f"shared: {path} must lie in the release" for path in app["shared"] if not OWN_PATH.match(path)]
    if app["env_example"] and not OWN_PATH.match(app["env_example"]):
        found.append("env_example: {} must lie in the release".format(app["env_example"]))
    if app["migrations"] and not OWN_PATH.match(app["migrations"]):
        found.append("migrations: {} must lie in the release".format(app["migrations"]))
    found += _release_hooks.mistakes(app["hooks"])
    return ["{}: {}".format(app["name"], mistake) for mistake in found]


def _source_mistakes(repository: str, artifact: dict[str, Any] | None) -> list[str]:
    if repository.startswith("-"):
        return ["repository: must be a URL"]
    if not artifact:
        return [] if repository else ["repository: is missing: write it, or artifact"]
    found = ["artifact: has no use beside repository: take one of them out"] if repository else []
    url, path = artifact.get("url") or "", artifact.get("path") or ""
    if bool(url) == bool(path):
        found.append("artifact: needs a url or a path, and one of them only")
    if url and not re.match(r"^https?://[^/\s]+/\S*$", url):
        found.append("artifact: url must be a URL, https://… or http://…")
    if path and not path.startswith("/"):
        found.append(f"artifact: path must be an absolute path of the controller, and {path} is not")
    if not re.match(r"^[0-9a-f]{64}$", artifact.get("sha256") or ""):
        found.append("artifact: sha256 must be the 64 hexadecimal digits that sha256sum prints")
    return found
