#!/usr/bin/python
# Copyright: (c) The minato.fleet maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Build a release on the controller, once for all hosts."""

from __future__ import annotations

DOCUMENTATION = r"""
module: release_artifact
short_description: Build a release on the controller, once for all hosts
version_added: 0.1.0
description:
  - Exports a commit, installs and builds it on the controller, and packs what comes of it into a C(tar.gz) whose
    checksum is known. M(minato.fleet.release) takes it to a host.
  - An artifact is called after the commit and a hash of the commands, their variables, the version of Node.js and the
    machine. Where it is there already, nothing is built. Two runs do not build the same one at once.
  - The commands run as the user who runs the playbook. Of the controller's environment they get C(HOME), C(PATH),
    proxies, certificates and the settings of npm, and nothing else.
author:
  - The minato.fleet maintainers (@minato-fleet)
options:
  step:
    description:
      - V(check) fails, with a sentence for each, if the controller lacks what the builds of O(apps) need, or is another
        kind of machine than the host.
      - V(build) builds O(commit) of O(app). Where that has an C(artifact), this is looked up, or downloaded once, and
        held against its checksum. One that has another is refused, and nothing of it is kept.
    type: str
    required: true
    choices: [check, build]
  apps:
    description: The apps to look at, as M(minato.fleet.release_info) takes them.
    type: list
    elements: dict
    default: []
  app:
    description: The app to build, as M(minato.fleet.release) takes it. As many artifacts are kept as it keeps releases.
    type: dict
  commit:
    description: All 40 digits of the commit to build.
    type: str
    default: ""
  deploy_key:
    description:
      - The private key of a repository that is asked over ssh, as M(minato.fleet.release) takes it. It stays on the
        controller, and in memory there.
    type: str
    default: ""
  environment:
    description:
      - Variables of both commands, beside C(app.build_env), which the build alone gets. They are not secret.
      - An absolute path is taken for a file of the hosts. It is left out where the controller has no such file, and
        gives way to the controller's own setting.
    type: dict
    default: {}
  timeout:
    description: Seconds that a command may take, or a download.
    type: int
    default: 1800
  directory:
    description: Where artifacts are kept that were built here, or downloaded.
    type: path
    default: ~/.cache/minato.fleet
  controller_path:
    description: Directories that come first in C(PATH).
    type: list
    elements: path
    default: []
  architecture:
    description: The host's machine, as C(uname -m) says it. Empty for no comparison.
    type: str
    default: ""
extends_documentation_fragment:
  - minato.fleet.attributes
attributes:
  check_mode:
    description: Builds nothing; says whether a build would be needed.
    support: full
  diff_mode:
    support: none
seealso:
  - module: minato.fleet.release
"""

EXAMPLES = r"""
- name: Build the release
  minato.fleet.release_artifact:
    step: build
    app:
      name: morizo-web
      user: morizo-web
      home: /opt/morizo-web
      repository: https://git.morizo.test/morizo-web.git
      version: main
      build: npm run build
      build_on: controller
      build_env: {NEXT_PUBLIC_SUPABASE_URL: https://supabase.morizo.test}
    commit: 3f2a9c01b7de4f5a6b7c8d9e0f1a2b3c4d5e6f70
  register: built

- name: Download a release that was built elsewhere
  minato.fleet.release_artifact:
    step: build
    app:
      name: medical-api
      user: medical-api
      home: /opt/medical-api
      version: "1.4.2"
      artifact:
        url: https://files.medical.test/medical-api-1.4.2.tar.gz
        sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
  register: built
"""

RETURN = r"""
artifact:
  description: What was built, as O(minato.fleet.release#module:artifact) takes it.
  returned: for the step V(build)
  type: dict
  contains:
    path:
      description: The archive, on the controller.
      type: str
      sample: /home/ops/.cache/minato.fleet/morizo-web/3f2a9c01b7de-0a1b2c3d4e5f.tar.gz
    sha256:
      description: Its checksum.
      type: str
      sample: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
    size:
      description: Bytes that it and what is in it take on a disk.
      type: int
      sample: 52428800
    manifest:
      description:
        - Where it was built, when, with which Node.js, and the commit's author and date.
        - Of one that was built elsewhere, where it comes from.
      type: dict
      sample: {built_on: controller, node_version: 20.18.0}
"""
