"""Ready-made assets for tests: complete descriptions, drafted, submitted and registered."""

import hashlib
from datetime import date
from typing import Any

from contracts.terms import RightKind
from market.identity.rules import Actor
from market.policy.inputs import DataGrade, OpenAttr, SupplyKind
from market.registry import actions
from market.registry.rules import (
    Description,
    FormatKind,
    Item,
    Right,
    ShareType,
    SourceKind,
    UpdateCycle,
)
from market.registry.settings import RegistrySettings
from market.registry.tables import Asset
from market.screening import actions as screening
from storage.kernel.numbers import make_uscc
from storage.objects import Stored
from storage.unit import Store, Unit
from tests.market.people import COMPLIANCE, PROVIDER, REGISTRAR

# An office without days of notice, for tests about something else.
QUICK = RegistrySettings(notice_days=0)
COMPLETE: dict[str, Any] = {
    "title_zh": "公共停车场客流量",
    "title_en": "Car park visits",
    "code": "370200-jt-0001",
    "category": "交通/停车/客流",
    "provider_name": "青岛市交通运输局",
    "provider_code": make_uscc("11370200MB2846751"),
    "abstract_zh": "全市公共停车场逐小时进出车次。",
    "keywords": ("停车", "客流"),
    "format_kind": FormatKind.SHEET,
    "format": "csv",
    "items": (Item(name="lot_id", type="text"),),
    "share_type": ShareType.UNCONDITIONAL,
    "open_attr": OpenAttr.UNCONDITIONAL,
    "update_cycle": UpdateCycle.DAILY,
    "published_on": date(2026, 1, 5),
    "area": "370200",
    "coverage_from": date(2025, 1, 1),
    "coverage_until": date(2025, 12, 31),
    "industry": "G54",
    "system": "停车一张网",
    "source_kind": SourceKind.SELF_COLLECTED,
    "source_statement": "履职过程中依法采集。",
    "rights": (Right(kind=RightKind.OPERATE, scope="对外提供"),),
    "grade": DataGrade.G1,
    "grade_basis": "GB/T 43697 附录 H",
    "supply": SupplyKind.PUBLIC,
    "contains_pi": False,
    "contains_spi": False,
    "committed": True,
}


def described(**changes: Any) -> Description:
    return Description(**(COMPLETE | changes))


def stored(content: str) -> Stored:
    return Stored(hashlib.sha256(content.encode()).hexdigest(), len(content))


def drafted(store: Store, actor: Actor = PROVIDER, content: str = "a,b\n1,2\n", **changes: Any) -> Asset:
    """A complete draft with one file and one evidence paper."""
    with store.unit(actor.id, actor.org) as unit:
        asset = actions.draft_asset(unit, actor, description=described(**changes))
        actions.attach_file(
            unit, actor, asset.id, stored=stored(content), name="客流.csv", format="csv", rows=1
        )
        actions.attach_evidence(unit, actor, asset.id, stored=stored("letter"), name="授权书.pdf")
    return asset


def submitted(store: Store, actor: Actor = PROVIDER, content: str = "a,b\n1,2\n", **changes: Any) -> Asset:
    asset = drafted(store, actor, content, **changes)
    with store.unit(actor.id, actor.org) as unit:
        return actions.submit_asset(unit, actor, asset.id)


def reviewed(unit: Unit, asset_id: str) -> Asset:
    """Accepted and taken up by the registrar."""
    actions.accept_asset(unit, REGISTRAR, asset_id)
    return actions.review_asset(unit, REGISTRAR, asset_id)


def registered(
    store: Store,
    actor: Actor = PROVIDER,
    content: str = "a,b\n1,2\n",
    *,
    screened: bool = True,
    **changes: Any,
) -> Asset:
    asset = submitted(store, actor, content, **changes)
    with store.unit(REGISTRAR.id, REGISTRAR.org) as unit:
        reviewed(unit, asset.id)
        done = actions.register_asset(unit, REGISTRAR, asset.id, reason="材料齐全", office=QUICK)
    if screened:
        screen(store, done, actor)
    return done


def screen(store: Store, asset: Asset, actor: Actor = PROVIDER) -> None:
    """Have the asset pass its secrecy review, by somebody else."""
    with store.unit(actor.id, actor.org) as unit:
        review = screening.ask_review(
            unit,
            actor,
            asset.id,
            statement="自查不含国家秘密与工作秘密",
            personal=bool(asset.contains_pi),
            export=False,
        )
    with store.unit(COMPLIANCE.id, COMPLIANCE.org) as unit:
        screening.review_secrecy(
            unit, COMPLIANCE, review.id, passing=True, reason="内容可以提供", evidence="审查表 1 号"
        )
