"""What dpkg answers, and what is taken for missing."""

from __future__ import annotations

import pytest
from ansible_collections.minato.fleet.plugins.action.packages import missing


@pytest.mark.parametrize(
    ("answer", "absent"),
    [
        ("ii nginx\nii git\n", []),
        ("ii git\n", ["nginx"]),
        ("", ["nginx", "git"]),
        ("hi nginx\nii git\n", []),
        ("rc nginx\nii git\n", ["nginx"]),
        ("un nginx\nii git\n", ["nginx"]),
        ("iF nginx\nii git\n", ["nginx"]),
        ("ii git\nii nginx\nii nginx\n", []),
    ],
    ids=["both", "one unknown", "none", "held", "removed", "never there", "half configured", "two architectures"],
)
def test_missing(answer: str, absent: list[str]) -> None:
    assert missing(["nginx", "git"], answer) == absent
