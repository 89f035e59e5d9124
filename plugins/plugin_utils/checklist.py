# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The findings of the module security_check as a table for people."""

from __future__ import annotations

import typing as t


def lines(findings: list[dict[str, t.Any]]) -> list[str]:
    """One line for each finding; below one that does not pass, what to do about it."""
    width = max((len(each["check"]) for each in findings), default=0)
    found = []
    for each in findings:
        result = "pass" if each["passed"] else "FAIL"
        found.append(
            f"{result}  {each['check']:<{width}}  {each['subject']}{': ' if each['wrong'] else ''}{each['wrong']}"
        )
        if not each["passed"]:
            found.append(f"      {'':<{width}}  -> {each['remedy']}")
    return found
