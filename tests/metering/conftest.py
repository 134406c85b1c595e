"""A small shelf, open gates and a till to test against."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from metering import actions
from metering.settings import MeteringSettings
from metering.tables import Credential
from metering.till import Till
from storage.unit import Store
from tests.metering.shelf import BARE, SomePolicy, put_on_shelf


@pytest.fixture
def settings(tmp_path: Path) -> MeteringSettings:
    return MeteringSettings().resolved(tmp_path)


@pytest.fixture
def shelve(store: Store) -> Callable[..., None]:
    """Put a version of a product on the shelf."""

    def put(manifest: dict[str, Any], **about: Any) -> None:
        put_on_shelf(store, manifest, **about)

    return put


@pytest.fixture
def licensed(store: Store, shelve: Callable[..., None]) -> Callable[..., Credential]:
    """Open gates for these licenses over one bare product; returns the buyer's credential."""

    def open_them(*licenses: str, policy: Any = None) -> Credential:
        shelve(BARE)
        with store.unit("system:test") as unit:
            for license_id in licenses:
                actions.open_gate(
                    unit,
                    license_id=license_id,
                    product_id="prd_1",
                    buyer_id="org_buyer",
                    policy=policy or SomePolicy(),
                )
            credential, _ = actions.keep_credential(
                unit, org_id="org_buyer", kept_by="usr_buyer", name="program"
            )
        return credential

    return open_them


@pytest.fixture
def till(store: Store, settings: MeteringSettings) -> Iterator[Till]:
    till = Till(store.database, settings)
    yield till
    till.close()
