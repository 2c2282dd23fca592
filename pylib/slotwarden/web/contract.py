"""What the OpenAPI document says of errors, and how it comes to say it."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from slotwarden.web.problems import MEDIA_TYPE
from slotwarden.web.views import ProblemView

Responses = dict[int | str, dict[str, Any]]

_SCHEMA = "Problem"
_MEANINGS = {
    400: "The request cannot be read.",
    401: "A token is needed.",
    403: "The request comes from another site, or is addressed to another name.",
    404: "There is no such channel or reservation.",
    409: "Taken, booked already, blacked out, nothing free, changed meanwhile, or not in its"
    " status.",
    413: "The body is too long.",
    415: "The body is not JSON.",
    422: "Bad input: what is wrong is told.",
    429: "A daily limit is reached, or too many requests; Retry-After says when to come back.",
    503: "The database is away or busy; nothing was changed.",
    504: "The connection was lost before the answer came; the outcome is unknown.",
}


def _problems(*statuses: int) -> Responses:
    content = {MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{_SCHEMA}"}}}
    return {status: {"description": _MEANINGS[status], "content": content} for status in statuses}


READS = _problems(400, 401, 403, 404, 422, 429, 503)
"""What may go wrong when something is read."""

WRITES = _problems(*_MEANINGS)
"""What may go wrong when something is changed."""


def describe(app: FastAPI) -> None:
    """Let the OpenAPI document show problems under their own media type."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = get_openapi(
                title=app.title,
                version=app.version,
                description=app.description,
                routes=app.routes,
            )
            schemas = made.setdefault("components", {}).setdefault("schemas", {})
            schemas[_SCHEMA] = ProblemView.model_json_schema(mode="serialization")
            schemas.pop("HTTPValidationError", None)
            schemas.pop("ValidationError", None)
            app.openapi_schema = made
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]
