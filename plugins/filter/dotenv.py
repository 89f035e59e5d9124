# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Environment files that Node's dotenv, Python's dotenv, systemd's EnvironmentFile and a POSIX shell read alike.

The four agree on less than it seems. What they all take as it stands:

- a value of harmless characters, without quotes;
- single quotes, unless the value has a single quote, two backslashes in a row or one at its end (Python's dotenv takes
  them for escapes), or ``${`` (Python's dotenv expands it whatever the quotes);
- double quotes, where nothing is expanded or unescaped by one of them: no double quote, backslash, dollar, backtick.

A value outside of these is refused with the reason. It is never changed, and never appears in a message.
"""

from __future__ import annotations

import re
import typing as t

from ansible.errors import AnsibleFilterError

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HARMLESS = re.compile(r"[A-Za-z0-9_./:@%+,=-]+")
# Tab and newline are fine between quotes. The rest is lost, translated (carriage return) or refused by systemd.
_UNWRITABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef]|[\ufffe\uffff\U0001fffe\U0001ffff]")
_DOUBLE_QUOTE_BREAKERS = {'"': "a double quote", "\\": "a backslash", "$": "a dollar", "`": "a backtick"}


class UnwritableError(ValueError):
    """No way of writing the value is read alike by all four. The message says why, without the value."""


def dotenv(file: t.Mapping[str, t.Any]) -> str:
    """The text of one environment file.

    Args:
        file: ``path`` (for messages) and ``values``, the variables by name: strings, or whole numbers.

    Raises:
        AnsibleFilterError: A name or a value cannot be written. It names the file and the key, never the value.
    """
    lines = []
    for key, value in file["values"].items():
        try:
            lines.append(f"{_checked_key(key)}={quoted(_text(value))}\n")
        except UnwritableError as reason:
            raise AnsibleFilterError(f"{file['path']}: {key} {reason}") from None
    return "".join(lines)


def quoted(value: str) -> str:
    """A value as it stands behind the equals sign. Raises UnwritableError."""
    found = _UNWRITABLE.search(value)
    if found:
        raise UnwritableError(
            f"contains the character U+{ord(found.group()):04X}, which does not survive in an environment file"
        )
    if _HARMLESS.fullmatch(value):
        return value
    if "'" in value:
        return f'"{_fit_for_double_quotes(value)}"'
    return f"'{_fit_for_single_quotes(value)}'"


def _fit_for_double_quotes(value: str) -> str:
    for character, name in _DOUBLE_QUOTE_BREAKERS.items():
        if character in value:
            raise UnwritableError(
                f"contains a single quote together with {name}: not all readers of the file agree on both"
            )
    return value


def _fit_for_single_quotes(value: str) -> str:
    if "${" in value:
        raise UnwritableError("contains ${, which Python's dotenv expands whatever the quotes")
    if "\\\\" in value:
        raise UnwritableError("contains two backslashes in a row, which Python's dotenv reads as one")
    if value.endswith("\\"):
        raise UnwritableError("ends with a backslash, which Python's dotenv takes for the escape of the closing quote")
    return value


def _checked_key(key: t.Any) -> str:
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise UnwritableError("is no name of a variable: letters, digits and _ only, and no digit at the beginning")
    return key


def _text(value: t.Any) -> str:
    if value is None or (isinstance(value, str) and not value.strip()):
        raise UnwritableError("has no value")
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise UnwritableError(f"is a {type(value).__name__}: write the value in quotes, as the app is to read it")


class FilterModule:
    """The filter, documented beside this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"dotenv": dotenv}
