"""The reference of a signed download: a FastAPI check of the ticket behind nginx's auth_request; it counts nothing."""

import sys
from pathlib import Path
from typing import Annotated

import uvicorn
from fastapi import FastAPI, Header, Response

from metering.gateway.server import bound, serve_until_told
from metering.keys import Seal, load_ring
from metering.settings import MeteringSettings
from metering.tokens import Verifier
from storage.database import Database
from storage.kernel import clock
from storage.kernel.problem import Problem
from storage.unit import Store

app = FastAPI()
_PORT, _SERVER, _URL, _FOLDER, _ISSUER = (
    int(sys.argv[1]),
    sys.argv[2],
    sys.argv[3],
    Path(sys.argv[4]),
    sys.argv[5],
)
with Store(Database(_URL)).view() as _view:
    _VERIFIER = Verifier(_ISSUER, load_ring(_view, Seal(MeteringSettings().resolved(_FOLDER))))


@app.get("/check")
async def check(x_original_uri: Annotated[str, Header()]) -> Response:
    """204 for a good ticket, 403 for any other."""
    try:
        _VERIFIER.ticket(x_original_uri.removeprefix("/d/"), now=clock.now(), address="")
    except Problem:
        return Response(status_code=403)
    return Response(status_code=204)


@app.get("/healthz")
async def healthz() -> Response:
    """It lives."""
    return Response()


if __name__ == "__main__":
    if _SERVER == "uvicorn":
        uvicorn.run(app, host="127.0.0.1", port=_PORT, log_level="error", access_log=False)
    else:
        serve_until_told(app, bound("127.0.0.1", _PORT))
