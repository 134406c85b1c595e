"""Facts for the tier engine: two that pass, and strategies for everything else."""

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from contracts.terms import DeliveryMode, Purpose
from market.policy.inputs import (
    TERMS,
    BuyerKind,
    CeilingState,
    DataGrade,
    Evidence,
    Inputs,
    OpenAttr,
    PermitState,
    PersonalInfo,
    ProductForm,
    ReidLevel,
    Secrecy,
    Shape,
    SupplyKind,
    Term,
    TwinState,
)

# Public, unconditionally open, taken as it is: the plainest case there is.
OPEN = Inputs(
    supply=SupplyKind.PUBLIC,
    purpose=Purpose.INDUSTRY,
    buyer_kind=BuyerKind.ENTERPRISE,
    open_attr=OpenAttr.UNCONDITIONAL,
    product_kind=ProductForm.RAW_OPEN,
    delivery=frozenset({DeliveryMode.FILE, DeliveryMode.API}),
    price_fen=0,
    grade=DataGrade.G1,
    pi=PersonalInfo.NONE,
    reid_level=ReidLevel.CLEAR,
    value_added=False,
    registered=True,
    source_proven=True,
    rights_proven=True,
    disputed=False,
    secrecy=Secrecy.PASSED,
    negative_hits=(),
    provider_verified=True,
    buyer_verified=True,
    payee_department=False,
    mandate=False,
    ceiling=CeilingState.NONE,
    ceiling_fen=0,
    risk_assessment=False,
    consent=False,
    pia=False,
    foreign=False,
    export_gate=False,
    bonded=False,
    permit=PermitState.NOT_NEEDED,
    purpose_evidence=Evidence.MISSING,
    emergency_declared=False,
    named_purpose=False,
    free_twin=TwinState.NONE,
    open_terms=False,
    eligible=False,
    off_purpose=False,
)
PLAIN = OPEN.canonical()


def facts(**changes: Any) -> Inputs:
    """The plain case with some facts otherwise, as canonical values."""
    return Inputs.of(PLAIN | changes)


def sold(**changes: Any) -> Inputs:
    """Mandated public data, processed, sold to industry within its ceiling."""
    usual = {
        "open_attr": "K", "product_kind": "modelled", "value_added": True, "mandate": True,
        "ceiling": "in_force", "ceiling_fen": 50, "price_fen": 50, "grade": "G2", "delivery": ["api"],
    }  # fmt: skip
    return facts(**(usual | changes))


def _values(term: Term) -> st.SearchStrategy[Any]:
    match term.shape:
        case Shape.FLAG:
            return st.booleans()
        case Shape.AMOUNT:
            return st.sampled_from((0, 1, 50, 51, 10**9))
        case Shape.SET:
            return st.frozensets(st.sampled_from(DeliveryMode))
        case Shape.NAMES:
            return st.sampled_from(((), ("N01",)))
        case Shape.CHOICE:
            return st.sampled_from(term.values())


_BASES = (
    OPEN,
    sold(),
    sold(supply="mixed"),
    sold(purpose="public_welfare", purpose_evidence="proven"),
    sold(purpose="research_nonprofit"),
    sold(supply="enterprise", mandate=False, ceiling="none"),
    facts(supply="enterprise", open_terms=True),
    facts(purpose="emergency", emergency_declared=True, open_attr="K"),
)
# A case that passes with up to five facts otherwise: near the line, where the rules behind the denials are reached.
_CHANGES = st.sampled_from(sorted(TERMS)).flatmap(lambda name: st.tuples(st.just(name), _values(TERMS[name])))
known_inputs = st.builds(
    lambda base, changes: replace(base, **dict(changes)),
    st.sampled_from(_BASES),
    st.lists(_CHANGES, max_size=5),
)
any_inputs = st.builds(
    lambda base, forgotten: replace(base, **dict.fromkeys(forgotten)),
    known_inputs,
    st.lists(st.sampled_from(sorted(TERMS)), max_size=2),
)
