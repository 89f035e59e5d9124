"""What the tests of this scenario share."""

from __future__ import annotations

import os
from typing import Any

import pytest
from ansible_collections.minato.fleet.molecule.base.tests.way import Way, public_key


@pytest.fixture(scope="module")
def way(host: Any, tmp_path_factory: pytest.TempPathFactory) -> Way:
    """A way in by SSH, for the operator dora; what else runs there is another's."""
    found = Way(host, tmp_path_factory.mktemp("way"))
    public_key(found.folder, "stranger")
    host.check_output("nft add table inet others")
    code, output = found.play(found.variables(), os.environ["MOLECULE_INVENTORY_FILE"])
    assert code == 0, output
    return found
