"""S1.5: after the host comes up again, it serves, without anybody doing anything."""

from __future__ import annotations

import subprocess
import time
from typing import Any


def test_served_again_after_a_restart_of_the_host(site: Any, app_host: Any, request: Any) -> None:
    before = app_host.check_output("cat /proc/sys/kernel/random/boot_id; stat -c %Y /proc/1")
    subprocess.run(["docker", "restart", "minato-site_medical-app"], check=True, stdout=subprocess.DEVNULL)
    address = request.getfixturevalue("site").address
    assert address == site.address
    deadline = time.monotonic() + 60
    status: int | str = "nothing"
    while status != 200 and time.monotonic() < deadline:
        try:
            status = site.ask("GET", "/health")[0]
        except OSError as error:
            status = repr(error)
            time.sleep(0.5)
    assert status == 200
    assert app_host.check_output("cat /proc/sys/kernel/random/boot_id; stat -c %Y /proc/1") != before
    assert app_host.check_output("systemctl is-system-running --wait || true") in ("running", "degraded")
