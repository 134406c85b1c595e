"""What the money tests sell: one license's usage, the parties, and the settings it is billed with."""

from collections.abc import Sequence
from dataclasses import dataclass

from market.billing.rules import LicenseUsage, Parties, PricedLine
from market.billing.settings import BillingSettings


@dataclass(frozen=True)
class Deal:
    parties: Parties
    lines: Sequence[PricedLine]
    settings: BillingSettings

    def usage(self, license_id: str = "lic_1", *, used: bool = True) -> LicenseUsage:
        return LicenseUsage(license_id, self.lines if used else [], self.parties)
