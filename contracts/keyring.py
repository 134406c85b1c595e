"""文档密钥 The keys that sign documents: end-dated, never dropped, apart from the keys of tokens."""

from datetime import datetime
from typing import Any

from joserfc.jwk import OKPKey
from sqlmodel import Field, SQLModel, col, select

from storage.columns import json_field
from storage.kernel import clock
from storage.seal import Seal
from storage.unit import Store, Unit, View


class DocumentKey(SQLModel, table=True):
    """文档签名密钥. Signs contracts, certificates, invoices, statements and journal heads from `made_at` to `ended_at`.

    `public` is an RFC 8037 JWK named by its RFC 7638 thumbprint; `sealed` opens with the house key only.
    """

    __tablename__ = "document_key"

    kid: str = Field(primary_key=True)
    public: dict[str, Any] = json_field()
    sealed: bytes
    made_at: datetime
    ended_at: datetime | None = None


def make_key(unit: Unit, seal: Seal) -> DocumentKey:
    """启用新密钥. End the present key, which stays trusted for what it signed, and begin a new one."""
    for row in unit.session.exec(
        select(DocumentKey).where(col(DocumentKey.ended_at).is_(None)).with_for_update()
    ):
        row.ended_at = clock.now()
        unit.session.add(row)
    pair = OKPKey.generate_key("Ed25519", auto_kid=False)
    kid = pair.thumbprint()
    public = {**pair.as_dict(private=False), "kid": kid, "use": "sig", "alg": "Ed25519"}
    row = DocumentKey(
        kid=kid, public=public, sealed=seal.close(pair.as_pem(private=True), kid), made_at=clock.now()
    )
    unit.session.add(row)
    unit.record("document_key.made", f"document_key:{kid}")
    return row


def signing_key(store: Store, seal: Seal) -> OKPKey:
    """The private key to sign with now; made at the first start."""
    with store.view() as view:
        row = _current(view)
    if row is None:
        with store.unit("system:keys") as unit:
            row = _current(unit) or make_key(unit, seal)
    pair = OKPKey.import_key(seal.open(row.sealed, row.kid))
    return OKPKey.import_key({**pair.as_dict(private=True), "kid": row.kid})


def _current(view: View) -> DocumentKey | None:
    return view.session.exec(select(DocumentKey).where(col(DocumentKey.ended_at).is_(None))).first()


def trusted_keys(view: View) -> list[dict[str, Any]]:
    """Every public document key with its dates: the file `shugang verify` is given to trust."""
    rows = view.session.exec(select(DocumentKey).order_by(col(DocumentKey.made_at))).all()
    return [
        {
            **row.public,
            "made_at": row.made_at.isoformat(),
            "ended_at": row.ended_at and row.ended_at.isoformat(),
        }
        for row in rows
    ]
