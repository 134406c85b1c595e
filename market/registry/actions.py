"""Draft, submit, examine and register data assets."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select

from market.approvals.rules import reason_faults
from market.identity.problems import OwnDecision
from market.identity.rules import Actor, Permission
from market.registry import barred
from market.registry.problems import ContentRegistered, FileAttached
from market.registry.queries import files_of
from market.registry.rules import (
    ASSET,
    ON_THE_DESK,
    ZONE,
    Description,
    completeness_faults,
    grade_faults,
    number_stem,
    valid_until,
)
from market.registry.tables import Asset, AssetFile, RegisteredContent
from storage.kernel import clock
from storage.kernel.ids import new_id
from storage.kernel.problem import Invalid, NotFound, invalid
from storage.objects import Stored, keep
from storage.sequence import document_number
from storage.unit import Unit

MAX_FILES = 50


def draft_asset(unit: Unit, actor: Actor, *, description: Description) -> Asset:
    """起草登记. A new draft of the actor's organization. Raises Forbidden."""
    actor.require(Permission.ASSET_DRAFT)
    asset = Asset(
        id=new_id("ast"),
        registrant_id=actor.own_org,
        created_by=actor.id,
        created_at=clock.now(),
        missing=[],
        source_evidence=[],
        **description.columns(),
    )
    unit.session.add(asset)
    unit.session.flush()
    unit.record("asset.drafted", f"asset:{asset.id}")
    return asset


def edit_asset(unit: Unit, actor: Actor, asset_id: str, *, description: Description) -> Asset:
    """修改登记信息. Only the fields set in `description` change; drafts and returned assets only.

    Raises Forbidden, NotFound, WrongState.
    """
    asset = _own(unit, actor, asset_id)
    asset.state = ASSET.after(asset.state, "edit")
    changed = description.columns(only_set=True)
    for name, value in changed.items():
        setattr(asset, name, value)
    unit.session.add(asset)
    unit.record("asset.edited", f"asset:{asset.id}", fields=sorted(changed))
    return asset


def attach_file(
    unit: Unit,
    actor: Actor,
    asset_id: str,
    *,
    stored: Stored,
    name: str,
    format: str,  # noqa: A002  # the catalogue's own word
    encoding: str = "",
    rows: int | None = None,
    profile: dict[str, Any] | None = None,
) -> AssetFile:
    """附加数据文件. Bind an object already in the store, with what reading it found.

    Raises Forbidden, NotFound, WrongState, FileAttached, Invalid (more than 50 files, bad name).
    """
    asset = _own(unit, actor, asset_id)
    ASSET.after(asset.state, "edit")
    _refuse_bad_name(name)
    held = files_of(unit, asset.id)
    if any(file.sha256 == stored.sha256 for file in held):
        raise FileAttached(asset=asset.id, sha256=stored.sha256)
    if len(held) >= MAX_FILES:
        raise invalid("files", "files.count", f"最多 {MAX_FILES} 个文件。", f"At most {MAX_FILES} files.")
    file = AssetFile(
        id=new_id("fil"),
        asset_id=asset.id,
        sha256=stored.sha256,
        name=name,
        size=stored.size,
        format=format,
        encoding=encoding,
        rows=rows,
        profile=profile or {},
        attached_by=actor.id,
        attached_at=clock.now(),
    )
    keep(unit, stored)
    unit.session.add(file)
    unit.session.flush()
    unit.record(
        "asset.file_attached", f"asset:{asset.id}", file=file.id, sha256=stored.sha256, size=stored.size
    )
    return file


def detach_file(unit: Unit, actor: Actor, asset_id: str, file_id: str) -> None:
    """移除数据文件. Raises Forbidden, NotFound, WrongState."""
    asset = _own(unit, actor, asset_id)
    ASSET.after(asset.state, "edit")
    file = unit.session.exec(
        select(AssetFile).where(AssetFile.id == file_id, AssetFile.asset_id == asset.id)
    ).first()
    if file is None:
        raise NotFound(file=file_id)
    unit.session.delete(file)
    unit.record("asset.file_detached", f"asset:{asset.id}", file=file_id, sha256=file.sha256)


def attach_evidence(unit: Unit, actor: Actor, asset_id: str, *, stored: Stored, name: str) -> Asset:
    """来源佐证. Bind a source document already in the store (数据安全法 33).

    Raises Forbidden, NotFound, WrongState, Invalid.
    """
    asset = _own(unit, actor, asset_id)
    asset.state = ASSET.after(asset.state, "edit")
    _refuse_bad_name(name)
    if all(paper["sha256"] != stored.sha256 for paper in asset.source_evidence):
        asset.source_evidence = [
            *asset.source_evidence,
            {"name": name, "sha256": stored.sha256, "size": stored.size},
        ]
    keep(unit, stored)
    unit.session.add(asset)
    unit.record("asset.evidence_attached", f"asset:{asset.id}", sha256=stored.sha256)
    return asset


def submit_asset(unit: Unit, actor: Actor, asset_id: str) -> Asset:
    """提交登记. Hand the asset to the registrar.

    What the negative list bars from registration is refused; what it bars from trade only is noted for the
    registrar. Raises Forbidden, NotFound, WrongState, Invalid with every fault at once, ContentRegistered.
    """
    asset = _own(unit, actor, asset_id)
    after = ASSET.after(asset.state, "submit")
    files = files_of(unit, asset.id)
    said = Description.model_validate(asset)
    if faults := completeness_faults(said, files=len(files), evidence=len(asset.source_evidence)):
        raise Invalid(*faults)
    hits = barred.hits_of(unit, asset)
    if stopped := barred.registration_faults(hits):
        raise Invalid(*stopped)
    _refuse_registered_content(unit, files)
    asset.state, asset.missing, asset.reason = after, [], ""
    asset.submitted_by, asset.submitted_at = actor.id, clock.now()
    unit.session.add(asset)
    unit.record(
        "asset.submitted",
        f"asset:{asset.id}",
        grade=str(asset.grade),
        contents=sorted(file.sha256 for file in files),
        negative=[hit.rule.code for hit in hits],
    )
    return asset


def accept_asset(unit: Unit, actor: Actor, asset_id: str) -> Asset:
    """受理. The papers are complete; the examination begins.

    Raises Forbidden, NotFound, OwnDecision, WrongState.
    """
    asset = _examined(unit, actor, asset_id)
    asset.state = ASSET.after(asset.state, "accept")
    asset.accepted_at = clock.now()
    unit.session.add(asset)
    unit.record("asset.accepted", f"asset:{asset.id}")
    return asset


def return_asset(
    unit: Unit, actor: Actor, asset_id: str, *, missing: Sequence[tuple[str, str]], reason: str
) -> Asset:
    """退回补正. `missing` lists (field, what is wanted); the registrant sees it beside the form.

    Raises Forbidden, NotFound, OwnDecision, WrongState, Invalid for an empty list or reason.
    """
    asset = _examined(unit, actor, asset_id)
    after, why = ASSET.after(asset.state, "return"), _reasoned(reason)
    wanted = [{"field": field[:64], "note": note.strip()[:500]} for field, note in missing if note.strip()]
    if not wanted:
        raise invalid("missing", "required", "请列出需要补正的内容。", "List what has to be corrected.")
    asset.state, asset.missing = after, wanted
    _decide(asset, actor, why)
    unit.session.add(asset)
    unit.record(
        "asset.returned", f"asset:{asset.id}", fields=[gap["field"] for gap in wanted], reason=asset.reason
    )
    return asset


def register_asset(unit: Unit, actor: Actor, asset_id: str, *, reason: str) -> Asset:
    """登记赋码. Bind the contents to the asset and give it its number, for ever.

    Raises Forbidden, NotFound, OwnDecision, WrongState, Invalid (core data), ContentRegistered:
    of two registrations of one content at once, the key of `registered_content` lets one through.
    """
    asset = _examined(unit, actor, asset_id)
    after, why = ASSET.after(asset.state, "register"), _reasoned(reason)
    if faults := grade_faults(Description.model_validate(asset)):
        raise Invalid(*faults)
    hits = barred.hits_of(unit, asset)
    if stopped := barred.registration_faults(hits):
        raise Invalid(*stopped)
    files = files_of(unit, asset.id)
    _refuse_registered_content(unit, files)
    # In one order for everybody, so that two registrations wait for each other and never deadlock.
    hashes = sorted(file.sha256 for file in files)
    unit.session.add_all([RegisteredContent(sha256=sha256, asset_id=asset.id) for sha256 in hashes])
    try:
        unit.session.flush()
    except IntegrityError as error:
        raise ContentRegistered(asset=asset_id) from error
    now = clock.now()
    asset.number = document_number(unit, number_stem(), now.astimezone(ZONE).year)
    asset.registered_at, asset.valid_until = now, valid_until(now)
    asset.state = after
    _decide(asset, actor, why)
    unit.session.add(asset)
    unit.record(
        "asset.registered",
        f"asset:{asset.id}",
        number=asset.number,
        grade=str(asset.grade),
        contents=hashes,
        negative=[hit.rule.code for hit in hits],
        reason=asset.reason,
    )
    return asset


def reject_asset(unit: Unit, actor: Actor, asset_id: str, *, reason: str) -> Asset:
    """不予登记. Raises Forbidden, NotFound, OwnDecision, WrongState, Invalid for an empty reason."""
    asset = _examined(unit, actor, asset_id)
    after, why = ASSET.after(asset.state, "reject"), _reasoned(reason)
    asset.state = after
    _decide(asset, actor, why)
    unit.session.add(asset)
    unit.record("asset.rejected", f"asset:{asset.id}", reason=asset.reason)
    return asset


def withdraw_asset(unit: Unit, actor: Actor, asset_id: str) -> Asset:
    """撤回申请. The registrant takes the application back. Raises Forbidden, NotFound, WrongState."""
    asset = _own(unit, actor, asset_id)
    asset.state = ASSET.after(asset.state, "withdraw")
    unit.session.add(asset)
    unit.record("asset.withdrawn", f"asset:{asset.id}")
    return asset


def _own(unit: Unit, actor: Actor, asset_id: str) -> Asset:
    actor.require(Permission.ASSET_DRAFT)
    query = select(Asset).where(Asset.id == asset_id, Asset.registrant_id == actor.own_org)
    asset = unit.session.exec(query.with_for_update()).first()
    if asset is None:
        raise NotFound(asset=asset_id)
    return asset


def _examined(unit: Unit, actor: Actor, asset_id: str) -> Asset:
    actor.require(Permission.ASSET_REVIEW)
    query = select(Asset).where(Asset.id == asset_id, col(Asset.state).in_(ON_THE_DESK))
    asset = unit.session.exec(query.with_for_update()).first()
    if asset is None:
        raise NotFound(asset=asset_id)
    if asset.registrant_id == actor.org or actor.id in {asset.created_by, asset.submitted_by}:
        raise OwnDecision(asset=asset.id)
    return asset


def _reasoned(reason: str) -> str:
    if faults := reason_faults(reason):
        raise Invalid(*faults)
    return reason.strip()


def _decide(asset: Asset, actor: Actor, why: str) -> None:
    asset.reason = why
    asset.decided_by, asset.decided_at = actor.id, clock.now()


def _refuse_registered_content(unit: Unit, files: Sequence[AssetFile]) -> None:
    query = select(RegisteredContent.sha256, Asset.number).join(
        Asset, col(Asset.id) == col(RegisteredContent.asset_id)
    )
    hashes = [file.sha256 for file in files]
    if held := unit.session.exec(query.where(col(RegisteredContent.sha256).in_(hashes))).first():
        sha256, number = held
        raise ContentRegistered(sha256=sha256, number=number)


def _refuse_bad_name(name: str) -> None:
    if not 1 <= len(name) <= 255 or any(char in name for char in "/\\\0") or not name.isprintable():
        raise invalid("name", "file.name", "文件名不合法。", "The file name is not allowed.")
