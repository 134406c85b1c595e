"""Usage from outside: read as CloudEvents, signed, booked in the till's own books exactly once."""

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from http_message_signatures import HTTPMessageSigner, MappingKeyResolver, algorithms
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from sqlmodel import col, select

from metering import actions, queries
from metering.cloudevents import BATCH, SINGLE, TYPE, items
from metering.gate import Charge
from metering.problems import InvalidSignature, InvalidToken, LicenseNotInForce
from metering.report_keys import Message, check_signature, keep_report_key
from metering.reporting import Outcome, book_report, reports_until
from metering.tables import Credential, Period, UsageEvent
from metering.till import Till
from metering.usage import usage_by
from metering.words import By, Kind, Reported
from storage.kernel import clock
from storage.kernel.ids import new_id
from storage.kernel.problem import Invalid
from storage.unit import Store, Unit
from tests.metering.shelf import BARE, SomePolicy, SomePrice, put_on_shelf

ZONE = "Asia/Shanghai"
NOW = datetime(2026, 11, 22, 4, tzinfo=UTC)


def event(number: int = 1, license_id: str = "lic_1", **changes: Any) -> dict[str, Any]:
    plain = {
        "specversion": "1.0",
        "id": f"e{number}",
        "source": "/site/qingdao",
        "type": TYPE,
        "subject": license_id,
        "time": "2026-11-22T11:00:00+08:00",
        "data": {"calls": 1, "rows": 2, "bytes": 3},
    }
    return {name: value for name, value in (plain | changes).items() if value is not None}


def batch(*events: Any) -> bytes:
    return orjson.dumps(list(events))


class Books:
    """A provider's credential, a licensed product delivered on site, and reports at a held moment."""

    def __init__(self, store: Store) -> None:
        self.store = store
        put_on_shelf(store, BARE)
        with store.unit("system:test") as unit:
            row, _ = actions.keep_credential(
                unit, org_id="org_provider", kept_by="usr_provider", name="meter"
            )
        self.credential: Credential = row

    def license(self, license_id: str = "lic_1", **policy: Any) -> str:
        given: dict[str, Any] = {"delivery": ("compute",), "price": SomePrice(call_fen=2, row_fen=1)} | policy
        with self.store.unit("system:test") as unit:
            actions.open_gate(
                unit,
                license_id=license_id,
                product_id="prd_1",
                buyer_id="org_buyer",
                policy=SomePolicy(**given),
            )
        return license_id

    def report(self, *events: Any, org: str = "org_provider", now: datetime = NOW) -> list[Outcome]:
        with clock.held(now):
            return book_report(
                self.store.database,
                items({"content-type": BATCH}, batch(*events)),
                org_id=org,
                credential_id=self.credential.id,
                zone=ZONE,
            )

    def said(self, *events: Any, **how: Any) -> list[str]:
        """`result` or `result code` of each event."""
        return [
            str(outcome.result) + (f" {outcome.reason.code}" if outcome.reason else "")
            for outcome in self.report(*events, **how)
        ]

    def events(self, license_id: str = "lic_1") -> list[UsageEvent]:
        with self.store.view() as view:
            query = select(UsageEvent).where(UsageEvent.license_id == license_id).order_by(col(UsageEvent.id))
            return list(view.session.exec(query).all())

    def uncounted(self, license_id: str = "lic_1") -> dict[str, tuple[int, int]]:
        with self.store.view() as view:
            return queries.uncounted(view, license_id)


@pytest.fixture
def books(store: Store) -> Books:
    return Books(store)


def test_a_report_is_booked_once_with_each_event_answered(books: Books) -> None:
    books.license()
    broken = event(3, data={"calls": -1})
    assert books.said(event(1), event(1), event(1, data={"calls": 9}), broken, event(2)) == [
        "accepted",
        "duplicate",
        "conflict event.conflict",
        "rejected event.count:data.calls",
        "accepted",
    ]
    assert books.said(event(2), event(1)) == ["duplicate", "duplicate"]
    assert books.said(event(1), now=NOW + timedelta(days=300)) == ["duplicate"]  # never a second purchase
    first, second = books.events()
    assert (first.kind, first.calls, first.rows, first.bytes, first.amount_fen) == (Kind.REPORTED, 1, 2, 3, 4)
    assert first.at == datetime(2026, 11, 22, 3, tzinfo=UTC)
    assert {first.credential_id, second.credential_id} == {books.credential.id}
    assert books.uncounted() == {}
    with books.store.view() as view:
        totals = queries.totals_of_period(view, "lic_1", "2026-11")
    assert totals[Kind.REPORTED].calls == 2


def test_a_provider_reports_for_its_own_products_and_outside_deliveries_only(books: Books) -> None:
    books.license()
    books.license("lic_api", delivery=("api", "file"))
    assert books.said(event(1), org="org_other") == ["rejected license.unknown"]
    assert books.said(event(1, "lic_nowhere")) == ["rejected license.unknown"]
    assert books.said(event(1, "lic_api")) == ["rejected license.delivery"]
    assert books.events() == []
    assert books.said(event(1)) == ["accepted"]
    books.license("lic_2")
    assert books.said(event(1, "lic_2")) == ["conflict event.conflict"]


def test_what_the_gateway_counts_itself_is_not_reported_a_second_time(books: Books) -> None:
    books.license(delivery=("api", "compute"))

    def said(number: int, way: str | None) -> list[str]:
        return books.said(event(number, data={"calls": 1} | ({"delivery": way} if way else {})))

    assert said(1, None) == ["rejected license.which_delivery"]
    assert said(2, "api") == ["rejected license.delivery"]
    assert said(3, "file") == ["rejected license.delivery"]
    assert said(4, "verify") == ["rejected license.other_delivery"]
    assert books.events() == []
    assert said(5, "compute") == ["accepted"]
    assert said(5, None) == ["conflict event.conflict"]  # what was said belongs to the event
    books.license("lic_2")
    either = event(6, "lic_2"), event(7, "lic_2", data={"calls": 1, "delivery": "compute"})
    assert books.said(*either) == ["accepted", "accepted"]


def ended(books: Books) -> None:
    with books.store.unit("system:test") as unit:
        actions.end_gate(unit, "lic_1")


def test_a_term_that_ran_out_is_judged_at_the_moment_of_use(books: Books, till: Till) -> None:
    books.license(serve_until=datetime(2026, 11, 22, 3, 30, tzinfo=UTC), limit_calls=3)
    last, after = event(2, time="2026-11-22T03:29:59Z"), event(3, time="2026-11-22T03:30:00Z")
    assert books.said(event(1), after) == ["accepted", "rejected license-not-in-force"]
    with books.store.view() as view:
        assert reports_until(view, "lic_1") is None
    ended(books)
    assert books.said(event(1), last, after) == ["duplicate", "accepted", "rejected license-not-in-force"]
    with books.store.unit("system:test") as unit:  # what happens to the product later happened after the term
        actions.unshelve(unit, "prd_1", reason="objection")
    before = event(4, time="2025-12-31T23:59:59Z")
    assert books.said(before, event(5), event(6)) == [
        "rejected event.window",
        "accepted",
        "rejected quota-exhausted",
    ]
    late = Charge(
        "lic_1", "prd_1", books.credential.id, "", "internal_business", Kind.CALL, "k", b"f", calls=0
    )
    with pytest.raises(LicenseNotInForce):  # the door itself stays shut
        till.charge(late)
    last_moment = datetime(2026, 12, 27, 3, 30, tzinfo=UTC)
    with books.store.view() as view:
        with clock.held(last_moment):
            assert reports_until(view, "lic_1") == last_moment
        with clock.held(last_moment + timedelta(seconds=1)):
            assert reports_until(view, "lic_1") is None
    assert books.uncounted() == {}


@pytest.mark.parametrize(
    ("stop", "said"),
    [
        (lambda unit: actions.shut_gate(unit, "lic_1", reason="suspended"), "license.stopped"),
        (lambda unit: actions.unshelve(unit, "prd_1", reason="objection"), "license.stopped"),
        (lambda unit: actions.unshelve(unit, "prd_1", reason="over", code="registration_expired"), None),
        (lambda unit: actions.shut_gate(unit, "lic_1", reason="restored"), None),
    ],
    ids=["suspended", "off the shelf", "with its registration", "under check"],
)
def test_what_was_stopped_before_its_end_takes_no_reports_after_it(
    books: Books, stop: Callable[[Unit], object], said: str | None
) -> None:
    books.license(serve_until=datetime(2026, 11, 22, 3, 30, tzinfo=UTC))
    with books.store.unit("system:test") as unit:
        stop(unit)
    assert books.said(event(1))[0].startswith("rejected")
    ended(books)
    assert books.said(event(1)) == [f"rejected {said}" if said else "accepted"]


def test_what_ended_access_ends_reports_of_use_before_it_too(books: Books) -> None:
    books.license()
    assert books.said(event(1)) == ["accepted"]
    with books.store.unit("system:test") as unit:
        actions.shut_gate(unit, "lic_1", reason="revoked")
    assert books.said(event(3), event(1)) == ["rejected license-not-in-force", "duplicate"]
    with books.store.unit("system:test") as unit:
        actions.end_credential(unit, books.credential.id, org_id="org_provider", reason="leaked")
    with pytest.raises(InvalidToken):
        books.report(event(4))
    assert len(books.events()) == 1


def test_limits_are_exact_beside_the_till(books: Books, till: Till) -> None:
    books.license(limit_calls=3, spend_cap_fen=11, purposes=("industry",))
    assert books.said(*(event(n, data={"calls": 1, "rows": 1}) for n in range(5))) == [
        "accepted",
        "accepted",
        "accepted",
        "rejected quota-exhausted",
        "rejected quota-exhausted",
    ]
    with pytest.raises(Exception, match="quota"):
        till.charge(
            Charge("lic_1", "prd_1", books.credential.id, "", "industry", Kind.CALL, "k", b"f", calls=1)
        )
    assert books.said(event(9, data={"rows": 3})) == ["rejected spend-cap-reached"]
    assert books.said(event(9, data={"rows": 2, "purpose": "resale"})) == ["rejected purpose-refused"]
    assert books.said(event(9, data={"rows": 2})) == ["accepted"]
    assert books.uncounted() == {}


def test_late_events_go_into_the_open_period_and_old_ones_nowhere(books: Books) -> None:
    books.license()
    with books.store.unit("system:test") as unit, clock.held(NOW):
        actions.close_period(unit, "2026-10", zone=ZONE)
    last_month = event(1, time="2026-10-31T23:59:59+08:00")
    (late,) = books.report(last_month)
    assert (late.result, late.period, late.late) == (Reported.ACCEPTED, "2026-11", True)
    (in_time,) = books.report(event(2, time="2026-11-01T00:00:00+08:00"))
    assert (in_time.period, in_time.late) == ("2026-11", False)
    edges = [NOW - timedelta(days=35), NOW + timedelta(minutes=5)]
    assert books.said(*(event(n, time=at.isoformat()) for n, at in enumerate(edges, 3))) == ["accepted"] * 2
    outside = [edges[0] - timedelta(seconds=1), edges[1] + timedelta(seconds=1)]
    assert (
        books.said(*(event(n, time=at.isoformat()) for n, at in enumerate(outside, 5)))
        == ["rejected event.window"] * 2
    )
    with books.store.view() as view:
        assert queries.totals_of_period(view, "lic_1", "2026-10") == {}
        begin = datetime(2026, 10, 31, 15, tzinfo=UTC)
        hours = usage_by(view, By.HOUR, license_id="lic_1", since=begin, until=NOW)
    assert hours[0][0] == begin.isoformat()
    assert books.uncounted() == {}


@examples(max_examples=12)
@given(
    used=st.lists(st.tuples(st.integers(0, 34 * 24 * 60), st.integers(1, 9)), max_size=15),
    closed=st.booleans(),
    zone=st.sampled_from([ZONE, "Asia/Kolkata"]),
)
def test_a_period_by_month_of_use_holds_every_event_once(
    store: Store, used: list[tuple[int, int]], *, closed: bool, zone: str
) -> None:
    books = Books(store)
    license_id, run = books.license(new_id("lic")), new_id("run")
    with store.unit("system:test") as unit, clock.held(NOW):
        for month in unit.session.exec(select(Period)).all():  # of the example before
            unit.session.delete(month)
        unit.session.flush()
        unit.record("test.opened", "period:2026-10")
        if closed:
            actions.close_period(unit, "2026-10", zone=ZONE)
    for number, (minutes, calls) in enumerate(used):
        at = (NOW - timedelta(minutes=minutes)).isoformat()
        said = event(number, license_id, id=f"{run}{number}", time=at, data={"calls": calls, "rows": 1})
        assert books.said(said) == ["accepted"]
    expected: dict[tuple[str, str], int] = {}
    for row in books.events(license_id):
        place = (row.period, clock.period_of(row.at, ZONE))
        expected[place] = expected.get(place, 0) + row.calls
    with store.view() as view:
        found = {
            (period, month): sum(usage.calls for usage in kinds.values())
            for period in queries.periods_of(view, license_id)
            for month, kinds in queries.totals_by_month(view, license_id, period, ZONE).items()
        }
        other = {
            period: sum(
                usage.calls
                for kinds in queries.totals_by_month(view, license_id, period, zone).values()
                for usage in kinds.values()
            )
            for period in queries.periods_of(view, license_id)
        }
    assert found == expected
    assert {period for period, _ in expected} <= ({"2026-11"} if closed else {"2026-10", "2026-11"})
    assert sum(other.values()) == sum(calls for _, calls in used)  # in any zone nothing is lost


reports = st.lists(
    st.builds(
        lambda number, rows: event(number, data={"calls": 1, "rows": rows}),
        st.integers(1, 12),
        st.just(0),
    ).map(lambda each: each | {"data": {"calls": int(each["id"][1:]), "rows": 1}}),
    max_size=20,
)


@examples(max_examples=25)
@given(events=reports, cuts=st.lists(st.integers(0, 20), max_size=4), data=st.data())
def test_order_batches_and_repeats_change_nothing(
    store: Store, events: list[dict[str, Any]], cuts: list[int], data: st.DataObject
) -> None:
    """Any order, any split into reports, any repetition books the same set of events."""
    books = Books(store)
    one, other = (books.license(new_id("lic")) for _ in range(2))
    run = new_id("run")  # each example its own ids
    once = [each | {"subject": one, "id": f"{run}a{each['id']}"} for each in events]
    if once:
        books.report(*once)
    mixed = data.draw(st.permutations(events + events[: len(events) // 2]))
    bounds = sorted({0, len(mixed), *(cut for cut in cuts if cut < len(mixed))})
    results: list[str] = []
    for start, end in pairwise(bounds):
        part = [each | {"subject": other, "id": f"{run}b{each['id']}"} for each in mixed[start:end]]
        results += books.said(*part)
    assert results.count("accepted") == len({each["id"] for each in events})
    assert set(results) <= {"accepted", "duplicate"}
    sums = [
        sorted((row.calls, row.rows, row.amount_fen, row.at) for row in books.events(license_id))
        for license_id in (one, other)
    ]
    assert sums[0] == sums[1]
    assert books.uncounted(one) == books.uncounted(other) == {}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"specversion": "0.3"}, "event.version:specversion"),
        ({"type": "other"}, "event.type:type"),
        ({"id": None}, "event.text:id"),
        ({"id": "a\n"}, "event.text:id"),
        ({"source": ""}, "event.text:source"),
        ({"subject": 3}, "event.text:subject"),
        ({"time": "2026-11-22T11:00:00"}, "event.time:time"),
        ({"time": "yesterday"}, "event.time:time"),
        ({"time": "0001-01-01T00:00:00+14:00"}, "event.time:time"),
        ({"data": None}, "event.data:data"),
        ({"data": {"calls": 1, "price": 0}}, "event.data:data"),
        ({"data": {"calls": 1.5}}, "event.count:data.calls"),
        ({"data": {"calls": True}}, "event.count:data.calls"),
        ({"data": {"bytes": 2**60}}, "event.count:data.bytes"),
        ({"data": {}}, "event.empty:data"),
        ({"data": {"calls": 1, "purpose": "a\x00"}}, "event.purpose:data.purpose"),
        ({"data": {"calls": 1, "delivery": "post"}}, "event.delivery:data.delivery"),
        ({"data": {"calls": 1, "delivery": ["compute"]}}, "event.delivery:data.delivery"),
        ({"data_base64": "AA=="}, "event.media:data"),
    ],
)
def test_each_bad_event_says_what_is_wrong(changes: dict[str, Any], code: str) -> None:
    good, bad = items({"content-type": BATCH}, batch(event(1), event(2, **changes)))
    assert not hasattr(good.read, "code")
    assert getattr(bad.read, "code", None) == code
    assert bad.index == 1


def test_the_three_modes_say_the_same_and_the_rest_is_refused() -> None:
    (structured,) = items({"content-type": f"{SINGLE}; charset=utf-8"}, orjson.dumps(event()))
    attributes = {f"ce-{name}": value for name, value in event().items() if name != "data"}
    attributes["ce-source"] = "/site/%71ingdao"
    (binary,) = items(attributes | {"content-type": "application/json"}, orjson.dumps(event()["data"]))
    (batched,) = items({"content-type": BATCH}, batch(event()))
    assert structured == binary == batched
    for media, body in (
        (BATCH, b"[]"),
        (BATCH, b"{}"),
        (BATCH, batch(*[event()] * 1001)),
        (BATCH, b"[" * 5000),
        (SINGLE, b"{"),
        ("application/json", orjson.dumps(event())),
        ("", b""),
    ):
        with pytest.raises(Invalid):
            items({"content-type": media}, body)
    assert items({"content-type": SINGLE}, b"3")[0].id is None


# ------------------------------------------------------------------ signatures

KEY = Ed25519PrivateKey.generate()
X = base64.urlsafe_b64encode(KEY.public_key().public_bytes_raw()).rstrip(b"=").decode()
COVERED = ("@method", "@path", "content-type", "content-digest")


class Sent:
    """A request that can be signed in place."""

    def __init__(self, body: bytes, **headers: str) -> None:
        self.method, self.url, self.body = "POST", "https://market.example/api/v1/usage-events", body
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    def signed(
        self, *more: str, created: datetime | None = None, covered: tuple[str, ...] = COVERED
    ) -> "Sent":
        resolver = MappingKeyResolver(public_keys={}, private_keys={"k1": KEY})
        signer = HTTPMessageSigner(signature_algorithm=algorithms.ED25519, key_resolver=resolver)
        signer.sign(
            self,
            key_id="k1",
            covered_component_ids=[name for name in (*covered, *more) if name != "content-digest"],
            body=self.body if "content-digest" in covered else None,
            created=created or datetime.now(UTC),
        )
        return self

    def checked(self, **changes: Any) -> str:
        headers = {name.lower(): value for name, value in self.headers.items()} | changes.pop("headers", {})
        message = Message(changes.pop("method", self.method), changes.pop("url", self.url), headers)
        return check_signature(message, changes.pop("body", self.body), changes.pop("keys", {"k1": X}))


def test_a_signature_covers_everything_that_is_believed() -> None:
    sent = Sent(b"[1]", content_type=BATCH).signed()
    assert sent.checked() == "k1"
    bad: list[dict[str, Any]] = [
        {"body": b"[2]"},
        {"method": "PUT"},
        {"url": "https://market.example/api/v1/other"},
        {"headers": {"content-type": SINGLE}},
        {"headers": {"ce-id": "1"}},
        {"headers": {"content-digest": "sha-256=:AAAA:"}},
        {"headers": {"signature": "pyhms=:AAAA:"}},
        {"headers": {"signature": "", "signature-input": ""}},
        {"headers": {"signature-input": "\x00"}},
        {"keys": {}},
        {"keys": {"k1": base64.urlsafe_b64encode(bytes(32)).decode()}},
    ]
    for changes in bad:
        with pytest.raises(InvalidSignature):
            sent.checked(**changes)
    with pytest.raises(InvalidSignature):
        Sent(b"[1]", content_type=BATCH).checked()
    for missing in COVERED:
        covered = tuple(name for name in COVERED if name != missing)
        with pytest.raises(InvalidSignature):
            Sent(b"[1]", content_type=BATCH).signed(covered=covered).checked()
    old = Sent(b"[1]", content_type=BATCH).signed(created=datetime.now(UTC) - timedelta(minutes=6))
    with pytest.raises(InvalidSignature):
        old.checked()
    binary = Sent(b"{}", content_type="application/json", ce_id="1").signed("ce-id")
    assert binary.checked() == "k1"
    with pytest.raises(InvalidSignature):
        binary.checked(headers={"ce-id": "2"})


@pytest.mark.parametrize(
    "x", ["", "AAAA", "not base64!", X + "AA", "é"], ids=["empty", "short", "words", "long", "accent"]
)
def test_only_an_ed25519_key_is_registered(store: Store, x: str) -> None:
    with pytest.raises(Invalid), store.unit("system:test") as unit:
        keep_report_key(unit, org_id="org_provider", name="meter", x=x)
