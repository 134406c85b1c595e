from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.parties import Party
from contracts.terms import Price, Product, Purpose, Quota, RightKind, Term, Terms, Tier
from storage.kernel.problem import Invalid
from tests.contracts.samples import BUYER, SELLER, commercial, open_terms

fen = st.integers(0, 10**9)


def rules(refused: pytest.ExceptionInfo[Invalid]) -> set[tuple[str, str]]:
    return {(fault.field, fault.rule) for fault in refused.value.faults}


@given(
    prices=st.fixed_dictionaries(
        {}, optional=dict.fromkeys(("call_fen", "row_fen", "download_fen", "fee_fen"), fen)
    ),
    prepay=fen,
)
def test_public_good_is_free_or_refused(prices: dict[str, int], prepay: int) -> None:
    costs = any(prices.values()) or prepay > 0
    try:
        terms = open_terms(price=prices, prepay_fen=prepay)
    except Invalid:
        assert costs
    else:
        assert not costs
        assert terms.price.free
        assert terms.spend_cap_fen is None


@pytest.mark.parametrize("field", ["call_fen", "row_fen", "download_fen", "fee_fen"])
@pytest.mark.parametrize(
    ("amount", "rule"), [(-1, "greater_than_equal"), (1.5, "int_type"), ("8", "int_type"), (True, "int_type")]
)
def test_a_price_is_a_whole_non_negative_number_of_fen(field: str, amount: Any, rule: str) -> None:
    with pytest.raises(Invalid) as refused:
        Price(**{field: amount})
    assert rules(refused) == {(field, rule)}


def test_every_wrong_field_is_named_by_its_dotted_place() -> None:
    with pytest.raises(Invalid) as refused:
        commercial(price={"call_fen": -1}, quota={"calls": 0, "colour": 1}, purposes=[])
    assert rules(refused) == {
        ("price.call_fen", "greater_than_equal"),
        ("quota.calls", "greater_than"),
        ("quota.colour", "extra_forbidden"),
        ("purposes", "too_short"),
    }


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"term": {}}, "term.endless"),
        ({"buyer": None}, "buyer.missing"),
        ({"prepay_fen": 0}, "prepay.missing"),
        ({"purposes": ["resale"]}, "rights.resale"),
        ({"rights": ["use", "operate"]}, "rights.resale"),
        ({"buyer": SELLER}, "buyer.self"),
        ({"term": {"months": 1, "first_day": "2026-01-01", "last_day": "2026-02-01"}}, "term.both"),
        ({"term": {"first_day": "2026-01-01"}}, "term.dates"),
        ({"term": {"first_day": "2026-02-01", "last_day": "2026-01-31"}}, "term.reversed"),
        ({"buyer": BUYER | {"identity_number": "91370211MA3ABCDE10"}}, "party.identity"),
    ],
)
def test_terms_that_contradict_themselves_are_refused(changes: dict[str, Any], rule: str) -> None:
    with pytest.raises(Invalid) as refused:
        commercial(**changes)
    assert rule in {fault.rule for fault in refused.value.faults}


def test_terms_survive_storage_as_json() -> None:
    for terms in (
        commercial(),
        open_terms(),
        commercial(term={"first_day": "2026-01-01", "last_day": "2026-12-31"}),
    ):
        assert Terms(**terms.document()) == terms


@given(order=st.permutations(list(Purpose)))
def test_the_order_of_ticked_boxes_does_not_matter(order: list[Purpose]) -> None:
    terms = commercial(purposes=[*order, order[0]], rights=[RightKind.OPERATE, RightKind.USE])
    assert terms.purposes == tuple(Purpose)
    assert terms.rights == (RightKind.USE, RightKind.OPERATE)


def test_only_metered_prices_make_the_prepayment_a_spend_cap() -> None:
    assert commercial(prepay_fen=500).spend_cap_fen == 500
    assert commercial(price={"fee_fen": 100}, prepay_fen=500).spend_cap_fen is None


def test_values_are_frozen_and_plain_values_build() -> None:
    price = Price(call_fen=8)
    with pytest.raises(Exception, match="frozen"):
        price.call_fen = 9  # type: ignore[misc]
    assert price.metered
    assert Quota().calls is None
    assert Term(months=3).endless is False
    assert Product(id="prd_1", slug="a-b", title={"zh": "甲", "en": "A"}).title.en == "A"
    assert open_terms().tier is Tier.PUBLIC_GOOD


def test_a_party_prints_its_english_name_beside_the_registered_one() -> None:
    party = Party(**SELLER)
    assert party.title().en == "Qingdao Data Group Co., Ltd. (青岛数据集团有限公司)"
    assert [label.zh for label, _ in party.rows()][:3] == ["名称（姓名）", "统一社会信用代码", "住所"]
