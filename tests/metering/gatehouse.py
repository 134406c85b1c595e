"""A gateway behind a real server, a product with rows and a file, and a buyer."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pysqlite3
from sqlmodel import select

from metering import actions
from metering.gate import new_charge_key
from metering.gateway import Gateway
from metering.tables import Delivery, UsageEvent
from storage.unit import Store
from tests.metering.shelf import SomePolicy

ROWS = 250
KINDS = [
    ("编号", "integer", None, None, "编号"),
    ("名称", "text", None, None, "名称"),
    ("温度", "double", None, None, "温度"),
    ("日期", "date", None, None, "日期"),
    ("有效", "boolean", None, None, "有效"),
    ("单价", "decimal", 10, 2, "单价#"),
]
FILE = ("编号,名称\n" + "".join(f"{n},站点{n % 7}\n" for n in range(1, 60_000))).encode()


def rows_of_file(named: str = "站点") -> list[tuple[Any, ...]]:
    return [
        (n, None if n % 50 == 0 else f"{named}{n % 7}", n / 4, f"2026-01-{n % 28 + 1:02d}", n % 2, f"{n}.50")
        for n in range(1, ROWS + 1)
    ]


def serving_file(path: Path, named: str = "站点") -> Path:
    """The layout that the refinery builds."""
    lite = pysqlite3.connect(path, isolation_level=None)
    lite.execute(
        'CREATE TABLE data (_row INTEGER PRIMARY KEY, "编号" INTEGER, "名称" TEXT, "温度" REAL, "日期" TEXT, '
        '"有效" INTEGER, "单价" TEXT, "单价#" INTEGER)'
    )
    lite.execute(
        "CREATE TABLE columns (position INTEGER PRIMARY KEY, name TEXT, kind TEXT, precision INTEGER, "
        "scale INTEGER, filter TEXT)"
    )
    lite.executemany("INSERT INTO columns VALUES (?,?,?,?,?,?)", [(i, *kind) for i, kind in enumerate(KINDS)])
    stored = [(i, *row, i * 100 + 50) for i, row in enumerate(rows_of_file(named), 1)]
    lite.executemany("INSERT INTO data VALUES (?,?,?,?,?,?,?,?)", stored)
    lite.execute('CREATE INDEX data_0 ON data ("名称")')
    lite.close()
    return path


@dataclass
class Served:
    """A gateway behind its server, and a buyer with a credential."""

    gateway: Gateway
    http: httpx2.Client
    store: Store
    credential: str
    secret: str

    def token(self, license_id: str = "lic_1", **form: str) -> str:
        answer = self.http.post(
            "/oauth/token",
            data={"grant_type": "client_credentials", "license": license_id, **form},
            auth=(self.credential, self.secret),
        )
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def bearer(self, license_id: str = "lic_1") -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token(license_id)}"}

    def events(self) -> list[UsageEvent]:
        with self.store.view() as view:
            return list(view.session.exec(select(UsageEvent)).all())

    def open_gate(self, license_id: str, product_id: str = "prd_1", **policy: Any) -> None:
        with self.store.unit("system:test") as unit:
            actions.open_gate(
                unit,
                license_id=license_id,
                product_id=product_id,
                buyer_id="org_buyer",
                policy=SomePolicy(**policy),
            )

    def ticket(self, license_id: str = "lic_1", **headers: str) -> httpx2.Response:
        return self.http.post(
            "/data/v1/product-1/downloads",
            json={"file": "csv"},
            headers=self.bearer(license_id) | {"Idempotency-Key": new_charge_key()} | headers,
        )

    def deliveries(self) -> list[Delivery]:
        with self.store.view() as view:
            return list(view.session.exec(select(Delivery)).all())
