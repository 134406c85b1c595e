"""The reference of the metered call: an ASGI handler that sends the same bytes and knows nothing."""

import os
import sys
from pathlib import Path

from starlette.types import Receive, Scope, Send

from metering.gateway.server import bound, serve_until_told

_BODY = Path(os.environ.get("BARE_BODY", os.devnull)).read_bytes()
_HEADERS = [(b"content-type", b"application/json"), (b"content-length", str(len(_BODY)).encode())]


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer everything with the same page."""
    if scope["type"] == "lifespan":
        for step in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{step}.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
    await send({"type": "http.response.body", "body": _BODY})


if __name__ == "__main__":
    serve_until_told(app, bound("127.0.0.1", int(sys.argv[1])))
