"""Idempotency keys: the same request twice is done once and answered the same."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlmodel import Field, col

from storage.columns import Mechanism, json_field
from storage.kernel import clock
from storage.kernel.problem import Problem
from storage.kernel.words import Words
from storage.unit import Unit

WINDOW = timedelta(days=400)  # how long a repeated request is recognized


class IdempotencyKeyMissing(Problem):
    """缺少幂等键. A POST that creates or pays must carry `Idempotency-Key`."""

    status = 400
    title = Words("缺少 Idempotency-Key 请求头", "Idempotency-Key header is missing")
    remedy = Words(
        "请为每个新操作生成一个 UUID 放入 Idempotency-Key；重试时使用同一个值。",
        "Put a fresh UUID into Idempotency-Key for each new operation; repeat it when you retry.",
    )


class IdempotencyKeyReused(Problem):
    """幂等键重复. The key was used before for another request."""

    status = 422
    title = Words("Idempotency-Key 已用于其他请求", "Idempotency-Key was used for another request")
    remedy = Words("请为新的操作使用新的键。", "Use a new key for a new operation.")


class IdempotencyKey(Mechanism, table=True):
    """幂等键. The answer given to one (actor, key)."""

    __tablename__ = "idempotency_key"

    actor: str = Field(primary_key=True)
    key: str = Field(primary_key=True, max_length=200)
    fingerprint: str
    answer: dict[str, Any] = json_field()
    at: datetime


def once(unit: Unit, key: str, fingerprint: str, act: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Run `act` unless this actor's `key` has been answered; then give that answer again.

    fingerprint: hash of method, path and body. Two at once: the second waits for the first or
    fails on the primary key and is told to retry. Raises IdempotencyKeyReused for another body.
    """
    known = unit.session.get(IdempotencyKey, (unit.actor, key))
    if known is not None:
        if known.fingerprint != fingerprint:
            raise IdempotencyKeyReused
        return known.answer
    row = IdempotencyKey(actor=unit.actor, key=key, fingerprint=fingerprint, answer={}, at=clock.now())
    unit.session.add(row)
    unit.session.flush()  # claim the key before acting, so that a twin waits here
    row.answer = act()
    return row.answer


def forget_keys(unit: Unit, before: datetime) -> int:
    """清除幂等键. Forget answers given before, never within the window in which a repetition is recognized."""
    limit = min(before, clock.now() - WINDOW)
    gone = unit.session.execute(sa.delete(IdempotencyKey).where(col(IdempotencyKey.at) < limit))
    return int(gone.rowcount)  # type: ignore[attr-defined]  # a DELETE has one
