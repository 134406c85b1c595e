"""The pages without a browser: an application in this process, on a data folder of its own."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from market.app import Front
from market.house import House
from market.settings import Settings
from tests.market.assets import QUICK
from tests.resuming import same_keys

HOST = "http://127.0.0.1:8000"
# What a browser adds to a form sent from our own page.
OWN = {"Origin": HOST, "Sec-Fetch-Site": "same-origin", "Accept": "text/html"}


@pytest.fixture
def house(sqlite_template: Path, tmp_path: Path) -> Iterator[House]:
    folder = same_keys(tmp_path / "var")
    shutil.copyfile(sqlite_template, folder / "market.db")
    house = House(Settings(data_dir=folder, registry=QUICK))
    yield house
    house.close()


@pytest.fixture
def client(house: House) -> TestClient:
    front = Front(house, background=False)
    return TestClient(front, base_url=HOST, headers=OWN, follow_redirects=False, client=("127.0.0.1", 5000))
