"""负面清单筛查 What an asset declares, as the negative list reads it; and whether it may be registered at all."""

from collections.abc import Sequence

from market.lists.matching import Declared, Hit
from market.lists.queries import negative_hits
from market.lists.rules import Bar
from market.policy.inputs import PersonalInfo
from market.registry.tables import Asset
from storage.kernel.problem import Fault
from storage.unit import View


def personal_of(asset: Asset) -> PersonalInfo | None:
    """个人信息. None while it is not declared."""
    if asset.contains_spi:
        return PersonalInfo.SPI
    if asset.contains_pi:
        return PersonalInfo.PI
    return None if asset.contains_pi is None else PersonalInfo.NONE


def declared(asset: Asset) -> Declared:
    """申报事实. Everything of the asset a negative rule may look at."""
    return Declared(
        texts=(asset.title_zh, asset.title_en, asset.abstract_zh, asset.abstract_en, *asset.keywords),
        category=asset.category,
        industry=asset.industry,
        fields=tuple(str(item.get("name", "")) for item in asset.items),
        codes=(asset.number or "", asset.code, asset.national_code or ""),
        grade=asset.grade,
        source=asset.source_kind,
        supply=asset.supply,
        open_attr=asset.open_attr,
        personal=personal_of(asset),
        has_basis=bool(asset.pi_basis.strip()),
    )


def hits_of(view: View, asset: Asset) -> list[Hit]:
    """命中. Every negative rule in force that catches the asset, the ones that only bar trade included."""
    return negative_hits(view, declared(asset))


def registration_faults(hits: Sequence[Hit]) -> list[Fault]:
    """不得登记. The hits for which data is not even registered."""
    return [hit.fault() for hit in hits if hit.rule.entry.bar is Bar.REGISTRATION]
