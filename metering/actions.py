"""What the rooms above write downward: the shelf, gates, credentials, tokens, periods."""

import hashlib
import ipaddress
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlmodel import col

from contracts.terms import Tier, VersionRule
from metering.books import PERIOD_LOCK
from metering.gate import Policy, meterable
from metering.problems import BothSecretsValid, NotOnShelf, PeriodNotOver
from metering.rating import Tariff
from metering.tables import Credential, Gate, Period, RevokedToken, ShelfItem, ShelfVersion
from metering.words import RAN_OUT, OneSecret, PeriodState, Shut
from storage.kernel import clock
from storage.kernel.ids import new_id
from storage.kernel.problem import NotFound, WrongState, invalid
from storage.unit import Unit

SECRET_PREFIX = "shg_live_"  # noqa: S105  # the prefix by which a leaked secret is recognized


def shelve(
    unit: Unit,
    *,
    product_id: str,
    slug: str,
    tier: str,
    title_zh: str,
    title_en: str,
    provider_id: str,
    version: int,
    manifest: Mapping[str, Any],
    delivery: Sequence[str],
    license_note: Mapping[str, Any],
) -> ShelfItem:
    """上架. Put a version of a product on the shelf and make it the current one.

    manifest: version, rows, columns, query_columns, files, published_at. A version once shelved never changes:
    shelving the same number again raises Invalid unless the manifest is the same.
    """
    row = unit.session.get(ShelfItem, product_id, with_for_update=True)
    now = clock.now()
    if row is None:
        row = ShelfItem(
            product_id=product_id,
            slug=slug,
            tier=Tier(tier),
            title_zh=title_zh,
            title_en=title_en,
            provider_id=provider_id,
            current_version=version,
            delivery=list(delivery),
            license_note=dict(license_note),
            shelved_at=now,
        )
    elif row.tier != tier:
        raise invalid(
            "tier", "shelf.tier", "产品的公益／商业属性不可更改。", "A product's tier never changes."
        )
    row.slug, row.title_zh, row.title_en, row.provider_id = slug, title_zh, title_en, provider_id
    row.delivery, row.license_note = list(delivery), dict(license_note)
    row.current_version, row.served, row.ended_reason = version, True, None
    unit.session.add(row)
    unit.session.flush()
    kept = unit.session.get(ShelfVersion, (product_id, version))
    if kept is None:
        unit.session.add(
            ShelfVersion(product_id=product_id, version=version, manifest=dict(manifest), shelved_at=now)
        )
    elif kept.manifest != dict(manifest):
        raise invalid(
            "version", "shelf.version", "已上架的版本不可更改。", "A shelved version never changes."
        )
    _mark_gates(unit, product_id, taken_down=False)
    unit.record("shelf.shelved", f"product:{product_id}", version=version, tier=str(row.tier))
    return row


def unshelve(unit: Unit, product_id: str, *, reason: str, code: str | None = None) -> ShelfItem:
    """下架. Serve nothing of this product any more, to nobody; the next request is refused.

    code: what license holders are told as the reason instead of `taken_down` (`mandate_suspended`, …).
    Raises NotOnShelf.
    """
    row = unit.session.get(ShelfItem, product_id, with_for_update=True)
    if row is None:
        raise NotOnShelf(product=product_id)
    row.served, row.ended_reason = False, reason
    unit.session.add(row)
    _mark_gates(unit, product_id, taken_down=True, code=code)
    unit.record("shelf.unshelved", f"product:{product_id}", reason=reason, code=code)
    return row


def _mark_gates(unit: Unit, product_id: str, *, taken_down: bool, code: str | None = None) -> None:
    rows = unit.session.scalars(
        sa.select(Gate).where(col(Gate.product_id) == product_id).order_by(Gate.license_id).with_for_update()
    )
    for gate in rows:
        gate.taken_down, gate.down_reason = taken_down, code
        unit.session.add(gate)


def open_gate(
    unit: Unit,
    *,
    license_id: str,
    product_id: str,
    buyer_id: str,
    policy: Policy,
    tariff: Tariff | None = None,
    until_reason: str | None = None,
    stands_on: str | None = None,
) -> Gate:
    """开闸. Let a license be served as its policy says.

    tariff: steps over the whole term, counted instead of the policy's flat prices; fee and minimum are the
    bill's affair. until_reason: what a caller is told after `serve_until`, when something else than the agreed
    term ends it (`mandate_expired`). stands_on: the number of the mandate, to be named. Raises NotOnShelf, Invalid (pinned to an unknown version; a tariff the gate cannot count by).
    """
    if tariff is not None and Tier(policy.tier) is not Tier.COMMERCIAL:
        raise invalid("tariff", "tariff.free", "公益产品没有价目。", "A public good has no tariff.")
    # Held, for who takes the product down marks the gates that are there: shared, for others open theirs meanwhile.
    item = unit.session.get(ShelfItem, product_id, with_for_update={"read": True}, populate_existing=True)
    if item is None:
        raise NotOnShelf(product=product_id)
    pinned = _pinned(unit, product_id, policy)
    row = Gate(
        license_id=license_id,
        product_id=product_id,
        buyer_id=buyer_id,
        tier=Tier(policy.tier),
        taken_down=not item.served,
        serve_from=policy.serve_from,
        serve_until=policy.serve_until,
        until_reason=until_reason,
        stands_on=stands_on,
        limit_calls=policy.limit_calls,
        limit_rows=policy.limit_rows,
        limit_bytes=policy.limit_bytes,
        limit_downloads=policy.limit_downloads,
        spend_cap_fen=policy.spend_cap_fen,
        call_fen=policy.price.call_fen,
        row_fen=policy.price.row_fen,
        download_fen=policy.price.download_fen,
        per_hit=policy.price.per_hit,
        tariff=None if tariff is None else meterable(tariff).document(),
        purposes=[str(purpose) for purpose in policy.purposes],
        delivery=[str(mode) for mode in policy.delivery],
        version_rule=VersionRule(policy.version_rule),
        pinned_version=pinned,
    )
    unit.session.add(row)
    unit.record("gate.opened", f"license:{license_id}", product=product_id)
    return row


def _pinned(unit: Unit, product_id: str, policy: Policy) -> int | None:
    if VersionRule(policy.version_rule) is VersionRule.LATEST:
        return None
    version = int(policy.version) if policy.version.isdecimal() else -1
    if unit.session.get(ShelfVersion, (product_id, version)) is None:
        raise invalid(
            "version", "shelf.unknown_version", "该版本尚未上架。", "This version is not on the shelf."
        )
    return version


def _gate(unit: Unit, license_id: str) -> Gate:
    row = unit.session.get(Gate, license_id, with_for_update={"key_share": True})
    if row is None:
        raise NotFound(license=license_id)
    return row


def hold_gate(unit: Unit, license_id: str) -> None:
    """按住闸门. Nothing is counted under a license until the Unit ends; without a gate nothing is anyway."""
    unit.session.get(Gate, license_id, with_for_update={"key_share": True})


def shut_gate(unit: Unit, license_id: str, *, reason: str) -> Gate:
    """关闸. Refuse everything under this license from the next request on.

    reason: a code shown to the caller (`suspended`, `revoked`, …). Raises NotFound.
    """
    row = _gate(unit, license_id)
    row.in_force, row.shut_reason, row.ran_out = False, reason, False
    unit.session.add(row)
    unit.record("gate.shut", f"license:{license_id}", reason=reason)
    return row


def end_gate(unit: Unit, license_id: str) -> Gate:
    """到期关闸. Shut a gate whose term is over.

    One that was served to the end of its term keeps taking reports of use within it; one that was suspended or
    taken down at that moment does not. Raises NotFound.
    """
    row = _gate(unit, license_id)
    reason = row.until_reason or str(Shut.EXPIRED)
    # A restore stops nobody's term: the market is only being checked.
    served = row.in_force or row.ran_out or row.shut_reason == Shut.RESTORED
    row.ran_out = served and (not row.taken_down or row.down_reason in RAN_OUT)
    row.in_force, row.shut_reason = False, reason
    unit.session.add(row)
    unit.record("gate.shut", f"license:{license_id}", reason=reason, ran_out=row.ran_out)
    return row


def shut_all_gates(unit: Unit, *, reason: str) -> int:
    """全部关闸. Shut every gate that is open; those shut already keep their reason. Returns how many."""
    rows = unit.session.scalars(
        sa.select(Gate).where(col(Gate.in_force)).order_by(Gate.license_id).with_for_update()
    ).all()
    for row in rows:
        row.in_force, row.shut_reason = False, reason
        unit.session.add(row)
        unit.record("gate.shut", f"license:{row.license_id}", reason=reason)
    return len(rows)


def reopen_gate(unit: Unit, license_id: str) -> Gate:
    """复闸. Serve the license again as before. Raises NotFound."""
    row = _gate(unit, license_id)
    row.in_force, row.shut_reason, row.ran_out = True, None, False
    unit.session.add(row)
    unit.record("gate.reopened", f"license:{license_id}")
    return row


def extend_gate(
    unit: Unit, license_id: str, *, serve_until: datetime | None, until_reason: str | None = None
) -> Gate:
    """续期. Move the end of service, with the reason it will then have. Raises NotFound."""
    row = _gate(unit, license_id)
    row.serve_until, row.until_reason = serve_until, until_reason
    unit.session.add(row)
    unit.record(
        "gate.extended", f"license:{license_id}", until=serve_until.isoformat() if serve_until else None
    )
    return row


def rebase_gate(unit: Unit, license_id: str, *, stands_on: str | None) -> Gate:
    """改依据. Name another mandate as what the license is served under. Raises NotFound."""
    row = _gate(unit, license_id)
    row.stands_on = stands_on
    unit.session.add(row)
    unit.record("gate.rebased", f"license:{license_id}", stands_on=stands_on)
    return row


def raise_spend_cap(unit: Unit, license_id: str, *, add_fen: int) -> Gate:
    """提高消费上限. Add a confirmed prepayment to the cap; a license without a cap stays without one.

    Raises NotFound, Invalid.
    """
    if add_fen <= 0:
        raise invalid("add_fen", "positive", "金额必须大于零。", "The amount must be above zero.")
    row = _gate(unit, license_id)
    if row.spend_cap_fen is not None:
        row.spend_cap_fen += add_fen
    unit.session.add(row)
    unit.record("gate.cap_raised", f"license:{license_id}", add_fen=add_fen, cap_fen=row.spend_cap_fen)
    return row


def keep_credential(
    unit: Unit, *, org_id: str, kept_by: str, name: str, cidrs: Sequence[str] = ()
) -> tuple[Credential, str]:
    """创建接入凭证. Returns the credential and its secret, which is shown once and never kept.

    kept_by: the person who is shown it. Raises Invalid for a network that cannot be read.
    """
    secret = new_secret()
    row = Credential(
        id=new_id("cli"),
        org_id=org_id,
        kept_by=kept_by,
        name=name,
        secret_sha256=hash_secret(secret),
        cidrs=_networks(cidrs),
        kept_at=clock.now(),
    )
    unit.session.add(row)
    unit.record("credential.kept", f"credential:{row.id}", owner=org_id, kept_by=kept_by)
    return row, secret


def rotate_credential(
    unit: Unit,
    credential_id: str,
    *,
    org_id: str,
    kept_by: str,
    older_hours: int = 72,
    end: OneSecret | None = None,
) -> tuple[Credential, str]:
    """轮换密钥. A new secret; the one before works `older_hours` longer.

    kept_by: the person who is shown the new secret and keeps the credential from now on. end: which secret ends
    at once, so that the other one goes on; without it neither may, and one that never arrived could cut off who
    uses the older. Raises NotFound, WrongState (it has ended), BothSecretsValid (nothing said, and the older one
    is still valid).
    """
    row = _credential_in_use(unit, credential_id, org_id, verb="rotate")
    if end is None and (until := older_valid_until(row)) is not None:
        raise BothSecretsValid(credential=row.id, older_until=until.isoformat())
    secret = new_secret()
    if end is not OneSecret.NEWER:
        row.older_sha256, row.older_until = row.secret_sha256, clock.now() + timedelta(hours=older_hours)
        row.older_kept_by = row.kept_by
    row.secret_sha256, row.kept_by = hash_secret(secret), kept_by
    unit.session.add(row)
    ended = None if end is None else str(end)
    unit.record(
        "credential.rotated", f"credential:{row.id}", older_hours=older_hours, kept_by=kept_by, ended=ended
    )
    return row, secret


def older_valid_until(row: Credential) -> datetime | None:
    """Until when the older secret is valid; None when there is none, or it has ended."""
    until = row.older_until
    return until if row.older_sha256 is not None and until is not None and clock.now() < until else None


def set_networks(unit: Unit, credential_id: str, *, org_id: str, cidrs: Sequence[str]) -> Credential:
    """更改允许的网段. Where the credential may be used from now on; none is anywhere.

    Tokens and tickets issued for other networks are refused from the next request on. Raises NotFound, WrongState
    (it has ended), Invalid.
    """
    row = _credential_in_use(unit, credential_id, org_id, verb="set_networks")
    row.cidrs = _networks(cidrs)
    unit.session.add(row)
    unit.record("credential.networks_set", f"credential:{row.id}", networks=len(row.cidrs))
    return row


def end_credential(unit: Unit, credential_id: str, *, org_id: str, reason: str) -> Credential:
    """停用接入凭证. Its tokens are refused from the next request on. Raises NotFound."""
    row = _credential(unit, credential_id, org_id)
    if row.ended_at is None:
        row.ended_at = clock.now()
        unit.session.add(row)
    unit.record("credential.ended", f"credential:{row.id}", reason=reason)
    return row


def end_credentials_of(unit: Unit, person: str, *, org_id: str, reason: str) -> int:
    """停用离任者的凭证. End what this person keeps for the organization. Returns how many ended.

    One that a colleague has rotated since goes on, without the older secret this person was shown.
    """
    rows = unit.session.scalars(
        sa.select(Credential)
        .where(
            col(Credential.org_id) == org_id,
            col(Credential.ended_at).is_(None),
            sa.or_(col(Credential.kept_by) == person, col(Credential.older_kept_by) == person),
        )
        .order_by(Credential.id)
        .with_for_update(key_share=True)
    ).all()
    for row in rows:
        if row.kept_by == person:
            row.ended_at = clock.now()
            unit.record("credential.ended", f"credential:{row.id}", reason=reason)
        else:
            row.older_sha256 = row.older_until = row.older_kept_by = None
            unit.record("credential.older_ended", f"credential:{row.id}", reason=reason)
        unit.session.add(row)
    return sum(row.ended_at is not None for row in rows)


def _credential(unit: Unit, credential_id: str, org_id: str) -> Credential:
    row = unit.session.get(Credential, credential_id, with_for_update={"key_share": True})
    if row is None or row.org_id != org_id:
        raise NotFound(credential=credential_id)
    return row


def _credential_in_use(unit: Unit, credential_id: str, org_id: str, *, verb: str) -> Credential:
    """One that has not ended: who changed an ended one would believe that it works again."""
    row = _credential(unit, credential_id, org_id)
    if row.ended_at is not None:
        raise WrongState(thing="credential", state="ended", verb=verb, allowed=[])
    return row


def revoke_token(unit: Unit, *, jti: str, credential_id: str, until: datetime) -> None:
    """撤销令牌. Refuse one access token from now on (RFC 7009)."""
    # The till holds this row while it charges: whoever gets it first decides what the other sees.
    unit.session.get(Credential, credential_id, with_for_update={"key_share": True})
    if unit.session.get(RevokedToken, jti) is None:
        unit.session.add(RevokedToken(jti=jti, until=until))
    unit.record("token.revoked", f"credential:{credential_id}", jti=jti)


def forget_revoked(unit: Unit) -> int:
    """清理撤销记录. Forget revocations of what has expired by itself meanwhile, tickets too. Returns how many."""
    # A little longer: the clocks of several machines are not quite the same.
    over = col(RevokedToken.until) < clock.now() - timedelta(hours=1)
    gone = int(unit.session.execute(sa.delete(RevokedToken).where(over)).rowcount)  # type: ignore[attr-defined]  # a DELETE has one
    unit.record("tokens.forgotten", "system:clock", revocations=gone)
    return gone


def close_period(
    unit: Unit, period: str, *, zone: str = "Asia/Shanghai", grace: timedelta = timedelta(hours=72)
) -> Period:
    """关账. No event enters this month any more; later ones go into the next open month.

    period: `YYYY-MM` in `zone`. grace: how long after its end it stays open for what is reported late.
    Raises PeriodNotOver (saying from when on it may be closed), Invalid for no month.
    """
    try:
        _, after = clock.period_bounds(period, zone)
    except ValueError:
        raise invalid("period", "period", "账期格式为 YYYY-MM。", "A period is YYYY-MM.") from None
    if clock.now() < after + grace:
        raise PeriodNotOver.until(period, (after + grace).astimezone(ZoneInfo(zone)))
    connection = unit.session.connection()
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (PERIOD_LOCK,))
    row = unit.session.get(Period, period) or Period(period=period, state=PeriodState.OPEN)
    if row.state is not PeriodState.CLOSED:
        row.state, row.closed_at = PeriodState.CLOSED, clock.now()
        unit.session.add(row)
    unit.record("period.closed", f"period:{period}")
    return row


def new_secret() -> str:
    """256 random bits with the prefix that scanners of leaked secrets look for."""
    return SECRET_PREFIX + secrets.token_urlsafe(32)


def hash_secret(secret: str) -> str:
    """What is kept of a secret. A plain SHA-256 is enough for 256 random bits."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _networks(cidrs: Sequence[str]) -> list[str]:
    try:
        return [str(ipaddress.ip_network(cidr.strip(), strict=False)) for cidr in cidrs]
    except ValueError:
        raise invalid(
            "cidrs", "network", "请按 10.0.0.0/8 的形式填写网段。", "Write a network such as 10.0.0.0/8."
        ) from None
