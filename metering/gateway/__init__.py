"""网关 The data plane: rows, downloads, open data, tokens; stands alone and needs nothing of the market."""

from metering.gateway.app import Gateway, build_gateway
from metering.gateway.table import ROUTES, Door, Route

__all__ = ["ROUTES", "Door", "Gateway", "Route", "build_gateway"]
