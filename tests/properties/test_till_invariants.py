"""The till against a model that settles one charge at a time: I1 to I6 of the counting rules."""

import asyncio
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlmodel import select

from metering import actions, queries
from metering.gate import Charge, Receipt
from metering.problems import (
    ChargeKeyReused,
    ChargeKeyUsed,
    InvalidToken,
    LicenseNotInForce,
    PurposeRefused,
    QuotaExhausted,
    SpendCapReached,
    TicketExpired,
)
from metering.rating import Ladder, Measure, Quantities, Step, Tariff, UnitPrice, rate, total_fen
from metering.settings import MeteringSettings
from metering.tables import UsageEvent
from metering.till import Till
from metering.words import Kind, Settled
from storage.kernel import clock
from storage.kernel.ids import new_id
from storage.kernel.problem import Problem
from storage.unit import Store
from tests.metering.shelf import BARE, SomePolicy, SomePrice, put_on_shelf

Outcome = str


@dataclass
class Model:
    """What one license should have counted."""

    policy: SomePolicy
    in_force: bool = True
    live: bool = True
    cap: int | None = None
    tariff: Tariff | None = None
    revoked: set[str] = field(default_factory=set)
    misses: set[str] = field(default_factory=set)  # booked, and free under a plan per hit
    used: list[int] = field(default_factory=lambda: [0, 0, 0, 0, 0])
    booked: dict[str, tuple[bytes, int]] = field(default_factory=dict)

    def settle(self, charge: Charge) -> Outcome:
        if not self.live or charge.jti in self.revoked:
            return InvalidToken.__name__
        if not self.in_force:
            return LicenseNotInForce.__name__
        if charge.key is not None and charge.key in self.booked:
            if self.booked[charge.key][0] != charge.fingerprint:
                return ChargeKeyReused.__name__
            missed = self.policy.price.per_hit and charge.key in self.misses
            return ChargeKeyUsed.__name__ if missed and charge.hit else Settled.DUPLICATE
        if charge.resume_only:
            return TicketExpired.__name__
        if charge.purpose not in self.policy.purposes:
            return PurposeRefused.__name__
        policy, price = self.policy, self.policy.price
        found = charge.rows or charge.downloads or charge.hit
        calls = charge.calls if found or not price.per_hit else 0
        if charge.downloads and price.download_fen:
            amount = charge.downloads * price.download_fen
        else:
            amount = calls * price.call_fen + charge.rows * price.row_fen
        if self.tariff is not None:  # what a bill over everything says, less what was paid
            whole = Quantities(
                self.used[0] + calls, self.used[1] + charge.rows, self.used[4] + charge.downloads
            )
            amount = total_fen(rate(whole, self.tariff)) - self.used[3]
        counted = (calls, charge.rows, charge.size, amount, charge.downloads)
        after = [u + n for u, n in zip(self.used, counted, strict=True)]
        limits = (policy.limit_calls, policy.limit_rows, policy.limit_bytes, None, policy.limit_downloads)
        if any(limit is not None and value > limit for limit, value in zip(limits, after, strict=True)):
            return QuotaExhausted.__name__
        if self.cap is not None and after[3] > self.cap:
            return SpendCapReached.__name__
        self.used = after
        name = charge.key or f"without a key {len(self.booked)}"
        self.booked[name] = (charge.fingerprint, amount)
        if not calls:
            self.misses.add(name)
        return Settled.CHARGED


limit = st.none() | st.integers(1, 40)
policies = st.builds(
    SomePolicy,
    limit_calls=limit,
    limit_rows=limit,
    limit_bytes=limit,
    limit_downloads=limit,
    spend_cap_fen=limit,
    price=st.builds(
        SomePrice,
        call_fen=st.integers(0, 5),
        row_fen=st.integers(0, 3),
        download_fen=st.integers(0, 9),
        per_hit=st.booleans(),
    ),
)
ladders = st.builds(
    lambda bound, above, first, then, free, ladder: UnitPrice(
        Measure.ROW, (Step(bound, first, 2), Step(bound + above, then), Step(None, 1, 3)), free, ladder
    ),
    *(st.integers(1, 9), st.integers(1, 9), st.integers(0, 9), st.integers(0, 3), st.integers(0, 5)),
    st.sampled_from(Ladder),
)
tariffs = st.none() | st.builds(lambda ladder: Tariff((ladder,)), ladders)
charges = st.builds(
    Charge,
    license_id=st.just(""),
    product_id=st.just("prd_1"),
    credential_id=st.just(""),
    jti=st.sampled_from(["t1", "t1", "t2"]),
    purpose=st.sampled_from(["internal_business"] * 9 + ["resale"]),
    kind=st.sampled_from([Kind.ROWS, Kind.CALL, Kind.DOWNLOAD]),
    key=st.sampled_from([*"abcdefghijklmnop", None]),
    fingerprint=st.sampled_from([b"x", b"x", b"x", b"y"]),
    calls=st.just(1),
    rows=st.integers(0, 9),
    size=st.integers(0, 9),
    hit=st.booleans(),
    resume_only=st.sampled_from([False] * 5 + [True]),
).map(lambda charge: replace(charge, downloads=int(charge.kind is Kind.DOWNLOAD)))
steps = st.lists(
    st.lists(charges, min_size=1, max_size=12)
    | st.sampled_from(["shut", "reopen", "raise", "end", "revoke"]),
    max_size=8,
)


@settings(max_examples=40)
@given(policy=policies, tariff=tariffs, plan=steps)
def test_the_till_settles_like_one_charge_at_a_time(
    store: Store, policy: SomePolicy, tariff: Tariff | None, plan: list[Any]
) -> None:
    put_on_shelf(store, BARE)
    license_id = new_id("lic")
    with store.unit("system:test") as unit:
        actions.open_gate(
            unit,
            license_id=license_id,
            product_id="prd_1",
            buyer_id="org_buyer",
            policy=policy,
            tariff=tariff,
        )
        credential, _ = actions.keep_credential(unit, org_id="org_buyer", kept_by="usr_buyer", name="program")
    model = Model(policy, cap=policy.spend_cap_fen, tariff=tariff)
    till = Till(store.database, MeteringSettings())
    try:
        for step in plan:
            if isinstance(step, str):
                _act(store, model, license_id, credential.id, step)
                continue
            batch = [
                replace(
                    charge,
                    license_id=license_id,
                    credential_id=credential.id,
                    jti=f"{charge.jti} {license_id}",
                )
                for charge in step
            ]
            assert asyncio.run(_all(till, batch)) == [model.settle(charge) for charge in batch]
    finally:
        till.close()
    with store.view() as view:
        events = view.session.exec(select(UsageEvent).where(UsageEvent.license_id == license_id)).all()
        gate = queries.gate(view, license_id)
        used = [gate.used_calls, gate.used_rows, gate.used_bytes, gate.spent_fen, gate.used_downloads]
        assert used == model.used  # I4: never past a limit, because the model never is
        assert len(events) == len(model.booked)  # I1, I2
        assert sum(event.amount_fen for event in events) == sum(fen for _, fen in model.booked.values())
        assert queries.uncounted(view, license_id) == {}  # I5
        months = queries.totals_of_period(
            view, license_id, clock.period_of(clock.now(), "Asia/Shanghai")
        ).values()
        assert sum(usage.amount_fen for usage in months) == model.used[3]


def _act(store: Store, model: Model, license_id: str, credential_id: str, step: str) -> None:
    with store.unit("system:test") as unit:
        if step == "shut":
            actions.shut_gate(unit, license_id, reason="suspended")
            model.in_force = False
        elif step == "reopen":
            actions.reopen_gate(unit, license_id)
            model.in_force = True
        elif step == "raise":
            actions.raise_spend_cap(unit, license_id, add_fen=7)
            model.cap = None if model.cap is None else model.cap + 7
        elif step == "revoke":
            until = clock.now() + timedelta(hours=1)
            actions.revoke_token(unit, jti=f"t2 {license_id}", credential_id=credential_id, until=until)
            model.revoked.add(f"t2 {license_id}")
        else:
            actions.end_credential(unit, credential_id, org_id="org_buyer", reason="leaked")
            model.live = False


async def _all(till: Till, batch: list[Charge]) -> list[Outcome]:
    async def one(charge: Charge) -> Outcome:
        try:
            receipt: Receipt = await till.charge_async(charge)
        except Problem as problem:
            return type(problem).__name__
        return receipt.outcome

    return await asyncio.gather(*map(one, batch))
