# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""git, asked without a terminal, and without a password on its command line."""

from __future__ import annotations

import os
import shutil
import subprocess

from ansible_collections.minato.fleet.plugins.module_utils._releases import parse_refs, patterns, split_credentials

ASK_TIMEOUT = 60  # seconds
FETCH_TIMEOUT = 900
# git runs this with sh; the two names are in its environment, which only root can read.
HELPER = '!f() { test "$1" = get && printf "username=%s\\npassword=%s\\n" "$FLEET_GIT_USER" "$FLEET_GIT_PASSWORD"; }; f'


class GitError(Exception):
    """git failed; the text says at what, and why in git's own words."""


class Git:
    """One repository. Nothing that git prints or is called with holds the URL's password."""

    def __init__(self, binary: str, repository: str) -> None:
        self.binary = binary
        self.url, user, password = split_credentials(repository)
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

    def run(self, *arguments: str, cwd: str = "/", timeout: int = ASK_TIMEOUT) -> str:
        """What git prints. Raises GitError."""
        command = [self.binary, *arguments]
        try:
            done = subprocess.run(
                command,
                cwd=cwd,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=timeout,
                check=False,
                encoding="utf-8",
                errors="replace",
            )
        except subprocess.TimeoutExpired:
            raise GitError(f"{arguments[0]}: no answer from {self.url} within {timeout} s") from None
        if done.returncode:
            raise GitError(f"{arguments[0]} of {self.url}: {done.stderr.strip() or done.returncode}")
        return done.stdout

    def refs(self, version: str) -> dict[str, str]:
        """The names that ``version`` may mean, with their commits. The server is asked unless it is a full commit."""
        wanted = patterns(version)
        if not wanted:
            return {}
        return parse_refs(self.run("ls-remote", "--", self.url, *([] if wanted == ["*"] else wanted)))

    def export(self, commit: str, directory: str) -> tuple[str, str]:
        """Put the commit's files into an empty directory, without history; gives (author, date of the commit)."""
        self.run("init", "--quiet", directory)
        try:
            self.run("fetch", "--quiet", "--depth=1", "--", self.url, commit, cwd=directory, timeout=FETCH_TIMEOUT)
        except GitError:
            # Older servers hand out branches and tags only.
            every = ["+refs/heads/*:refs/fleet/heads/*", "+refs/tags/*:refs/fleet/tags/*"]
            self.run("fetch", "--quiet", "--", self.url, *every, cwd=directory, timeout=FETCH_TIMEOUT)
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
