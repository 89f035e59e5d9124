# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which release to go back to, and whether its code can live with the data. Nothing here touches anything."""

from __future__ import annotations

from typing import Any, NamedTuple

from ansible_collections.minato.fleet.plugins.module_utils._release_migrations import SAFE
from ansible_collections.minato.fleet.plugins.module_utils._releases import Found, number

PREVIOUS = "previous"
SHORTEST_COMMIT = 7
ANYWAY = "or read what they do, and say that it may be done: `-e across_migrations=true`."


class RollbackError(Exception):
    """The release cannot be gone back to. The text says why, and what to do instead."""


class Past(NamedTuple):
    """A release as its manifest remembers it.

    ``activated_at``: when it was switched to last; empty for never. ``migrates``: whether it migrates data.
    ``migrations``: the names of its migrations. ``safe``: those of them that older code can live with.
    """

    id: str
    usable: bool
    state: str
    commit: str
    reason: str
    version: str
    activated_at: str
    migrates: bool
    migrations: list[str]
    safe: list[str]

    @classmethod
    def of(cls, found: Found, manifest: dict[str, Any], migrates: bool) -> Past:
        """From a manifest. ``migrates``: whether the app does so now, for a manifest that does not say it."""
        return cls(
            id=found.id,
            usable=found.usable,
            state=found.state,
            commit=found.commit,
            reason=str(manifest.get("reason") or ""),
            version=str(manifest.get("version") or ""),
            activated_at=str(manifest.get("activated_at") or ""),
            migrates=bool(manifest.get("migrates", migrates)),
            migrations=list(manifest.get("migrations") or []),
            safe=list(manifest.get("rollback_safe") or []),
        )

    def __str__(self) -> str:
        last = f"last switched to at {self.activated_at}" if self.activated_at else "never switched to"
        return f"{self.id} ({self.version or 'version unknown'}, {last})"


def choose(past: list[Past], current: str | None, wanted: str) -> str:
    """Id of the release to go back to.

    Args:
        past: Every release of the app on the host.
        current: Id of the one that serves, or None.
        wanted: Its id, the number that its id begins with, or its commit (7 digits or more), of which the newest that
            is fit to serve is meant; or ``previous``, the one that was switched to last before the one that serves.

    Raises:
        RollbackError: There is no such release, or none that is fit to serve.
    """
    fit = [release for release in past if release.usable and release.id != current]
    if wanted == PREVIOUS:
        served = [release for release in fit if release.activated_at] or fit
        if not served:
            raise RollbackError("there is no release to go back to. " + _remedy(fit))
        return max(served, key=lambda release: (release.activated_at, number(release.id))).id
    meant = max((release for release in past if _is(release, wanted)), key=_fitness, default=None)
    if not meant:
        raise RollbackError(f"there is no release {wanted} on the host. {_remedy(fit)}")
    if meant.id == current:
        raise RollbackError(f"release {meant.id} serves already. {_remedy(fit)}")
    if not meant.usable:
        raise RollbackError(f"release {meant.id} {_unfit(meant)}. {_remedy(fit)}")
    return meant.id


def _is(release: Past, wanted: str) -> bool:
    if wanted.isdigit() and int(wanted) == number(release.id):
        return True
    return wanted == release.id or (len(wanted) >= SHORTEST_COMMIT and release.commit.startswith(wanted))


def _fitness(release: Past) -> tuple[bool, int]:
    return release.usable, number(release.id)


def _unfit(release: Past) -> str:
    if release.state == "bad":
        first_line = release.reason.partition("\n")[0].rstrip(".:")
        return f"is marked bad ({first_line})" if first_line else "is marked bad"
    return "was never finished" if release.state == "building" else "is not whole on the disk"


def _remedy(fit: list[Past]) -> str:
    if not fit:
        return "No other release here is fit to serve: deploy a version instead."
    newest_first = sorted(fit, key=lambda release: number(release.id), reverse=True)
    return f"Choose one of: {', '.join(map(str, newest_first))}."


def _was_at_the_data(release: Past) -> bool:
    return bool(release.activated_at) or (release.state == "bad" and bool(release.migrations))


def check_migrations(past: list[Past], current: str | None, target: str) -> None:
    """Refuse a release whose code does not know what has been done to the data.

    Every release that ever served has left its migrations there, and so may one that failed when it was finished. The
    newest that has a migration says whether older code can live with it.

    Raises:
        RollbackError: It names the migrations, or the release of which nobody knows them.
    """
    goal = next(release for release in past if release.id == target)
    served = [each for each in past if each.id != target and (each.id == current or _was_at_the_data(each))]
    later = [each for each in served if each.id == current or number(each.id) > number(target)]
    unknown = [each.id for each in later if each.migrates and not each.migrations]
    if unknown:
        raise RollbackError(
            f"{' and '.join(unknown)} migrated the data, and nobody wrote down by what, so it is not known whether"
            f" {target} can live with it. Name the directory of the migrations in the catalog (`migrations:`), for"
            f" later releases; {ANYWAY}"
        )
    is_safe: dict[str, bool] = {}
    for each in sorted(served, key=lambda release: number(release.id)):
        is_safe.update({name: name in each.safe for name in each.migrations})
    missing = sorted(name for name, safe in is_safe.items() if not safe and name not in goal.migrations)
    if missing:
        raise RollbackError(
            f"the data has been migrated by {', '.join(missing)}, which {target} does not know. Deploy a new release"
            f" that mends what is wrong; or, where older code can live with them, list them in `{SAFE}` beside the"
            f" migrations, one a line, and deploy that; {ANYWAY}"
        )
