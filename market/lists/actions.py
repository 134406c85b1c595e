"""Propose, approve, reject and withdraw edits of the two lists; an approved edit is the next version."""

from collections.abc import Sequence

from sqlalchemy.exc import IntegrityError
from sqlmodel import select

from market.approvals import actions as approvals
from market.approvals.queries import decisions, kind_of
from market.approvals.rules import CaseKind, CaseState, Ground, RiskPoint, reason_faults
from market.approvals.tables import Case
from market.identity.rules import GRANTS, Actor, Permission, Role
from market.lists import queries
from market.lists.problems import ListMoved, SecondRoleNeeded
from market.lists.rules import (
    LIST_EDIT,
    MAX_CHANGES,
    MAX_ENTRIES,
    PREFIX,
    Change,
    ChangeKind,
    ListKind,
    entry_faults,
)
from market.lists.tables import ListEdit, ListEntry, ListVersion
from storage.kernel import clock
from storage.kernel.canonical import digest
from storage.kernel.ids import new_id
from storage.kernel.problem import Fault, Invalid, NotFound, invalid
from storage.kernel.words import Words
from storage.sequence import next_in_sequence
from storage.unit import Unit

FACTS: dict[str, Words] = {
    "list": Words("清单", "List"),
    "summary": Words("修订说明", "Why it is edited"),
    "changes": Words("修订条数", "Entries changed"),
    "based_on": Words("依据版本", "Version it was written on"),
}


def ground_of(edit: ListEdit) -> Ground:
    """送审依据. What an edit stands on; it never changes after it was proposed."""
    public = RiskPoint(
        "public", 60, Words("公开发布，影响所有在售产品", "Published, and it binds every listing")
    )
    facts = {
        "list": str(edit.kind),
        "summary": edit.summary,
        "changes": len(edit.changes),
        "based_on": edit.based_on,
    }
    return Ground(facts, (public,))


def propose_edit(
    unit: Unit, actor: Actor, *, kind: ListKind, changes: Sequence[Change], summary: str
) -> ListEdit:
    """提出修订. Ask for changes of a list; somebody of another organization in another role decides.

    summary: why the list is edited. Raises Forbidden, Invalid with every fault of every change (an entry
    without law and article among them), ListMoved when an entry was revised since it was read.
    """
    actor.require(Permission.LIST_EDIT)
    if faults := [*_summary_faults(summary), *_change_faults(kind, changes)]:
        raise Invalid(*faults)
    _refuse_moved(unit, kind, changes)
    edit = ListEdit(
        id=new_id("led"),
        kind=kind,
        changes=[change.model_dump(mode="json") for change in changes],
        summary=summary.strip(),
        based_on=queries.newest(unit, kind),
        proposed_by=actor.id,
        proposed_org=actor.own_org,
        proposed_roles=sorted(_roles(actor, Permission.LIST_EDIT)),
        proposed_at=clock.now(),
    )
    unit.session.add(edit)
    unit.session.flush()
    case = approvals.open_case(
        unit,
        kind=CaseKind.LIST_EDIT,
        subject=f"list_edit:{edit.id}",
        submitted_by=actor.id,
        submitted_org=actor.own_org,
        ground=ground_of(edit),
    )
    edit.case_id = case.id
    unit.record(
        "list_edit.proposed", f"list_edit:{edit.id}", list=str(kind), changes=len(changes), case=case.id
    )
    return edit


def decide_edit(
    unit: Unit,
    actor: Actor,
    case_id: str,
    *,
    approve: bool,
    reason: str,
    expected_version: int | None = None,
) -> ListEdit:
    """审批修订. On approval the changes are published as the next version of the list, in this Unit.

    Raises what `approvals.decide` raises, SecondRoleNeeded when the decider acts in the proposer's role,
    and ListMoved when another edit of the same entries was published meanwhile.
    """
    if kind_of(unit, case_id) is not CaseKind.LIST_EDIT:
        actor.require(Permission.LIST_APPROVE)
        raise NotFound(case=case_id)
    case = approvals.decide(
        unit, actor, case_id, approve=approve, reason=reason, expected_version=expected_version
    )
    return settle_edit(unit, case, reason)


def settle_edit(unit: Unit, case: Case, reason: str) -> ListEdit:
    """办结清单修订. What a case's outcome does to its edit. Raises SecondRoleNeeded, ListMoved."""
    edit = _locked(unit, queries.edit_of_case(unit, case.id).id)
    if case.state is CaseState.CANCELLED:
        return _withdrawn(unit, edit)
    said = decisions(unit, case.id)
    if said and said[-1].role in edit.proposed_roles:
        raise SecondRoleNeeded(roles=edit.proposed_roles)
    edit.decided_by, edit.decided_at = said[-1].by if said else None, clock.now()
    edit.reason = reason.strip()
    if case.state is not CaseState.APPROVED:
        edit.state = LIST_EDIT.after(edit.state, "reject")
        unit.session.add(edit)
        unit.record("list_edit.rejected", f"list_edit:{edit.id}", reason=edit.reason)
        return edit
    published = _publish(unit, edit)
    unit.record(
        "list.published",
        f"list:{edit.kind}",
        version=published.number,
        edit=edit.id,
        sha256=published.sha256,
        entries=published.entries,
        reason=edit.reason,
    )
    return edit


def withdraw_edit(unit: Unit, actor: Actor, edit_id: str) -> ListEdit:
    """撤回修订. The proposer's organization takes an edit back before it is decided.

    Raises Forbidden, NotFound, AlreadyDecided, WrongState.
    """
    actor.require(Permission.LIST_EDIT)
    seen = unit.session.get(ListEdit, edit_id)
    if seen is None or seen.proposed_org != actor.own_org or seen.case_id is None:
        raise NotFound(edit=edit_id)
    LIST_EDIT.after(seen.state, "withdraw")
    approvals.cancel_case(unit, seen.case_id)  # the case is locked first, as in a decision
    return _withdrawn(unit, _locked(unit, edit_id))


def _withdrawn(unit: Unit, edit: ListEdit) -> ListEdit:
    edit.state = LIST_EDIT.after(edit.state, "withdraw")
    unit.session.add(edit)
    unit.record("list_edit.withdrawn", f"list_edit:{edit.id}")
    return edit


def steady(unit: Unit) -> None:
    """稳住依据. Whoever checks or changes what listings stand on takes turns here, before locking anything of them.

    So a check stays true until its Unit ends: no version of the list, no end of a mandate comes in between.
    """
    next_in_sequence(unit, "ground")


def note_swept(unit: Unit, *, caught: int) -> None:
    """清查记录. Every listed product was compared with the negative list as it holds today.

    caught: how many products were stopped.
    """
    number, day = queries.newest(unit, ListKind.NEGATIVE), queries.today()
    version = queries.version(unit, ListKind.NEGATIVE, number)
    version.swept_on = day
    unit.session.add(version)
    unit.record("list.swept", "list:negative", version=number, day=day.isoformat(), caught=caught)


def _publish(unit: Unit, edit: ListEdit) -> ListVersion:
    """The next version: the sequence's row is the lock, so two editors never publish the same number."""
    number = next_in_sequence(unit, f"list-{edit.kind}")
    changes = [Change.model_validate(change) for change in edit.changes]
    _refuse_moved(unit, edit.kind, changes)
    current = {row.code: row for row in queries.entries(unit, edit.kind)}
    for change in changes:
        before = current.get(change.code)
        if before is not None:
            before.until_version = number
            unit.session.add(before)
            unit.session.flush()  # the index of current entries allows one at a time
        if change.entry is not None:
            code = change.code or f"{PREFIX[edit.kind]}-{next_in_sequence(unit, PREFIX[edit.kind]):04d}"
            unit.session.add(
                ListEntry(
                    id=new_id("lse"),
                    kind=edit.kind,
                    code=code,
                    revision=before.revision + 1 if before else 1,
                    since_version=number,
                    resource=change.entry.resource.strip(),
                    content=change.entry.plain(),
                )
            )
    edit.state, edit.version = LIST_EDIT.after(edit.state, "publish"), number
    unit.session.add(edit)
    try:
        unit.session.flush()
    except IntegrityError as error:
        raise ListMoved(edit=edit.id) from error
    rows = queries.entries(unit, edit.kind)
    if len(rows) > MAX_ENTRIES:
        raise invalid(
            "changes",
            "list.size",
            f"清单最多 {MAX_ENTRIES} 条。",
            f"A list has at most {MAX_ENTRIES} entries.",
        )
    published = ListVersion(
        kind=edit.kind,
        number=number,
        edit_id=edit.id,
        entries=len(rows),
        sha256=digest({row.code: row.content for row in rows}),
        published_at=clock.now(),
    )
    unit.session.add(published)
    unit.session.flush()
    return published


def _refuse_moved(unit: Unit, kind: ListKind, changes: Sequence[Change]) -> None:
    current = {row.code: row.revision for row in queries.entries(unit, kind)}
    moved = {
        change.code: current.get(change.code)
        for change in changes
        if change.kind is not ChangeKind.ADD and current.get(change.code) != change.revision
    }
    if moved:
        raise ListMoved(entries=moved, version=queries.newest(unit, kind))


def _change_faults(kind: ListKind, changes: Sequence[Change]) -> list[Fault]:
    if not 1 <= len(changes) <= MAX_CHANGES:
        words = Words(f"一次修订 1 至 {MAX_CHANGES} 条。", f"1 to {MAX_CHANGES} changes at a time.")
        return [Fault("changes", "changes.count", words)]
    faults, day = [], queries.today()
    codes = [change.code for change in changes if change.code]
    for number, change in enumerate(changes):
        at = f"changes.{number}."
        if change.code and (
            codes.count(change.code) > 1
            or change.kind is ChangeKind.ADD
            or not change.code.startswith(PREFIX[kind])
        ):
            words = Words(
                "条目编号由系统给出，每条目一次修订一处。",
                "Codes are given by the list; one change per entry.",
            )
            faults.append(Fault(f"{at}code", "change.code", words))
        if change.entry is not None:
            faults += entry_faults(kind, change.entry, day, f"{at}entry.")
    return faults


def _summary_faults(summary: str) -> list[Fault]:
    return [Fault("summary", fault.rule, fault.words) for fault in reason_faults(summary)]


def _roles(actor: Actor, permission: Permission) -> set[Role]:
    return {role for role in actor.roles if permission in GRANTS[role]}


def _locked(unit: Unit, edit_id: str) -> ListEdit:
    query = select(ListEdit).where(ListEdit.id == edit_id).with_for_update()
    return unit.session.exec(query.execution_options(populate_existing=True)).one()
