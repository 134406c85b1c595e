"""登记簿 What is written when a registration begins, changes or ends: contents, standing, certificate, directory."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select

from market.identity.queries import parties
from market.registry import directory
from market.registry.certificates import DISCLAIMER, content_hash, schema_hash
from market.registry.life import OPEN_AMENDMENTS, StepKind
from market.registry.problems import ContentRegistered
from market.registry.queries import files_of, latest_certificate, notice_of, objections_of, steps_of
from market.registry.rules import ENDED, renewed_number
from market.registry.tables import (
    Amendment,
    Asset,
    AssetFile,
    Certificate,
    ItemSource,
    RegisteredContent,
    RegistrationStep,
)
from storage.kernel import clock
from storage.kernel.ids import new_id
from storage.kernel.problem import NotFound
from storage.unit import Unit


def enter(
    unit: Unit,
    asset: Asset,
    kind: StepKind,
    *,
    reason: str,
    by_org: str | None = None,
    amendment: Amendment | None = None,
) -> RegistrationStep:
    """载入登记簿. One more line of the registration's history; whatever leaves it in force gets a certificate.

    by_org: the registrar's institution. The asset carries already what holds from now on.
    """
    assert asset.valid_until is not None
    before = steps_of(unit, asset.id)
    step = RegistrationStep(
        id=new_id("stp"),
        asset_id=asset.id,
        serial=before[-1].serial + 1 if before else 1,
        kind=kind,
        at=clock.now(),
        valid_until=asset.valid_until,
        registrant_id=asset.registrant_id,
        amendment_id=amendment.id if amendment else None,
        reason=reason,
    )
    unit.session.add(step)
    unit.session.flush()
    if asset.state not in ENDED:
        directory.keep_entry(unit, asset)
        _draw_certificate(unit, asset, step, by_org, amendment)
    else:
        _yield_authority(unit, asset)
    return step


def attach_signature(
    unit: Unit, certificate_id: str, *, document: dict[str, Any], pdf_sha256: str
) -> Certificate:
    """签章. Keep the signed file and the print; set once, a second time changes nothing. Raises NotFound."""
    drawn = unit.session.get(Certificate, certificate_id, with_for_update=True, populate_existing=True)
    if drawn is None:
        raise NotFound(certificate=certificate_id)
    if drawn.pdf_sha256 is None:
        drawn.document, drawn.pdf_sha256 = document, pdf_sha256
        unit.session.add(drawn)
    unit.record(
        "certificate.signed", f"certificate:{drawn.id}", asset=drawn.asset_id, kid=document["signed"]["kid"]
    )
    return drawn


def claim_contents(unit: Unit, asset: Asset) -> list[str]:
    """存证. Bind the asset's contents to it. Raises ContentRegistered: of two at once the key lets one through."""
    asset_id = asset.id
    files = files_of(unit, asset_id)
    refuse_registered_content(unit, files)
    # In one order for everybody, so that two registrations wait for each other and never deadlock.
    hashes = sorted(file.sha256 for file in files)
    unit.session.add_all([RegisteredContent(sha256=sha256, asset_id=asset_id) for sha256 in hashes])
    try:
        unit.session.flush()
    except IntegrityError as error:
        raise ContentRegistered(asset=asset_id) from error
    return hashes


def free_contents(unit: Unit, asset: Asset) -> None:
    """What a registration that ended had bound may be registered again, by whoever it belongs to."""
    unit.session.execute(sa.delete(RegisteredContent).where(col(RegisteredContent.asset_id) == asset.id))


def refuse_registered_content(unit: Unit, files: Sequence[AssetFile]) -> None:
    """Raises ContentRegistered when one of the files belongs to a registered asset."""
    query = select(RegisteredContent.sha256, Asset.number).join(
        Asset, col(Asset.id) == col(RegisteredContent.asset_id)
    )
    hashes = [file.sha256 for file in files]
    if held := unit.session.exec(query.where(col(RegisteredContent.sha256).in_(hashes))).first():
        sha256, number = held
        raise ContentRegistered(sha256=sha256, number=number)


def open_amendment(unit: Unit, asset_id: str) -> Amendment | None:
    """The one application of an asset that is not decided, locked."""
    query = select(Amendment).where(Amendment.asset_id == asset_id, col(Amendment.state).in_(OPEN_AMENDMENTS))
    return unit.session.exec(query.with_for_update()).first()


def _yield_authority(unit: Unit, asset: Asset) -> None:
    """What is registered no more is no authoritative source; its items are free for another."""
    query = select(ItemSource).where(ItemSource.asset_id == asset.id, col(ItemSource.authoritative))
    for source in unit.session.exec(query.with_for_update()):
        source.authoritative, source.since = False, None
        unit.session.add(source)
        unit.record("source.authority_ended", f"item:{source.item_id}", source=source.id)


def _draw_certificate(
    unit: Unit, asset: Asset, step: RegistrationStep, by_org: str | None, amendment: Amendment | None
) -> None:
    before = latest_certificate(unit, asset.id)
    content = _content(unit, asset, step, by_org, amendment) | {
        "predecessor": before.content_hash if before else None
    }
    drawn = Certificate(
        id=new_id("cer"),
        asset_id=asset.id,
        serial=step.serial,
        number=content["number"],
        content=content,
        content_hash=content_hash(content),
        issued_at=step.at,
    )
    unit.session.add(drawn)
    unit.record(
        "certificate.drawn", f"certificate:{drawn.id}", asset=asset.id, content_hash=drawn.content_hash
    )


def _content(
    unit: Unit, asset: Asset, step: RegistrationStep, by_org: str | None, amendment: Amendment | None
) -> dict[str, Any]:
    """The fields of the certificate as plain JSON, in the order they are printed."""
    assert asset.number is not None
    known = parties(unit, {party for party in (asset.registrant_id, by_org) if party})
    holder, office = known.get(asset.registrant_id), known.get(by_org or "")
    said = asset.model_dump(mode="json")
    return {
        "number": renewed_number(asset.number, asset.renewals),
        "national_code": asset.national_code,
        "serial": step.serial,
        "registration_type": {"code": str(step.kind), **step.kind.words.both()},
        "object_type": {"code": "1", "zh": "公共数据资源", "en": "Public data resource"},
        "name": {"zh": asset.title_zh, "en": asset.title_en},
        "summary": {"zh": asset.abstract_zh, "en": asset.abstract_en},
        "registrant": {
            "id": asset.registrant_id,
            "name": holder.name if holder else "",
            "id_number": holder.id_number if holder else "",
            "kind": str(holder.org_kind) if holder and holder.org_kind else "",
        },
        "provider": {"name": asset.provider_name, "code": asset.provider_code},
        **{
            name: said[name]
            for name in (
                "code", "category", "rights", "source_kind", "industry", "area", "coverage_from",
                "coverage_until", "update_cycle", "scale", "scale_unit", "format_kind", "format",
                "share_type", "open_attr", "grade", "supply", "contains_pi", "contains_spi",
            )
        },
        "schema_hash": schema_hash(asset.items),
        "contents": sorted(file.sha256 for file in files_of(unit, asset.id)),
        "contents_bound_at": _iso(asset.registered_at),
        "notice": _notice(unit, asset, amendment),
        "issued_at": step.at.isoformat(),
        "valid_from": _iso(asset.registered_at),
        "valid_until": step.valid_until.isoformat(),
        "registrar": {"id": by_org or "", "name": office.name if office else ""},
        "disclaimer": DISCLAIMER.both(),
    }  # fmt: skip


def _notice(unit: Unit, asset: Asset, amendment: Amendment | None) -> dict[str, Any] | None:
    held = notice_of(unit, asset.id, amendment.id if amendment else None)
    if held is None:
        return None
    objections = objections_of(unit, held.id)
    return {
        "number": held.number,
        "days": held.days,
        "from": held.opened_at.isoformat(),
        "until": held.ends_at.isoformat(),
        "objections": len(objections),
        "dismissed": sum(objection.state == "dismissed" for objection in objections),
    }


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
