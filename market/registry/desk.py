"""登记窗口 Who may touch which application: the registrant its own, the registrar everybody's but its own."""

from sqlmodel import col, select

from market.approvals.rules import reason_faults
from market.identity.problems import OwnDecision
from market.identity.rules import Actor, Permission
from market.registry.rules import ON_THE_DESK
from market.registry.tables import Amendment, Asset
from storage.kernel import clock
from storage.kernel.problem import Invalid, NotFound
from storage.unit import Unit


def own_asset(unit: Unit, actor: Actor, asset_id: str) -> Asset:
    """The actor's organization's asset, locked. Raises Forbidden, NotFound."""
    actor.require(Permission.ASSET_DRAFT)
    query = select(Asset).where(Asset.id == asset_id, Asset.registrant_id == actor.own_org)
    asset = unit.session.exec(query.with_for_update()).first()
    if asset is None:
        raise NotFound(asset=asset_id)
    return asset


def locked_asset(unit: Unit, asset_id: str) -> Asset:
    """Any asset, locked and as it is now: before its application, so that two movers wait and never deadlock."""
    query = select(Asset).where(Asset.id == asset_id).with_for_update()
    asset = unit.session.exec(query.execution_options(populate_existing=True)).first()
    if asset is None:
        raise NotFound(asset=asset_id)
    return asset


def examined_asset(unit: Unit, actor: Actor, asset_id: str) -> Asset:
    """An asset on the registrar's desk, locked. Raises Forbidden, NotFound, OwnDecision."""
    actor.require(Permission.ASSET_REVIEW)
    query = select(Asset).where(Asset.id == asset_id, col(Asset.state).in_(ON_THE_DESK))
    asset = unit.session.exec(query.with_for_update()).first()
    if asset is None:
        raise NotFound(asset=asset_id)
    refuse_own(actor, asset, asset.created_by, asset.submitted_by)
    return asset


def examined_amendment(unit: Unit, actor: Actor, amendment_id: str) -> tuple[Amendment, Asset]:
    """An application on the registrar's desk with its asset, both locked. Raises Forbidden, NotFound, OwnDecision."""
    actor.require(Permission.ASSET_REVIEW)
    found, asset = locked_amendment(unit, amendment_id)
    refuse_own(actor, asset, found.asked_by, found.agreed_by)
    if actor.belongs_to(found.to_party):
        raise OwnDecision(amendment=found.id)
    return found, asset


def locked_amendment(unit: Unit, amendment_id: str) -> tuple[Amendment, Asset]:
    """An application and its asset, the asset locked first. Raises NotFound."""
    seen = unit.session.get(Amendment, amendment_id)
    if seen is None:
        raise NotFound(amendment=amendment_id)
    asset = locked_asset(unit, seen.asset_id)
    query = select(Amendment).where(Amendment.id == amendment_id).with_for_update()
    return unit.session.exec(query.execution_options(populate_existing=True)).one(), asset


def refuse_own(actor: Actor, asset: Asset, *people: str | None) -> None:
    """职责分离. Nobody decides on what they or any of their organizations asked for. Raises OwnDecision."""
    if actor.belongs_to(asset.registrant_id) or actor.person in people:
        raise OwnDecision(asset=asset.id)


def reasoned(reason: str) -> str:
    """The reason without surrounding space. Raises Invalid when it is too short or too long."""
    if faults := reason_faults(reason):
        raise Invalid(*faults)
    return reason.strip()


def decide(row: Asset | Amendment, actor: Actor, why: str) -> None:
    """Note who decided, when and why."""
    row.reason = why
    row.decided_by, row.decided_at = actor.id, clock.now()
