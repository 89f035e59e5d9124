"""The users of S2's two systems, for the scenarios that run both.

Import it as ansible_collections.minato.fleet.molecule.shared.s2.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from pathlib import Path

from ansible_collections.minato.fleet.molecule.shared.site import Site

PASSWORD = "a password of one's own"  # of a user that the tests make


def read_secrets(state: Path) -> dict[str, str]:
    """Every secret of the fleet, as <app>/<name>."""
    root = state / "secrets"
    return {str(path.relative_to(root)): path.read_text().strip() for path in root.rglob("*") if path.is_file()}


def medical_user(secrets: dict[str, str]) -> dict[str, str]:
    """Headers of a request to the medical system."""
    header, claims = (_base64url(json.dumps(part).encode()) for part in ({"alg": "HS256"}, {"sub": "test"}))
    key = secrets["medical-api/JWT_SECRET"].encode()
    signature = hmac.new(key, f"{header}.{claims}".encode(), hashlib.sha256).digest()
    return {"Authorization": f"Bearer {header}.{claims}.{_base64url(signature)}"}


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def social_user(site: Site) -> dict[str, str]:
    """Headers of a request to VoiceDrive: those of a user who has joined through the gateway (S2.6)."""
    user = {"email": "ichiban@s2.test", "name": "看護師 一号", "password": PASSWORD}
    status, _headers, told = site.ask("POST", "/api/auth/users", user)
    assert status in (201, 409), told
    login = {key: user[key] for key in ("email", "password")}
    status, _headers, session = site.ask("POST", "/api/auth/sessions", login)
    assert status == 201, session
    return {"Authorization": f"Bearer {session['token']}"}
