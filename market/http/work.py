"""How a write is made: one Unit in the caller's name, done once per Idempotency-Key, committed before the answer."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, TypeVar

from fastapi import Depends, Request
from pydantic import BaseModel

from market.house import House
from market.http.who import ActorDep, house_of
from market.identity.rules import Actor
from storage.idempotency import IdempotencyKeyMissing, once
from storage.kernel.problem import invalid
from storage.unit import Unit

V = TypeVar("V", bound=BaseModel)


class Worker:
    """The caller at work: who, through which house, and under which idempotency key."""

    def __init__(self, house: House, actor: Actor, key: str | None, fingerprint: str) -> None:
        self.house = house
        self.actor = actor
        self._key = key
        self._fingerprint = fingerprint

    @contextmanager
    def unit(self) -> Iterator[Unit]:
        """One write transaction in the caller's name."""
        with self.house.store.unit(self.actor.id, self.actor.org) as unit:
            yield unit

    def once(self, view: type[V], act: Callable[[Unit], V]) -> V:
        """Do `act` once for this Idempotency-Key and give the same answer ever after.

        Raises IdempotencyKeyMissing without the header, IdempotencyKeyReused for another body.
        """
        if self._key is None:
            raise IdempotencyKeyMissing
        with self.unit() as unit:
            answer = once(unit, self._key, self._fingerprint, lambda: act(unit).model_dump(mode="json"))
        return view.model_validate(answer)


async def _worker(request: Request, actor: ActorDep) -> Worker:
    key = request.headers.get("idempotency-key")
    if key is not None and not (1 <= len(key) <= 200 and key.isprintable()):
        raise invalid(
            "Idempotency-Key", "length", "长度应为 1 至 200 个字符。", "1 to 200 printable characters."
        )
    digest = hashlib.sha256(f"{request.method} {request.url.path}\n".encode())
    if key is not None:
        digest.update(await request.body())
    return Worker(house_of(request), actor, key, digest.hexdigest())


def _carrier(request: Request, actor: ActorDep) -> Worker:
    return Worker(house_of(request), actor, None, "")


Work = Annotated[Worker, Depends(_worker)]
# For uploads: the body may be larger than memory, so nothing but `market.http.body` reads it.
Streamed = Annotated[Worker, Depends(_carrier)]
