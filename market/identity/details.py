"""Verbs about what an organization says of itself: the party block of its contracts and invoices."""

from dataclasses import asdict

from sqlmodel import col, select

from market.identity.problems import AlreadyRegistered
from market.identity.rules import (
    VERIFICATION,
    Actor,
    Details,
    Permission,
    detail_faults,
    identity_faults,
)
from market.identity.tables import Party
from storage.kernel.problem import Invalid, NotFound
from storage.unit import Unit

CHECKED = frozenset({"name", "id_number"})  # what the compliance officer compared with the documents


def amend_details(unit: Unit, actor: Actor, details: Details) -> Party:
    """修改主体信息. Write the actor's organization anew; contracts and invoices already made keep what they say.

    Another name or identity number was never checked: the organization is unverified until new documents
    pass. Raises Forbidden, Invalid with every fault at once, AlreadyRegistered for another's number.
    """
    actor.require(Permission.PARTY_EDIT)
    row = unit.session.get(Party, actor.own_org, with_for_update=True, populate_existing=True)
    if row is None:
        raise NotFound(party=actor.own_org)
    given = details.tidied()
    if faults := detail_faults(given) + identity_faults(row.kind, row.id_type, given.id_number):
        raise Invalid(*faults)
    changed = {name: value for name, value in asdict(given).items() if getattr(row, name) != value}
    before = {name: getattr(row, name) for name in sorted(CHECKED & changed.keys())}
    if "id_number" in changed:
        known = select(Party.id).where(
            Party.id_type == row.id_type, Party.id_number == given.id_number, col(Party.id) != row.id
        )
        if unit.session.exec(known).first():
            raise AlreadyRegistered
    if before:
        row.verification = VERIFICATION.after(row.verification, "rename")
        row.evidence, row.submitted_by = {}, None
        row.checked_by, row.checked_at, row.check_reason = None, None, ""
    for name, value in changed.items():
        setattr(row, name, value)
    unit.session.add(row)
    unit.session.flush()
    # The lines themselves stay out of the journal, which cannot forget a person's phone.
    unit.record("party.amended", f"party:{row.id}", lines=sorted(changed), before=before)
    return row
