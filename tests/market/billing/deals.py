"""What the money tests sell: one license's usage, the parties, and the settings it is billed with."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

from contracts.rules import ContractState
from contracts.tables import Contract, License
from contracts.terms import Tier, VersionRule
from market.billing import actions
from market.billing.rules import (
    InvoiceKind,
    LicenseUsage,
    Parties,
    PricedLine,
    Tariff,
    UsageTotals,
    price_lines,
)
from market.billing.settings import BillingSettings
from market.billing.tables import Invoice
from storage.kernel import clock
from storage.unit import Store

MARCH = datetime(2027, 3, 2, 8, tzinfo=UTC)


def licensed(store: Store, *ids: str, tier: Tier = Tier.COMMERCIAL) -> None:
    """Licenses that an invoice can name, not in force."""
    now = clock.now()
    with store.unit("system:test") as unit:
        for id_ in ids:
            contract = Contract(
                id=f"con_{id_}", number=f"HT-{id_}", template_slug="t", template_version="1", content={},
                content_hash="", state=ContractState.VOID, seller_id="pty_provider", buyer_id="pty_buyer",
                drafted_at=now,
            )  # fmt: skip
            unit.session.add(contract)
            unit.session.flush()
            unit.session.add(
                License(
                    id=id_,
                    number=f"XK-{id_}",
                    contract_id=contract.id,
                    product_id="prd_1",
                    buyer_id="pty_buyer",
                    seller_id="pty_provider",
                    tier=tier,
                    terms={},
                    version_rule=VersionRule.LATEST,
                    issued_at=now,
                )
            )
        unit.record("test.licensed", "test:1")


@dataclass(frozen=True)
class Deal:
    parties: Parties
    lines: Sequence[PricedLine]
    settings: BillingSettings

    def usage(self, license_id: str = "lic_1", *, used: bool = True) -> LicenseUsage:
        return LicenseUsage(license_id, self.lines if used else [], self.parties)


def usual_deal() -> Deal:
    """2,120 calls at 0.10 yuan: 212.00 gross, 200.00 net, 12.00 tax; the platform keeps a tenth of the net."""

    def block(party: str, name: str) -> dict[str, str]:
        return {"id": f"pty_{party}", "name": name, "id_number": "91370200MA3C00000X"}

    provider = block("provider", "青岛数据公司")
    lines = price_lines(UsageTotals(calls=2120, events=2000), Tariff(call_fen=Fraction(10)), "aa" * 32)
    return Deal(
        Parties(block("buyer", "青岛某企业"), provider, provider),
        lines,
        BillingSettings(platform_fee_bp=1000),
    )


def issue(store: Store, deal: Deal, **more: Any) -> Invoice:
    asked: dict[str, Any] = {
        "kind": InvoiceKind.USAGE,
        "charge": "usage:lic_1:2027-02",
        "period": "2027-02",
        "license_id": "lic_1",
        "order_id": "ord_1",
    }
    with clock.held(MARCH), store.unit("system:billing") as unit:
        return actions.issue_invoice(
            unit, parties=deal.parties, lines=deal.lines, settings=deal.settings, **asked | more
        )
