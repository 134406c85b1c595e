"""For whoever keeps the market running: alive, ready, figures."""

import ipaddress
from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from market.house import House, health
from market.http.who import HouseDep, client_ip
from storage.kernel.problem import NotFound

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


@router.get("/metrics", include_in_schema=False)
def metrics(request: Request, house: HouseDep) -> Response:
    """指标 · Figures of this process in Prometheus' text format, for callers on this machine only."""
    if not _from_here(request):
        raise NotFound
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures(house))
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)


def _from_here(request: Request) -> bool:
    """Whether the caller is on this machine and no proxy stands between, which would look the same."""
    if "forwarded" in request.headers or "x-forwarded-for" in request.headers:
        return False
    try:
        return ipaddress.ip_address(client_ip(request)).is_loopback
    except ValueError:
        return False


class _Figures(Collector):
    """What one scrape reads."""

    def __init__(self, house: House) -> None:
        self._house = house

    def collect(self) -> Iterator[Metric]:
        house = self._house
        answers = CounterMetricFamily(
            "shugang_answers", "Answers by plane and status since the start.", labels=["plane", "status"]
        )
        for (plane, status), count in sorted(house.answered.items()):
            answers.add_metric([plane, str(status)], count)
        yield answers
        found = health(house)
        lag = GaugeMetricFamily(
            "shugang_journal_lag", "Entries each reader has still to take.", labels=["reader"]
        )
        for reader, count in found["lag"].items():
            lag.add_metric([reader], count)
        yield lag
        yield GaugeMetricFamily(
            "shugang_schema_current",
            "1 when the schema is this program's.",
            value=int(found["schema_current"]),
        )
        data = house.gateway.plane
        yield GaugeMetricFamily(
            "shugang_till_waiting", "Charges waiting to be settled.", value=data.till.waiting if data else 0
        )
