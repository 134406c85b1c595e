"""Machines walked at random never leave their table, and no path sells public data without mandate and ceiling."""

from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.terms import Purpose
from market.catalogue.grounds import Grounds
from market.lists.matching import Hit, Rule
from market.lists.problems import OnNegativeList
from market.lists.rules import LIST_EDIT, EditState
from market.mandates import pricing, queries
from market.mandates.actions import bind_license
from market.mandates.prices import PRICE_OF, CapForm, CapStep, ChargeUnit, Span, carried, price_faults
from market.mandates.problems import AwaitCeiling, NoMandate
from market.mandates.queries import Cover
from market.mandates.rules import MANDATE, MandateKind, MandateState, Resource, gaps
from market.mandates.tables import Mandate
from market.trading import holding
from storage.kernel import clock
from storage.kernel.ids import new_id
from storage.kernel.problem import Problem, WrongState
from storage.unit import Store
from tests.market.mandates_made import agreement, negative, signed_mandate
from tests.market.people import MANDATOR, PROVIDER

PARKING = Resource("SG-1", "370200-jt-0001", "", "交通/停车/客流", "G54", ("周转率分析",))
_ENDED = {MandateState.HANDED_OVER}


@given(st.lists(st.sampled_from(sorted({verb for _state, verb in MANDATE.moves})), max_size=30))
def test_a_mandate_walked_at_random_keeps_to_its_table(verbs: list[str]) -> None:
    state, signed = MANDATE.start, False
    for verb in verbs:
        if verb not in MANDATE.verbs(state):
            with pytest.raises(WrongState):
                MANDATE.after(state, verb)
            continue
        after = MANDATE.after(state, verb)
        signed = signed or verb == "sign"
        state = after
        if state in {MandateState.ACTIVE, MandateState.SUSPENDED}:
            assert signed, "nothing is in force that was not signed"
    assert MANDATE.ended(state) is (state in _ENDED)


@given(st.lists(st.sampled_from(["publish", "reject", "withdraw"]), min_size=1, max_size=5))
def test_an_edit_is_decided_once(verbs: list[str]) -> None:
    state, moved = EditState.SUBMITTED, 0
    for verb in verbs:
        try:
            state = LIST_EDIT.after(state, verb)
            moved += 1
        except WrongState:
            pass
    assert moved == 1


_MANDATE = Mandate(
    id="mnd_1", number="SQ-1", kind=MandateKind.WHOLE, mandator_id="a", operator_id="b", agreement={}, sha256="",
    valid_from=clock.now(), valid_until=clock.now(), drafted_by="", drafted_at=clock.now(),
)  # fmt: skip
_GROUNDS = st.builds(
    Grounds,
    hits=st.sampled_from([(), (Hit(Rule("FM-0001", 1, negative()), (("words", "逐户"),)),)]),
    cover=st.sampled_from([None, Cover(_MANDATE), Cover(None)]),
    prices=st.sampled_from([(), tuple(price_faults({"call_fen": 1}, []))]),
)


@given(_GROUNDS)
def test_what_lacks_any_ground_is_refused_and_says_which(ground: Grounds) -> None:
    whole = (
        not ground.hits and not ground.prices and (ground.cover is None or ground.cover.mandate is not None)
    )
    assert (ground.faults() == []) is whole
    if whole:
        ground.refuse()
        return
    with pytest.raises((OnNegativeList, NoMandate, AwaitCeiling)) as refusal:
        ground.refuse()
    assert refusal.value.detail is not None


@given(
    granted=st.sets(st.sampled_from(Purpose), min_size=1),
    asked=st.sets(st.sampled_from(Purpose), min_size=1),
)
def test_a_mandate_covers_exactly_the_purposes_it_grants(granted: set[Purpose], asked: set[Purpose]) -> None:
    held = agreement(purposes=tuple(granted))
    assert (gaps(held, PARKING, sorted(asked)) == []) is (asked <= granted)


_MOVES = st.lists(st.sampled_from(["suspend", "resume", "terminate", "sign"]), min_size=1, max_size=6)


@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves=_MOVES)
def test_cover_is_there_exactly_while_some_mandate_is_in_force(store: Store, moves: list[str]) -> None:
    verbs: dict[str, Any] = {
        "suspend": holding.suspend_mandate,
        "resume": holding.resume_mandate,
        "terminate": holding.terminate_mandate,
    }
    held = signed_mandate(store)
    for move in moves:
        try:
            if move == "sign":
                held = signed_mandate(store)
            else:
                with store.unit(MANDATOR.id, MANDATOR.org) as unit:
                    verbs[move](unit, MANDATOR, held.id, reason="随机演练处置")
        except Problem:
            continue
        with store.view() as view:
            rows = queries.mandates(view, None, operator=PROVIDER.own_org, limit=500)
            active = [row for row in rows if row.state is MandateState.ACTIVE]
            cover = queries.covering(
                view, operator_id=PROVIDER.own_org, resource=PARKING, purposes=[Purpose.INDUSTRY]
            )
        assert (cover.mandate is not None) is bool(active)
    with clock.held(clock.now() + timedelta(days=2000)), store.view() as view:
        late = queries.covering(view, operator_id=PROVIDER.own_org, resource=PARKING, purposes=[])
    assert late.mandate is None


_years = count(2026, 3)  # each example has three of its own


@pytest.mark.parametrize("unit", ChargeUnit)
def test_every_price_waits_for_its_own_ceiling(unit: ChargeUnit) -> None:
    assert price_faults({PRICE_OF[unit]: 1}, [])


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    amounts=st.lists(
        st.tuples(st.integers(0, 2), st.integers(1, 12), st.integers(-300, 900).filter(bool)), max_size=8
    )
)
def test_caps_follow_the_counted_invoices_whatever_their_order(
    store: Store, amounts: list[tuple[int, int, int]]
) -> None:
    mandate = signed_mandate(store)
    license_id, base = new_id("lic"), next(_years)
    with store.unit("system:test") as unit:
        bind_license(unit, license_id=license_id, product_id="prd_1", mandate=mandate)
    for year in range(3):
        form = CapForm(
            operator_id=PROVIDER.own_org, first_day=f"{base + year}-01-01", last_day=f"{base + year}-12-31",
            cap_fen=1000, decided_by="发改委", document_no="1 号",
        )  # fmt: skip
        with store.unit(MANDATOR.id, MANDATOR.org) as unit:
            pricing.set_cap(unit, MANDATOR, form=form)
    for year, month, fen in amounts:
        with store.unit("system:test") as unit:
            pricing.book_revenue(
                unit, license_id=license_id, invoice_id=new_id("inv"), period=f"{base + year}-{month:02d}",
                amount_fen=fen,
            )  # fmt: skip
    with store.view() as view:
        rows = sorted(queries.caps(view, MANDATOR), key=lambda row: row.first_day)
    assert [row.carried_fen for row in rows] == carried(
        [Span(row.cap_fen, row.collected_fen) for row in rows]
    )
    mine = [row for row in rows if base <= row.first_day.year < base + 3]
    assert [row.collected_fen for row in mine] == [
        sum(fen for at, _month, fen in amounts if at == year) for year in range(3)
    ]
    assert all(
        (row.step is CapStep.STOPPED) is (row.collected_fen >= row.cap_fen - row.carried_fen) for row in rows
    )
