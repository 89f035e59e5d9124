# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One cloud for all these tests, empty before each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ansible_collections.minato.fleet.tests.aws.faults import FAULTS
from ansible_collections.minato.fleet.tests.aws.lightsail import lightsail_backends
from ansible_collections.minato.fleet.tests.aws.server import running
from ansible_collections.minato.fleet.tests.aws.settings import SETTINGS


@pytest.fixture(scope="session")
def served() -> Iterator[str]:
    """A running cloud."""
    with running() as url:
        yield url


@pytest.fixture
def cloud(served: str) -> Iterator[str]:
    """Where the cloud is; moto's services are left as they are, because to empty EC2 takes it a while."""
    empty()
    yield served
    empty()


def empty() -> None:
    lightsail_backends.clear()
    FAULTS.reset()
    SETTINGS.reset()
