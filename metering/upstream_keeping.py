"""申报上游 Keeps what a provider declares about its own API; the secret is sealed to product and address."""

from metering.keys import Seal
from metering.settings import MeteringSettings
from metering.tables import Upstream
from metering.upstream import Declaration, declaration_faults, secret_faults
from storage.kernel import clock
from storage.kernel.canonical import digest
from storage.kernel.problem import Invalid, NotFound
from storage.unit import Unit, View


def declare_upstream(
    unit: Unit,
    seal: Seal,
    settings: MeteringSettings,
    *,
    product_id: str,
    declared: Declaration,
    secret: str,
) -> Upstream:
    """申报接口. Keep or replace the declaration of a product; the secret comes with it and is never shown again.

    Raises Invalid with every fault.
    """
    if faults := [*declaration_faults(declared, settings), *secret_faults(declared, secret)]:
        raise Invalid(*faults)
    now = clock.now()
    row = unit.session.get(Upstream, product_id, with_for_update=True)
    document = declared.model_dump(mode="json")
    sealed = seal.close(secret.encode(), _name(product_id, declared))
    if row is None:
        row = Upstream(
            product_id=product_id, declaration=document, sealed=sealed, declared_at=now, rotated_at=now
        )
    row.declaration, row.sealed, row.declared_at, row.rotated_at = document, sealed, now, now
    unit.session.add(row)
    unit.record(
        "upstream.declared", f"product:{product_id}", host=declared.host, declaration=digest(document)
    )
    return row


def rotate_upstream_secret(unit: Unit, seal: Seal, *, product_id: str, secret: str) -> Upstream:
    """轮换接口密钥. Calls carry the new secret from the next one on. Raises NotFound, Invalid."""
    row = unit.session.get(Upstream, product_id, with_for_update=True)
    if row is None:
        raise NotFound(product=product_id)
    declared = Declaration(**row.declaration)
    if faults := secret_faults(declared, secret):
        raise Invalid(*faults)
    row.sealed, row.rotated_at = seal.close(secret.encode(), _name(product_id, declared)), clock.now()
    unit.session.add(row)
    unit.record("upstream.secret_rotated", f"product:{product_id}")
    return row


def opened_upstream(view: View, seal: Seal, product_id: str) -> tuple[Declaration, str] | None:
    """取用接口. The declaration and its secret, for the one call about to be made.

    Raises RuntimeError when the row was changed: the secret opens only for the address it was given for.
    """
    row = view.session.get(Upstream, product_id)
    if row is None:
        return None
    declared = Declaration(**row.declaration)
    return declared, seal.open(row.sealed, _name(product_id, declared)).decode()


def _name(product_id: str, declared: Declaration) -> str:
    """What the secret is bound to: sent anywhere else, or in another place, it does not open."""
    return f"upstream:{product_id}:{declared.base_url}:{declared.secret_in}:{declared.secret_name}"
