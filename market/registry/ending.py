"""终止 How a registration ends without being asked for: by the clock, or for fraud."""

from collections.abc import Sequence
from datetime import datetime

from sqlmodel import col, select

from market.identity.rules import Actor
from market.registry.desk import examined_asset, locked_asset, reasoned
from market.registry.life import AMENDMENT, AmendmentKind, StepKind
from market.registry.notices import close_notice
from market.registry.register import enter, free_contents, open_amendment
from market.registry.rules import ASSET, AssetState
from market.registry.tables import Asset
from storage.kernel import clock
from storage.kernel.problem import invalid
from storage.unit import Unit, View


def registrations_due(view: View, at: datetime, *, limit: int = 200) -> Sequence[str]:
    """到期登记. The ids of registrations whose term was over at `at`, the earliest first."""
    query = select(Asset.id).where(col(Asset.state) == AssetState.REGISTERED, col(Asset.valid_until) <= at)
    return view.session.exec(query.order_by(col(Asset.valid_until)).limit(limit)).all()


def expire_asset(unit: Unit, asset_id: str) -> Asset:
    """登记到期. Note that the term is over; a renewal asked for in time stays open.

    Raises NotFound, WrongState, Invalid before the time.
    """
    asset = locked_asset(unit, asset_id)
    after = ASSET.after(asset.state, "expire")
    if asset.valid_until is None or asset.valid_until > clock.now():
        raise invalid("asset", "asset.running", "登记尚未到期。", "The registration has not expired yet.")
    asset.state, asset.ended_at = after, asset.valid_until
    free_contents(unit, asset)
    unit.session.add(asset)
    _lapse(unit, asset, kept=AmendmentKind.RENEWAL)
    enter(unit, asset, StepKind.EXPIRED, reason="有效期届满 the term is over")
    unit.record("asset.expired", f"asset:{asset.id}", number=asset.number)
    return asset


def revoke_asset(unit: Unit, actor: Actor, asset_id: str, *, reason: str) -> Asset:
    """撤销登记. Got by fraud or against the law: void from now on; the contents may be registered by their owner.

    Raises Forbidden, NotFound, OwnDecision, WrongState, Invalid.
    """
    asset = examined_asset(unit, actor, asset_id)
    after, why = ASSET.after(asset.state, "revoke"), reasoned(reason)
    asset.state, asset.ended_at, asset.reason = after, clock.now(), why
    asset.decided_by, asset.decided_at = actor.id, asset.ended_at
    free_contents(unit, asset)
    unit.session.add(asset)
    _lapse(unit, asset)
    enter(unit, asset, StepKind.REVOKED, reason=why, by_org=actor.org)
    unit.record("asset.revoked", f"asset:{asset.id}", number=asset.number, reason=why)
    return asset


def _lapse(unit: Unit, asset: Asset, *, kept: AmendmentKind | None = None) -> None:
    """An open application ends with the registration it was about."""
    waiting = open_amendment(unit, asset.id)
    if waiting is None or waiting.kind is kept:
        return
    waiting.state = AMENDMENT.after(waiting.state, "lapse")
    unit.session.add(waiting)
    close_notice(unit, asset, waiting, outcome="lapsed")
    unit.record("amendment.lapsed", f"asset:{asset.id}", amendment=waiting.id)
