"""扣住与放行 What loses its ground stops in the same Unit, and what regains it goes on: mandates and the negative list."""

from collections.abc import Sequence

from contracts.queries import one_license
from contracts.rules import LICENSE, LicenseState
from market.approvals.tables import Case
from market.catalogue import listing
from market.catalogue import queries as catalogue
from market.catalogue.grounds import grounds_of_listing, regulated
from market.catalogue.rules import Hold
from market.catalogue.tables import Listing, Product
from market.identity.rules import Actor
from market.lists import actions as lists
from market.lists.queries import newest
from market.lists.rules import EditState, ListKind
from market.lists.tables import ListEdit
from market.mandates import actions as mandating
from market.mandates import queries as mandates
from market.mandates.rules import MandateState
from market.mandates.tables import Mandate
from market.registry.queries import source_of_product
from market.trading import actions as trading
from market.trading.span import carry_on, settle_span, settle_spans
from metering.words import Shut
from storage.unit import Unit


def decide_list_edit(
    unit: Unit,
    actor: Actor,
    case_id: str,
    *,
    approve: bool,
    reason: str,
    expected_version: int | None = None,
) -> ListEdit:
    """审批清单修订. An approved edit is published, and every listed product it now catches stops with it.

    Raises what `lists.decide_edit` raises.
    """
    lists.steady(unit)
    edit = lists.decide_edit(
        unit, actor, case_id, approve=approve, reason=reason, expected_version=expected_version
    )
    return _swept(unit, edit)


def settle_list_edit(unit: Unit, case: Case, reason: str) -> ListEdit:
    """办结清单修订. The same for an edit whose case was decided at the desk. Raises what `lists.settle_edit` raises."""
    lists.steady(unit)
    return _swept(unit, lists.settle_edit(unit, case, reason))


def _swept(unit: Unit, edit: ListEdit) -> ListEdit:
    if edit.kind is ListKind.NEGATIVE and edit.state is EditState.PUBLISHED:
        sweep_negative(unit)
    return edit


def sweep_negative(unit: Unit) -> list[str]:
    """清查. Compare every listed product with the negative list as it holds today; stop what it catches.

    Returns the products stopped. What is no longer caught stays as it is: compliance lets it go on.
    """
    lists.steady(unit)
    caught = []
    for product, living in catalogue.listed(unit):
        hits = grounds_of_listing(unit, product, living).hits
        if hits:
            words = hits[0].why
            listing.hold_listing(
                unit, product.id, Hold.NEGATIVE_LIST, reason=words.zh, code=str(Hold.NEGATIVE_LIST)
            )
            caught.append(product.id)
    if newest(unit, ListKind.NEGATIVE):
        lists.note_swept(unit, caught=len(caught))
    return caught


def sign_mandate(
    unit: Unit, actor: Actor, mandate_id: str, *, sha256: str, zone: str = "Asia/Shanghai"
) -> Mandate:
    """签署授权. In force at once when its term has begun; what waited for it goes on. Raises as the room does.

    Licenses that the end of the mandate before would cut short are served on, if this one follows without a gap.
    """
    lists.steady(unit)
    mandate = mandating.sign_mandate(unit, actor, mandate_id, sha256=sha256)
    if mandate.state is MandateState.ACTIVE:
        _release(unit, mandate)
    settle_spans(unit, mandate.operator_id, zone)
    return mandate


def begin_mandate(unit: Unit, mandate_id: str, *, zone: str = "Asia/Shanghai") -> Mandate:
    """授权生效. The clock's: what waited for this mandate goes on. Raises as the room does."""
    lists.steady(unit)
    mandate = mandating.begin_mandate(unit, mandate_id)
    _release(unit, mandate)
    settle_spans(unit, mandate.operator_id, zone)
    return mandate


def suspend_mandate(
    unit: Unit, actor: Actor, mandate_id: str, *, reason: str, zone: str = "Asia/Shanghai"
) -> Mandate:
    """暂停授权. Every listing that stood on it leaves the shelf in this Unit; its gates say `mandate_suspended`."""
    lists.steady(unit)
    mandate = mandating.suspend_mandate(unit, actor, mandate_id, reason=reason)
    _hold(unit, mandate, code=Shut.MANDATE_SUSPENDED)
    settle_spans(unit, mandate.operator_id, zone)
    return mandate


def resume_mandate(
    unit: Unit, actor: Actor, mandate_id: str, *, reason: str, zone: str = "Asia/Shanghai"
) -> Mandate:
    """恢复授权. Listings held for it return, if everything else they stand on still holds."""
    lists.steady(unit)
    mandate = mandating.resume_mandate(unit, actor, mandate_id, reason=reason)
    _release(unit, mandate)
    settle_spans(unit, mandate.operator_id, zone)
    return mandate


def terminate_mandate(
    unit: Unit, actor: Actor, mandate_id: str, *, reason: str, zone: str = "Asia/Shanghai"
) -> Mandate:
    """终止授权. Listings that stood on it are held and its licenses end, in this Unit (`mandate_terminated`)."""
    lists.steady(unit)
    mandate = mandating.terminate_mandate(unit, actor, mandate_id, reason=reason)
    kept = _hold(unit, mandate, code=Shut.MANDATE_TERMINATED)
    for license_id in _stranded(unit, mandate, kept):
        trading.end_with_mandate(unit, license_id, reason=mandate.reason)
    settle_spans(unit, mandate.operator_id, zone)
    return mandate


def expire_mandate(unit: Unit, mandate_id: str, *, zone: str = "Asia/Shanghai") -> Mandate:
    """授权到期. Its gates have refused since by themselves; listings are held, licenses are noted as ended.

    What the next mandate covers goes on under that one.
    """
    lists.steady(unit)
    mandate = mandating.expire_mandate(unit, mandate_id)
    kept = _hold(unit, mandate, code=Shut.MANDATE_EXPIRED)
    for license_id in _stranded(unit, mandate, kept):
        settle_span(unit, license_id, zone)
        held = one_license(unit, license_id)
        if held.serve_until is not None and held.serve_until <= mandate.valid_until:
            trading.expire_license(unit, license_id)
    settle_spans(unit, mandate.operator_id, zone)
    return mandate


def _hold(unit: Unit, mandate: Mandate, *, code: Shut) -> dict[str, Mandate]:
    """Hold what no other mandate covers. Returns product → the mandate that carries it on."""
    kept: dict[str, Mandate] = {}
    for product, living in _of_operator(unit, mandate.operator_id):
        cover = grounds_of_listing(unit, product, living).cover
        if cover is None or cover.mandate is not None:
            if cover is not None and cover.mandate is not None:
                kept[product.id] = cover.mandate
            continue
        listing.hold_listing(unit, product.id, Hold.MANDATE, reason=_why(mandate), code=code)
    return kept


def _why(mandate: Mandate) -> str:
    """What the listing's page says; the clock gives no reason of its own."""
    words = mandate.state.words
    said = f"授权运营 {mandate.number} 已{words.zh} mandate {mandate.number}: {words.en.lower()}"
    return said if mandate.state is MandateState.EXPIRED else f"{said}。{mandate.reason}"


def _release(unit: Unit, mandate: Mandate) -> None:
    for product, living in catalogue.held(unit, Hold.MANDATE, provider=mandate.operator_id):
        if grounds_of_listing(unit, product, living).faults():
            continue
        listing.release_listing(unit, product.id, reason=f"{mandate.number}：{mandate.state.words.zh}")


def _stranded(unit: Unit, mandate: Mandate, kept: dict[str, Mandate]) -> list[str]:
    """Running licenses of the mandate that no other one carries on; the others change over to it."""
    left = []
    for row in mandates.licensed_under(unit, mandate.id):
        state = one_license(unit, row.license_id).state
        if LICENSE.ended(state) or state is LicenseState.PENDING:
            continue
        if row.product_id in kept:
            carry_on(unit, row.license_id, kept[row.product_id])
        else:
            left.append(row.license_id)
    return left


def _of_operator(unit: Unit, operator_id: str) -> Sequence[tuple[Product, Listing]]:
    """Listed products of public data of one operator, in order."""
    return [
        (product, living)
        for product, living in catalogue.listed(unit, provider=operator_id)
        if regulated(product, source_of_product(unit, product.asset_id, product.provider_id))
    ]
