"""The people of the money tests, a guarded database, and a Stripe double."""

from collections.abc import Iterator
from fractions import Fraction

import pytest
from pydantic import SecretStr

from market.billing.guards import create_guards
from market.billing.rail_stripe import StripeRail
from market.billing.rules import Parties, Tariff, UsageTotals, price_lines
from market.billing.settings import BillingSettings, StripeSettings
from market.identity.rules import Actor, OrgKind, Role
from storage.database import Database
from storage.unit import Store
from tests.doubles.stripe_double import StripeDouble, serving
from tests.market.billing.deals import Deal, licensed


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
    """2,120 calls at 0.10 yuan: 212.00 gross, 200.00 net, 12.00 tax; the platform keeps a tenth of the net."""

    def block(party: str, name: str) -> dict[str, str]:
        return {"id": f"pty_{party}", "name": name, "id_number": "91370200MA3C00000X"}

    provider = block("provider", "青岛数据公司")
    lines = price_lines(UsageTotals(calls=2120), Tariff(call_fen=Fraction(10)), "aa" * 32)
    return Deal(
        Parties(block("buyer", "青岛某企业"), provider, provider),
        lines,
        BillingSettings(platform_fee_bp=1000),
    )


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
