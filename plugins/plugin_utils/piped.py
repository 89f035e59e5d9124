# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What no file of a host may have goes to its module through a pipe."""

from __future__ import annotations

import contextlib
import typing as t

from ansible.errors import AnsibleActionFail, AnsibleError


def insist(connection: t.Any) -> None:
    """Have the connection send the next module, and what it is told, through a pipe, whatever the settings say.

    Without one Ansible writes both to a file on the host and removes it when the task is done, which a task that is
    cut off never is.

    Raises AnsibleActionFail where this connection cannot.
    """
    # Some connections have a setting of their own, the others go by the play's.
    with contextlib.suppress(AnsibleError):
        connection.set_option("pipelining", True)
    connection._play_context.pipelining = True
    if not connection.is_pipelining_enabled():
        raise AnsibleActionFail(
            "The deploy key was not sent, as this connection would write it to a file on the host. Ansible does so with"
            " keep_remote_files (ANSIBLE_KEEP_REMOTE_FILES), with `become_method: su`, and where ssh asks for a"
            " terminal (-tt): take that out, and run again."
        )
