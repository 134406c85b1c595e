"""A market in this process with everybody signed in, and a deal taken as far as a test needs it."""

import re
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlencode
from uuid import uuid4

import httpx2
from sqlmodel import func, select
from starlette.testclient import TestClient

from contracts.terms import DeliveryMode, Tier
from market.app import Front
from market.catalogue.queries import plans
from market.catalogue.rules import PlanKind, Price
from market.catalogue.tables import Product
from market.house import House
from market.identity.actions import open_session
from market.identity.rules import Actor, OrgKind, Role, Verification
from market.identity.tables import Membership, Party, User
from market.trading.rules import RULES_VERSION
from market.trading.tables import Order
from metering.tables import Gate, UsageHour
from metering.words import Kind
from storage.kernel import clock
from storage.kernel.ids import new_id
from tests.market.people import APPROVER, AUDITOR, BUYER, COMPLIANCE, PROVIDER, SECOND_APPROVER
from tests.market.products import listed_product, seated
from tests.resuming import entries, resumed

T = TypeVar("T")
HOST = "http://127.0.0.1:8000"
OWN = {"Origin": HOST, "Sec-Fetch-Site": "same-origin", "Accept": "text/html"}


def _of_operator(user: str, *roles: Role) -> Actor:
    return Actor(user, "pty_operator", frozenset(roles), OrgKind.MARKET_OPERATOR, party_verified=True)


FINANCE = _of_operator("usr_finance", Role.FINANCE)
FINANCE2 = _of_operator("usr_finance2", Role.FINANCE)
RIVAL = Actor("usr_rival", "pty_rival", frozenset({Role.BUYER}), OrgKind.ENTERPRISE, party_verified=True)
CAST = {
    "approver": APPROVER,
    "approver2": SECOND_APPROVER,
    "auditor": AUDITOR,
    "buyer": BUYER,
    "compliance": COMPLIANCE,
    "finance": FINANCE,
    "finance2": FINANCE2,
    "provider": PROVIDER,
    "rival": RIVAL,
}


class Person:
    """Somebody in front of a browser: forms carry the session's token and a fresh key."""

    def __init__(self, client: TestClient, cookie: str, csrf: str) -> None:
        self.client = client
        self.client.cookies.set("shugang_session", cookie)
        self.csrf = csrf

    def get(self, path: str, status: int = 200, /, **query: str) -> str:
        answer = self.client.get(path + (f"?{urlencode(query)}" if query else ""))
        assert answer.status_code == status, f"{path}: {answer.status_code} {answer.text[:2000]}"
        return str(answer.text)

    def post(self, path: str, status: int = 303, /, key: str = "", **form: str) -> httpx2.Response:
        data = {"csrf": self.csrf, "key": key or str(uuid4())} | form
        answer = self.client.post(path, data=data)
        assert answer.status_code == status, f"{path}: {answer.status_code} {_main(answer.text)}"
        return answer


def _main(text: str) -> str:
    found = re.search(r"<main.*</main>", text, re.DOTALL)
    return re.sub(r"<[^>]+>|\s+", " ", found[0] if found else text)[:1500]


class Market:
    """Everybody, one commercial product, and the steps of a deal."""

    def __init__(
        self, house: House, delivery: tuple[DeliveryMode, ...] = (DeliveryMode.API, DeliveryMode.FILE)
    ) -> None:
        self.house = house
        self.front = Front(house, background=False)
        self._name = ("market", delivery, house.settings.registry)
        self._fresh = entries(house) == 0
        sessions, product_id = self._resumed(self._name, lambda: self._open(delivery))
        self._entries = entries(house)
        self.people = {name: self._person(*session) for name, session in sessions.items()}
        with house.store.view() as view:
            self.product = view.session.get_one(Product, product_id)
            self.plan = plans(view, product_id)[0]

    def _resumed(self, name: tuple[object, ...], make: Callable[[], T]) -> T:
        return resumed(self.house, name, make) if self._fresh else make()

    def _open(self, delivery: tuple[DeliveryMode, ...]) -> tuple[dict[str, tuple[str, str]], str]:
        """Everybody's session, and the product's id."""
        sessions = {name: self._arrive(actor) for name, actor in CAST.items()}
        product = listed_product(
            self.house.store,
            tier=Tier.COMMERCIAL,
            delivery=delivery,
            price=Price(call_fen=200),
            kind=PlanKind.PER_CALL,
        )
        return sessions, product.id

    def _arrive(self, actor: Actor) -> tuple[str, str]:
        seated(self.house.store, actor)
        with self.house.store.unit("system:test") as unit:
            owner = unit.session.get_one(Party, actor.own_org)
            owner.verification, owner.name = Verification.VERIFIED, f"机构 {actor.own_org}"
            unit.session.add(owner)
            now = clock.now()
            unit.session.add(
                User(
                    id=actor.id,
                    login=f"{actor.id}@a.example",
                    name=actor.id,
                    password_hash="",
                    lang="zh",
                    created_at=now,
                )
            )
            unit.session.flush()
            roles = sorted(str(role) for role in actor.roles)
            unit.session.add(
                Membership(
                    id=new_id("mem"),
                    user_id=actor.id,
                    party_id=actor.own_org,
                    roles=roles,
                    invited_by="system:test",
                    created_at=now,
                )
            )
            unit.session.flush()
            cookie, session = open_session(unit, actor.id, totp_step=1)
            return cookie, session.csrf

    def arrived(self, actor: Actor) -> Person:
        """Somebody more."""
        return self._person(*self._arrive(actor))

    def _person(self, cookie: str, csrf: str) -> Person:
        client = TestClient(
            self.front, base_url=HOST, headers=OWN, follow_redirects=False, client=("127.0.0.1", 5000)
        )
        return Person(client, cookie, csrf)

    def __getitem__(self, name: str) -> Person:
        return self.people[name]

    def form(self, **changes: str) -> dict[str, Any]:
        """An order the rules have nothing against."""
        return {
            "product": self.product.id,
            "plan": self.plan.id,
            "purpose": "internal_business",
            "scenario": "用于本单位停车场周转率分析",
            "months": "3",
            "prepay_fen": "1,000.50",
            "rules_version": RULES_VERSION,
        } | changes

    def order(self, order_id: str) -> Order:
        with self.house.store.view() as view:
            return view.session.get_one(Order, order_id)

    def count(self, table: Any) -> int:
        with self.house.store.view() as view:
            return int(view.session.exec(select(func.count()).select_from(table)).one())

    def placed(self) -> Order:
        answer = self["buyer"].post("/orders/new", **self.form())
        return self.order(answer.headers["location"].split("/")[-1].split("?")[0])

    def approved(self) -> Order:
        order = self.placed()
        for name in ("approver", "compliance"):
            if self.order(order.id).state.value == "submitted":
                self.rule(name, order)
        return self.order(order.id)

    def rule(self, name: str, order: Order, status: int = 303, /, **changes: str) -> httpx2.Response:
        page = self[name].get(f"/approvals/{order.case_id}")
        version = re.search(r'name="version" value="(\d+)"', page)
        form = {"verdict": "approve", "reason": "用途明确，同意", "version": version[1] if version else "1"}
        return self[name].post(f"/approvals/{order.case_id}", status, **(form | changes))

    def signed(self) -> Order:
        order = self.approved()
        page = self["buyer"].get(f"/orders/{order.id}/contract")
        found = re.search(r'name="content_hash" value="([0-9a-f]{64})"', page)
        assert found
        self["buyer"].post(f"/orders/{order.id}/acceptance", agree="yes", content_hash=found[1])
        return self.order(order.id)

    def paid(self) -> Order:
        """An order in force; the first of a market to which nothing else has happened is made once."""
        self._fresh = self._fresh and entries(self.house) == self._entries
        order_id = self._resumed((*self._name, self.product.id, "paid"), self._paid)
        self._fresh = False
        return self.order(order_id)

    def _paid(self) -> str:
        order = self.signed()
        path = f"/payments/{order.payment_id}"
        self["finance"].post(
            f"{path}/receipt", amount_fen="1000.50", bank_reference=f"BANK{uuid4().hex[:12]}"
        )
        self["finance2"].post(f"{path}/confirmation", agree="yes")
        self.house.pulse.beat()
        return order.id


def used(market: Market, order: Order) -> None:
    """Three paid calls, then the end of the license."""
    now = clock.now()
    with market.house.store.unit("system:test") as unit:
        unit.session.add(
            UsageHour(
                license_id=str(order.license_id),
                hour=clock.hour_of(now),
                credential_id="cli_1",
                purpose="internal_business",
                kind=Kind.ROWS,
                period=clock.period_of(now, market.house.settings.timezone),
                product_id=order.product_id,
                events=3,
                calls=3,
                rows=6,
                bytes=60,
                amount_fen=600,
            )
        )
        door = unit.session.get_one(Gate, order.license_id)
        door.used_calls, door.spent_fen = 3, 600
        unit.session.add(door)
        unit.record("test.used", f"license:{order.license_id}")
    path = f"/licenses/{order.license_id}"
    assert "¥6.00" in market["buyer"].get(path)
    market["buyer"].post(f"{path}/decision", verb="terminate", reason="项目结束，提前终止")


def settled(market: Market, order: Order) -> str:
    """Three paid calls, the end of the license, and the id of its invoice; settled twice it is one."""
    used(market, order)
    path = f"/licenses/{order.license_id}/settlement"
    key = str(uuid4())
    places = {market["finance"].post(path, key=key).headers["location"] for _ in range(2)}
    assert len(places) == 1
    return places.pop().split("/")[-1].split("?")[0]
