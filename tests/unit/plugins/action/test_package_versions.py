# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What dpkg answers, and which packages count as installed."""

from __future__ import annotations

import pytest
from ansible_collections.minato.fleet.plugins.action.package_versions import installed


@pytest.mark.parametrize(
    ("answer", "versions"),
    [
        (
            "ii \tnodejs\t18.20.4+dfsg-1~deb12u3\nii \tnpm\t9.2.0~ds1-1\n",
            {"nodejs": "18.20.4+dfsg-1~deb12u3", "npm": "9.2.0~ds1-1"},
        ),
        ("hi \tnodejs\t20.19.5-1nodesource1\n", {"nodejs": "20.19.5-1nodesource1"}),
        ("rc \tnodejs\t18.20.4\nun \tnpm\t\n", {}),
        ("iU \tnodejs\t18.20.4\n", {}),
        ("", {}),
    ],
    ids=["both", "held", "removed and unknown", "unpacked only", "nothing"],
)
def test_installed(answer: str, versions: dict[str, str]) -> None:
    assert installed(answer) == versions
