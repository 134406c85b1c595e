"""The verbs of contracts and licenses. Each takes a Unit and writes the one entry that explains it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from joserfc.jwk import OKPKey

from contracts.detached import key_id
from contracts.offers import Offer, beyond
from contracts.policy import Policy, compile_policy
from contracts.problems import (
    ContractNotFound,
    ContractTextDiffers,
    LicenseNotFound,
    OfferExceeded,
    SignerUnknown,
)
from contracts.rules import CONTRACT, LICENSE, LicenseState
from contracts.signatures import Acceptance, SignedDocument, sign
from contracts.tables import Contract, License
from contracts.templates import Template, compose, content_hash
from contracts.terms import Terms
from storage.kernel import clock
from storage.kernel.ids import new_id
from storage.kernel.problem import WrongState, invalid
from storage.sequence import document_number
from storage.unit import Unit


def draft_contract(
    unit: Unit,
    template: Template,
    terms: Terms,
    slots: Mapping[str, Any],
    *,
    zone: str = "Asia/Shanghai",
) -> Contract:
    """起草合同. Write the contract of `terms` on `template`; its content and hash never change afterwards.

    slots: the blanks the provider and the buyer fill in (`Template.to_fill`). Numbers run by year in `zone`.
    Raises Invalid naming every slot that is missing or wrong, and terms without a buyer.
    """
    if terms.buyer is None:
        raise invalid("buyer", "buyer.missing", "合同必须写明买方。", "A contract names its buyer.")
    now = clock.now()
    today = now.astimezone(ZoneInfo(zone)).date()
    number = document_number(unit, f"HT-{template.code}", today.year)
    content = compose(template, terms, slots, number=number, dated=today)
    contract = Contract(
        id=new_id("con"),
        number=number,
        template_slug=template.slug,
        template_version=template.version,
        content=content,
        content_hash=content_hash(content),
        seller_id=terms.seller.id,
        buyer_id=terms.buyer.id,
        drafted_at=now,
    )
    unit.session.add(contract)
    unit.record(
        "contract.drafted",
        f"contract:{contract.id}",
        number=number,
        template=f"{template.slug}/{template.version}",
        content_hash=contract.content_hash,
        product=terms.product.id,
        seller=contract.seller_id,
        buyer=contract.buyer_id,
    )
    return contract


def accept_offer(
    unit: Unit, contract_id: str, content_hash: str, *, by: str, offer: Offer | None = None
) -> Contract:
    """提供方接受. The provider accepts this very text, either now or ahead of time by its standing offer.

    by: the user who accepts, or who accepted the offer at listing. With `offer`, the contract must stay
    within it. Raises ContractNotFound, ContractTextDiffers, OfferExceeded (naming where), WrongState.
    """
    contract = _contract(unit, contract_id)
    contract.state = CONTRACT.after(contract.state, "provider_accept")
    _require_same_text(contract, content_hash)
    if offer is not None:
        differences = beyond(offer, contract.content)
        if differences:
            raise OfferExceeded(differences=[words.both() for words in differences])
        contract.offer_hash = offer.hash
    contract.provider_accepted_at, contract.provider_accepted_by = clock.now(), by
    unit.session.add(contract)
    unit.record(
        "contract.offered",
        f"contract:{contract.id}",
        content_hash=content_hash,
        by=by,
        offer_hash=contract.offer_hash,
    )
    return contract


def accept_contract(unit: Unit, contract_id: str, content_hash: str, *, by: str) -> Contract:
    """买方接受. The buyer accepts exactly the text with this hash; the contract takes effect.

    by: the user who accepts. When the Unit acts for a party, it must be the buyer.
    Raises ContractNotFound, SignerUnknown, ContractTextDiffers, WrongState (the provider accepts first).
    """
    contract = _contract(unit, contract_id)
    if unit.org is not None and unit.org != contract.buyer_id:
        raise SignerUnknown(contract=contract.id)
    contract.state = CONTRACT.after(contract.state, "buyer_accept")
    _require_same_text(contract, content_hash)
    contract.buyer_accepted_at, contract.buyer_accepted_by = clock.now(), by
    unit.session.add(contract)
    unit.record("contract.accepted", f"contract:{contract.id}", content_hash=content_hash, by=by)
    return contract


def witness_contract(unit: Unit, contract_id: str, key: OKPKey) -> SignedDocument:
    """平台见证. Sign what both sides accepted and keep the file that verifies offline.

    key: the platform's private Ed25519 key. Raises ContractNotFound, WrongState before both accepted.
    """
    contract = _contract(unit, contract_id)
    contract.state = CONTRACT.after(contract.state, "witness")
    contract.document = sign(contract.content, acceptances(contract), key, at=clock.now())
    unit.session.add(contract)
    unit.record(
        "contract.witnessed",
        f"contract:{contract.id}",
        content_hash=contract.content_hash,
        kid=key_id(key),
        document_format=contract.document["format"],
    )
    return contract.document


def attach_pdf(unit: Unit, contract_id: str, sha256: str) -> Contract:
    """归档打印本. Keep where the printed contract is; it is made and stored before the Unit opens."""
    contract = _contract(unit, contract_id)
    contract.pdf_sha256 = sha256
    unit.session.add(contract)
    unit.record("contract.printed", f"contract:{contract.id}", pdf_sha256=sha256)
    return contract


def void_contract(unit: Unit, contract_id: str, *, reason: str) -> Contract:
    """合同作废. End a contract as if it had not been made. Raises ContractNotFound, WrongState."""
    return _end_contract(unit, contract_id, "void", "contract.voided", reason)


def terminate_contract(unit: Unit, contract_id: str, *, reason: str) -> Contract:
    """终止合同. End an effective contract; its license is ended by the caller in the same Unit.

    Raises ContractNotFound, WrongState.
    """
    return _end_contract(unit, contract_id, "terminate", "contract.terminated", reason)


def issue_license(
    unit: Unit, terms: Terms, *, contract_id: str | None = None, zone: str = "Asia/Shanghai"
) -> License:
    """签发许可. A license that waits for activation (payment, or nothing for public-good).

    A commercial license comes from an effective contract and carries that contract's own terms.
    Raises ContractNotFound, WrongState (contract not effective), Invalid (no buyer, or other terms).
    """
    if terms.buyer is None:
        raise invalid("buyer", "buyer.missing", "许可必须写明被许可方。", "A license names its holder.")
    if contract_id is not None:
        contract = _contract(unit, contract_id)
        contract.state = CONTRACT.after(contract.state, "license")
        if contract.frozen_terms() != terms:
            raise invalid(
                "terms", "terms.differ", "许可条款与合同不一致。", "The terms are not those of the contract."
            )
    elif not terms.price.free or terms.prepay_fen:
        raise invalid(
            "contract_id", "contract.missing", "有偿许可必须依据合同。", "A paid license needs a contract."
        )
    now = clock.now()
    license = License(  # noqa: A001  # the word of the domain
        id=new_id("lic"),
        number=document_number(unit, "XK", now.astimezone(ZoneInfo(zone)).year),
        contract_id=contract_id,
        product_id=terms.product.id,
        buyer_id=terms.buyer.id,
        seller_id=terms.seller.id,
        tier=terms.tier,
        terms=terms.document(),
        prepay_fen=terms.prepay_fen,
        version_rule=terms.version_rule,
        issued_at=now,
    )
    unit.session.add(license)
    unit.record(
        "license.issued",
        f"license:{license.id}",
        number=license.number,
        contract=contract_id,
        product=license.product_id,
        buyer=license.buyer_id,
        tier=str(license.tier),
    )
    return license


def activate_license(
    unit: Unit, license_id: str, *, zone: str = "Asia/Shanghai", ends: Sequence[datetime] = ()
) -> Policy:
    """许可生效. Freeze when it serves and return what the gateway enforces, for the gate in the same Unit.

    ends: other ends known in advance (mandate, registration, permit); the earliest wins.
    Raises LicenseNotFound, WrongState, Invalid (the agreed term is over).
    """
    license = _license(unit, license_id)  # noqa: A001
    license.state = LICENSE.after(license.state, "activate")
    policy = compile_policy(license.frozen_terms(), starts_at=clock.now(), zone=zone, ends=ends)
    license.serve_from, license.serve_until = policy.serve_from, policy.serve_until
    unit.session.add(license)
    unit.record(
        "license.activated",
        f"license:{license.id}",
        serve_from=policy.serve_from.isoformat(),
        serve_until=policy.serve_until.isoformat() if policy.serve_until else None,
    )
    return policy


def extend_license(
    unit: Unit, license_id: str, *, zone: str = "Asia/Shanghai", ends: Sequence[datetime] = ()
) -> License:
    """许可顺延. An end that cuts the agreed term short moved; serve as long as agreed, never longer.

    Nothing is recorded when the end stays where it is. The gate is moved by the caller in the same Unit.
    ends: as for `activate_license`, as they are now. Raises LicenseNotFound, WrongState.
    """
    license = _license(unit, license_id)  # noqa: A001
    if license.state not in {LicenseState.ACTIVE, LicenseState.SUSPENDED} or license.serve_from is None:
        raise WrongState(
            thing="license", state=str(license.state), verb="extend", allowed=LICENSE.verbs(license.state)
        )
    policy = compile_policy(license.frozen_terms(), starts_at=license.serve_from, zone=zone, ends=ends)
    before, after = license.serve_until, policy.serve_until
    if before == after:
        return license
    license.serve_until = after
    unit.session.add(license)
    unit.record(
        "license.shortened"
        if before is None or (after is not None and after < before)
        else "license.extended",
        f"license:{license.id}",
        serve_until=policy.serve_until.isoformat() if policy.serve_until else None,
    )
    return license


def suspend_license(unit: Unit, license_id: str, *, reason: str) -> License:
    """中止许可. Stop serving until resumed; the gate is shut by the caller in the same Unit.

    reason: shown to the buyer; say which clause. Raises LicenseNotFound, WrongState.
    """
    return _move(unit, license_id, "suspend", "license.suspended", reason)


def resume_license(unit: Unit, license_id: str, *, reason: str) -> License:
    """恢复许可. Serve again. Raises LicenseNotFound, WrongState."""
    return _move(unit, license_id, "resume", "license.resumed", reason)


def revoke_license(unit: Unit, license_id: str, *, reason: str) -> License:
    """撤销许可. End a license now and for good; the gate is shut by the caller in the same Unit.

    reason: shown to the buyer; say which clause was broken. Raises LicenseNotFound, WrongState.
    """
    return _move(unit, license_id, "revoke", "license.revoked", reason)


def terminate_license(unit: Unit, license_id: str, *, reason: str) -> License:
    """终止许可. End a license by agreement or because its contract ended. Raises LicenseNotFound, WrongState."""
    return _move(unit, license_id, "terminate", "license.terminated", reason)


def expire_license(unit: Unit, license_id: str) -> License:
    """许可到期. Note that the term is over; the gateway has refused since `serve_until` by itself.

    Raises LicenseNotFound, WrongState, Invalid before the term is over.
    """
    license = _license(unit, license_id)  # noqa: A001
    if license.serve_until is not None and license.serve_until > clock.now():
        raise invalid("license", "license.running", "许可尚未到期。", "The license has not expired yet.")
    return _move(unit, license_id, "expire", "license.expired", None)


def acceptances(contract: Contract) -> list[Acceptance]:
    """Who accepted a contract so far, the provider first."""
    sides = (
        ("seller", contract.seller_id, contract.provider_accepted_by, contract.provider_accepted_at),
        ("buyer", contract.buyer_id, contract.buyer_accepted_by, contract.buyer_accepted_at),
    )
    return [
        Acceptance(role, party, by, at, contract.content_hash) for role, party, by, at in sides if by and at
    ]


def _contract(unit: Unit, contract_id: str) -> Contract:
    contract = unit.session.get(Contract, contract_id, with_for_update=True)
    if contract is None:
        raise ContractNotFound(contract=contract_id)
    return contract


def _license(unit: Unit, license_id: str) -> License:
    # No stronger than a change of state needs: an invoice being issued names this row and must not hold up its end.
    license = unit.session.get(License, license_id, with_for_update={"key_share": True})  # noqa: A001
    if license is None:
        raise LicenseNotFound(license=license_id)
    return license


def _require_same_text(contract: Contract, accepted: str) -> None:
    if accepted != contract.content_hash:
        raise ContractTextDiffers(contract=contract.id, current=contract.content_hash, accepted=accepted)


def _end_contract(unit: Unit, contract_id: str, verb: str, kind: str, reason: str) -> Contract:
    contract = _contract(unit, contract_id)
    contract.state = CONTRACT.after(contract.state, verb)
    unit.session.add(contract)
    unit.record(kind, f"contract:{contract.id}", reason=reason)
    return contract


def _move(unit: Unit, license_id: str, verb: str, kind: str, reason: str | None) -> License:
    license = _license(unit, license_id)  # noqa: A001
    license.state = LICENSE.after(license.state, verb)
    if LICENSE.ended(license.state):
        license.ended_at = clock.now()
    unit.session.add(license)
    unit.record(kind, f"license:{license.id}", **({"reason": reason} if reason else {}))
    return license
