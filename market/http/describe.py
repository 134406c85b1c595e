"""OpenAPI of the data plane, written from the gateway's own route table into the market's description."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from metering.gateway.table import ROUTES, Door, Route

_SECURITY: dict[Door, list[dict[str, list[str]]]] = {
    Door.TOKEN: [{"accessToken": []}],
    Door.CREDENTIAL: [{"clientCredential": []}],
    Door.OPEN: [{}, {"accessToken": []}],
}
_PROBLEM = {
    "description": "拒绝，附原因与解决办法 · A refusal that explains itself (RFC 9457)",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}
_SCHEMA = {
    "type": "object",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "titles": {"type": "object", "properties": {"zh": {"type": "string"}, "en": {"type": "string"}}},
        "remedy": {"type": "object", "properties": {"zh": {"type": "string"}, "en": {"type": "string"}}},
        "errors": {"type": "array", "items": {"type": "object"}},
    },
}


def gateway_paths() -> dict[str, dict[str, Any]]:
    """The paths of the data plane as OpenAPI says them; HEAD goes without saying."""
    return {
        route.path: {
            method.lower(): _operation(route, method) for method in route.methods if method != "HEAD"
        }
        for route in ROUTES
        if route.path not in {"/healthz", "/readyz"}
    }


def _operation(route: Route, method: str) -> dict[str, Any]:
    names = [part[1:-1] for part in route.path.split("/") if part.startswith("{")]
    return {
        "tags": ["data plane"],
        "operationId": f"gateway_{route.name}_{method.lower()}",
        "summary": f"{route.summary.zh} · {route.summary.en}",
        "description": f"{route.door.words.zh} · {route.door.words.en}"
        + (f" (aud {route.audience})" if route.audience else ""),
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names
        ],
        "security": _SECURITY.get(route.door, []),
        "responses": {"200": {"description": "OK"}, "default": _PROBLEM},
    }


def describe(app: FastAPI) -> None:
    """Make `/openapi.json` tell of the control API and the data plane together."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(
                title=app.title, version=app.version, description=app.description, routes=app.routes
            )
            schema["paths"] |= gateway_paths()
            components = schema.setdefault("components", {})
            components.setdefault("schemas", {})["Problem"] = _SCHEMA
            components["securitySchemes"] = {
                "accessToken": {"type": "http", "scheme": "bearer", "bearerFormat": "at+jwt (Ed25519)"},
                "clientCredential": {"type": "http", "scheme": "basic"},
                "session": {"type": "apiKey", "in": "cookie", "name": "shugang_session"},
            }
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way
