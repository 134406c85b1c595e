"""What the money tests sell: one license's usage, the parties, and the settings it is billed with."""

from collections.abc import Sequence
from dataclasses import dataclass

from contracts.rules import ContractState
from contracts.tables import Contract, License
from contracts.terms import Tier, VersionRule
from market.billing.rules import LicenseUsage, Parties, PricedLine
from market.billing.settings import BillingSettings
from storage.kernel import clock
from storage.unit import Store


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
