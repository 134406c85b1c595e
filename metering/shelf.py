"""货架 What the gateway reads before it serves: product, version, gate, standing of a token."""

import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlmodel import col, select

from contracts.terms import Tier
from metering.problems import (
    DeliveryRefused,
    InvalidToken,
    LicenseNotInForce,
    NetworksChanged,
    NotOnShelf,
    PurposeRefused,
    QuotaExhausted,
    SpendCapReached,
)
from metering.tables import Credential, Gate, RevokedToken, ShelfItem, ShelfVersion
from metering.tokens import Access, mark_of, networks_mark
from storage.kernel.problem import invalid
from storage.kernel.words import Words
from storage.unit import Store, View

_SNAPSHOT_SECONDS = 1.0
_REMEMBERED = 5_000
_LOOKED_BACK = 48  # versions, for what was paid for before a newer one came


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of a token's license, credential and revocation at one moment."""

    gate: Gate
    credential_live: bool
    revoked: bool
    networks_changed: bool  # those of the credential, since the token was issued


@dataclass(frozen=True, slots=True)
class Allowed:
    """What was read for a token and a product, and until when (monotonic) it may be taken for granted."""

    item: ShelfItem | None
    standing: Standing
    until: float


class Shelf:
    """货架. Reads what is served; the paid path has a short memory, because the till judges again."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._recent: dict[tuple[str, ...], Allowed] = {}
        self._versions: dict[tuple[str, int], dict[str, Any]] = {}

    def item(self, slug: str, tier: Tier, holder: Access | None = None) -> ShelfItem:
        """The product by its slug. Raises NotOnShelf, also when it stands on the other side of the line.

        holder: who carries a token of this very product is shown a taken-down one, and told by the gate why.
        """
        with self._store.view() as view:
            return on_side(_item(view, slug), slug, tier, holder)

    def either(self, slug: str) -> ShelfItem:
        """The product by its slug on whichever side, for a caller with a license. Raises NotOnShelf."""
        with self._store.view() as view:
            found = _item(view, slug)
        return on_side(found, slug, found.tier if found is not None else Tier.PUBLIC_GOOD)

    def known_manifest(self, product_id: str, version: int) -> dict[str, Any] | None:
        """The manifest, if it was read before."""
        return self._versions.get((product_id, version))

    def manifest(self, product_id: str, version: int) -> dict[str, Any]:
        """The manifest of a version; it never changes. Raises NotOnShelf."""
        found = self.known_manifest(product_id, version)
        if found is None:
            with self._store.view() as view:
                row = view.session.get(ShelfVersion, (product_id, version))
            if row is None:
                raise NotOnShelf(product=product_id, version=version)
            found = self._versions[product_id, version] = row.manifest
        return found

    def versions_since(self, product_id: str, since: datetime) -> list[int]:
        """The versions that were current at some time since then, newest first; a few dozen at most."""
        with self._store.view() as view:
            rows = view.session.exec(
                select(ShelfVersion.version, ShelfVersion.shelved_at)
                .where(ShelfVersion.product_id == product_id)
                .order_by(col(ShelfVersion.version).desc())
                .limit(_LOOKED_BACK)
            ).all()
        newer = sum(shelved_at > since for _, shelved_at in rows)
        return [version for version, _ in rows[: newer + 1]]

    def standing(self, access: Access) -> Standing:
        """License, credential and token as they are. Raises LicenseNotInForce for an unknown license."""
        with self._store.view() as view:
            return _standing(view, access)

    def recent(self, slug: str, access: Access) -> Allowed | None:
        """What was read within the last second, if anything."""
        found = self._recent.get((slug, access.license_id or "", access.client_id, access.jti))
        return found if found is not None and time.monotonic() < found.until else None

    def read(self, slug: str, access: Access) -> Allowed:
        """Product and standing as they are. Raises LicenseNotInForce for an unknown license."""
        until = time.monotonic() + _SNAPSHOT_SECONDS
        with self._store.view() as view:
            allowed = Allowed(_item(view, slug), _standing(view, access), until)
        if len(self._recent) >= _REMEMBERED:
            self._recent.clear()
        self._recent[slug, access.license_id or "", access.client_id, access.jti] = allowed
        return allowed


def on_side(item: ShelfItem | None, slug: str, tier: Tier, holder: Access | None = None) -> ShelfItem:
    """The product when it is served on that side of the line. Raises NotOnShelf.

    holder: the bearer of a token of this product knows of it: taken down, the gate says 403 and why.
    """
    if item is None or item.tier is not tier:
        raise NotOnShelf(product=slug)
    if not item.served and (holder is None or holder.product_id != item.product_id):
        raise NotOnShelf(product=slug)
    return item


def _item(view: View, slug: str) -> ShelfItem | None:
    return view.session.exec(select(ShelfItem).where(col(ShelfItem.slug) == slug)).first()


def _standing(view: View, access: Access) -> Standing:
    license_id = access.license_id or ""
    row = view.session.execute(
        sa.select(Gate, _networks(access), sa.exists().where(col(RevokedToken.jti) == access.jti)).where(
            col(Gate.license_id) == license_id
        )
    ).first()
    if row is None:
        raise LicenseNotInForce(license=license_id, reason="unknown")
    gate, networks, revoked = row
    return Standing(gate, networks is not None, bool(revoked), networks_changed=_changed(access, networks))


def _networks(access: Access) -> sa.ScalarSelect[list[str]]:
    """The networks of the credential behind a token; NULL when it has ended."""
    mine = col(Credential.id) == access.client_id
    return sa.select(col(Credential.cidrs)).where(mine, col(Credential.ended_at).is_(None)).scalar_subquery()


def _changed(access: Access, networks: list[str] | None) -> bool:
    return networks is not None and mark_of(access.jti) != networks_mark(networks)


def refuse_ended(view: View, access: Access) -> None:
    """`refuse_spent` for a token whose license does not matter."""
    revoked = sa.exists().where(col(RevokedToken.jti) == access.jti)
    networks, dead = view.session.execute(sa.select(_networks(access), revoked)).one()
    _refuse_token(live=networks is not None, revoked=dead, networks_changed=_changed(access, networks))


def is_live(view: View, access: Access) -> bool:
    """Whether `refuse_ended` refuses nothing."""
    try:
        refuse_ended(view, access)
    except InvalidToken:
        return False
    return True


def refuse_spent(standing: Standing) -> None:
    """Raise InvalidToken when the token is good for nothing any more, whatever its license."""
    _refuse_token(
        live=standing.credential_live, revoked=standing.revoked, networks_changed=standing.networks_changed
    )


def _refuse_token(*, live: bool, revoked: bool, networks_changed: bool) -> None:
    if not live:
        raise InvalidToken(Words("接入凭证已停用。", "The credential has ended."))
    if revoked:
        raise InvalidToken(Words("令牌已被撤销。", "The token was revoked."))
    if networks_changed:
        raise NetworksChanged


def refuse(standing: Standing, item: ShelfItem, access: Access, mode: str, now: datetime) -> None:
    """Raise what forbids serving `item` to the bearer now: token, license, product, purpose, delivery mode."""
    gate = standing.gate
    refuse_spent(standing)
    if gate.product_id != item.product_id or access.product_id != item.product_id:
        raise LicenseNotInForce(
            Words("该令牌的许可不适用于此产品。", "The token's license is not for this product."),
            license=gate.license_id,
            reason="other_product",
        )
    if reason := why_shut(gate, now):
        raise LicenseNotInForce.because(gate.license_id, reason, gate.stands_on)
    if gate.purposes and access.purpose not in gate.purposes:
        raise PurposeRefused(license=gate.license_id, purposes=gate.purposes)
    if mode not in gate.delivery:
        raise DeliveryRefused(license=gate.license_id, delivery=gate.delivery)


def why_shut(gate: Gate, now: datetime) -> str | None:
    """Why a gate serves nothing at `now`, or None."""
    if not gate.in_force:
        return gate.shut_reason or "shut"
    if gate.taken_down:
        return gate.down_reason or "taken_down"
    if now < gate.serve_from:
        return "not_begun"
    if gate.serve_until is not None and now >= gate.serve_until:
        return gate.until_reason or "expired"
    return None


def refuse_exhausted(gate: Gate) -> None:
    """Raise what forbids even one more call: a limit is reached, or the spend cap does not reach for it.

    Read before a provider's API is driven; the till decides again, exactly, when the call is charged.
    """
    refuse_beyond(gate, calls=1, bytes=1)
    left = None if gate.spend_cap_fen is None else gate.spend_cap_fen - gate.spent_fen
    if left is not None and left < gate.call_fen:
        raise SpendCapReached(license=gate.license_id, left_fen=left, cost_fen=gate.call_fen)


def refuse_beyond(gate: Gate, **wanted: int) -> None:
    """Raise QuotaExhausted where a limit does not reach for so many more; the till decides again, exactly.

    wanted: `calls`, `rows`, `bytes`, `downloads`.
    """
    for unit, number in wanted.items():
        most, used = getattr(gate, f"limit_{unit}"), getattr(gate, f"used_{unit}")
        if most is not None and used + number > most:
            left = max(0, most - used)
            raise QuotaExhausted(license=gate.license_id, unit=unit, left=left, wanted=number)


def calls_left(gate: Gate, most_bytes: int) -> int | None:
    """How many more calls a license can likely pay for; None when unlimited.

    most_bytes: the size of an answer, as long as none is known. At least one, for the till alone knows what one answer costs.
    """
    left = []
    if gate.limit_calls is not None:
        left.append(gate.limit_calls - gate.used_calls)
    if gate.limit_bytes is not None:
        usual = gate.used_bytes // gate.used_calls if gate.used_calls else most_bytes
        left.append((gate.limit_bytes - gate.used_bytes) // max(usual, 1))
    if gate.spend_cap_fen is not None and gate.call_fen:
        left.append((gate.spend_cap_fen - gate.spent_fen) // gate.call_fen)
    return max(1, min(left)) if left else None


class Goods(NamedTuple):
    """What a caller is served of: a product, its current version, and the one a license is pinned to."""

    product_id: str
    current: int
    pinned: int | None


def version_for(goods: Goods, asked: int | None) -> int:
    """The version to serve: the pinned one, else the cursor's, else the current one.

    Raises Invalid when a cursor of another version meets a pinned license.
    """
    if goods.pinned is not None and asked not in {None, goods.pinned}:
        raise invalid(
            "cursor", "cursor.version", "游标属于另一版本。", "The cursor belongs to another version."
        )
    return asked or goods.pinned or goods.current


def goods_of(item: ShelfItem, pinned: int | None = None) -> Goods:
    """The same, taken from the shelf."""
    return Goods(item.product_id, item.current_version, pinned)
