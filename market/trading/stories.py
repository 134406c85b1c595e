"""一笔交易的全程 What belongs together: from an order, a license, a listing or an asset to everything its story is made of."""

from sqlmodel import col, or_, select

from contracts.tables import License
from market.approvals import queries as approvals
from market.billing.tables import Invoice, PaymentRequest, Refund
from market.catalogue.tables import Listing, Product
from market.registry.tables import Asset
from market.trading.tables import Order
from storage.unit import View


def belonging(view: View, subject: str) -> list[str]:
    """相关对象. The subjects of journal entries that tell the story of one thing, itself first.

    An order brings its case, contract, payments, license, invoices and refunds; a license brings its order;
    a listing its product and cases; an asset its products and their listings. Anything else is told alone.
    """
    noun, _, thing = subject.partition(":")
    tellers = {
        "order": _order,
        "license": _license,
        "listing": _listing,
        "product": _product,
        "asset": _asset,
    }
    found = tellers[noun](view, thing) if noun in tellers else []
    return list(dict.fromkeys([subject, *found]))


def _order(view: View, order_id: str) -> list[str]:
    order = view.session.get(Order, order_id)
    if order is None:
        return []
    payments = view.session.exec(select(PaymentRequest.id).where(PaymentRequest.order_id == order_id))
    named = [f"contract:{order.contract_id}"] if order.contract_id else []
    return [
        *_cases(view, f"order:{order_id}"),
        *named,
        *(f"payment:{each}" for each in payments),
        *(_around(view, order.license_id) if order.license_id else []),
    ]


def _around(view: View, license_id: str) -> list[str]:
    invoices = view.session.exec(select(Invoice.id).where(Invoice.license_id == license_id))
    refunds = view.session.exec(select(Refund.id).where(Refund.license_id == license_id))
    return [
        f"license:{license_id}",
        *_cases(view, f"license:{license_id}"),
        *(f"invoice:{each}" for each in invoices),
        *(f"refund:{each}" for each in refunds),
    ]


def _license(view: View, license_id: str) -> list[str]:
    if view.session.get(License, license_id) is None:
        return []
    order = view.session.exec(select(Order.id).where(Order.license_id == license_id)).first()
    return [*([f"order:{order}", *_order(view, order)] if order else []), *_around(view, license_id)]


def _listing(view: View, listing_id: str) -> list[str]:
    listing = view.session.get(Listing, listing_id)
    return [f"product:{listing.product_id}", *_cases(view, f"listing:{listing_id}")] if listing else []


def _product(view: View, product_id: str) -> list[str]:
    listings = view.session.exec(select(Listing.id).where(Listing.product_id == product_id)).all()
    return [part for each in listings for part in (f"listing:{each}", *_cases(view, f"listing:{each}"))]


def _asset(view: View, asset_id: str) -> list[str]:
    if view.session.get(Asset, asset_id) is None:
        return []
    products = view.session.exec(select(Product.id).where(Product.asset_id == asset_id)).all()
    return [part for each in products for part in (f"product:{each}", *_product(view, each))]


def _cases(view: View, subject: str) -> list[str]:
    return [f"case:{case.id}" for case in approvals.of_subject(view, subject)]


def subject_of_number(view: View, text: str) -> str | None:
    """What a document number or a plain id means: an order's or a license's number, an asset's number."""
    asset = view.session.exec(
        select(Asset.id).where(or_(Asset.number == text, col(Asset.id) == text))
    ).first()
    order = view.session.exec(
        select(Order.id).where(or_(Order.number == text, col(Order.id) == text))
    ).first()
    held = view.session.exec(
        select(License.id).where(or_(License.number == text, col(License.id) == text))
    ).first()
    found = {"asset": asset, "order": order, "license": held}
    return next((f"{noun}:{thing}" for noun, thing in found.items() if thing), None)
