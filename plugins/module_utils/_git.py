# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""git, asked without a terminal, and without a password on its command line."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from typing import Sequence

from ansible_collections.minato.fleet.plugins.module_utils._git_ssh import Access
from ansible_collections.minato.fleet.plugins.module_utils._releases import parse_refs, patterns, split_credentials

ASK_TIMEOUT = 60  # seconds
FETCH_TIMEOUT = 900
# git runs this with sh; the two names are in its environment, which only root can read.
HELPER = '!f() { test "$1" = get && printf "username=%s\\npassword=%s\\n" "$FLEET_GIT_USER" "$FLEET_GIT_PASSWORD"; }; f'


class GitError(Exception):
    """git failed; the text says at what, and why in git's own words."""


class Git:
    """One repository. Nothing that git prints or is called with holds the URL's password, or the deploy key."""

    def __init__(self, binary: str, repository: str, deploy_key: str = "", host_keys: Sequence[str] = ()) -> None:
        """deploy_key, host_keys: of a repository that is asked over ssh. Raises GitError where they are not fit."""
        self.binary = binary
        self.url, user, password = split_credentials(repository)
        try:
            self.access = Access(repository, deploy_key, host_keys)
        except ValueError as error:
            raise GitError(f"{self.url}: {error}") from None
        self.environment: dict[str, str] = {
            **os.environ,
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh",
            "GIT_SSH_COMMAND": os.environ.get("GIT_SSH_COMMAND", "ssh -o BatchMode=yes"),
            "LC_ALL": "C.UTF-8",
        }
        if password:
            self.environment.update(
                GIT_CONFIG_COUNT="1",
                GIT_CONFIG_KEY_0="credential.helper",
                GIT_CONFIG_VALUE_0=HELPER,
                FLEET_GIT_USER=user,
                FLEET_GIT_PASSWORD=password,
            )

    def run(self, *arguments: str, cwd: str = "/", timeout: int = ASK_TIMEOUT, ssh: str = "") -> str:
        """What git prints. Raises GitError.

        ssh: what it is to call to reach the server.
        """
        with subprocess.Popen(
            [self.binary, *arguments],
            cwd=cwd,
            env={**self.environment, **({"GIT_SSH_COMMAND": ssh} if ssh else {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        ) as process:
            try:
                printed, said = process.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                raise GitError(f"{arguments[0]}: no answer from {self.url} within {timeout} s") from None
            finally:
                # Without git, its ssh would go on, with the key.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        if process.returncode:
            known = self.access.explain(said)
            why = f"{known}. In git's words: " if known else ""
            raise GitError(f"{arguments[0]} of {self.url}: {why}{said.strip() or process.returncode}")
        return printed

    def ask(self, *arguments: str, cwd: str = "/", timeout: int = ASK_TIMEOUT) -> str:
        """As ``run``, of what asks the server."""
        try:
            with self.access.command() as ssh:
                return self.run(*arguments, cwd=cwd, timeout=timeout, ssh=ssh)
        except OSError as error:
            raise GitError(f"{arguments[0]} of {self.url}: {error}") from None

    def refs(self, version: str) -> dict[str, str]:
        """The names that ``version`` may mean, with their commits. The server is asked unless it is a full commit."""
        wanted = patterns(version)
        if not wanted:
            return {}
        return parse_refs(self.ask("ls-remote", "--", self.url, *([] if wanted == ["*"] else wanted)))

    def export(self, commit: str, directory: str) -> tuple[str, str]:
        """Put the commit's files into an empty directory, without history; gives (author, date of the commit)."""
        self.run("init", "--quiet", directory)
        try:
            self.ask("fetch", "--quiet", "--depth=1", "--", self.url, commit, cwd=directory, timeout=FETCH_TIMEOUT)
        except GitError:
            # Older servers hand out branches and tags only.
            every = ["+refs/heads/*:refs/fleet/heads/*", "+refs/tags/*:refs/fleet/tags/*"]
            self.ask("fetch", "--quiet", "--", self.url, *every, cwd=directory, timeout=FETCH_TIMEOUT)
            self._must_have(commit, directory)
        self.run("checkout", "--quiet", "--force", "--detach", commit, cwd=directory)
        facts = self.run("show", "--no-patch", "--format=%an%n%cI", commit, cwd=directory)
        author, committed_at = facts.rstrip("\n").split("\n")
        shutil.rmtree(os.path.join(directory, ".git"))
        return author, committed_at

    def _must_have(self, commit: str, directory: str) -> None:
        try:
            self.run("cat-file", "-e", commit + "^{commit}", cwd=directory)
        except GitError:
            raise GitError(
                f"{self.url} has no commit {commit}: write one of a branch or tag of this repository"
            ) from None
