# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The two slots of an app, in which two of its releases can run side by side.

``<home>/slots/a`` and ``<home>/slots/b`` are links to releases, ``<home>/slots/a.env`` is the environment that the
processes in the slot were started with, and ``<home>/current`` is a link to the slot that serves. Each change is one
rename, so a stop anywhere leaves one slot serving, whole.
"""

from __future__ import annotations

import filecmp
import os
import shutil

from ansible_collections.minato.fleet.plugins.module_utils._releases import ID

SLOTS = ("a", "b")


class Slots:
    """The slots below one home directory. ``env_file``: the wanted environment; empty for an app that has none."""

    def __init__(self, home: str, env_file: str) -> None:
        self.home = home
        self.root = os.path.join(home, "slots")
        self.link = os.path.join(home, "current")
        self.releases = os.path.join(home, "releases")
        self.env_file = env_file

    def live(self) -> str | None:
        """The slot that serves."""
        return _last(self.link, self.root, SLOTS)

    def idle(self) -> str:
        """The slot that does not."""
        return SLOTS[1] if self.live() == SLOTS[0] else SLOTS[0]

    def release(self, slot: str | None) -> str | None:
        """Id of the release in a slot."""
        name = _last(os.path.join(self.root, slot), self.releases, None) if slot else None
        return name if name and ID.match(name) else None

    def held(self) -> set[str]:
        """Ids of the releases that a slot has: none of them may be removed."""
        return {found for found in map(self.release, SLOTS) if found}

    def environment(self, slot: str) -> str:
        """Path of a slot's environment."""
        return os.path.join(self.root, slot + ".env")

    def is_up_to_date(self, slot: str) -> bool:
        """Whether the slot has the environment that is wanted."""
        if not self.env_file:
            return True
        try:
            return filecmp.cmp(self.env_file, self.environment(slot), shallow=False)
        except FileNotFoundError:
            return False

    def occupy(self, slot: str, release_id: str, uid: int, gid: int) -> None:
        """Put a release into a slot, with the wanted environment, which nobody but the app's user can read.

        The environment of what serves in that slot is kept until the switch, for the case that it is to be taken back.
        """
        os.makedirs(self.root, exist_ok=True)
        os.chmod(self.root, 0o755)
        served, before = self.environment(slot), self._before(slot)
        if slot == self.live() and os.path.exists(served) and not os.path.exists(before):
            _copy(served, before, uid, gid)
        if self.env_file:
            _copy(self.env_file, served, uid, gid)
        _point(os.path.join(self.root, slot), os.path.join(self.releases, release_id))

    def take_back(self, slot: str, release_id: str | None, uid: int, gid: int) -> None:
        """Undo ``occupy``: the slot is empty again, or has the release that served there; so has the environment."""
        if slot != self.live():
            self.vacate(slot)
        elif release_id:
            if os.path.exists(self._before(slot)):
                os.rename(self._before(slot), self.environment(slot))
            _point(os.path.join(self.root, slot), os.path.join(self.releases, release_id))
        live = self.live()
        if live and self.env_file and os.path.exists(self.environment(live)):
            _copy(self.environment(live), self.env_file, uid, gid)

    def _before(self, slot: str) -> str:
        return self.environment(slot) + ".before"

    def vacate(self, slot: str) -> None:
        """Empty a slot. Raises ValueError for the one that serves, which no caller has a reason to ask for."""
        if slot == self.live():
            raise ValueError(f"slot {slot} of {self.home} serves")
        for path in (os.path.join(self.root, slot), self.environment(slot), self._before(slot)):
            if os.path.lexists(path):
                os.unlink(path)

    def switch(self, slot: str) -> None:
        """Make a slot the one that serves; all of it is on disk before."""
        os.sync()
        _point(self.link, os.path.join(self.root, slot))
        if os.path.exists(self._before(slot)):
            os.unlink(self._before(slot))
        os.sync()


def _last(link: str, parent: str, names: tuple[str, ...] | None) -> str | None:
    """The last part of what a link points to, if that lies in the parent and is one of the names."""
    try:
        target = os.path.normpath(os.path.join(os.path.dirname(link), os.readlink(link)))
    except OSError:
        return None
    directory, name = os.path.split(target)
    return name if directory == parent and (names is None or name in names) else None


def _point(link: str, target: str) -> None:
    """Have a link point to a target, relative to itself, by one rename."""
    new = f"{link}.new"
    if os.path.lexists(new):
        os.unlink(new)
    os.symlink(os.path.relpath(target, os.path.dirname(link)), new)
    os.rename(new, link)


def _copy(source: str, path: str, uid: int, gid: int) -> None:
    handle = os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "wb") as stream, open(source, "rb") as text:
        os.fchown(handle, uid, gid)
        os.fchmod(handle, 0o600)
        shutil.copyfileobj(text, stream)
        stream.flush()
        os.fsync(handle)
    os.rename(f"{path}.new", path)
