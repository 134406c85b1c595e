"""What is written downward: shelf, gates, credentials, periods; statements and sums over what was counted."""

import copy
import json
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random
from types import FrameType
from typing import Any

import pytest
import sqlalchemy as sa
from joserfc.jwk import OKPKey

from contracts.detached import key_id
from metering import actions, queries
from metering.afterwards import Afterwards
from metering.deliveries import Charged, DeliveryBook
from metering.gate import Charge, new_charge_key
from metering.problems import BothSecretsValid, NotOnShelf, PeriodNotOver
from metering.ranges import merge
from metering.statements import counted_period, issue_statement, verify_statement
from metering.tables import Credential, Delivery
from metering.till import Till
from metering.usage import usage_by
from metering.words import By, Kind, OneSecret
from storage.kernel import clock
from storage.kernel.problem import Invalid, NotFound
from storage.unit import Store, Unit
from tests.faults.wire import eventually
from tests.metering.shelf import BARE, SomePolicy, SomePrice

Licensed = Callable[..., Any]


def test_a_shelved_version_never_changes_and_a_new_one_becomes_current(
    store: Store, shelve: Callable[..., None]
) -> None:
    shelve(BARE)
    shelve(BARE)
    with pytest.raises(Invalid):
        shelve(BARE | {"rows": 5})
    with pytest.raises(Invalid):
        shelve(BARE, tier="public_good")
    shelve(BARE | {"version": 2})
    with store.view() as view:
        item = queries.shelf(view, "product-1")
        assert item.current_version == 2
        assert [row.version for row in queries.shelf_versions(view, "prd_1")] == [2, 1]
        with pytest.raises(NotOnShelf):
            queries.shelf(view, "other")


def test_a_gate_needs_a_shelved_product_and_a_known_version(
    store: Store, shelve: Callable[..., None]
) -> None:
    def open_it(policy: SomePolicy) -> None:
        with store.unit("system:test") as unit:
            actions.open_gate(unit, license_id="lic_1", product_id="prd_1", buyer_id="org", policy=policy)

    with pytest.raises(NotOnShelf):
        open_it(SomePolicy())
    shelve(BARE)
    for version in ("2", "latest", "1.0"):
        with pytest.raises(Invalid):
            open_it(SomePolicy(version_rule="pinned", version=version))
    open_it(SomePolicy(version_rule="pinned", version="1"))
    with store.view() as view:
        assert queries.gate(view, "lic_1").pinned_version == 1


@pytest.mark.parametrize("first", ["taken down", "opened"])
def test_a_gate_opened_while_its_product_is_taken_down_is_marked(
    store: Store, shelve: Callable[..., None], first: str
) -> None:
    shelve(BARE)
    done, entered = threading.Event(), threading.Event()

    def take_down(unit: Unit) -> None:
        actions.unshelve(unit, "prd_1", reason="objection")

    def open_it(unit: Unit) -> None:
        actions.open_gate(unit, license_id="lic_1", product_id="prd_1", buyer_id="org", policy=SomePolicy())

    def then() -> None:
        with store.unit("system:test") as unit:
            entered.set()
            second(unit)
        done.set()

    at_first, second = (take_down, open_it) if first == "taken down" else (open_it, take_down)
    other = threading.Thread(target=then)
    with store.unit("system:test") as unit:
        at_first(unit)
        unit.session.flush()
        other.start()
        if not store.database.is_sqlite:
            entered.wait(10)
        assert not done.wait(0.3)
    other.join(10)
    with store.view() as view:
        assert queries.gate(view, "lic_1").taken_down


@pytest.mark.parametrize(
    "change",
    [
        "used_calls = 6",
        "used_rows = -1",
        "spent_fen = 11",
        "call_fen = -1",
        "tier = 'public_good', call_fen = 1",
    ],
)
def test_the_database_itself_refuses_what_must_not_be(store: Store, licensed: Licensed, change: str) -> None:
    licensed("lic_1", policy=SomePolicy(limit_calls=5, spend_cap_fen=10))
    with pytest.raises(sa.exc.IntegrityError), store.database.writing() as connection:
        connection.execute(sa.text(f"UPDATE gate SET {change}"))


def test_open_usage_has_no_amount_at_all() -> None:
    from metering.tables import OpenUsage

    assert not [name for name in OpenUsage.model_fields if "fen" in name or "amount" in name]


def test_another_organization_has_no_such_credential(store: Store, licensed: Licensed) -> None:
    credential = licensed("lic_1")
    with pytest.raises(NotFound), store.unit("system:test") as unit:
        actions.end_credential(unit, credential.id, org_id="org_other", reason="x")
    with pytest.raises(Invalid), store.unit("system:test") as unit:
        actions.keep_credential(
            unit, org_id="org_buyer", kept_by="usr_buyer", name="x", cidrs=["300.0.0.0/8"]
        )
    with store.view() as view:
        assert [row.id for row in queries.credentials(view, "org_buyer")] == [credential.id]
        assert credential.secret_sha256 not in {"", None}


def test_the_spend_cap_rises_by_the_prepayment_only(store: Store, licensed: Licensed) -> None:
    licensed("lic_1", policy=SomePolicy(spend_cap_fen=10))
    for add in (0, -5):
        with pytest.raises(Invalid), store.unit("system:test") as unit:
            actions.raise_spend_cap(unit, "lic_1", add_fen=add)
    with store.unit("system:test") as unit:
        assert actions.raise_spend_cap(unit, "lic_1", add_fen=5).spend_cap_fen == 15
    until = clock.now() + timedelta(days=1)
    with store.unit("system:test") as unit:
        assert actions.extend_gate(unit, "lic_1", serve_until=until).serve_until == until


def test_a_month_closes_after_its_end_and_once(store: Store) -> None:
    closable = datetime(2026, 7, 3, 16, 0, tzinfo=UTC)  # three days after midnight in Qingdao
    with clock.held(closable - timedelta(seconds=1)):
        with pytest.raises(PeriodNotOver) as told, store.unit("system:test") as unit:
            actions.close_period(unit, "2026-06")
        assert told.value.detail is not None
        assert "2026-07-04 00:00" in told.value.detail.zh
        assert "2026-07-04 00:00" in told.value.detail.en
        assert told.value.members["closable_at"] == "2026-07-04T00:00:00+08:00"
        with pytest.raises(Invalid), store.unit("system:test") as unit:
            actions.close_period(unit, "June")
    with clock.held(closable):
        for _ in range(2):
            with store.unit("system:test") as unit:
                actions.close_period(unit, "2026-06")
    with store.view() as view:
        assert queries.is_closed(view, "2026-06")
        assert not queries.is_closed(view, "2026-07")
    with clock.held(datetime(2026, 8, 1, tzinfo=UTC)), store.unit("system:test") as unit:
        actions.close_period(unit, "2026-07", grace=timedelta(0))  # as an operator may set it


def test_sums_and_the_statement_agree_with_what_was_charged(
    store: Store, till: Till, licensed: Licensed
) -> None:
    credential = licensed("lic_1", policy=SomePolicy(price=SomePrice(call_fen=2)))
    for _ in range(7):
        charge = Charge(
            "lic_1",
            "prd_1",
            credential.id,
            "",
            "internal_business",
            Kind.ROWS,
            new_charge_key(),
            b"f",
            1,
            3,
            9,
        )
        till.charge(charge)
    now = clock.now()
    period = clock.period_of(now, "Asia/Shanghai")
    since, until = now - timedelta(hours=2), now + timedelta(hours=2)
    key = OKPKey.generate_key("Ed25519", auto_kid=True)
    with store.view() as view:
        statement = issue_statement(view, "lic_1", period, key=key, zone="Asia/Shanghai")
        document = json.loads(b"".join(statement.parts()))
        statement.close()
        assert document["count"] == 7
        assert counted_period(view, "lic_1", period).root == document["root"]
        assert queries.licenses_with_usage(view, period) == ["lic_1"]
        (usage,) = queries.totals(view, "lic_1", since, until).values()
        assert (usage.events, usage.calls, usage.rows, usage.size, usage.amount_fen) == (7, 7, 21, 63, 14)
        days = usage_by(view, By.DAY, license_id="lic_1", since=since, until=until)
        assert sum(day.calls for _, day in days) == 7
        assert len(queries.events_of(view, "lic_1", since, until)) == 7
        assert queries.uncounted(view, "lic_1") == {}
    keys = {key_id(key): key}
    assert verify_statement(document, keys, root=document["root"]).genuine
    for change in ("amount_fen", "rows", "purpose"):
        changed = copy.deepcopy(document)
        changed["events"][3][change] *= 2
        assert verify_statement(changed, keys).altered == (document["events"][3]["charge_id"],)


def noted(store: Store, book: DeliveryBook, size: int, *spans: tuple[int, int]) -> Delivery:
    """The delivery after these bytes were sent, too."""
    for span in spans:
        book.sent(Charged(b"e" * 16, "lic_1", "0" * 64, size), span)
    with store.database.writing() as connection:
        book.write(connection, book.entries(list(book.take().items())))
    with store.view() as view:
        (delivery,) = queries.deliveries(view, "lic_1")
    return delivery


def test_ranges_of_several_deliveries_add_up(store: Store) -> None:
    sent = partial(noted, store, DeliveryBook(), 100)
    assert (sent((0, 40)).ranges, sent((60, 80), (90, 100)).ranges) == (
        [[0, 40]],
        [[0, 40], [60, 80], [90, 100]],
    )
    assert sent((30, 60)).delivered_at is None
    whole = sent((80, 90))
    assert (whole.ranges, whole.delivered_at is not None) == ([[0, 100]], True)
    assert sent((0, 10)).delivered_at == whole.delivered_at


def test_a_delivery_in_countless_pieces_stays_small_and_unknown_until_the_rest_is_sent(store: Store) -> None:
    sent = partial(noted, store, DeliveryBook(), 10_000)
    assert len(sent(*((at, at + 1) for at in range(0, 10_000, 2))).ranges) == 1000
    more = sent(*((at, at + 1) for at in reversed(range(0, 10_000, 4))), (9_000, 9_100))
    assert (len(more.ranges), more.delivered_at) == (1000, None)
    longer = sent((9_100, 9_110))
    assert len(longer.ranges) == 1000
    assert any(start == 9_000 and end >= 9_110 for start, end in longer.ranges)
    whole = sent((5_000, 10_000), (0, 5_000))
    assert (whole.ranges, whole.delivered_at is not None) == ([[0, 10_000]], True)


def test_pieces_in_any_order_make_a_whole(store: Store) -> None:
    sent = partial(noted, store, DeliveryBook(), 9_000)
    pieces = [(at, at + 10) for at in range(0, 9_000, 10)]
    Random(1).shuffle(pieces)
    for at in range(0, 900, 300):
        delivery = sent(*pieces[at : at + 300])
    assert (delivery.ranges, delivery.delivered_at is not None) == ([[0, 9_000]], True)


def test_a_note_of_one_piece_more_costs_the_same_however_many_there_are() -> None:
    book, merged = DeliveryBook(), 0

    def counting(frame: FrameType, event: str, _argument: Any) -> None:
        nonlocal merged
        merged += event == "call" and frame.f_code is merge.__code__

    sys.setprofile(counting)
    try:
        for at in range(5_000):
            book.sent(Charged(b"e" * 16, "lic_1", "0" * 64, 10_000), (2 * at, 2 * at + 1))
    finally:
        sys.setprofile(None)
    assert 0 < merged <= 4


def test_many_deliveries_are_written_in_portions_and_none_is_lost_when_one_fails(store: Store) -> None:
    book = DeliveryBook()
    afterwards = Afterwards(store.database, book)
    afterwards.close()  # we say when
    for number in range(1200):
        book.sent(Charged(number.to_bytes(16, "big"), "lic_1", "0" * 64, 10), (0, 10))
    unwritable = Charged(bytes(15) + b"x", None, "0" * 64, 10)  # type: ignore[arg-type]  # no license
    book.sent(unwritable, (0, 10))
    for number in range(2000, 2100):
        book.sent(Charged(number.to_bytes(16, "big"), "lic_1", "0" * 64, 10), (0, 5))
    afterwards.flush()
    with store.view() as view:
        written = queries.deliveries(view, "lic_1")
    assert len(written) == 1024
    assert all(delivery.delivered_at is not None for delivery in written)
    left = book.take()
    assert len(left) == 1200 - 1024 + 1 + 100
    for charged, sent in left.items():
        if charged is not unwritable:
            book.note(charged, sent)
    afterwards.flush()
    with store.view() as view:
        assert len(queries.deliveries(view, "lic_1")) == 1300
    assert book.take() == {}


class Failing(DeliveryBook):
    """Fails the first time it comes to one step."""

    def __init__(self, step: str) -> None:
        super().__init__()
        self.step, self.failed = step, threading.Event()

    def _fail(self, step: str) -> None:
        if step == self.step and not self.failed.is_set():
            self.failed.set()
            raise sa.exc.TimeoutError("no connection is free")

    def entries(self, waiting: Any) -> Any:
        self._fail("entries")
        return super().entries(waiting)

    def write(self, connection: sa.Connection, entries: Any) -> None:
        self._fail("write")
        super().write(connection, entries)


@pytest.mark.parametrize("step", ["entries", "write"])
def test_whatever_fails_what_was_noted_is_written_later(store: Store, step: str) -> None:
    book = Failing(step)

    def written() -> bool:
        with store.view() as view:
            return len(queries.deliveries(view, "lic_1")) == 1

    afterwards = Afterwards(store.database, book, seconds=0.02)
    book.sent(Charged(b"e" * 16, "lic_1", "0" * 64, 10), (0, 10))
    eventually(written)
    assert book.failed.is_set()
    afterwards.close()


def test_once_the_older_secret_has_ended_a_rotation_need_not_say_which_one_does(store: Store) -> None:
    def rotate(person: str, **how: Any) -> Credential:
        with store.unit("system:test") as unit:
            row, _ = actions.rotate_credential(unit, first.id, org_id="org_buyer", kept_by=person, **how)
        return row

    with store.unit("system:test") as unit:
        first, _ = actions.keep_credential(unit, org_id="org_buyer", kept_by="usr_a", name="program")
    older, now = first.secret_sha256, clock.now()
    lost = rotate("usr_b")
    with pytest.raises(BothSecretsValid):
        rotate("usr_c")
    seen = rotate("usr_c", end=OneSecret.NEWER)
    assert (seen.older_sha256, seen.older_kept_by, seen.kept_by) == (older, "usr_a", "usr_c")
    assert seen.secret_sha256 != lost.secret_sha256
    assert seen.older_until == lost.older_until
    with clock.held(now + timedelta(hours=71)), pytest.raises(BothSecretsValid):
        rotate("usr_c")
    with clock.held(now + timedelta(hours=73)):
        last = rotate("usr_d")
    assert (last.older_sha256, last.older_kept_by, last.kept_by) == (seen.secret_sha256, "usr_c", "usr_d")
