"""Usage as people meet it: grouped for both sides, told by mail near a limit, unusual use for those who look."""

import threading
from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlmodel import col, select

from market import chores
from market.house import House
from market.identity.postman import letter
from market.identity.tables import Mail, User
from market.trading.reconcile import differences
from market.trading.tables import Order
from metering.tables import Gate, UsageEvent, UsageHour
from metering.words import Kind
from storage.journal import Entry
from storage.kernel import clock
from tests.market.web.trade import Market


@pytest.fixture
def market(house: House) -> Market:
    return Market(house)


@pytest.fixture
def order(market: Market) -> Order:
    return market.paid()


def used(market: Market, order: Order, *, hours: int = 0, calls: int = 3, spent_fen: int = 600) -> None:
    """Some paid calls, `hours` ago."""
    at = clock.now() - timedelta(hours=hours)
    with market.house.store.unit("system:test") as unit:
        unit.session.add(
            UsageHour(
                license_id=str(order.license_id), hour=clock.hour_of(at), credential_id="cli_1",
                purpose="internal_business", kind=Kind.ROWS, product_id=order.product_id,
                period=clock.period_of(at, market.house.settings.timezone),
                events=calls, calls=calls, rows=6, bytes=60, amount_fen=spent_fen,
            )
        )  # fmt: skip
        gate = unit.session.get_one(Gate, order.license_id)
        gate.used_calls, gate.spent_fen = calls, spent_fen
        unit.record("test.used", f"license:{order.license_id}")


def mails(market: Market) -> list[Mail]:
    with market.house.store.view() as view:
        return list(view.session.exec(select(Mail).where(Mail.template == "usage_threshold")).all())


def count(market: Market, kind: str) -> int:
    with market.house.store.view() as view:
        return len(view.session.exec(select(Entry.id).where(Entry.kind == kind)).all())


def test_both_sides_read_usage_by_anything(market: Market, order: Order) -> None:
    used(market, order)
    path = f"/api/v1/licenses/{order.license_id}/usage"
    for name in ("buyer", "provider"):
        for by, key in (
            ("purpose", "internal_business"),
            ("credential", "cli_1"),
            ("product", order.product_id),
        ):
            body = market[name].client.get(path, params={"by": by}).json()
            assert [(line["key"], line["calls"], line["amount_fen"]) for line in body["lines"]] == [
                (key, 3, 600)
            ]
        assert body["total"]["amount_fen"] == body["spent_fen"] == 600
        assert body["left_fen"] == body["spend_cap_fen"] - 600
    market["rival"].get(path, 404)
    assert market["buyer"].client.get(path, params={"by": "weather"}).status_code == 422
    span = {"since": "2026-01-01T00:00:00", "until": "2026-01-02T00:00:00Z"}
    assert market["buyer"].client.get(path, params=span).status_code == 422
    for name, side in (("buyer", "bought"), ("provider", "sold")):
        (line,) = market[name].client.get("/api/v1/usage", params={"side": side}).json()["lines"]
        assert (line["key"], line["answers"]) == (order.product_id, 3)
        assert "¥6.00" in market[name].get("/usage", side=side)
        assert market["rival"].client.get("/api/v1/usage", params={"side": side}).json()["lines"] == []
    assert "cli_1" in market["buyer"].get(f"/licenses/{order.license_id}", by="credential")
    assert "cli_1" not in market["buyer"].get(f"/licenses/{order.license_id}", by="purpose")
    market["buyer"].get(f"/licenses/{order.license_id}", by="weather")


def test_the_buyers_people_are_told_once_in_their_language(market: Market, order: Order) -> None:
    with market.house.store.unit("system:test") as unit:
        unit.session.execute(sa.update(User).where(col(User.id) == "usr_buyer").values(lang="en"))
        unit.record("test.language", "user:usr_buyer")
    with market.house.store.view() as view:
        buyers = {user.login for user in view.session.exec(select(User)) if user.id == order.placed_by}
    used(market, order, spent_fen=85_000)  # of 100,050
    threads = [threading.Thread(target=chores.watch_usage, args=(market.house,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    chores.watch_usage(market.house)
    assert count(market, "usage.threshold") == 2  # 50 and 80 %, of which the higher is mailed
    (mail,) = mails(market)
    assert {mail.to} == buyers
    text = letter(market.house.store, market.house.settings, mail)
    body = text.get_content()
    assert str(order.license_id) in body
    assert "80%" in str(text["Subject"])
    assert "850.00" in body
    assert "{{" not in body
    assert ("Dear" in body) is (mail.lang == "en")
    page = market["buyer"].get(f"/licenses/{order.license_id}")
    assert "费用已用 84%" in page
    assert "用量达到提醒线" in page


def test_what_stands_out_is_for_compliance_and_the_provider(market: Market, order: Order) -> None:
    used(market, order, hours=1, calls=5000)
    chores.note_anomalies(market.house)
    chores.note_anomalies(market.house)
    assert count(market, "usage.anomaly") == 1
    for name in ("compliance", "provider"):
        assert "用量激增" in market[name].get("/anomalies")
        (row,) = market[name].client.get("/api/v1/anomalies").json()
        assert (row["kind"], row["figures"]["calls"]) == ("surge", 5000)
        assert "用量异常" in market[name].get(f"/licenses/{order.license_id}")
    market["buyer"].get("/anomalies", 403)
    market["rival"].get("/api/v1/anomalies", 403)
    assert "usage.anomaly" not in market["buyer"].get(f"/licenses/{order.license_id}")
    with market.house.store.view() as view:
        assert view.session.get_one(Gate, order.license_id).in_force  # nothing is blocked


def test_sealed_hours_are_part_of_reconciling(market: Market, order: Order) -> None:
    at = clock.now() - timedelta(hours=3)
    used(market, order, hours=3, calls=1)
    with market.house.store.unit("system:test") as unit:
        unit.session.add(
            UsageEvent(
                id=b"\x01" * 16, license_id=str(order.license_id), product_id=order.product_id, credential_id="cli_1",
                purpose="internal_business", kind=Kind.ROWS, calls=1, rows=6, bytes=60, amount_fen=600,
                fingerprint=b"f" * 16, period=clock.period_of(at, market.house.settings.timezone), at=at,
            )
        )  # fmt: skip
        unit.record("test.charged", f"license:{order.license_id}")
    chores.watch_usage(market.house)
    assert count(market, "usage.sealed") in {2, 3}

    def found() -> list[str]:
        with market.house.store.view() as view:
            return [each.subject for each in differences(view) if each.check == "usage.sealed"]

    assert found() == []
    with market.house.store.unit("system:test") as unit:
        unit.session.execute(sa.update(UsageEvent).values(id=b"\x02" * 16))
        unit.record("test.confused", "event:1")
    assert found() == [f"hour:{clock.hour_of(at).isoformat()}"]
