"""The people of the money tests, a guarded database, and a Stripe double."""

from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from market.billing.guards import create_guards
from market.billing.rail_stripe import StripeRail
from market.billing.settings import StripeSettings
from market.identity.rules import Actor, OrgKind, Role
from storage.database import Database
from storage.unit import Store
from tests.doubles.stripe_double import StripeDouble, serving
from tests.market.billing.deals import Deal, licensed, usual_deal


@pytest.fixture
def store(database: Database) -> Store:
    with database.writing() as connection:
        create_guards(connection)
    store = Store(database)
    licensed(store, "lic_1", "lic_2", "lic_3")
    return store


def _finance(name: str) -> Actor:
    return Actor(name, "pty_market", frozenset({Role.FINANCE}), OrgKind.MARKET_OPERATOR)


@pytest.fixture
def alice() -> Actor:
    return _finance("usr_alice")


@pytest.fixture
def bob() -> Actor:
    return _finance("usr_bob")


@pytest.fixture
def buyer() -> Actor:
    return Actor("usr_buyer", "pty_buyer", frozenset({Role.BUYER}), OrgKind.ENTERPRISE)


@pytest.fixture
def rival() -> Actor:
    return Actor("usr_rival", "pty_rival", frozenset({Role.BUYER}), OrgKind.ENTERPRISE)


@pytest.fixture
def deal() -> Deal:
    return usual_deal()


@pytest.fixture
def stripe_double() -> Iterator[StripeDouble]:
    with serving(StripeDouble()) as double:
        yield double


@pytest.fixture
def rail(stripe_double: StripeDouble) -> Iterator[StripeRail]:
    rail = StripeRail(
        StripeSettings(
            api_key=SecretStr("sk_test_x"),
            api_base=stripe_double.url,
            webhook_secret=SecretStr(stripe_double.secret),
        )
    )
    yield rail
    rail.end()
