"""Downloads from our own process: how many small ones start in a second, and how fast a gibibyte leaves."""

import dataclasses
import hashlib
import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from collections.abc import Iterator
from pathlib import Path

from benchmarks.calls import token
from benchmarks.figures import Figure, in_turns
from benchmarks.load import wrk
from benchmarks.stage import PRODUCT, Served, Shelf, served
from metering.gate import new_charge_key
from metering.keys import Seal, load_ring
from metering.tokens import Ticket, Verifier, mint_ticket
from storage.kernel import clock
from tests import servers

_SMALL = 10_000  # bytes
_BIG = 1 << 30
_NGINX = """
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
  upstream check {{ server 127.0.0.1:{check}; keepalive 64; }}
  server {{
    listen 127.0.0.1:{port};
    root {folder}/files;
    location = /check {{
      internal;
      proxy_pass http://check;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_pass_request_body off;
      proxy_set_header Content-Length "";
      proxy_set_header X-Original-URI $request_uri;
    }}
    location /d/ {{ auth_request /check; try_files /small =404; }}
    location / {{ }}
  }}
}}
"""
_NEXT = """
local paths = {{}}
for line in io.lines("{paths}") do paths[#paths + 1] = line end
local n = 0
request = function()
  n = n + 1
  return wrk.format("GET", paths[(n - 1) % #paths + 1])
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
    with shelf.gateway() as ours, _nginx(folder) as nginx:
        template = _ticket(shelf, ours, small)
        started, checked = in_turns(
            turns,
            lambda: _starts(shelf, ours, template, seconds),
            lambda: _checked(shelf, nginx, template, seconds),
        )
        fast, sendfile = in_turns(
            turns,
            lambda: _fetched(_signed(shelf, ours, _ticket(shelf, ours, big)), ours.url),
            lambda: _fetched("/big", nginx.url),
        )
    return [
        Figure("Small signed downloads started", "nginx auth_request to a FastAPI check", "/s", started, checked, 3),
        Figure("1 GiB signed download, our own process", "nginx sendfile", "MiB/s", fast, sendfile, 0.8),
    ]  # fmt: skip
