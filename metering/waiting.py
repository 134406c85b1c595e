"""候费 Who waits for the till, and how they are told."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import structlog

from metering.booking import Answer
from metering.gate import Charge, Receipt
from storage.kernel.problem import Problem

log = structlog.get_logger(__name__)
Told = Callable[[Answer], None]


@dataclass(slots=True)
class Waiting:
    """A charge in the queue and who is told: on that event loop, or by the writer itself."""

    charge: Charge
    told: Told
    loop: asyncio.AbstractEventLoop | None


def release(
    batch: Sequence[Waiting], answers: Sequence[Answer], here: asyncio.AbstractEventLoop | None = None
) -> None:
    """Hand every answer over; one wake-up per event loop, not one per answer, and none for the one we are on."""
    loops: dict[asyncio.AbstractEventLoop, list[tuple[Told, Answer]]] = {}
    for waiting, answer in zip(batch, answers, strict=True):
        if waiting.loop is None:
            waiting.told(answer)
        else:
            loops.setdefault(waiting.loop, []).append((waiting.told, answer))
    for loop, handed in loops.items():
        if loop is here:
            _tell(handed)
            continue
        with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits any more
            loop.call_soon_threadsafe(_tell, handed)


def _tell(handed: Sequence[tuple[Told, Answer]]) -> None:
    for told, answer in handed:
        try:
            told(answer)
        except Exception:  # one answer that cannot be given must not keep the others
            log.exception("till.untold")


def resolve(future: "Future[Receipt] | asyncio.Future[Receipt]", answer: Answer) -> None:
    """Tell who waits for a future."""
    if future.done():
        return  # the client went away; the charge stands and its key serves the answer again
    if isinstance(answer, Problem):
        future.set_exception(answer)
    else:
        future.set_result(answer)
