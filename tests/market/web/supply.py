"""People and things of the supply side for page tests: a signed-in browser, registered assets, products."""

import re
from typing import Any

from starlette.testclient import TestClient

from market.house import House
from market.identity.rules import OrgKind, Role
from market.identity.tables import Party
from market.registry import actions
from market.registry.tables import Asset
from tests.market.assets import described
from tests.people import Person, organization, person, sign_in


class Browser:
    """A signed-in person whose forms carry the session's token."""

    def __init__(self, client: TestClient, house: House, who: Person) -> None:
        self.client = TestClient(
            client.app, base_url=str(client.base_url), headers=dict(client.headers), follow_redirects=False
        )
        sign_in(self.client, house.store, house.secret, who)
        found = re.search(r'name="csrf" value="([^"]+)"', self.client.get("/account").text)
        assert found
        self.csrf = found[1]

    def send(self, path: str, status: int = 303, **fields: Any) -> str:
        """Post a form; returns the address it leads to, or the page."""
        answer = self.client.post(path, data={"csrf": self.csrf} | fields)
        assert answer.status_code == status, f"{path}: {answer.status_code} {answer.text[:3000]}"
        return answer.headers["location"] if status == 303 else answer.text

    def upload(self, path: str, name: str, content: bytes, status: int = 303) -> str:
        answer = self.client.post(path, data={"csrf": self.csrf}, files={"file": (name, content)})
        assert answer.status_code == status, f"{path}: {answer.status_code} {answer.text[:3000]}"
        return answer.text

    def see(self, path: str, status: int = 200) -> str:
        answer = self.client.get(path)
        assert answer.status_code == status, f"{path}: {answer.status_code} {answer.text[:2000]}"
        return answer.text


def company(house: House, name: str = "青岛数据集团有限公司", login: str = "data@company.example") -> Person:
    """Somebody who supplies for a company that can sign."""
    party = organization(house.store, OrgKind.STATE_DATA_COMPANY, name)
    with house.store.unit("system:test") as unit:
        unit.session.get_one(Party, party.id).address = "山东省青岛市市南区 1 号"
        unit.record("party.edited", f"party:{party.id}")
    return person(house.store, party, login, Role.OPERATOR)


def registrar(house: House) -> Person:
    party = organization(house.store, OrgKind.REGISTRAR, "青岛市数据登记中心")
    return person(house.store, party, "desk@registrar.example", Role.REGISTRAR)


def drafted(house: House, who: Person, **changes: Any) -> Asset:
    """A complete description without file or evidence."""
    with house.store.unit(who.actor.id, who.actor.org) as unit:
        return actions.draft_asset(unit, who.actor, description=described(**changes))
