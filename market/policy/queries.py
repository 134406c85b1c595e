"""Read the rules in force, their versions, and the decisions made under them; decide one again."""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlmodel import col, select

from market.policy.engine import Hit, Outcome, decide, watch
from market.policy.inputs import TERMS, Inputs
from market.policy.packs import Pack
from market.policy.reading import built_in, read
from market.policy.tables import Finding, RulePack, RuleSwitch, TierDecision
from storage.kernel.problem import NotFound
from storage.unit import View


@dataclass(frozen=True, slots=True)
class InForce:
    """现行规则. The pack in force, and the design rules that are switched off."""

    pack: Pack
    off: frozenset[str]

    def decide(self, given: Inputs) -> Outcome:
        """判定. The outcome of `given` now."""
        return decide(given, self.pack, self.off)

    def watch(self, given: Inputs) -> tuple[Hit, ...]:
        """存续检查. Which rules of a living license `given` breaks now."""
        return watch(given, self.pack, self.off)


def in_force(view: View) -> InForce:
    """现行规则. The newest adopted pack, or the one that ships while none was adopted."""
    newest = view.session.exec(select(RulePack).order_by(sa.desc(col(RulePack.adopted_at))).limit(1)).first()
    pack = read(newest.text) if newest else built_in()
    return InForce(pack, frozenset(rule for rule, row in switches(view).items() if row.off))


def switches(view: View) -> dict[str, RuleSwitch]:
    """规则开关. The newest switch of each rule that was ever switched."""
    rows = view.session.exec(select(RuleSwitch).order_by(col(RuleSwitch.id))).all()
    return {row.rule: row for row in rows}


def versions(view: View) -> Sequence[RulePack]:
    """规则包版本. What operators adopted, newest first; the one that ships is not among them."""
    return view.session.exec(select(RulePack).order_by(sa.desc(col(RulePack.adopted_at)))).all()


def pack(view: View, version: str) -> Pack:
    """One pack by its version, adopted or shipped. Raises NotFound."""
    adopted = view.session.get(RulePack, version)
    if adopted is not None:
        return read(adopted.text)
    if version == built_in().version:
        return built_in()
    raise NotFound(pack=version)


def decisions(view: View, subject: str) -> Sequence[TierDecision]:
    """分界判定. Everything decided about one subject, oldest first."""
    query = select(TierDecision).where(TierDecision.subject == subject).order_by(col(TierDecision.id))
    return view.session.exec(query).all()


def decision(view: View, decision_id: str) -> TierDecision:
    """One decision. Raises NotFound."""
    found = view.session.get(TierDecision, decision_id)
    if found is None:
        raise NotFound(decision=decision_id)
    return found


def replayed(view: View, row: TierDecision) -> tuple[Outcome, bool]:
    """重演. The decision made again under its own pack and switches, and whether it came out the same.

    Raises NotFound when its pack is gone.
    """
    old = pack(view, row.pack_version)
    outcome = decide(Inputs.of(row.inputs), old, row.switched_off)
    return outcome, old.sha256 == row.pack_sha256 and outcome.document() == row.outcome


def found(view: View, subject: str) -> dict[str, object]:
    """复核认定. The facts people established for a subject, the newest of each term."""
    rows = view.session.exec(
        select(Finding).where(Finding.subject == subject).order_by(col(Finding.id))
    ).all()
    return {
        row.term: TERMS[row.term].read({"true": True, "false": False}.get(row.value, row.value))
        for row in rows
    }


def findings(view: View, subject: str) -> Sequence[Finding]:
    """复核认定. Every finding for a subject, oldest first."""
    return view.session.exec(
        select(Finding).where(Finding.subject == subject).order_by(col(Finding.id))
    ).all()
