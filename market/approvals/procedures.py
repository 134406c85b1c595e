"""办理规程 For each kind of case: who asks, who decides, in how many working days. One line each.

A new kind is a member of `CaseKind` and a line here; what follows from its outcome stands in `market.wiring`.
The engine decides by these, and docs/permissions.md is drawn from them.
"""

from dataclasses import dataclass, field

from market.approvals.rules import TABLE, CaseKind, CaseState, Command, Part, Table
from market.identity.rules import GRANTS, Actor, Permission, Role


def without_return(table: Table) -> Table:
    """The same for a matter that is decided as it is: nobody returns it to be corrected."""
    return {
        (state, part): row - {Command.RETURN}
        for (state, part), row in table.items()
        if state is not CaseState.RETURNED
    }


@dataclass(frozen=True, slots=True)
class Procedure:
    """办理规程 of one kind. Terms are working days."""

    kind: CaseKind
    ask: tuple[Permission, ...]
    decide: Permission
    second: Permission | None = None  # who besides may be one of two, of another role
    due_days: int = 5
    escalate_days: int = 2  # past the due date
    expire_days: int = 20  # past the due date, or without a correction
    table: Table = field(default_factory=lambda: TABLE)

    @property
    def deciding(self) -> tuple[Permission, ...]:
        """Every permission with which one can decide, at least as one of two."""
        return (self.decide,) if self.second is None else (self.decide, self.second)

    def decides(self, actor: Actor, needs: int) -> bool:
        """Whether the actor's roles let them decide a case that needs `needs` people."""
        return any(actor.may(each) for each in (self.deciding if needs > 1 else (self.decide,)))

    def roles(self, part: Part) -> list[Role]:
        """The roles people of this part have."""
        wanted: tuple[Permission, ...] = ()
        if part is Part.APPLICANT:
            wanted = self.ask
        elif part in {Part.DECIDER, Part.ASSIGNEE, Part.DEPUTY, Part.COLLEAGUE}:
            wanted = self.deciding
        elif part is Part.READER:
            wanted = (Permission.JOURNAL_READ,)
        return sorted(role for role, granted in GRANTS.items() if granted.intersection(wanted))


PROCEDURES: dict[CaseKind, Procedure] = {
    each.kind: each
    for each in (
        Procedure(
            CaseKind.LISTING,
            ask=(Permission.LISTING_PROPOSE,),
            decide=Permission.LISTING_APPROVE,
            second=Permission.CASE_ENDORSE,
        ),
        Procedure(
            CaseKind.ORDER,
            ask=(Permission.ORDER_PLACE,),
            decide=Permission.ORDER_APPROVE,
            second=Permission.CASE_ENDORSE,
        ),
        Procedure(
            CaseKind.REVOCATION,
            ask=(Permission.OFFER_ACCEPT,),
            decide=Permission.LICENSE_SUSPEND,
            due_days=3,
        ),
        # Somebody proposes again instead of correcting: an edit is written on one version of its list, and
        # a mandate goes back to its own draft.
        Procedure(
            CaseKind.LIST_EDIT,
            ask=(Permission.LIST_EDIT,),
            decide=Permission.LIST_APPROVE,
            table=without_return(TABLE),
        ),
        Procedure(
            CaseKind.MANDATE,
            ask=(Permission.MANDATE_GRANT,),
            decide=Permission.MANDATE_APPROVE,
            table=without_return(TABLE),
        ),
        # Whether it is given; sending and confirming it are two people's, in `billing.refunding`.
        Procedure(
            CaseKind.REFUND,
            ask=(Permission.REFUND_ASK,),
            decide=Permission.PAYMENT_CONFIRM,
            table=without_return(TABLE),
        ),
    )
}
# Every permission that opens the approval desk.
DESK = tuple(dict.fromkeys(each for procedure in PROCEDURES.values() for each in procedure.deciding))


def roles_for(procedure: Procedure, command: Command) -> list[Role]:
    """The roles of everybody who may ever do this."""
    parts = {part for (_, part), row in procedure.table.items() if command in row}
    return sorted({role for part in parts for role in procedure.roles(part)})
