"""总账 Double entry as values: money only moves from one account to another, so a transaction always sums to zero; pure.

A balance is what the market owes on that account (credit-positive). Money held at a bank or on a rail,
and what buyers still owe, are therefore negative; the sum over all accounts is always zero.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from storage.kernel.canonical import digest
from storage.kernel.money import MAX_FEN
from storage.kernel.words import Worded


class AccountKind(Worded):
    """科目. What an account stands for."""

    CLEARING = "clearing", "通道清算", "Clearing of a rail"
    HOLD = "hold", "退款冻结", "Held for a refund"
    PAYABLE = "payable", "应付提供方", "Payable to a provider"
    PLATFORM_FEE = "platform_fee", "平台服务费", "Platform fee"
    PREPAID = "prepaid", "买方预付款", "Buyer prepaid"
    RECEIVABLE = "receivable", "应收买方", "Receivable from a buyer"
    SUSPENSE = "suspense", "待查款项", "Suspense"
    TAX = "tax", "应交税费", "Tax payable"
    TREASURY = "treasury", "非税收入（国库）", "Treasury (non-tax revenue)"


_KINDS = {kind.value: kind for kind in AccountKind}
# Kinds that exist once; every other account belongs to a party or a rail.
SINGLE = frozenset({AccountKind.PLATFORM_FEE, AccountKind.TAX})
# Prepaid and suspense money cannot be spent twice; a receivable cannot be overpaid.
NEVER_NEGATIVE = frozenset({AccountKind.PREPAID, AccountKind.SUSPENSE, AccountKind.HOLD})
NEVER_POSITIVE = frozenset({AccountKind.RECEIVABLE})


@dataclass(frozen=True, slots=True, order=True)
class Account:
    """账户. A kind and its owner (party id or rail); written `prepaid:pty_…`, `clearing:stripe`, `tax`."""

    kind: AccountKind
    owner: str = ""

    def __post_init__(self) -> None:
        if bool(self.owner) == (self.kind in SINGLE):
            raise ValueError(f"account {self.kind} has the wrong owner {self.owner!r}")

    def __str__(self) -> str:
        return f"{self.kind}:{self.owner}" if self.owner else str(self.kind)

    @classmethod
    def parse(cls, text: str) -> "Account":
        """The account written as `text`. Raises ValueError for an unknown kind or a missing owner."""
        kind, _, owner = text.partition(":")
        if kind not in _KINDS:
            raise ValueError(f"no account is called {text!r}")
        return cls(_KINDS[kind], owner)


PLATFORM_FEE = Account(AccountKind.PLATFORM_FEE)
TAX = Account(AccountKind.TAX)


def prepaid(party: str) -> Account:
    """买方预付款. What a buyer has paid ahead; never negative."""
    return Account(AccountKind.PREPAID, party)


def receivable(party: str) -> Account:
    """应收. What a buyer owes on issued invoices (zero or negative)."""
    return Account(AccountKind.RECEIVABLE, party)


def payable(party: str) -> Account:
    """应付. What the market owes a provider."""
    return Account(AccountKind.PAYABLE, party)


def treasury(party: str) -> Account:
    """非税收入. The share of a budget unit, which goes to the treasury and not to the unit."""
    return Account(AccountKind.TREASURY, party)


def clearing(rail: str) -> Account:
    """通道清算. Money that came in over a rail (negative) and went out again."""
    return Account(AccountKind.CLEARING, rail)


def hold(party: str) -> Account:
    """冻结. Prepaid money on its way back to the buyer: it cannot be spent meanwhile."""
    return Account(AccountKind.HOLD, party)


def suspense(rail: str) -> Account:
    """待查. Money received that fits no payment; it waits for a decision."""
    return Account(AccountKind.SUSPENSE, rail)


@dataclass(frozen=True, slots=True)
class Posting:
    """分录. `amount_fen` (more than zero) leaves `source` and arrives at `destination`."""

    source: Account
    destination: Account
    amount_fen: int

    def __post_init__(self) -> None:
        if type(self.amount_fen) is not int or not 0 < self.amount_fen <= MAX_FEN:
            raise ValueError(f"a posting moves a positive whole number of fen, not {self.amount_fen!r}")
        if self.source == self.destination:
            raise ValueError("a posting needs two accounts")

    def reversed(self) -> "Posting":
        """The same money going back."""
        return Posting(self.destination, self.source, self.amount_fen)


@dataclass(frozen=True, slots=True)
class Transaction:
    """凭证. Postings that happen together under a deterministic id, so that twice is once."""

    id: str  # "payment:bank_transfer:…", "invoice:FP-…", "settle:pty_…:2026-11"
    postings: tuple[Posting, ...]

    def __post_init__(self) -> None:
        if not self.postings:
            raise ValueError("a transaction needs a posting")

    def changes(self) -> dict[Account, int]:
        """What each account gains or loses (fen); the values sum to zero."""
        return fold(self.postings)

    def fingerprint(self) -> str:
        """The hash that tells the same transaction from another one under the same id."""
        return digest([[str(p.source), str(p.destination), p.amount_fen] for p in self.postings])


def fold(postings: Iterable[Posting]) -> dict[Account, int]:
    """Balances from postings: what came in less what went out."""
    balances: Counter[Account] = Counter()
    for posting in postings:
        balances[posting.source] -= posting.amount_fen
        balances[posting.destination] += posting.amount_fen
    return dict(balances)


def impossible(balances: Mapping[Account, int]) -> Iterator[Account]:
    """The accounts that may not stand at these balances (the tables CHECK the same)."""
    for account, fen in balances.items():
        if (account.kind in NEVER_NEGATIVE and fen < 0) or (account.kind in NEVER_POSITIVE and fen > 0):
            yield account


def payment_id(rail: str, reference: str) -> str:
    """The id of the transaction that books money received over `rail` under the rail's own reference."""
    return f"payment:{rail}:{reference}"


def received(rail: str, reference: str, to: Account, amount_fen: int) -> Transaction:
    """收款. Money that came in over a rail, credited to one account."""
    return Transaction(payment_id(rail, reference), (Posting(clearing(rail), to, amount_fen),))


def returned(item_id: str, rail: str, amount_fen: int) -> Transaction:
    """退回. Money in suspense that goes back the way it came."""
    return Transaction(f"return:{item_id}", (Posting(suspense(rail), clearing(rail), amount_fen),))


def held(refund_id: str, buyer: str, amount_fen: int) -> Transaction:
    """冻结. Prepaid money set aside for a refund that was asked for."""
    return Transaction(f"hold:{refund_id}", (Posting(prepaid(buyer), hold(buyer), amount_fen),))


def released(refund_id: str, buyer: str, amount_fen: int) -> Transaction:
    """解冻. The refund will not be: the money is prepaid again."""
    return Transaction(f"release:{refund_id}", (Posting(hold(buyer), prepaid(buyer), amount_fen),))


def refunded(refund_id: str, buyer: str, rail: str, amount_fen: int) -> Transaction:
    """退款. The money set aside has left over a rail."""
    return Transaction(f"refund:{refund_id}", (Posting(hold(buyer), clearing(rail), amount_fen),))


@dataclass(frozen=True, slots=True)
class Shares:
    """分配. Who gets what of an invoice's gross amount (fen)."""

    fee_fen: int
    tax_fen: int
    provider_fen: int


def invoiced(number: str, buyer: str, provider: Account, prepaid_fen: int, shares: Shares) -> Transaction:
    """开票. An invoice drawn on prepaid money first; the rest becomes a receivable.

    The credit side is filled in a fixed order (tax, fee, provider), so the postings are deterministic.
    """
    parts = [(TAX, shares.tax_fen), (PLATFORM_FEE, shares.fee_fen), (provider, shares.provider_fen)]
    left, postings = prepaid_fen, []
    for account, fen in parts:
        drawn = min(left, fen)
        left -= drawn
        if drawn:
            postings.append(Posting(prepaid(buyer), account, drawn))
        if fen > drawn:
            postings.append(Posting(receivable(buyer), account, fen - drawn))
    if left:
        raise ValueError("more prepaid money than the invoice needs")
    return Transaction(f"invoice:{number}", tuple(postings))


def credited(note: str, invoice: Transaction, buyer: str, open_fen: int) -> Transaction:
    """红冲. An invoice taken back: what is still owed is dropped, what was paid returns to prepaid.

    open_fen: the part of the invoice not yet paid.
    """
    left, postings = open_fen, []
    for posting in invoice.postings:
        dropped = min(left, posting.amount_fen)
        left -= dropped
        if dropped:
            postings.append(Posting(posting.destination, receivable(buyer), dropped))
        if posting.amount_fen > dropped:
            postings.append(Posting(posting.destination, prepaid(buyer), posting.amount_fen - dropped))
    return Transaction(f"credit:{note}", tuple(postings))
