"""For whoever keeps the market running: alive, ready, figures."""

from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from market.house import health
from market.http.who import HouseDep

router = APIRouter(tags=["operations"])


@router.get("/healthz")
def alive() -> dict[str, str]:
    """存活 · The process answers."""
    return {"status": "alive"}


@router.get("/readyz")
def ready(house: HouseDep) -> JSONResponse:
    """就绪 · The database answers, the schema is current, and how far the journal's readers lag."""
    found: dict[str, Any] = health(house)
    good = bool(found["schema_current"])
    return JSONResponse({"status": "ready" if good else "not ready", **found}, 200 if good else 503)
