"""对公转账 Bank transfer: the default rail; people compare the bank statement, no network is needed."""

from market.billing.problems import WebhookRefused
from market.billing.rails import Due, HowToPay, Notice
from market.billing.rules import RailKind


class TransferRail:
    """对公转账. Shows the market's account and the reference to write on the transfer."""

    kind = RailKind.BANK_TRANSFER

    def __init__(self, bank_account: str) -> None:
        self._bank_account = bank_account

    def open(self, due: Due, *, back_to: str) -> HowToPay:  # noqa: ARG002  # nobody leaves our pages
        """Where to transfer to, and what to write on the transfer."""
        return HowToPay(
            self.kind, due.amount_fen, due.reference, self._bank_account, expires_at=due.expires_at
        )

    def close(self, checkout_id: str) -> None:
        """Nothing is open at a bank."""

    def read(self, raw: bytes, signature: str) -> Notice:  # noqa: ARG002  # the protocol's shape
        """A bank sends no messages. Always raises WebhookRefused."""
        raise WebhookRefused(rail=str(self.kind))
