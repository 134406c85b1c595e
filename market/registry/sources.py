"""一数一源 One data item, one authoritative source; who collects, approves and provides it; sources compared."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select

from market.identity.rules import Actor, Permission
from market.registry.desk import own_asset, reasoned
from market.registry.problems import ItemExists, SourceExists, SourceTaken
from market.registry.queries import asset as readable_asset
from market.registry.queries import concerned, files_of
from market.registry.rules import AssetState
from market.registry.tables import Asset, AssetFile, CrossCheck, DataItem, ItemSource
from storage.kernel import clock
from storage.kernel.ids import new_id
from storage.kernel.problem import Fault, Invalid, NotFound, invalid
from storage.kernel.words import Words
from storage.unit import Unit, View

ROLES: dict[str, Words] = {
    "collector": Words("采集部门", "collecting department"),
    "approver": Words("核准部门", "approving department"),
    "provider": Words("提供部门", "providing department"),
}


def define_item(
    unit: Unit, actor: Actor, *, code: str, name_zh: str, name_en: str, definition: str = ""
) -> DataItem:
    """定义数据项. The directory's keeper names what should be collected once. Raises Forbidden, ItemExists, Invalid."""
    actor.require(Permission.DIRECTORY_KEEP)
    if not re.fullmatch(r"[a-z][a-z0-9_.-]{1,63}", code, re.ASCII):
        raise invalid(
            "code",
            "item.code",
            "代码为小写字母开头的字母、数字、点、横线，2 至 64 位。",
            "A lower-case letter, then letters, digits, dots or hyphens; 2 to 64.",
        )
    faults = [
        Fault(field, "length", Words("请填写名称，200 字以内。", "Name it, in 200 characters at most."))
        for field, text in (("name_zh", name_zh), ("name_en", name_en))
        if not 1 <= len(text.strip()) <= 200
    ]
    if faults:
        raise Invalid(*faults)
    item = DataItem(
        id=new_id("dit"),
        code=code,
        name_zh=name_zh.strip(),
        name_en=name_en.strip(),
        definition=definition.strip()[:1000],
        kept_by=actor.id,
        kept_at=clock.now(),
    )
    unit.session.add(item)
    try:
        unit.session.flush()
    except IntegrityError as error:
        raise ItemExists(code=code) from error
    unit.record("item.defined", f"item:{item.id}", code=code)
    return item


def name_source(
    unit: Unit,
    actor: Actor,
    item_id: str,
    *,
    asset_id: str,
    field: str,
    roles: Mapping[str, str],
) -> ItemSource:
    """登记来源. The registrant of a registered asset says that it holds the item, and who does what there.

    Raises Forbidden, NotFound, SourceExists, Invalid (not registered, no such field).
    """
    item = _item(unit, item_id)
    asset = own_asset(unit, actor, asset_id)
    if asset.state is not AssetState.REGISTERED:
        raise invalid(
            "asset_id",
            "source.registered",
            "仅已登记的资产可作为来源。",
            "Only a registered asset is a source.",
        )
    if field not in {entry["name"] for entry in asset.items}:
        raise invalid("field", "source.field", "该资产没有此信息项。", "The asset has no such data item.")
    source = ItemSource(
        id=new_id("src"),
        item_id=item.id,
        asset_id=asset.id,
        field=field,
        named_by=actor.id,
        named_at=clock.now(),
    )
    for role, who in _tidied(roles).items():
        setattr(source, role, who)
    unit.session.add(source)
    try:
        unit.session.flush()
    except IntegrityError as error:
        raise SourceExists(item=item_id, asset=asset_id) from error
    unit.record("source.named", f"item:{item.id}", source=source.id, asset=asset.id)
    return source


def set_roles(unit: Unit, actor: Actor, source_id: str, *, roles: Mapping[str, str]) -> ItemSource:
    """明确责任部门. The registrant fills in who collects, approves, provides. Raises Forbidden, NotFound, Invalid."""
    source = _source(unit, source_id)
    own_asset(unit, actor, source.asset_id)
    for name, text in _tidied(roles).items():
        setattr(source, name, text)
    _refuse_nameless(source, wanted=source.authoritative)
    unit.session.add(source)
    unit.record("source.roles_set", f"item:{source.item_id}", source=source.id, roles=sorted(roles))
    return source


def claim_authority(unit: Unit, actor: Actor, source_id: str, *, reason: str) -> ItemSource:
    """认定权威来源. The one source of an item; a second is refused, also when two claim at once.

    Raises Forbidden, NotFound, SourceTaken, Invalid (a role is not named, the asset is not registered).
    """
    actor.require(Permission.DIRECTORY_KEEP)
    source, why = _source(unit, source_id), reasoned(reason)
    _refuse_nameless(source, wanted=True)
    asset = unit.session.get_one(Asset, source.asset_id)
    if asset.state is not AssetState.REGISTERED:
        raise invalid(
            "source", "source.registered", "来源资产的登记已终止。", "The source's registration has ended."
        )
    held = _authority(unit, source.item_id)
    if held is not None and held.id != source.id:
        raise _taken(unit, held)
    item_id = source.item_id
    source.authoritative, source.since, source.reason = True, clock.now(), why
    unit.session.add(source)
    try:
        unit.session.flush()
    except IntegrityError as error:
        raise SourceTaken(item=item_id) from error
    unit.record("source.authoritative", f"item:{source.item_id}", source=source.id, reason=why)
    return source


def end_authority(unit: Unit, actor: Actor, source_id: str, *, reason: str) -> ItemSource:
    """终止权威来源. Raises Forbidden, NotFound, Invalid."""
    actor.require(Permission.DIRECTORY_KEEP)
    source, why = _source(unit, source_id), reasoned(reason)
    source.authoritative, source.since, source.reason = False, None, why
    unit.session.add(source)
    unit.record("source.authority_ended", f"item:{source.item_id}", source=source.id, reason=why)
    return source


def files_to_compare(view: View, actor: Actor, left: str, right: str) -> tuple[AssetFile, AssetFile]:
    """待校核文件. The files by id, for the directory's keeper. Raises Forbidden, NotFound, Invalid for one and the same."""
    actor.require(Permission.DIRECTORY_KEEP)
    if left == right:
        raise invalid("right", "compare.other", "请选择两个不同的文件。", "Choose two different files.")
    found = []
    for file_id in (left, right):
        file = view.session.get(AssetFile, file_id)
        about = view.session.get(Asset, file.asset_id) if file else None
        if file is None or about is None or not concerned(actor, about):
            raise NotFound(file=file_id)
        found.append(file)
    return found[0], found[1]


def keep_check(
    unit: Unit,
    actor: Actor,
    *,
    left: AssetFile,
    right: AssetFile,
    result: Mapping[str, Any],
    item_id: str | None = None,
) -> CrossCheck:
    """校核存档. What a comparison found; the journal gets the figures, the values stay with those concerned."""
    actor.require(Permission.DIRECTORY_KEEP)
    if item_id is not None:
        _item(unit, item_id)
    check = CrossCheck(
        id=new_id("chk"),
        left_asset_id=left.asset_id,
        right_asset_id=right.asset_id,
        left_sha256=left.sha256,
        right_sha256=right.sha256,
        item_id=item_id,
        result=dict(result),
        asked_by=actor.id,
        asked_at=clock.now(),
    )
    unit.session.add(check)
    figures = {key: result[key] for key in ("matched", "left_only", "right_only")}
    mismatched = sum(field["mismatched"] for field in result["fields"])
    unit.record("source.compared", f"check:{check.id}", mismatched=mismatched, **figures)
    return check


def check(view: View, actor: Actor, check_id: str) -> CrossCheck:
    """校核结果. For the keeper and auditors; for the registrants when both sides are theirs. Raises NotFound."""
    found = view.session.get(CrossCheck, check_id)
    if found is None:
        raise NotFound(check=check_id)
    sides = [
        readable_asset(view, actor, found.left_asset_id),
        readable_asset(view, actor, found.right_asset_id),
    ]
    if not (actor.may(Permission.DIRECTORY_KEEP) or all(concerned(actor, side) for side in sides)):
        raise NotFound(check=check_id)
    return found


def checks(view: View, actor: Actor, *, limit: int = 50) -> Sequence[CrossCheck]:
    """校核记录. Newest first. Raises Forbidden."""
    actor.require(Permission.DIRECTORY_KEEP)
    return view.session.exec(select(CrossCheck).order_by(sa.desc(col(CrossCheck.id))).limit(limit)).all()


def items(view: View, *, limit: int = 500) -> list[tuple[DataItem, list[tuple[ItemSource, Asset]]]]:
    """数据项目录. Every item by its code with its sources, the authoritative one first; public."""
    rows = view.session.exec(select(DataItem).order_by(col(DataItem.code)).limit(limit)).all()
    query = (
        select(ItemSource, Asset)
        .join(Asset, col(Asset.id) == col(ItemSource.asset_id))
        .where(col(ItemSource.item_id).in_([row.id for row in rows]))
        .order_by(sa.desc(col(ItemSource.authoritative)), col(ItemSource.id))
    )
    by_item: dict[str, list[tuple[ItemSource, Asset]]] = {}
    for source, asset in view.session.exec(query):
        by_item.setdefault(source.item_id, []).append((source, asset))
    return [(row, by_item.get(row.id, [])) for row in rows]


def item(view: View, item_id: str) -> tuple[DataItem, list[tuple[ItemSource, Asset]]]:
    """One data item with its sources; public. Raises NotFound."""
    found = _item(view, item_id)
    query = (
        select(ItemSource, Asset)
        .join(Asset, col(Asset.id) == col(ItemSource.asset_id))
        .where(ItemSource.item_id == found.id)
        .order_by(sa.desc(col(ItemSource.authoritative)), col(ItemSource.id))
    )
    return found, [
        (source, asset) for source, asset in view.session.exec(query)
    ]  # a Row is no pair to the type checker


def comparable_files(view: View, actor: Actor, asset_ids: Sequence[str]) -> list[tuple[Asset, AssetFile]]:
    """可校核文件. The files of these assets, for the keeper of the directory. Raises Forbidden."""
    actor.require(Permission.DIRECTORY_KEEP)
    found = []
    for asset_id in asset_ids:
        about = view.session.get(Asset, asset_id)
        if about is not None and concerned(actor, about):
            found += [(about, file) for file in files_of(view, asset_id)]
    return found


def _item(view: View, item_id: str) -> DataItem:
    found = view.session.get(DataItem, item_id)
    if found is None:
        raise NotFound(item=item_id)
    return found


def _source(unit: Unit, source_id: str) -> ItemSource:
    found = unit.session.get(ItemSource, source_id, with_for_update=True, populate_existing=True)
    if found is None:
        raise NotFound(source=source_id)
    return found


def _authority(view: View, item_id: str) -> ItemSource | None:
    query = select(ItemSource).where(ItemSource.item_id == item_id, col(ItemSource.authoritative))
    return view.session.exec(query).first()


def _taken(view: View, held: ItemSource) -> SourceTaken:
    asset = view.session.get_one(Asset, held.asset_id)
    return SourceTaken(item=held.item_id, asset=asset.id, number=asset.number)


def _tidied(roles: Mapping[str, str]) -> dict[str, str]:
    """Only the roles that are given. Raises Invalid for one that is too long or unknown."""
    if unknown := sorted(set(roles) - set(ROLES)):
        raise invalid(unknown[0], "source.role", "未知的责任角色。", "No such role.")
    tidy = {name: text.strip() for name, text in roles.items()}
    if faults := [
        Fault(name, "length", Words("最多 200 字。", "200 characters at most."))
        for name, text in tidy.items()
        if len(text) > 200
    ]:
        raise Invalid(*faults)
    return tidy


def _refuse_nameless(source: ItemSource, *, wanted: bool) -> None:
    lacking = [name for name in ROLES if not getattr(source, name)]
    if wanted and lacking:
        raise Invalid(
            *(
                Fault(
                    name,
                    "source.three_roles",
                    Words(
                        f"权威来源须明确{ROLES[name].zh}。",
                        f"An authoritative source names its {ROLES[name].en}.",
                    ),
                )
                for name in lacking
            )
        )
