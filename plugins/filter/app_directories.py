# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The directories that an app's releases live in."""

from __future__ import annotations

import typing as t


def app_directories(releases: list[dict[str, t.Any]]) -> list[dict[str, str]]:
    """``app_releases`` of the role app as ``directories`` of minato.fleet.config_tree.

    Root owns what holds code: the app's user may read it, and write nothing but its logs and its own directories
    below ``shared``.
    """
    directories = []
    for release in releases:
        home, user = release["home"], release["user"]
        directories += [
            {"path": home, "owner": "root", "group": "root", "mode": "0755"},
            {"path": f"{home}/releases", "owner": "root", "group": "root", "mode": "0755"},
            {"path": f"{home}/shared", "owner": "root", "group": user, "mode": "0750"},
            {"path": f"/var/log/{release['name']}", "owner": user, "group": user, "mode": "0750"},
        ]
    return directories


class FilterModule:
    """The filter, documented beside this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"app_directories": app_directories}
