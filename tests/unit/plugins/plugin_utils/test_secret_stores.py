"""From the paths of a store to the fleet's secrets."""

from __future__ import annotations

import typing as t

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.minato.fleet.plugins.plugin_utils.secret_stores import secrets_by_app

PREFIX = "/minato/production/"
WANTED = {"medical-api": {"JWT_SECRET": "a=1", "DATABASE_PASSWORD": "b"}, "medical-db": {"ADMIN_PASSWORD": "c"}}


def test_a_parameter_for_each_secret() -> None:
    parameters = {
        "/minato/production/medical-api/JWT_SECRET": "a=1",
        "/minato/production/medical-api/DATABASE_PASSWORD": "b",
        "/minato/production/medical-db/ADMIN_PASSWORD": "c",
    }
    assert secrets_by_app(parameters, PREFIX) == WANTED
    assert secrets_by_app([parameters], PREFIX.rstrip("/")) == WANTED


def test_an_object_for_each_app() -> None:
    secrets = {
        "/minato/production/medical-api": '{"JWT_SECRET": "a=1", "DATABASE_PASSWORD": "b"}',
        "/minato/production/medical-db/ADMIN_PASSWORD": "c",
    }
    assert secrets_by_app(secrets, PREFIX) == WANTED


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({}, "has nothing under /minato/production/. Lay it out as /minato/production/APP/NAME"),
        (
            {"/minato/staging/medical-api/JWT_SECRET": "s3cret"},
            "has /minato/staging/medical-api/JWT_SECRET. Lay it out",
        ),
        ({"/minato/production/medical-api/a/b": "s3cret"}, "has /minato/production/medical-api/a/b. Lay it out"),
        ({"/minato/production/medical-api": "s3cret"}, "/minato/production/medical-api is no JSON object. Lay it out"),
        ({"/minato/production/medical-api": '["s3cret"]'}, "/minato/production/medical-api is no JSON object. Lay it"),
    ],
)
def test_what_does_not_fit_is_named_without_its_value(values: dict[str, t.Any], says: str) -> None:
    with pytest.raises(AnsibleFilterError) as caught:
        secrets_by_app(values, PREFIX)
    assert says in str(caught.value)
    assert "s3cret" not in str(caught.value)
