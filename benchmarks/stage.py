"""What the benchmarks act on: a shelf with one million rows, licenses, tokens, and servers to ask."""

import atexit
import csv
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from market.cli.environment import require_keys
from metering import actions
from metering.settings import MeteringSettings
from storage import migrations
from storage.database import Database
from storage.objects import LocalObjects
from storage.tabular.exports import to_csv
from storage.tabular.intake import take_in
from storage.tabular.kinds import Limits
from storage.tabular.serving import to_serving
from storage.tabular.sniffing import sniff
from storage.unit import Store
from tests import servers

ROOT = Path(__file__).resolve().parents[1]
LIMITS = Limits()
PRODUCT = "stations"
CODES = 50_000
_ROADS = ("香港中路", "山东路", "东海西路", "辽阳东路", "江西路", "重庆南路", "黑龙江中路", "珠江路")
_COLUMNS = ("id", "code", "road", "district", "speed_kmh", "measured_at")


@dataclass(frozen=True)
class Price:
    """Two fen a call, ten yuan a download."""

    call_fen: int = 2
    row_fen: int = 0
    download_fen: int = 1000
    per_hit: bool = False


@dataclass(frozen=True)
class Policy:
    """A license without limits, so that counting is all that is measured."""

    tier: str = "commercial"
    limit_calls: int | None = None
    limit_rows: int | None = None
    limit_bytes: int | None = None
    limit_downloads: int | None = None
    spend_cap_fen: int | None = None
    serve_from: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    serve_until: datetime | None = None
    purposes: Sequence[str] = ("internal_business",)
    delivery: Sequence[str] = ("api", "file")
    version_rule: str = "latest"
    version: str = "1"
    price: Price = field(default_factory=Price)


class Goods:
    """One cleansed table, made once per run: CSV, Parquet and the serving copy, and a plain database for Datasette."""

    def __init__(self, folder: Path, rows: int) -> None:
        self.rows = rows
        self.csv = folder / "stations.csv"
        with self.csv.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(_COLUMNS)
            draw = random.Random(7)  # the same table in every run
            writer.writerows(_row(number, draw) for number in range(rows))
        self.parquet = folder / "stations.parquet"
        taken = take_in(self.csv, sniff(self.csv, self.csv.name), self.parquet, folder, LIMITS)
        self.columns = [column.document() for column in taken.columns]
        self.export = folder / "export.csv"
        to_csv(self.parquet, self.export, folder, LIMITS)
        self.serving = folder / "serving.sqlite"
        to_serving(self.parquet, self.serving, folder, LIMITS, indexes=["id", "code"])


def _row(number: int, draw: random.Random) -> tuple[object, ...]:
    road = draw.randrange(len(_ROADS))
    minute = number % 1440
    return (
        number,
        f"S{draw.randrange(CODES):05d}",
        _ROADS[road],
        ("市南区", "市北区", "崂山区")[road % 3],
        draw.randrange(5, 80),
        f"2026-11-{1 + number % 28:02d}T{minute // 60:02d}:{minute % 60:02d}:00",
    )


class Shelf:
    """A database with the goods on the shelf, some licenses and their tokens."""

    def __init__(self, folder: Path, url: str, goods: Goods, licenses: int) -> None:
        self.folder, self.url, self.goods = folder, url, goods
        self.database = Database(url)
        self.store = Store(self.database)
        migrations.upgrade(self.database)
        self.objects = LocalObjects(folder / "objects")
        self.settings = MeteringSettings().resolved(folder)
        require_keys(self.store, self.settings)
        files = {
            kind: self._kept(path)
            for kind, path in {
                "serving": goods.serving,
                "csv": goods.export,
                "parquet": goods.parquet,
            }.items()
        }
        manifest = {
            "version": 1,
            "rows": goods.rows,
            "columns": goods.columns,
            "query_columns": ["id", "code"],
            "files": files,
            "published_at": "2026-11-01",
        }
        self.licenses = [f"lic_{number:04d}" for number in range(licenses)]
        with self.store.unit("system:benchmark") as unit:
            actions.shelve(
                unit,
                product_id="prd_stations",
                slug=PRODUCT,
                tier="commercial",
                title_zh="路段车速",
                title_en="Road speeds",
                provider_id="org_provider",
                version=1,
                manifest=manifest,
                delivery=["api", "file"],
                license_note={"zh": "基准测试", "en": "Benchmark", "id": "benchmark"},
            )
            for license_id in self.licenses:
                actions.open_gate(
                    unit,
                    license_id=license_id,
                    product_id="prd_stations",
                    buyer_id="org_buyer",
                    policy=Policy(),
                )
            self.credential, self.secret = actions.keep_credential(
                unit, org_id="org_buyer", kept_by="usr_load", name="load"
            )

    def _kept(self, path: Path) -> dict[str, Any]:
        stored = self.objects.put_file(_copy_of(path))
        return {"sha256": stored.sha256, "size": stored.size, "name": path.name}

    @contextmanager
    def gateway(self, *options: str) -> Iterator["Served"]:
        """`shugang gateway`."""
        port = servers.free_port()
        given = {
            "DATA_DIR": str(self.folder),
            "STORAGE__DATABASE_URL": self.url,
            "STORAGE__OBJECTS_URL": f"file://{self.folder}/objects",
            "PORT": str(port),
            "METERING__PAID_PER_MINUTE": "1000000000",
        }
        with served(
            [sys.executable, "-m", "market.cli", "gateway", *options],
            port,
            "/healthz",
            {f"SHUGANG_{name}": value for name, value in given.items()},
        ) as server:
            yield server


def _copy_of(path: Path) -> Path:
    """The store takes files over by renaming; we need ours again."""
    copy = path.with_name(f"copy-{path.name}")
    shutil.copyfile(path, copy)
    return copy


@dataclass(frozen=True)
class Served:
    """A server that answers."""

    url: str
    pid: int


@contextmanager
def served(
    command: Sequence[str], port: int, ready: str, environment: dict[str, str] | None = None
) -> Iterator[Served]:
    """Run a server until the block ends. Raises RuntimeError when it does not answer `ready`."""
    log = tempfile.TemporaryFile()  # noqa: SIM115  # lives as long as the process
    process = subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **(environment or {})}, stdout=log, stderr=log
    )
    try:
        url = f"http://127.0.0.1:{port}"
        if not servers.wait_for(f"{url}{ready}", process, seconds=90):
            log.seek(0)
            raise RuntimeError(f"{command} did not start: {log.read()[-2000:]!r}")
        yield Served(url, process.pid)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        log.close()


def scratch() -> Path:
    """A folder that is gone after the run."""
    folder = Path(tempfile.mkdtemp(prefix="shugang-bench-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
