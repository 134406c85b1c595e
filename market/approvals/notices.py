"""Mails about cases: the applicant reads every outcome with its reason; deciders hear of what waits for them."""

from collections.abc import Iterable
from typing import Any

from market.approvals.rules import CaseKind
from market.approvals.tables import Case
from market.identity import actions as people
from market.identity.queries import user
from storage.kernel.words import Lang, Words
from storage.unit import Unit

# What the applicant is told of, in words.
OUTCOMES = {
    "approved": Words("已同意", "approved"),
    "rejected": Words("未获同意", "rejected"),
    "returned": Words(
        "退回补正，请修改后再次提交", "returned for correction; please correct and submit again"
    ),
    "expired": Words("逾期终止", "closed, because its time ran out"),
    "commented": Words("收到审批人员留言", "commented on by an approver"),
}
# Told by the room itself, in a letter that says what comes next.
_BY_THE_ROOM = {(CaseKind.ORDER, "approved"), (CaseKind.ORDER, "rejected")}


def tell_applicant(unit: Unit, case: Case, what: str, reason: str) -> None:
    """告知申请人. Mail the outcome and its reason to who submitted the case."""
    if what not in OUTCOMES or (case.kind, what) in _BY_THE_ROOM:
        return
    _mail(unit, case, [case.submitted_by], "case_told", OUTCOMES[what], reason)


def tell_deciders(unit: Unit, case: Case, persons: Iterable[str], what: Words) -> None:
    """催办. Mail those who can decide that a case waits, is overdue, or was handed to them."""
    _mail(unit, case, persons, "case_waiting", what, "", path=f"/approvals/{case.id}")


def _mail(
    unit: Unit, case: Case, persons: Iterable[str], template: str, what: Words, reason: str, path: str = ""
) -> None:
    for person in dict.fromkeys(persons):
        row = user(unit, person)
        if row is None or row.disabled_at is not None:
            continue  # a program asked, or the person has left
        lang: Lang = "en" if row.lang == "en" else "zh"
        data: dict[str, Any] = {
            "path": path or f"/requests/{case.id}",
            "matter": case.kind.words.say(lang),
            "what": what.say(lang),
            "reason": reason,
        }
        people.send_mail(unit, row, template, data)
