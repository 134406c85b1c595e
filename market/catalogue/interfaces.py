"""供方接口 A provider declares its own API as the product: address, paths, limits, and a secret that is sealed."""

from contracts.terms import DeliveryMode
from market.catalogue import queries
from market.catalogue.actions import own_product, refuse_locked
from market.catalogue.rules import ProductState, interface_manifest
from market.catalogue.tables import Version
from market.identity.rules import Actor, Permission
from metering.keys import Seal
from metering.settings import MeteringSettings
from metering.upstream import Declaration
from metering.upstream_keeping import declare_upstream, rotate_upstream_secret
from storage.kernel import clock
from storage.kernel.ids import new_id
from storage.kernel.problem import WrongState, invalid
from storage.unit import Unit


def declare_interface(
    unit: Unit,
    actor: Actor,
    product_id: str,
    *,
    declared: Declaration,
    secret: str,
    settings: MeteringSettings,
) -> Version:
    """申报接口. Say where the provider's API is and what of it may be called; a new version of the draft.

    What was approved is not changed: a product that waits or is listed keeps its declaration, only the secret
    may be rotated. Raises Forbidden, NotFound, ListingLocked, Invalid with every fault.
    """
    actor.require(Permission.PRODUCT_BUILD)
    product = own_product(unit, actor, product_id)
    refuse_locked(unit, product)
    if product.delivery != [DeliveryMode.API_CALL]:
        raise invalid(
            "delivery",
            "interface.alone",
            "请先在产品信息中只选择“经平台调用供方接口”。",
            "First choose calls to the provider's own API as the product's only delivery.",
        )
    declare_upstream(unit, Seal(settings), settings, product_id=product.id, declared=declared, secret=secret)
    before, now = queries.newest_version(unit, product.id), clock.now()
    number = before.number + 1 if before else 1
    version = Version(
        id=new_id("ver"),
        product_id=product.id,
        number=number,
        run_id=new_id("ups"),  # made by no run
        rows=0,
        columns=[],
        manifest=interface_manifest(declared, number, now),
        sample=[],
        dictionary=[],
        published_by=actor.id,
        published_at=now,
    )
    product.current_version = number
    unit.session.add_all([version, product])
    unit.session.flush()
    unit.record("version.published", f"product:{product.id}", version=number, host=declared.host)
    return version


def rotate_interface_secret(
    unit: Unit, actor: Actor, product_id: str, *, secret: str, settings: MeteringSettings
) -> None:
    """轮换接口密钥. In any state but delisted; calls carry the new one from the next on.

    Raises Forbidden, NotFound, WrongState, Invalid.
    """
    actor.require(Permission.PRODUCT_BUILD)
    product = own_product(unit, actor, product_id)
    if product.state is ProductState.DELISTED:
        raise WrongState(thing="product", state=str(product.state), verb="rotate", allowed=[])
    rotate_upstream_secret(unit, Seal(settings), product_id=product.id, secret=secret)
