"""Downloads from our own process: how many small ones start in a second, and how fast a gibibyte leaves."""

import base64
import dataclasses
import getpass
import hashlib
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson

from benchmarks.calls import token
from benchmarks.figures import Figure, in_turns
from benchmarks.load import wrk
from benchmarks.stage import Served, Shelf, served
from metering.gate import new_charge_key
from metering.keys import Seal, load_ring
from metering.tokens import Ticket, mint_ticket
from storage.kernel import clock
from tests import servers

_SMALL = 10_000  # bytes
_BIG = 1 << 30
_AHEAD = 30_000  # tickets signed for each second of load
_NGINX = """
user {user};
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  sendfile on;
  tcp_nopush on;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  proxy_pass_request_body off;
  proxy_set_header Content-Length "";
  proxy_set_header X-Original-URI $request_uri;
  server {{
    listen 127.0.0.1:{port};
    root {folder}/files;
    location = /check {{ internal; proxy_pass http://127.0.0.1:{check}; }}
    location /d/ {{ auth_request /check; try_files /small =404; }}
    location / {{ }}
  }}
  upstream kept {{ server 127.0.0.1:{tuned_check}; keepalive 64; }}
  server {{
    listen 127.0.0.1:{tuned_port};
    root {folder}/files;
    location = /check {{
      internal;
      proxy_pass http://kept;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Content-Length "";
      proxy_set_header X-Original-URI $request_uri;
    }}
    location /d/ {{ auth_request /check; try_files /small =404; }}
    location / {{ }}
  }}
}}
"""
_NEXT = """
local made, n = {{}}, 0
init = function()
  for line in io.lines("{paths}") do made[#made + 1] = wrk.format("GET", line) end
end
request = function()
  n = n + 1
  return made[(n - 1) % #made + 1]
end
"""


def measure(shelf: Shelf, turns: int, seconds: int) -> list[Figure]:
    """Rows four and five of the table."""
    folder = shelf.folder
    files = folder / "files"
    files.mkdir()
    (files / "small").write_bytes(os.urandom(_SMALL))
    _fill(files / "big")
    small, big = _stored(shelf, files / "small"), _stored(shelf, files / "big")
    os.sync()  # or gibibytes are written while commits wait for the same disk
    with shelf.gateway() as ours, _nginx(shelf, ours.url) as (nginx, _):
        large = _ticket(shelf, ours, big)
        fast, sendfile = in_turns(
            turns,
            lambda: _fetched(ours.url + _signed(shelf, ours.url, large, 1)[0]),
            lambda: _fetched(f"{nginx.url}/big"),
        )
    with shelf.gateway("--processes", "2") as ours, _nginx(shelf, ours.url) as (nginx, tuned):
        bought = _ticket(shelf, ours, small)
        started, kept, checked = in_turns(
            turns,
            lambda: _starts(shelf, ours, ours.url, bought, seconds),
            lambda: _starts(shelf, tuned, ours.url, bought, seconds),
            lambda: _starts(shelf, nginx, ours.url, bought, seconds),
        )
    better = statistics.median(kept)
    said = f"{statistics.median(started) / better:.2f}× of {better:,.0f} /s with kept connections and our server under the check"
    return [
        Figure("Small signed downloads started, 2 processes", "nginx auth_request to a FastAPI check, 1 process each", "/s", started, checked, 3, note=said),
        Figure("1 GiB signed download, our own process", "nginx sendfile", "MiB/s", fast, sendfile, 0.8),
    ]  # fmt: skip


def _fill(path: Path) -> None:
    block = os.urandom(1 << 20)
    with path.open("wb") as file:
        for _ in range(_BIG // len(block)):
            file.write(block)


def _stored(shelf: Shelf, path: Path) -> tuple[str, int]:
    copy = path.with_suffix(".copy")
    shutil.copyfile(path, copy)
    stored = shelf.objects.put_file(copy)
    return stored.sha256, stored.size


@contextmanager
def _nginx(shelf: Shelf, issuer: str) -> Iterator[tuple[Served, Served]]:
    """nginx before a FastAPI check, one process each: as they come, and with what made both faster when we tried."""
    folder = shelf.folder
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    port, check, tuned_port, tuned_check = (servers.free_port() for _ in range(4))
    config = folder / "nginx.conf"
    given = {"port": port, "check": check, "tuned_port": tuned_port, "tuned_check": tuned_check}
    config.write_text(_NGINX.format(user=getpass.getuser(), folder=folder, **given))
    said = [shelf.url, str(folder), issuer]
    with (
        served([sys.executable, "-m", "benchmarks.check", str(check), "uvicorn", *said], check, "/healthz"),
        served(
            [sys.executable, "-m", "benchmarks.check", str(tuned_check), "ours", *said],
            tuned_check,
            "/healthz",
        ),
        served([program, "-c", str(config), "-p", str(folder)], port, "/small") as nginx,
    ):
        yield nginx, dataclasses.replace(nginx, url=f"http://127.0.0.1:{tuned_port}")


def _ticket(shelf: Shelf, gateway: Served, file: tuple[str, int]) -> Ticket:
    """A ticket as the gateway would write it; each start takes a charge key of its own."""
    payload = token(shelf, gateway).split(".")[1]
    claims = orjson.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    now = int(clock.now().timestamp())
    return Ticket(
        license_id=claims["lic"],
        product_id=claims["prd"],
        credential_id=claims["sub"],
        jti=claims["jti"],
        purpose=claims["pur"],
        version=1,
        file="csv",
        sha256=file[0],
        size=file[1],
        charge_key="",
        fingerprint=hashlib.blake2b(file[0].encode(), digest_size=16).hexdigest(),
        rows=1,
        cidrs=(),
        start_by=now + 3600,
        expires_at=now + 86_400,
    )


def _signed(shelf: Shelf, issuer: str, ticket: Ticket, count: int) -> list[str]:
    """Paths with signed tickets, each for a purchase of its own."""
    with shelf.store.view() as view:
        ring = load_ring(view, Seal(shelf.settings))
    bought = (dataclasses.replace(ticket, charge_key=new_charge_key()) for _ in range(count))
    return [f"/d/{mint_ticket(each, issuer=issuer, ring=ring)}" for each in bought]


def _starts(shelf: Shelf, asked: Served, issuer: str, ticket: Ticket, seconds: int) -> float:
    """Downloads a second, every one a first start."""
    tickets = _signed(shelf, issuer, ticket, _AHEAD * seconds)
    paths, script = shelf.folder / "tickets", shelf.folder / "tickets.lua"
    paths.write_text("\n".join(tickets))
    script.write_text(_NEXT.format(paths=paths))
    rate = wrk(asked.url, seconds, asked.pid, script=script).per_second
    if rate * seconds > len(tickets):
        raise RuntimeError("more starts than tickets: resumes were counted")
    return rate


def _fetched(url: str) -> float:
    """MiB/s of one file of a gibibyte."""
    said = subprocess.run(
        ["curl", "-sS", "--fail", "-o", os.devnull, "-w", "%{time_total} %{size_download}", url],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    if int(said[1]) != _BIG:
        raise RuntimeError(f"{said[1]} bytes came")
    return _BIG / (1 << 20) / float(said[0])
