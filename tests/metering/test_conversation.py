"""The event loop's own words with PostgreSQL: long ones, wrong ones, and a line that is cut."""

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from metering.conversation import Conversation, Rows
from metering.gate import Receipt
from metering.problems import OutcomeUnknown
from metering.settings import MeteringSettings
from metering.till import Till
from metering.words import Settled
from storage.database import Database
from storage.kernel.problem import Problem, Unavailable
from storage.unit import Store
from tests.faults.commit_proxy import COMMIT, CommitProxy
from tests.faults.wire import eventually
from tests.metering.test_till import a_charge, books, either_way, key7
from tests.servers import free_port

pytestmark = pytest.mark.postgres
_POSTGRES = pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
_LENGTH = "SELECT json_build_array(length(%s))"


@pytest.fixture
def talk(postgres_url: str) -> Iterator[Conversation]:
    database = Database(postgres_url)
    talk = Conversation(database.apart())
    yield talk
    talk.close()
    database.close()


def said(talk: Conversation, *sentences: tuple[str, str | None]) -> list[Rows] | None:
    async def ask() -> list[Rows] | None:
        loop = asyncio.get_running_loop()
        heard: asyncio.Future[list[Rows] | None] = loop.create_future()
        talk.ask(loop, sentences, heard.set_result)
        return await asyncio.wait_for(heard, 20)

    return asyncio.run(ask())


def test_what_is_longer_than_the_line_takes_at_once_arrives_whole(talk: Conversation) -> None:
    assert said(talk, (_LENGTH, "很" * 5_000_000), (_LENGTH, "x"), ("BEGIN", None)) == [
        [[5_000_000]],
        [[1]],
        [],
    ]


def test_after_a_wrong_word_it_is_over(talk: Conversation) -> None:
    assert said(talk, (_LENGTH, "x"), ("SELECT 1 / 0", None), (_LENGTH, "y")) is None
    assert said(talk, (_LENGTH, "x")) is None


def test_what_was_undone_is_not_told_as_done(talk: Conversation) -> None:
    assert said(talk, ("BEGIN", None), ("ROLLBACK", None)) is None


def test_where_nobody_answers_charges_are_refused_and_not_kept_waiting(settings: MeteringSettings) -> None:
    nowhere = Database(f"postgresql+psycopg://postgres@127.0.0.1:{free_port()}/nowhere")
    till = Till(nowhere, settings)
    for _ in range(2):
        with pytest.raises(Unavailable):
            till.charge(a_charge("cli_1", key7()), timeout=20)
    assert till.alive
    till.close()
    nowhere.close()


@_POSTGRES
@pytest.mark.parametrize(("word", "problem"), [(b"BEGIN", Unavailable), (COMMIT, OutcomeUnknown)])
@either_way
def test_a_server_that_stands_still_keeps_no_charge_waiting(
    store: Store,
    settings: MeteringSettings,
    licensed: Callable[..., Any],
    *,
    charge: Callable[..., Receipt],
    word: bytes,
    problem: type[Problem],
) -> None:
    credential = licensed("lic_1")
    proxy = CommitProxy(store.database.url)
    behind = Database(proxy.url(store.database.url))
    till = Till(behind, settings, answer_seconds=1.0)
    eventually(lambda: till.talks)
    for _ in range(2):  # a line is kept for the writer, too
        till.charge(a_charge(credential.id, key7()))
    proxy.silent_from = word
    began = time.monotonic()
    with pytest.raises(problem):
        charge(till, a_charge(credential.id, "k1"))
    assert time.monotonic() - began < 15
    proxy.silent_from, proxy.silent = None, False
    assert charge(till, a_charge(credential.id, "k1")).outcome is Settled.CHARGED
    till.close()
    behind.close()
    proxy.close()
    assert len(books(store)[1]) == 3


@_POSTGRES
def test_a_conversation_that_the_server_ends_is_begun_anew(
    store: Store, settings: MeteringSettings, licensed: Callable[..., Any]
) -> None:
    credential = licensed("lic_1")
    till = Till(store.database, settings)
    eventually(lambda: till.talks)

    async def charged() -> Settled:
        return (await till.charge_async(a_charge(credential.id, key7()))).outcome

    async def cut_between() -> list[Settled]:
        first = await charged()
        with store.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(
                sa.text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            )
        return [first, await charged(), await charged()]

    assert asyncio.run(cut_between()) == [Settled.CHARGED] * 3
    eventually(lambda: till.talks)
    assert asyncio.run(charged()) is Settled.CHARGED
    till.close()
    assert len(books(store)[1]) == 4
