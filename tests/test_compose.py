"""compose.yaml as it is: its commands and variables run as plain processes beside real servers."""

import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa
import yaml

from market.house import House
from market.settings import Settings
from storage.kernel.ids import new_id
from storage.kernel.numbers import make_uscc
from tests import servers
from tests.journeys.actors import ASSET, Cast, cleansed, listed, register
from tests.live import PASSWORD, Stage

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "compose.yaml").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {"migrate", "web", "gateway", "worker"}
ENV_FILE = {
    "SHUGANG_PUBLIC_URL": "https://market.example",
    "SHUGANG_SECRET_KEY": "a secret key that is only for this test",
    "SHUGANG_METERING__MASTER_KEY": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
    "SHUGANG_MAIL__URL": "smtp://127.0.0.1:9",
    "SHUGANG_MAIL__SENDER": "no-reply@market.example",
    "POSTGRES_PASSWORD": "postgres0123",
    "REDIS_PASSWORD": "redis0123",
    "S3_KEY": "market-key",
    "S3_SECRET": "market-secret-0123456789",
}
VARIABLE = re.compile(r"\$\{(\w+)(?::([?-])([^}]*))?\}")


def filled(text: str, given: dict[str, str]) -> str:
    """What compose makes of `${NAME:?why}` and `${NAME:-default}`."""

    def value(match: re.Match[str]) -> str:
        name, kind, rest = match.groups()
        if given.get(name):
            return given[name]
        if kind != "-":
            raise KeyError(f"{name}: {rest}")
        return str(rest)

    return VARIABLE.sub(value, text)


def environment(service: str, given: dict[str, str] | None = None) -> dict[str, str]:
    given = ENV_FILE if given is None else given
    return {name: filled(value, given) for name, value in SERVICES[service].get("environment", {}).items()}


def entrypoint() -> list[str]:
    line = re.search(r"^ENTRYPOINT (\[.*\])$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert line
    assert json.loads(line[1]) == ["shugang"]
    return [sys.executable, "-m", "market.cli"]


# ------------------------------------------------------------------ the file itself


@pytest.mark.parametrize("name", sorted(ENV_FILE))
def test_a_missing_secret_stops_the_start(name: str) -> None:
    without = {key: value for key, value in ENV_FILE.items() if key != name}
    with pytest.raises(KeyError, match=name):
        filled(TEXT, without)


def test_what_is_set_is_a_setting_and_makes_production(monkeypatch: pytest.MonkeyPatch) -> None:
    for service in OURS:
        given = environment(service)
        assert given == environment("web")
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        settings = Settings()
        assert settings.mode == "production"
        for name in given.keys() - {"TMPDIR"}:
            part: Any = settings
            for step in name.removeprefix("SHUGANG_").lower().split("__"):
                assert step in type(part).model_fields, name
                part = getattr(part, step)
        assert json.loads(given["SHUGANG_TRUSTED_PROXIES"]) == []


def test_production_needs_a_master_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (environment("web") | {"SHUGANG_METERING__MASTER_KEY": ""}).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match="MASTER_KEY"):
        Settings()


def test_only_web_and_gateway_are_published_and_only_here() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert set(published) == {"web", "gateway"}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)
    assert set(SERVICES) == OURS | {"db", "redis", "objects"}
    assert {n for n, s in SERVICES.items() if "shelves" in s["networks"]} == OURS | {"objects"}
    assert COMPOSE["networks"]["inside"] == COMPOSE["networks"]["shelves"] == {"internal": True}
    kept = {volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", ())}
    assert kept == set(COMPOSE["volumes"])


def test_the_database_sorts_plainly_and_knows_chinese_letters() -> None:
    assert "--lc-ctype=C.UTF-8" in SERVICES["db"]["environment"]["POSTGRES_INITDB_ARGS"].split()


# ------------------------------------------------------------------ its processes


@contextmanager
def running(command: list[str], env: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SHUGANG_")}
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=ROOT, env=inherited | env, stdout=out, stderr=out)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(60)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def listeners(process: subprocess.Popen[bytes]) -> set[tuple[str, int]]:
    """(address, port) of every TCP socket the process listens on."""
    mine = set()
    for descriptor in Path(f"/proc/{process.pid}/fd").iterdir():
        try:
            mine.add(str(descriptor.readlink()))
        except FileNotFoundError:
            continue
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in mine:
                address, port = fields[1].split(":")
                found.add(("loopback" if address == "0100007F" else "network", int(port, 16)))
    return found


@contextmanager
def object_store(folder: Path) -> Iterator[str]:
    """The very command of the service, on free ports; nothing but S3 is heard from outside."""
    ports = {port: str(servers.free_port_with_grpc()) for port in ("9333", "8080", "8888", "8333")}
    command = [filled(part, ENV_FILE) for part in SERVICES["objects"]["command"]]
    for port, free in ports.items():
        command = [re.sub(rf"(\.port=){port}$", rf"\g<1>{free}", part) for part in command]
    command = [re.sub(r"^-dir=.*", f"-dir={folder}", part) for part in command]
    folder.mkdir()
    weed = [servers.find_weed(), f"-logdir={folder}", *command]
    with running(weed, environment("objects"), folder / "log") as process:
        s3 = int(ports["8333"])
        assert servers.wait_for(f"http://127.0.0.1:{s3}/healthz", process, seconds=120)
        heard = {port for where, port in listeners(process) if where == "network"}
        assert heard == {s3, s3 + 10_000}
        yield f"127.0.0.1:{s3}"


@contextmanager
def broker(folder: Path) -> Iterator[str]:
    """The very command of the service on a free port."""
    port = servers.free_port()
    folder.mkdir()
    command = [filled(part, ENV_FILE) for part in SERVICES["redis"]["command"]]
    assert command[0] == "redis-server"
    local = [servers.find_redis(), *command[1:], "--port", str(port), "--bind", "127.0.0.1"]
    with running([*local, "--dir", str(folder)], {}, folder / "log") as process:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"127.0.0.1:{port}"


class Installation:
    """The processes of compose.yaml on this machine: the same commands, the same variables."""

    def __init__(self, folder: Path, hosts: dict[str, str], database_url: str) -> None:
        self.folder, self.hosts, self.database_url = folder, hosts, database_url
        self.ports = {name: servers.free_port() for name in ("web", "gateway")}

    def env(self, service: str) -> dict[str, str]:
        env = environment(service)
        for name, value in env.items():
            for host, here in self.hosts.items():
                env[name] = env[name].replace(f"@{host}", f"@{here}")
            if value == "/var/lib/shugang":
                env[name] = str(self.folder / service)
        assert "@db:5432/" in environment(service)["SHUGANG_STORAGE__DATABASE_URL"]
        env["SHUGANG_STORAGE__DATABASE_URL"] = self.database_url
        env["SHUGANG_HOST"] = "127.0.0.1"
        env["SHUGANG_REGISTRY__NOTICE_DAYS"] = "0"  # ten working days are longer than a test
        env["SHUGANG_PORT"] = str(self.ports.get(service, 8000))
        (self.folder / service).mkdir(exist_ok=True)
        return env

    def command(self, service: str) -> list[str]:
        return [*entrypoint(), *SERVICES[service]["command"]]

    def healthy(self, service: str) -> bool:
        """What the service's own health check says."""
        _cmd, program, *rest = SERVICES[service]["healthcheck"]["test"]
        begin = {"python": [sys.executable], "shugang": entrypoint()}[program]
        rest = [part.replace(":8000/", f":{self.ports.get(service)}/") for part in rest]
        env = {k: v for k, v in os.environ.items() if not k.startswith("SHUGANG_")} | self.env(service)
        asked = subprocess.run([*begin, *rest], cwd=ROOT, env=env, capture_output=True, check=False)
        return asked.returncode == 0

    def url(self, service: str) -> str:
        return f"http://127.0.0.1:{self.ports[service]}"


@pytest.fixture
def installed(
    tmp_path: Path, postgres_url: str
) -> Iterator[tuple[Installation, dict[str, subprocess.Popen[bytes]]]]:
    name = new_id("compose")
    engine = sa.create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f'CREATE DATABASE "{name}"')
    engine.dispose()
    database_url = sa.make_url(postgres_url).set(database=name).render_as_string(hide_password=False)
    with ExitStack() as stack:
        hosts = {
            "objects:8333": stack.enter_context(object_store(tmp_path / "objects")),
            "redis:6379": stack.enter_context(broker(tmp_path / "redis")),
        }
        here = Installation(tmp_path, hosts, database_url)
        with running(here.command("migrate"), here.env("migrate"), tmp_path / "migrate.log") as done:
            assert done.wait(300) == 0, (tmp_path / "migrate.log").read_text()
        processes = {}
        for service in ("web", "gateway", "worker"):
            log = tmp_path / f"{service}.log"
            processes[service] = stack.enter_context(running(here.command(service), here.env(service), log))
        for service in ("web", "gateway"):
            ready = servers.wait_for(f"{here.url(service)}/readyz", processes[service], seconds=300)
            assert ready, (tmp_path / f"{service}.log").read_text()
        yield here, processes


def own_house(here: Installation, monkeypatch: pytest.MonkeyPatch) -> House:
    for name, value in here.env("migrate").items():
        monkeypatch.setenv(name, value)
    return House(Settings())


@pytest.mark.postgres
@pytest.mark.s3
@pytest.mark.redis
def test_the_processes_make_one_market(
    installed: tuple[Installation, dict[str, subprocess.Popen[bytes]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, processes = installed
    web, gateway = here.url("web"), here.url("gateway")
    http = httpx2.Client(timeout=60, trust_env=False)
    for url in (web, gateway):
        assert http.get(f"{url}/healthz").status_code == 200
        assert http.get(f"{url}/readyz").status_code == 200
    enterprise = {
        "name": "青岛海风科技有限公司", "id_number": make_uscc("91370200MA3C0MP01"), "address": "青岛市示例路 1 号",
        "login": "first@enterprise.example", "person": "张三", "password": PASSWORD,
    }  # fmt: skip
    registered = http.post(f"{web}/api/v1/parties/enterprises", json=enterprise)
    assert registered.status_code == 201, registered.text
    signed_in = http.post(
        f"{web}/api/v1/session", json={"login": enterprise["login"], "password": PASSWORD, "code": ""}
    )
    assert signed_in.status_code == 201
    assert "secure" in signed_in.headers["set-cookie"].lower()

    for url in (web, gateway):
        refused = http.post(
            f"{url}/oauth/token", data={"grant_type": "client_credentials"}, auth=("cli_nobody", "nothing")
        )
        assert refused.status_code == 401, refused.text
    keys = http.get(f"{web}/.well-known/jwks.json").json()
    assert keys["keys"]
    assert http.get(f"{gateway}/.well-known/jwks.json").json() == keys
    assert http.get(f"{gateway}/api/v1/products").status_code == 404  # the data plane alone

    # Whatever is cleansed here was done by the worker: web has a broker, so it has no worker inside.
    house = own_house(here, monkeypatch)
    cast = Cast(Stage(web, here.folder / "web", house))
    for person in cast.people.values():  # the session cookie is for https only, which ends at the proxy
        jar = person.http.cookies.jar
        person.http.headers["Cookie"] = "; ".join(f"{cookie.name}={cookie.value}" for cookie in jar)
    content = (files("cpca") / "resources" / "adcodes.csv").read_bytes()
    description = ASSET | {"code": "370200-zw-0001", "open_attr": "U", "grade": "G1"}
    asset, file = register(cast, description, "adcodes.csv", content)
    run = cleansed(cast, asset, file["id"], {"steps": [{"step": "dedupe"}]}, ["adcode"])
    profile = {
        "title_zh": "行政区划代码", "title_en": "Administrative divisions", "summary_zh": "省、市、区县代码",
        "summary_en": "Codes of divisions", "description": "公开数据。", "kind": "dataset", "zone": "government",
        "tier": "public_good", "delivery": ["api", "file"], "scenarios": ["地址解析"], "keywords": ["区划"],
    }  # fmt: skip
    plan = {"code": "free", "title_zh": "免费", "title_en": "Free", "kind": "free"}
    standing = {
        "template_slug": "open-license", "template_version": "2026.1", "purposes": ["personal", "industry"],
        "months": None, "slots": {"data_source": "公开许可的数据包", "update_cycle": "每年"},
    }  # fmt: skip
    listed(cast, asset, run, "adcodes", profile, plan, standing)
    cast.close()
    house.close()
    manifest = http.get(f"{web}/api/v1/products/adcodes").json()["versions"][0]["files"]["csv"]
    assert here.healthy("web")
    assert here.healthy("gateway")
    assert here.healthy("worker")

    processes["web"].send_signal(signal.SIGKILL)
    processes["web"].wait()
    assert not here.healthy("web")
    assert http.get(f"{gateway}/.well-known/jwks.json").json() == keys
    got = http.get(f"{gateway}/open/v1/adcodes/files/csv")
    assert hashlib.sha256(got.content).hexdigest() == manifest["sha256"]
    rows = http.get(f"{gateway}/open/v1/adcodes/rows", params={"limit": "5"}).json()["rows"]
    assert len(rows) == 5
    processes["worker"].terminate()
    assert processes["worker"].wait(60) == 0
    assert not here.healthy("worker")
    http.close()
