"""How a law sees the routes: as they are served, each with the permission it asks."""

from collections.abc import Iterator

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts

from market.identity.rules import Permission


def contexts(app: FastAPI) -> Iterator[RouteContext]:
    """Every API route as served; `app.routes` alone shows nothing of an included router."""
    for context in iter_route_contexts(app.routes):
        if isinstance(context.original_route, APIRoute):
            yield context


def permissions_of(dependant: Dependant) -> tuple[Permission, ...]:
    """What `allow(...)` asks, found anywhere among a route's dependencies."""
    found: tuple[Permission, ...] = getattr(dependant.call, "permissions", ())
    for inner in dependant.dependencies:
        found += permissions_of(inner)
    return found


def permissions_by_route(app: FastAPI) -> dict[str, tuple[Permission, ...]]:
    """`METHOD /path` → the permissions of which any one opens it; empty for a route that asks none."""
    return {
        f"{method} {context.path}": permissions_of(context.dependant)
        for context in contexts(app)
        for method in context.methods or ()
        if method != "HEAD"
    }
