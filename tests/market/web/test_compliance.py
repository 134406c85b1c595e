"""The identity document as a download: whole, and closed when it was read."""

import os
from pathlib import Path

from starlette.testclient import TestClient

from market.house import House
from market.identity.rules import OrgKind, Role
from tests.market.web.supply import Browser
from tests.people import organization, person


def _open_objects(folder: Path) -> list[str]:
    """The files below `folder` this process holds open."""
    held = []
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            held.append(str(descriptor.readlink()))
        except FileNotFoundError:  # the descriptor that listed the folder
            continue
    return [path for path in held if path.startswith(str(folder))]


def test_a_document_is_sent_whole_and_closed(client: TestClient, house: House) -> None:
    owner = organization(house.store, OrgKind.ENTERPRISE, "海风科技", verified=False)
    head = Browser(client, house, person(house.store, owner, "head@a.example", Role.ORG_ADMIN))
    content = b"%PDF-1.7 " + os.urandom(200_000)
    head.upload("/organization/evidence", "license.pdf", content)
    operator = organization(house.store, OrgKind.MARKET_OPERATOR, "平台运营")
    officer = Browser(client, house, person(house.store, operator, "officer@b.example", Role.COMPLIANCE))
    answer = officer.client.get(f"/compliance/parties/{owner.id}/document")
    assert answer.content == content
    assert answer.headers["content-type"] == "application/pdf"
    assert _open_objects(house.settings.data_dir / "objects") == []
