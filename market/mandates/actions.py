"""The verbs of a mandate, from its draft to its handover. What they end elsewhere is done by the rooms above."""

from datetime import date, timedelta

from sqlmodel import select

from market.approvals import actions as approvals
from market.approvals.queries import kind_of
from market.approvals.rules import CaseKind, CaseState, Ground, RiskPoint, reason_faults
from market.approvals.tables import Case
from market.identity.problems import Forbidden
from market.identity.queries import party
from market.identity.rules import Actor, Permission, Verification
from market.mandates import queries
from market.mandates.problems import AgreementDiffers, MandateNotFound, MandateNoticeRunning
from market.mandates.rules import (
    MANDATE,
    MANDATOR_KINDS,
    NOTICE_DAYS,
    OPERATOR_KINDS,
    ZONE,
    Agreement,
    Assessed,
    MandateState,
    agreement_faults,
)
from market.mandates.tables import Mandate, MandateAssessment, MandatedLicense
from storage.kernel import clock
from storage.kernel.canonical import digest
from storage.kernel.ids import new_id
from storage.kernel.problem import Conflict, Fault, Invalid, NotFound, invalid
from storage.kernel.words import Words
from storage.sequence import document_number
from storage.unit import Unit, View


def draft_mandate(unit: Unit, actor: Actor, *, operator_id: str, agreement: Agreement) -> Mandate:
    """起草授权. A bureau writes down what it would entrust to an operator.

    Raises Forbidden for anybody but a mandator of a data bureau, Invalid with every fault at once.
    """
    _mandator(actor)
    _refuse_faulty(unit, actor, operator_id, agreement)
    mandate = Mandate(
        id=new_id("mnd"),
        kind=agreement.kind,
        mandator_id=actor.own_org,
        operator_id=operator_id,
        agreement=agreement.plain(),
        sha256=agreement_hash(actor.own_org, operator_id, agreement),
        valid_from=agreement.begins,
        valid_until=agreement.ends,
        drafted_by=actor.id,
        drafted_at=clock.now(),
    )
    unit.session.add(mandate)
    unit.session.flush()
    unit.record("mandate.drafted", f"mandate:{mandate.id}", operator=operator_id, sha256=mandate.sha256)
    return mandate


def edit_mandate(unit: Unit, actor: Actor, mandate_id: str, *, agreement: Agreement) -> Mandate:
    """修改草案. Drafts only. Raises Forbidden, MandateNotFound, WrongState, Invalid."""
    _mandator(actor)
    mandate = _granted(unit, actor, mandate_id)
    mandate.state = MANDATE.after(mandate.state, "edit")
    _refuse_faulty(unit, actor, mandate.operator_id, agreement)
    mandate.kind, mandate.agreement = agreement.kind, agreement.plain()
    mandate.sha256 = agreement_hash(mandate.mandator_id, mandate.operator_id, agreement)
    mandate.valid_from, mandate.valid_until = agreement.begins, agreement.ends
    unit.session.add(mandate)
    unit.record("mandate.edited", f"mandate:{mandate.id}", sha256=mandate.sha256)
    return mandate


FACTS: dict[str, Words] = {
    "operator": Words("运营机构", "Operator"),
    "agreement": Words("协议哈希", "Hash of the agreement"),
}


def ground_of(mandate: Mandate) -> Ground:
    """送审依据. What a mandate's review stands on."""
    grant = RiskPoint("grant", 60, Words("授予公共数据运营权", "It grants the operation of public data"))
    return Ground({"operator": mandate.operator_id, "agreement": mandate.sha256}, (grant,))


def submit_mandate(
    unit: Unit, actor: Actor, mandate_id: str, *, minutes_no: str, minutes_on: date
) -> Mandate:
    """提交集体审议. Hand in the minutes of the body's own collective decision; a second person in another role checks.

    Raises Forbidden, MandateNotFound, WrongState, Invalid.
    """
    _mandator(actor)
    mandate = _granted(unit, actor, mandate_id)
    after = MANDATE.after(mandate.state, "submit")
    faults = agreement_faults(mandate.terms(), queries.today())
    if not 2 <= len(minutes_no.strip()) <= 100:
        words = Words(
            "请填写集体审议会议纪要编号。", "Give the number of the minutes of the collective decision."
        )
        faults.append(Fault("minutes_no", "required", words))
    if minutes_on > queries.today():
        words = Words("审议日期不能晚于今天。", "The decision was not taken in the future.")
        faults.append(Fault("minutes_on", "dates.order", words))
    if faults:
        raise Invalid(*faults)
    case = approvals.open_case(
        unit,
        kind=CaseKind.MANDATE,
        subject=f"mandate:{mandate.id}",
        submitted_by=actor.id,
        submitted_org=actor.own_org,
        ground=ground_of(mandate),
    )
    mandate.state, mandate.case_id, mandate.submitted_by = after, case.id, actor.id
    mandate.minutes_no, mandate.minutes_on = minutes_no.strip(), minutes_on
    unit.session.add(mandate)
    unit.record("mandate.submitted", f"mandate:{mandate.id}", case=case.id, sha256=mandate.sha256)
    return mandate


def decide_mandate(
    unit: Unit,
    actor: Actor,
    case_id: str,
    *,
    approve: bool,
    reason: str,
    expected_version: int | None = None,
) -> Mandate:
    """复核授权. On approval the mandate gets its number and its public notice begins; else it is a draft again.

    Raises what `approvals.decide` raises.
    """
    if kind_of(unit, case_id) is not CaseKind.MANDATE:
        actor.require(Permission.MANDATE_APPROVE)
        raise NotFound(case=case_id)
    case = approvals.decide(
        unit, actor, case_id, approve=approve, reason=reason, expected_version=expected_version
    )
    return settle_mandate(unit, case, reason)


def settle_mandate(unit: Unit, case: Case, reason: str) -> Mandate:
    """办结授权复核. What a case's outcome does to its mandate: its public notice begins, or it is a draft again."""
    mandate = _locked(unit, queries.mandate_of_case(unit, case.id).id)
    mandate.reason = reason.strip()
    if case.state is not CaseState.APPROVED:
        return _returned(unit, mandate)
    now = clock.now()
    mandate.state = MANDATE.after(mandate.state, "agree")
    mandate.number = mandate.number or document_number(unit, "SQ", now.astimezone(ZONE).year)
    mandate.notice_from, mandate.notice_until = now, now + timedelta(days=NOTICE_DAYS)
    unit.session.add(mandate)
    unit.record(
        "mandate.noticed",
        f"mandate:{mandate.id}",
        number=mandate.number,
        until=mandate.notice_until.isoformat(),
        reason=mandate.reason,
    )
    return mandate


def take_back_notice(unit: Unit, actor: Actor, mandate_id: str, *, reason: str) -> Mandate:
    """撤回公示. An objection was right: the mandate is a draft again. Raises Forbidden, MandateNotFound, WrongState, Invalid."""
    _mandator(actor)
    mandate = _granted(unit, actor, mandate_id)
    MANDATE.after(mandate.state, "return")
    if mandate.state is MandateState.COLLECTIVE_REVIEW and mandate.case_id:
        raise Conflict(case=mandate.case_id)  # the case decides
    mandate.reason = reasoned(reason)
    return _returned(unit, mandate)


def sign_mandate(unit: Unit, actor: Actor, mandate_id: str, *, sha256: str) -> Mandate:
    """签署. The operator accepts exactly the agreement with this hash, once its public notice is over.

    In force at once when its term has begun. Raises Forbidden, MandateNotFound, WrongState, MandateNoticeRunning,
    AgreementDiffers, Invalid (the term is over).
    """
    actor.require(Permission.MANDATE_SIGN)
    mandate = _locked(unit, mandate_id, operator=actor.own_org)
    after = MANDATE.after(mandate.state, "sign")
    now = clock.now()
    if mandate.notice_until is None or now < mandate.notice_until:
        raise MandateNoticeRunning(until=mandate.notice_until.isoformat() if mandate.notice_until else None)
    if sha256 != mandate.sha256:
        raise AgreementDiffers(sha256=mandate.sha256)
    if mandate.valid_until <= now:
        raise invalid("last_day", "term.over", "授权期限已经届满。", "The term of the mandate is over.")
    mandate.state, mandate.signed_by, mandate.signed_at = after, actor.id, now
    unit.session.add(mandate)
    unit.record("mandate.signed", f"mandate:{mandate.id}", sha256=sha256, number=mandate.number)
    return _begun(unit, mandate) if mandate.valid_from <= now else mandate


def begin_mandate(unit: Unit, mandate_id: str) -> Mandate:
    """生效. The term of a signed mandate has begun. Raises MandateNotFound, WrongState, Invalid before its day."""
    mandate = _locked(unit, mandate_id)
    MANDATE.after(mandate.state, "begin")
    if mandate.valid_from > clock.now():
        raise invalid("first_day", "mandate.early", "授权期限尚未开始。", "The term has not begun.")
    return _begun(unit, mandate)


def suspend_mandate(unit: Unit, actor: Actor, mandate_id: str, *, reason: str) -> Mandate:
    """暂停授权. Raises Forbidden, MandateNotFound, WrongState, Invalid."""
    return _stepped(unit, actor, mandate_id, "suspend", reason)


def resume_mandate(unit: Unit, actor: Actor, mandate_id: str, *, reason: str) -> Mandate:
    """恢复授权. Raises Forbidden, MandateNotFound, WrongState, Invalid."""
    return _stepped(unit, actor, mandate_id, "resume", reason)


def terminate_mandate(unit: Unit, actor: Actor, mandate_id: str, *, reason: str) -> Mandate:
    """终止授权. For good, by the mandator. Raises Forbidden, MandateNotFound, WrongState, Invalid."""
    return _stepped(unit, actor, mandate_id, "terminate", reason)


def expire_mandate(unit: Unit, mandate_id: str) -> Mandate:
    """到期. Note that the term is over. Raises MandateNotFound, WrongState, Invalid before its end."""
    mandate = _locked(unit, mandate_id)
    after = MANDATE.after(mandate.state, "expire")
    if mandate.valid_until > clock.now():
        raise invalid("mandate", "mandate.running", "授权尚未到期。", "The mandate has not ended yet.")
    mandate.state, mandate.ended_at = after, mandate.valid_until
    unit.session.add(mandate)
    unit.record("mandate.expired", f"mandate:{mandate.id}", number=mandate.number)
    return mandate


def hand_over(unit: Unit, actor: Actor, mandate_id: str, *, note: str) -> Mandate:
    """移交. What was handed over after the end, to whom, and what was destroyed.

    Raises Forbidden, MandateNotFound, WrongState, Invalid.
    """
    _mandator(actor)
    mandate = _granted(unit, actor, mandate_id)
    mandate.state = MANDATE.after(mandate.state, "hand_over")
    if not 10 <= len(note.strip()) <= 2000:
        raise invalid(
            "note",
            "handover.length",
            "请用 10 至 2000 字写明移交内容、接收方与数据处置情况。",
            "Say in 10 to 2000 characters what was handed over, to whom, and what became of the data.",
        )
    mandate.handover = note.strip()
    unit.session.add(mandate)
    unit.record("mandate.handed_over", f"mandate:{mandate.id}", number=mandate.number)
    return mandate


def assess(
    unit: Unit, actor: Actor, mandate_id: str, *, year: int, verdict: Assessed, note: str
) -> MandateAssessment:
    """年度评估. Once for each year of the term. Raises Forbidden, MandateNotFound, WrongState, Conflict, Invalid."""
    _mandator(actor)
    mandate = _granted(unit, actor, mandate_id)
    mandate.state = MANDATE.after(mandate.state, "assess")
    if not mandate.valid_from.astimezone(ZONE).year <= year <= queries.today().year:
        raise invalid("year", "assess.year", "年度不在授权期内。", "Not a year of the mandate so far.")
    why = reasoned(note, "note")
    if any(row.year == year for row in queries.assessments(unit, mandate.id)):
        raise Conflict(mandate=mandate.id, year=year)
    row = MandateAssessment(
        id=new_id("mas"),
        mandate_id=mandate.id,
        year=year,
        verdict=verdict,
        note=why,
        by=actor.id,
        at=clock.now(),
    )
    unit.session.add(row)
    unit.session.flush()
    unit.record("mandate.assessed", f"mandate:{mandate.id}", year=year, verdict=str(verdict))
    return row


def bind_license(unit: Unit, *, license_id: str, product_id: str, mandate: Mandate) -> MandatedLicense:
    """登记授权许可. Keep under which mandate a license of public data was issued, so that both end together."""
    row = MandatedLicense(
        license_id=license_id,
        product_id=product_id,
        mandate_id=mandate.id,
        operator_id=mandate.operator_id,
        until=mandate.valid_until,
        issued_at=clock.now(),
    )
    unit.session.add(row)
    unit.record("mandate.licensed", f"mandate:{mandate.id}", license=license_id, product=product_id)
    return row


def rebind_license(unit: Unit, license_id: str, mandate: Mandate) -> MandatedLicense:
    """改挂授权. Another mandate in force carries a license on. Raises NotFound."""
    row = unit.session.get(MandatedLicense, license_id, with_for_update=True)
    if row is None:
        raise NotFound(license=license_id)
    before, row.mandate_id, row.until = row.mandate_id, mandate.id, mandate.valid_until
    unit.session.add(row)
    unit.record("mandate.licensed", f"mandate:{mandate.id}", license=license_id, before=before)
    return row


def agreement_hash(mandator_id: str, operator_id: str, agreement: Agreement) -> str:
    """协议哈希. SHA-256 (hex) over the agreement and its parties: what the operator signs."""
    return digest({"mandator": mandator_id, "operator": operator_id, "agreement": agreement.plain()})


def reasoned(reason: str, field: str = "reason") -> str:
    """The reason without space around it. Raises Invalid."""
    if faults := reason_faults(reason):
        raise Invalid(*(Fault(field, fault.rule, fault.words) for fault in faults))
    return reason.strip()


def _mandator(actor: Actor) -> None:
    actor.require(Permission.MANDATE_GRANT)
    if actor.org_kind not in MANDATOR_KINDS:
        words = Words("只有数据主管部门可以授权运营。", "Only a data bureau grants mandates.")
        raise Forbidden(words, permission=str(Permission.MANDATE_GRANT))


def _refuse_faulty(view: View, actor: Actor, operator_id: str, agreement: Agreement) -> None:
    faults = agreement_faults(agreement, queries.today())
    try:
        operator = party(view, operator_id)
    except NotFound:
        operator = None
    if operator is None or operator.org_kind not in OPERATOR_KINDS or operator_id == actor.org:
        words = Words(
            "运营机构须为依法设立的法人（国资数据公司、数据商或企业），政务部门不得作为运营机构。",
            "The operator is a legal person that supplies data: a state data company, dealer or enterprise.",
        )
        faults.append(Fault("operator_id", "mandate.operator", words))
    elif operator.verification is not Verification.VERIFIED:
        words = Words("运营机构尚未通过身份核验。", "The operator's identity is not verified.")
        faults.append(Fault("operator_id", "party.verified", words))
    if faults:
        raise Invalid(*faults)


def _returned(unit: Unit, mandate: Mandate) -> Mandate:
    mandate.state, mandate.case_id = MANDATE.after(mandate.state, "return"), None
    mandate.notice_from = mandate.notice_until = None
    unit.session.add(mandate)
    unit.record("mandate.returned", f"mandate:{mandate.id}", reason=mandate.reason)
    return mandate


def _begun(unit: Unit, mandate: Mandate) -> Mandate:
    mandate.state, mandate.began_at = MANDATE.after(mandate.state, "begin"), clock.now()
    unit.session.add(mandate)
    unit.session.flush()
    unit.record(
        "mandate.began",
        f"mandate:{mandate.id}",
        number=mandate.number,
        operator=mandate.operator_id,
        until=mandate.valid_until.isoformat(),
    )
    return mandate


def _stepped(unit: Unit, actor: Actor, mandate_id: str, verb: str, reason: str) -> Mandate:
    _mandator(actor)
    mandate = _granted(unit, actor, mandate_id)
    mandate.state = MANDATE.after(mandate.state, verb)
    mandate.reason = reasoned(reason)
    if verb == "terminate":
        mandate.ended_at = clock.now()
    unit.session.add(mandate)
    unit.session.flush()
    past = {"suspend": "suspended", "resume": "resumed", "terminate": "terminated"}[verb]
    unit.record(f"mandate.{past}", f"mandate:{mandate.id}", number=mandate.number, reason=mandate.reason)
    return mandate


def _granted(unit: Unit, actor: Actor, mandate_id: str) -> Mandate:
    return _locked(unit, mandate_id, mandator=actor.own_org)


def _locked(
    unit: Unit, mandate_id: str, *, mandator: str | None = None, operator: str | None = None
) -> Mandate:
    query = select(Mandate).where(Mandate.id == mandate_id)
    if mandator is not None:
        query = query.where(Mandate.mandator_id == mandator)
    if operator is not None:
        query = query.where(Mandate.operator_id == operator)
    found = unit.session.exec(query.with_for_update().execution_options(populate_existing=True)).first()
    if found is None:
        raise MandateNotFound(mandate=mandate_id)
    return found
