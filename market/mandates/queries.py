"""Read mandates, ceilings and caps: one's own and the public ones, and what they say of a resource or a price."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import sqlalchemy as sa
from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from contracts.terms import Purpose
from market.identity.rules import Actor, Permission
from market.mandates.prices import Limit, price_faults
from market.mandates.problems import MandateNotFound
from market.mandates.rules import PUBLIC_STATES, ZONE, MandateState, Resource, gaps
from market.mandates.tables import (
    Mandate,
    MandateAssessment,
    MandatedLicense,
    MandatedRevenue,
    PriceCeiling,
    RevenueCap,
)
from storage.journal import Entry
from storage.kernel import clock
from storage.kernel.problem import Fault, NotFound
from storage.kernel.words import Words
from storage.unit import View


@dataclass(frozen=True, slots=True)
class Cover:
    """授权覆盖. The mandate under which an operator may sell a resource now, or why there is none."""

    mandate: Mandate | None
    gaps: tuple[Words, ...] = ()

    @property
    def ends(self) -> datetime | None:
        """When the mandate ends by itself; None without one."""
        return self.mandate.valid_until if self.mandate else None

    def faults(self, field: str = "mandate") -> list[Fault]:
        """What is missing, as rule T15 of the tier rules."""
        if self.mandate is not None:
            return []
        zh = "；".join(words.zh for words in self.gaps)
        en = "; ".join(words.en for words in self.gaps)
        words = Words(
            f"销售公共数据须有覆盖该资源的有效授权运营（发改数据规〔2025〕27 号）：{zh}。",
            f"Public data is sold under a mandate in force that covers it (NDRC rules 2025/27): {en}.",
        )
        return [Fault(field, "T15.mandate", words)]


# A signed mandate is in force from its first day on; the clock notes it within a minute.
_IN_FORCE = (MandateState.ACTIVE, MandateState.SIGNED)


def today(at: datetime | None = None) -> date:
    """The day of the mandates' civil calendar."""
    return (at or clock.now()).astimezone(ZONE).date()


def visible_to(actor: Actor | None) -> SelectOfScalar[Mandate]:
    """可见的授权. From the public notice on everybody's; before, the two parties' and those who decide or audit."""
    seen: list[sa.ColumnElement[bool]] = [col(Mandate.state).in_(PUBLIC_STATES)]
    if actor is not None:
        if actor.may(Permission.MANDATE_APPROVE) or actor.may(Permission.JOURNAL_READ):
            return select(Mandate)
        if actor.org is not None:
            seen += [col(Mandate.mandator_id) == actor.org, col(Mandate.operator_id) == actor.org]
    return select(Mandate).where(sa.or_(*seen))


def mandate(view: View, actor: Actor | None, mandate_id: str) -> Mandate:
    """One mandate by id or number. Raises MandateNotFound for what the caller may not know of."""
    query = visible_to(actor).where(sa.or_(col(Mandate.id) == mandate_id, col(Mandate.number) == mandate_id))
    found = view.session.exec(query).first()
    if found is None:
        raise MandateNotFound(mandate=mandate_id)
    return found


def mandates(
    view: View,
    actor: Actor | None,
    *,
    state: MandateState | None = None,
    operator: str | None = None,
    before: str | None = None,
    limit: int = 50,
) -> Sequence[Mandate]:
    """Mandates the caller may see, newest first. before: the last id of the page before."""
    query = visible_to(actor)
    if state is not None:
        query = query.where(Mandate.state == state)
    if operator is not None:
        query = query.where(Mandate.operator_id == operator)
    if before is not None:
        query = query.where(Mandate.id < before)
    return view.session.exec(query.order_by(sa.desc(col(Mandate.id))).limit(limit)).all()


def mandate_of_case(view: View, case_id: str) -> Mandate:
    """What an approval case is about. Raises NotFound."""
    found = view.session.exec(select(Mandate).where(Mandate.case_id == case_id)).first()
    if found is None:
        raise NotFound(case=case_id)
    return found


def assessments(view: View, mandate_id: str) -> Sequence[MandateAssessment]:
    """年度评估. The yearly judgments, oldest first."""
    query = select(MandateAssessment).where(MandateAssessment.mandate_id == mandate_id)
    return view.session.exec(query.order_by(col(MandateAssessment.year))).all()


def history(view: View, mandate_id: str) -> Sequence[Entry]:
    """全程留痕. Every journal entry about a mandate, oldest first, for callers that have checked who asks."""
    query = select(Entry).where(Entry.subject == f"mandate:{mandate_id}").order_by(col(Entry.id))
    return view.session.exec(query).all()


def covering(
    view: View,
    *,
    operator_id: str,
    resource: Resource,
    purposes: Collection[Purpose],
    at: datetime | None = None,
) -> Cover:
    """授权是否覆盖. The mandate in force that lets an operator sell a resource for all of `purposes`.

    Of several the one that lasts longest. Without one, every mandate of the operator says what it lacks.
    """
    moment = at or clock.now()
    query = select(Mandate).where(
        Mandate.operator_id == operator_id,
        col(Mandate.state).in_(_IN_FORCE),
        Mandate.valid_from <= moment,
        Mandate.valid_until > moment,
    )
    lacking: list[Words] = []
    for held in view.session.exec(query.order_by(sa.desc(col(Mandate.valid_until)), col(Mandate.id))):
        missing = gaps(held.terms(), resource, purposes)
        if not missing:
            return Cover(held)
        lacking += [Words(f"{held.number}：{words.zh}", f"{held.number}: {words.en}") for words in missing]
    return Cover(None, tuple(lacking) or (_last_one(view, operator_id, moment),))


def _last_one(view: View, operator_id: str, moment: datetime) -> Words:
    """Why an operator has no mandate in force: what became of the one that lasted longest."""
    query = select(Mandate).where(
        Mandate.operator_id == operator_id, col(Mandate.signed_at).is_not(None), Mandate.valid_from <= moment
    )
    held = view.session.exec(query.order_by(sa.desc(col(Mandate.valid_until))).limit(1)).first()
    if held is None:
        return Words("该单位没有生效中的授权", "the provider has no mandate in force")
    state = MandateState.EXPIRED if held.state in _IN_FORCE else held.state
    return Words(f"{held.number}：已{state.words.zh}", f"{held.number}: {state.words.en.lower()}")


def covered_until(
    view: View, *, operator_id: str, resource: Resource, purposes: Collection[Purpose], bound: str
) -> datetime | None:
    """授权续接. Until when mandates that follow one another without a gap cover a resource from now on.

    bound: the mandate that counts even while it is suspended. None when none covers it now.
    """
    now = reach = clock.now()
    query = select(Mandate).where(
        Mandate.operator_id == operator_id,
        sa.or_(
            col(Mandate.state).in_(_IN_FORCE),
            sa.and_(col(Mandate.id) == bound, col(Mandate.state) == MandateState.SUSPENDED),
        ),
        Mandate.valid_until > now,
    )
    for held in view.session.exec(query.order_by(col(Mandate.valid_from), col(Mandate.id))):
        if held.valid_from > reach:
            break
        if held.valid_until > reach and not gaps(held.terms(), resource, purposes):
            reach = held.valid_until
    return reach if reach > now else None


def limits(view: View, product: str, at: datetime | None = None) -> list[Limit]:
    """有效上限. The ceilings in force for a product (by its slug); one at most for each unit."""
    moment = at or clock.now()
    query = select(PriceCeiling).where(
        PriceCeiling.product == product, PriceCeiling.valid_from <= moment, PriceCeiling.valid_until > moment
    )
    return [row.limit() for row in view.session.exec(query.order_by(col(PriceCeiling.unit)))]


def faults_of_prices(
    view: View, product: str, prices: Collection[dict[str, int]], at: datetime | None = None
) -> list[Fault]:
    """价格是否在上限内. What is wrong with the plans of a product of public data, each fault once."""
    known = limits(view, product, at)
    faults = [fault for plan in prices for fault in price_faults(plan, known)]
    return list(dict.fromkeys(faults))


def ceilings(view: View, product: str | None = None, *, limit: int = 200) -> Sequence[PriceCeiling]:
    """上限收费标准. Every decision, newest first: prices of public data are published."""
    query = select(PriceCeiling)
    if product is not None:
        query = query.where(PriceCeiling.product == product)
    return view.session.exec(query.order_by(sa.desc(col(PriceCeiling.id))).limit(limit)).all()


def cap_on(view: View, operator_id: str, day: date) -> RevenueCap | None:
    """最高准许收入. The cap of an operator for the period that contains a civil day."""
    query = select(RevenueCap).where(
        RevenueCap.operator_id == operator_id, RevenueCap.first_day <= day, RevenueCap.last_day >= day
    )
    return view.session.exec(query).first()


def caps(view: View, actor: Actor, *, operator: str | None = None) -> Sequence[RevenueCap]:
    """Caps one may see: the operator its own, everybody who grants, decides or audits all. Newest period first."""
    actor.require(Permission.MANDATE_READ)
    query = select(RevenueCap)
    desk = (Permission.MANDATE_GRANT, Permission.MANDATE_APPROVE, Permission.JOURNAL_READ)
    if not any(actor.may(permission) for permission in desk):
        query = query.where(RevenueCap.operator_id == actor.own_org)
    if operator is not None:
        query = query.where(RevenueCap.operator_id == operator)
    return view.session.exec(query.order_by(sa.desc(col(RevenueCap.first_day)), col(RevenueCap.id))).all()


def collected_fen(view: View, operator_id: str, first: date, last: date) -> int:
    """已收. What was invoiced in the months of a period, less what was credited (fen with tax)."""
    query = select(sa.func.coalesce(sa.func.sum(MandatedRevenue.amount_fen), 0)).where(
        MandatedRevenue.operator_id == operator_id,
        MandatedRevenue.period >= first.strftime("%Y-%m"),
        MandatedRevenue.period <= last.strftime("%Y-%m"),
    )
    return int(view.session.exec(query).one())


def all_caps(view: View) -> Sequence[RevenueCap]:
    """Every cap, in order: for the books' comparison."""
    return view.session.exec(
        select(RevenueCap).order_by(col(RevenueCap.operator_id), col(RevenueCap.first_day))
    ).all()


def revenues(view: View) -> dict[str, int]:
    """Invoice → what was counted of it (fen): for the books' comparison."""
    rows = view.session.exec(select(MandatedRevenue.invoice_id, MandatedRevenue.amount_fen))
    return {invoice: amount for invoice, amount in rows}  # noqa: C416  # a Row is no pair to the type checker


def mandated(view: View, license_id: str) -> MandatedLicense | None:
    """授权许可. Under which mandate a license was issued; None when it is not of public data."""
    return view.session.get(MandatedLicense, license_id)


def licensed_under(view: View, mandate_id: str) -> Sequence[MandatedLicense]:
    """The licenses issued under a mandate, in order."""
    query = select(MandatedLicense).where(MandatedLicense.mandate_id == mandate_id)
    return view.session.exec(query.order_by(col(MandatedLicense.license_id))).all()


def to_begin(view: View, at: datetime) -> list[str]:
    """Ids of signed mandates whose term has begun."""
    query = select(Mandate.id).where(
        Mandate.state == MandateState.SIGNED, Mandate.valid_from <= at, Mandate.valid_until > at
    )
    return list(view.session.exec(query.order_by(col(Mandate.valid_from))))


def to_expire(view: View, at: datetime) -> list[str]:
    """Ids of mandates whose term is over and not yet noted, the longest overdue first."""
    running = (MandateState.SIGNED, MandateState.ACTIVE, MandateState.SUSPENDED)
    query = select(Mandate.id).where(col(Mandate.state).in_(running), Mandate.valid_until <= at)
    return list(view.session.exec(query.order_by(col(Mandate.valid_until))))
