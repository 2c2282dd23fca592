"""Whatever the OpenAPI document allows, and what it does not: no answer is a server's error."""

from __future__ import annotations

import os
from typing import Any

import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from web_support import application, served

# A few in the daily run; make test-all asks for more.
_EXAMPLES = int(os.environ.get("SLOTWARDEN_WEB_EXAMPLES", "3"))
_CHECKS = [
    schemathesis.checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
_SETTINGS = settings(
    max_examples=_EXAMPLES,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
# It goes on until its reader leaves.
_STREAM = "/api/channels/{channel}/events"


def test_no_request_makes_the_server_fail(database_url: str) -> None:
    with application(database_url) as app, served(app) as address:
        schema = schemathesis.openapi.from_url(f"{address}/api/openapi.json")
        asked = 0
        for found in schema.get_all_operations():
            operation: Any = found.ok()  # type: ignore[union-attr]
            if operation.path == _STREAM:
                continue

            @_SETTINGS
            @given(case=operation.as_strategy())
            def ask(case: Any) -> None:
                nonlocal asked
                asked += 1
                if isinstance(case.path_parameters, dict) and "channel" in case.path_parameters:
                    # Else nearly every call would end at an unknown channel.
                    case.path_parameters["channel"] = "default"
                case.call_and_validate(checks=_CHECKS)

            ask()
        assert asked >= 10 * _EXAMPLES
