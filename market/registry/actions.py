"""Draft, submit, examine, announce and register data assets."""

from collections.abc import Sequence
from typing import Any

from sqlmodel import select

from market.identity.rules import Actor, Permission
from market.registry import barred, likeness
from market.registry.desk import decide, examined_asset, own_asset, reasoned
from market.registry.life import StepKind
from market.registry.notices import close_notice, open_notice, refuse_running
from market.registry.problems import FileAttached, NoticeNeeded
from market.registry.queries import files_of
from market.registry.register import claim_contents, enter, refuse_registered_content
from market.registry.rules import (
    ASSET,
    ZONE,
    AssetState,
    Description,
    completeness_faults,
    grade_faults,
    number_stem,
    valid_until,
)
from market.registry.settings import USUAL, RegistrySettings
from market.registry.tables import Asset, AssetFile, Notice
from storage.kernel import clock
from storage.kernel.ids import new_id
from storage.kernel.problem import Invalid, NotFound, WrongState, invalid
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
        similar=[],
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
    asset = own_asset(unit, actor, asset_id)
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
    asset = own_asset(unit, actor, asset_id)
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
    asset = own_asset(unit, actor, asset_id)
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
    asset = own_asset(unit, actor, asset_id)
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


def submit_asset(unit: Unit, actor: Actor, asset_id: str, *, office: RegistrySettings = USUAL) -> Asset:
    """提交登记. Hand the asset to the registrar; what looks like a duplicate is noted, with links, for both sides.

    What the negative list bars from registration is refused; what it bars from trade only is noted for the
    registrar. Raises Forbidden, NotFound, WrongState, Invalid with every fault at once, ContentRegistered.
    """
    asset = own_asset(unit, actor, asset_id)
    after = ASSET.after(asset.state, "submit")
    files = files_of(unit, asset.id)
    said = Description.model_validate(asset)
    if faults := completeness_faults(said, files=len(files), evidence=len(asset.source_evidence)):
        raise Invalid(*faults)
    hits = barred.hits_of(unit, asset)
    if stopped := barred.registration_faults(hits):
        raise Invalid(*stopped)
    refuse_registered_content(unit, files)
    asset.similar = likeness.similar_to(unit, asset, office.similar_percent)
    asset.state, asset.missing, asset.reason = after, [], ""
    asset.submitted_by, asset.submitted_at = actor.id, clock.now()
    unit.session.add(asset)
    unit.record(
        "asset.submitted",
        f"asset:{asset.id}",
        grade=str(asset.grade),
        contents=sorted(file.sha256 for file in files),
        negative=[hit.rule.code for hit in hits],
        similar=[like["asset"] for like in asset.similar],
    )
    return asset


def accept_asset(unit: Unit, actor: Actor, asset_id: str) -> Asset:
    """受理. The papers are complete; the examination begins.

    Raises Forbidden, NotFound, OwnDecision, WrongState.
    """
    asset = examined_asset(unit, actor, asset_id)
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
    asset = examined_asset(unit, actor, asset_id)
    after, why = ASSET.after(asset.state, "return"), reasoned(reason)
    wanted = [{"field": field[:64], "note": note.strip()[:500]} for field, note in missing if note.strip()]
    if not wanted:
        raise invalid("missing", "required", "请列出需要补正的内容。", "List what has to be corrected.")
    asset.state, asset.missing = after, wanted
    decide(asset, actor, why)
    unit.session.add(asset)
    unit.record(
        "asset.returned", f"asset:{asset.id}", fields=[gap["field"] for gap in wanted], reason=asset.reason
    )
    return asset


def review_asset(unit: Unit, actor: Actor, asset_id: str) -> Asset:
    """审核. A registrar takes the examination upon themselves. Raises Forbidden, NotFound, OwnDecision, WrongState."""
    asset = examined_asset(unit, actor, asset_id)
    asset.state = ASSET.after(asset.state, "review")
    asset.reviewed_by = actor.id
    unit.session.add(asset)
    unit.record("asset.review_begun", f"asset:{asset.id}")
    return asset


def publish_asset(
    unit: Unit, actor: Actor, asset_id: str, *, reason: str, office: RegistrySettings
) -> Notice:
    """发布公示. The review passed; anybody may object for the days of the notice.

    Raises Forbidden, NotFound, OwnDecision, WrongState, Invalid (core data), ContentRegistered.
    """
    asset = examined_asset(unit, actor, asset_id)
    after, why = ASSET.after(asset.state, "publish"), reasoned(reason)
    _refuse_unregistrable(unit, asset)
    asset.state = after
    decide(asset, actor, why)
    unit.session.add(asset)
    notice = open_notice(unit, actor, asset, office)
    unit.record("asset.published", f"asset:{asset.id}", notice=notice.number, reason=why)
    return notice


def register_asset(
    unit: Unit, actor: Actor, asset_id: str, *, reason: str, office: RegistrySettings
) -> Asset:
    """登记赋码. The notice is over: bind the contents to the asset and give it its number, for ever.

    Raises Forbidden, NotFound, OwnDecision, WrongState, NoticeNeeded, NoticeRunning, Invalid (core
    data), ContentRegistered.
    """
    asset = examined_asset(unit, actor, asset_id)
    after, why = ASSET.after(asset.state, "register"), reasoned(reason)
    if asset.state is AssetState.UNDER_REVIEW and office.notice_days:
        raise NoticeNeeded(asset=asset.id, days=office.notice_days, allowed=["publish", "reject", "withdraw"])
    refuse_running(unit, asset, None)
    _refuse_unregistrable(unit, asset)
    hashes = claim_contents(unit, asset)
    now = clock.now()
    year = now.astimezone(ZONE).year
    asset.number = document_number(unit, number_stem(office.area_code), year)
    asset.registered_at = asset.refreshed_at = now
    asset.valid_until = valid_until(now)
    asset.state = after
    decide(asset, actor, why)
    unit.session.add(asset)
    close_notice(unit, asset, None, outcome="registered")
    enter(unit, asset, StepKind.REGISTERED, reason=why, by_org=actor.org)
    unit.record(
        "asset.registered",
        f"asset:{asset.id}",
        number=asset.number,
        grade=str(asset.grade),
        contents=hashes,
        negative=[hit.rule.code for hit in barred.hits_of(unit, asset)],
        reason=why,
    )
    return asset


def _refuse_unregistrable(unit: Unit, asset: Asset) -> None:
    """What must hold when a notice is published and again when it is over."""
    if faults := grade_faults(Description.model_validate(asset)):
        raise Invalid(*faults)
    if stopped := barred.registration_faults(barred.hits_of(unit, asset)):
        raise Invalid(*stopped)
    refuse_registered_content(unit, files_of(unit, asset.id))


def reject_asset(unit: Unit, actor: Actor, asset_id: str, *, reason: str) -> Asset:
    """不予登记. Raises Forbidden, NotFound, OwnDecision, WrongState, Invalid for an empty reason."""
    asset = examined_asset(unit, actor, asset_id)
    after, why = ASSET.after(asset.state, "reject"), reasoned(reason)
    asset.state = after
    decide(asset, actor, why)
    unit.session.add(asset)
    unit.record("asset.rejected", f"asset:{asset.id}", reason=asset.reason)
    return asset


def withdraw_asset(unit: Unit, actor: Actor, asset_id: str) -> Asset:
    """撤回申请. The registrant takes the application back. Raises Forbidden, NotFound, WrongState."""
    asset = own_asset(unit, actor, asset_id)
    asset.state = ASSET.after(asset.state, "withdraw")
    unit.session.add(asset)
    close_notice(unit, asset, None, outcome="withdrawn")
    unit.record("asset.withdrawn", f"asset:{asset.id}")
    return asset


def note_refresh(unit: Unit, actor: Actor, asset_id: str) -> Asset:
    """动态更新. The registrant brought the data up to date; the clock of its update cycle begins anew.

    Raises Forbidden, NotFound, WrongState before registration.
    """
    asset = own_asset(unit, actor, asset_id)
    _refuse_unregistered(asset, "refresh")
    asset.refreshed_at = clock.now()
    unit.session.add(asset)
    unit.record("asset.refreshed", f"asset:{asset.id}")
    return asset


def note_national_code(unit: Unit, actor: Actor, asset_id: str, *, code: str) -> Asset:
    """国家登记编码. Given by the official platform, never by us; kept beside our number, empty to take it off.

    Raises Forbidden, NotFound, OwnDecision, WrongState before registration, Invalid.
    """
    asset = examined_asset(unit, actor, asset_id)
    _refuse_unregistered(asset, "national_code")
    kept = code.strip()
    if len(kept) > 64 or not kept.isascii() or not (kept == "" or kept.replace("-", "").isalnum()):
        raise invalid(
            "national_code",
            "code.form",
            "为 64 位以内的字母、数字和连字符。",
            "Letters, digits and hyphens, 64 at most.",
        )
    asset.national_code = kept or None
    unit.session.add(asset)
    unit.record("asset.national_code_noted", f"asset:{asset.id}", code=kept)
    return asset


def _refuse_unregistered(asset: Asset, verb: str) -> None:
    if asset.state is not AssetState.REGISTERED:
        raise WrongState(thing="asset", state=str(asset.state), verb=verb, allowed=ASSET.verbs(asset.state))


def _refuse_bad_name(name: str) -> None:
    if not 1 <= len(name) <= 255 or any(char in name for char in "/\\\0") or not name.isprintable():
        raise invalid("name", "file.name", "文件名不合法。", "The file name is not allowed.")
