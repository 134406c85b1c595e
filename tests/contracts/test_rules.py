from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.rules import CONTRACT, LICENSE, ContractState, LicenseState, term_bounds
from contracts.terms import Term
from storage.kernel.machine import Machine
from storage.kernel.problem import Invalid, WrongState

ZONE = "Asia/Shanghai"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize("machine", [CONTRACT, LICENSE])
@given(data=st.data())
def test_what_has_ended_stays_ended(machine: Machine[ContractState], data: st.DataObject) -> None:
    verbs = sorted({verb for _, verb in machine.moves})
    state, ended = machine.start, False
    for verb in data.draw(st.lists(st.sampled_from(verbs), max_size=12)):
        try:
            state = machine.after(state, verb)
        except WrongState:
            continue
        assert not ended
        ended = machine.ended(state)


def test_the_ends_are_the_ones_the_law_knows() -> None:
    assert {s for s in LicenseState if LICENSE.ended(s)} == {
        LicenseState.EXPIRED,
        LicenseState.REVOKED,
        LicenseState.TERMINATED,
    }
    assert {s for s in ContractState if CONTRACT.ended(s)} == {ContractState.TERMINATED, ContractState.VOID}


def test_the_buyer_cannot_accept_before_the_provider() -> None:
    with pytest.raises(WrongState) as refused:
        CONTRACT.after(ContractState.DRAFT, "buyer_accept")
    assert refused.value.members["allowed"] == ["provider_accept", "void"]


@pytest.mark.parametrize(
    ("start", "months", "until"),
    [
        ("2026-03-02T04:00", 12, "2027-03-02T16:00"),  # 2 March 2027, 24:00 in Shanghai
        ("2026-03-02T17:00", 1, "2026-04-03T16:00"),  # already 3 March in Shanghai
        ("2026-01-31T02:00", 1, "2026-02-28T16:00"),
        ("2028-01-31T02:00", 1, "2028-02-29T16:00"),
        ("2026-12-15T02:00", 13, "2028-01-15T16:00"),
    ],
)
def test_months_end_with_the_day_of_the_same_number(start: str, months: int, until: str) -> None:
    assert term_bounds(Term(months=months), starts_at=at(start), zone=ZONE) == (at(start), at(until))


def test_days_count_from_their_first_midnight_to_their_last() -> None:
    term = Term(first_day=date(2026, 5, 1), last_day=date(2026, 5, 31))
    early, late = at("2026-04-20T00:00"), at("2026-05-10T00:00")
    assert term_bounds(term, starts_at=early, zone=ZONE) == (at("2026-04-30T16:00"), at("2026-05-31T16:00"))
    assert term_bounds(term, starts_at=late, zone=ZONE) == (late, at("2026-05-31T16:00"))
    with pytest.raises(Invalid):
        term_bounds(term, starts_at=at("2026-05-31T16:00"), zone=ZONE)


def test_a_term_without_end_has_no_end() -> None:
    assert term_bounds(Term(), starts_at=at("2026-05-01T00:00"), zone=ZONE)[1] is None


@given(start=st.datetimes(datetime(2020, 1, 1), datetime(2060, 1, 1)), months=st.integers(1, 240))  # noqa: DTZ001
def test_more_months_never_end_earlier(start: datetime, months: int) -> None:
    begin = start.replace(tzinfo=UTC)
    _, shorter = term_bounds(Term(months=months), starts_at=begin, zone=ZONE)
    assert shorter is not None
    assert shorter > begin
    if months < 240:
        _, longer = term_bounds(Term(months=months + 1), starts_at=begin, zone=ZONE)
        assert longer is not None
        assert longer > shorter
