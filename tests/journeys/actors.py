"""People and programs of a journey, acting over real HTTP only."""

import uuid
from typing import Any
from urllib.parse import quote

import httpx2

from market.identity.passwords import totp_now
from market.identity.rules import OrgKind, Role
from storage.kernel.numbers import make_uscc
from tests.live import PASSWORD, Stage


class Person:
    """Somebody signed in by cookie, with a fresh Idempotency-Key for every write."""

    def __init__(self, server: Stage, login: str, totp: str) -> None:
        self.http = httpx2.Client(base_url=server.url, timeout=120, trust_env=False)
        self._login, self._totp = login, totp
        self.sign_in()

    def sign_in(self) -> None:
        """A new session, with the one-time code of this moment."""
        form = {"login": self._login, "password": PASSWORD, "code": totp_now(self._totp)}
        answer = self.http.post("/api/v1/session", json=form)
        assert answer.status_code == 201, answer.text
        self.http.headers["X-CSRF-Token"] = answer.json()["csrf"]

    def get(self, path: str, **query: Any) -> Any:
        answer = self.http.get(f"/api/v1{path}", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: Any = None, status: int = 200, key: str | None = None) -> Any:
        headers = {"Idempotency-Key": key or str(uuid.uuid4())}
        answer = self.http.post(f"/api/v1{path}", json=body if body is not None else {}, headers=headers)
        assert answer.status_code == status, f"{path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def upload(self, path: str, name: str, content: bytes, status: int = 201) -> Any:
        answer = self.http.post(f"/api/v1{path}", content=content, headers={"X-File-Name": quote(name)})
        assert answer.status_code == status, answer.text
        return answer.json()

    def close(self) -> None:
        self.http.close()


class Cast:
    """Everybody the market needs: made in the database, acting over HTTP."""

    def __init__(self, server: Stage) -> None:
        self._server = server
        self.people: dict[str, Person] = {}
        self.secrets: dict[str, str] = {}
        operator = server.institution("青岛数港运营有限公司", OrgKind.MARKET_OPERATOR, "91370200MA30PERA1")
        registrar = server.institution("青岛市数据登记中心", OrgKind.REGISTRAR, "12370200MB1RE61AT")
        self.company: str = server.institution(
            "青岛数据集团有限公司", OrgKind.STATE_DATA_COMPANY, "91370200MA3DATA01"
        )
        buyer = server.institution("海风出行科技有限公司", OrgKind.ENTERPRISE, "91370200MA3BUYER1")
        rival = server.institution("另一家数据应用公司", OrgKind.ENTERPRISE, "91370200MA3R1XA01")
        members = {
            "provider": (self.company, Role.OPERATOR),
            "registrar": (registrar, Role.REGISTRAR),
            "approver": (operator, Role.APPROVER),
            "approver2": (operator, Role.APPROVER),
            "compliance": (operator, Role.COMPLIANCE),
            "finance": (operator, Role.FINANCE),
            "finance2": (operator, Role.FINANCE),
            "auditor": (operator, Role.AUDITOR),
            "buyer": (buyer, Role.BUYER),
            "rival": (rival, Role.BUYER),
        }
        for name, (party, role) in members.items():
            login = f"{name}@journey.example"
            secret = server.person(login, name, party, role)
            self.people[name] = Person(server, login, secret)
            self.secrets[name] = secret
        self.provider, self.registrar = self.people["provider"], self.people["registrar"]
        self.approver, self.approver2 = self.people["approver"], self.people["approver2"]
        self.finance, self.finance2 = self.people["finance"], self.people["finance2"]
        self.compliance, self.auditor = self.people["compliance"], self.people["auditor"]
        self.buyer, self.rival = self.people["buyer"], self.people["rival"]

    def close(self) -> None:
        for person in self.people.values():
            person.close()


ASSET: dict[str, Any] = {
    "title_zh": "纽约机场离港航班（示例）",
    "title_en": "Departures from the New York airports (sample)",
    "abstract_zh": "2013 年三座机场的离港航班逐条记录，用于演示登记、清洗与计量。",
    "provider_name": "青岛数据集团有限公司",
    "provider_code": make_uscc("91370200MA3DATA01"),
    "code": "370200-jt-0101",
    "category": "交通/航空/航班",
    "keywords": ["航班", "出行"],
    "format_kind": "2",
    "format": "csv",
    "items": [{"name": "flight", "type": "integer"}],
    "share_type": "1",
    "open_attr": "K",
    "open_condition": "注明来源",
    "update_cycle": "yearly",
    "published_on": "2026-01-05",
    "area": "370200",
    "coverage_from": "2013-01-01",
    "coverage_until": "2013-12-31",
    "industry": "G56",
    "system": "航班数据库",
    "source_kind": "licensed",
    "source_statement": "来自公开许可（CC0）的示例数据包。",
    "rights": [{"kind": "operate", "scope": "对外提供"}, {"kind": "use", "scope": "加工使用"}],
    "grade": "G2",
    "grade_basis": "参照 GB/T 43697 附录 H",
    "supply": "enterprise",
    "contains_pi": False,
    "contains_spi": False,
    "committed": True,
}


def register(
    cast: Cast, description: dict[str, Any], name: str, content: bytes
) -> tuple[str, dict[str, Any]]:
    """An asset from draft to number. Returns its id and its file."""
    asset = cast.provider.post("/assets", description, status=201)["id"]
    file = cast.provider.upload(f"/assets/{asset}/files", name, content)
    cast.provider.upload(f"/assets/{asset}/evidence", "许可证明.pdf", b"%PDF-1.7 license", status=200)
    cast.provider.post(f"/assets/{asset}/submission")
    cast.registrar.post(f"/assets/{asset}/acceptance")
    cast.registrar.post(f"/assets/{asset}/review")
    done = cast.registrar.post(f"/assets/{asset}/registration", {"reason": "材料齐全，准予登记"})
    assert done["number"].startswith("SG-370200-R-")
    return asset, file


def cleansed(cast: Cast, asset: str, file: str, recipe: dict[str, Any], indexes: list[str]) -> dict[str, Any]:
    """A run from request to success, done by the queue of the running market."""
    import time

    run = cast.provider.post(
        f"/assets/{asset}/runs", {"file_id": file, "recipe": recipe, "indexes": indexes}, status=202
    )
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        run = cast.provider.get(f"/runs/{run['id']}")
        if run["state"] in {"succeeded", "failed"}:
            break
        time.sleep(0.1)
    assert run["state"] == "succeeded", run
    return dict(run)


def listed(
    cast: Cast,
    asset: str,
    run: dict[str, Any],
    slug: str,
    profile: dict[str, Any],
    plan: dict[str, Any],
    standing: dict[str, Any],
) -> tuple[str, str]:
    """A product on the shelf. Returns the ids of product and plan."""
    product = cast.provider.post(
        "/products", {"slug": slug, "asset_id": asset, "profile": profile}, status=201
    )["id"]
    words = [{"name": c["name"], "zh": c["name"], "en": c["name"]} for c in run["columns"]]
    cast.provider.post(
        f"/products/{product}/versions", {"run_id": run["id"], "dictionary": words}, status=201
    )
    planned = cast.provider.post(f"/products/{product}/plans", plan, status=201)["id"]
    offer = cast.provider.http.put(f"/api/v1/products/{product}/offer", json=standing)
    assert offer.status_code == 200, offer.text
    body = {"standing": standing, "offer_sha256": offer.json()["offer_sha256"]}
    case = cast.provider.post(f"/products/{product}/listing", body, status=201)["case_id"]
    decided = cast.approver.post(
        f"/cases/{case}/decision", {"approve": True, "reason": "要约与材料一致，同意挂牌"}
    )
    if decided["state"] == "waiting":
        cast.compliance.post(f"/cases/{case}/decision", {"approve": True, "reason": "复核无误，同意挂牌"})
    return product, planned


def bought(cast: Cast, product: str, plan: str, prepay_fen: int, months: int = 1) -> dict[str, Any]:
    """An order from purpose to an active license."""
    import time

    form = {
        "product_id": product,
        "plan_id": plan,
        "purpose": "internal_business",
        "scenario": "用于航班准点率分析与内部运力调度",
        "months": months,
        "prepay_fen": prepay_fen,
    }
    order = cast.buyer.post("/orders", form, status=201)
    decided = cast.approver.post(
        f"/cases/{order['case_id']}/decision", {"approve": True, "reason": "用途明确，同意"}
    )
    if decided["state"] == "waiting":
        cast.compliance.post(
            f"/cases/{order['case_id']}/decision", {"approve": True, "reason": "复核无误，同意"}
        )
    text = cast.buyer.get(f"/orders/{order['id']}/contract")
    order = cast.buyer.post(f"/orders/{order['id']}/acceptance", {"content_hash": text["content_hash"]})
    assert order["state"] == "awaiting_payment", order
    receipt = {"amount_fen": order["due_fen"], "bank_reference": f"BANK{uuid.uuid4().hex[:12]}"}
    cast.finance.post(f"/payments/{order['payment_id']}/receipt", receipt)
    cast.finance2.post(f"/payments/{order['payment_id']}/confirmation")
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        order = cast.buyer.get(f"/orders/{order['id']}")
        if order["state"] == "active":
            break
        time.sleep(0.02)
    assert order["state"] == "active", order
    return dict(order)
