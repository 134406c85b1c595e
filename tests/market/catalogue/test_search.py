"""Two-character Chinese words are found, hostile searches find nothing and break nothing, on both engines."""

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.terms import Tier
from market.catalogue import queries
from market.catalogue.rules import Zone
from market.catalogue.search import create_search, drop_search, query_words, tokens
from storage.database import Database
from storage.unit import Store
from tests.market.people import OTHER_PROVIDER, PROVIDER
from tests.market.products import drafted_product, listed_product


def slugs(store: Store, text: str = "", **filters: object) -> list[str]:
    with store.view() as view:
        return [product.slug for product in queries.search(view, text, **filters).products]  # type: ignore[arg-type]


def two_products(store: Store) -> None:
    listed_product(store, "car-parks")
    listed_product(
        store,
        "tides",
        title_zh="近岸海洋站潮位",
        title_en="Tide levels",
        summary_zh="含停车场附近海域",
        summary_en="Daily tides",
        keywords=("潮位",),
        zone=Zone.OCEAN,
    )


def test_short_chinese_words_are_found(store: Store) -> None:
    two_products(store)
    for text, found in {
        "客流": ["car-parks"],
        "流量": ["car-parks"],
        "潮位": ["tides"],
        "潮": ["tides"],
        "海洋": ["tides"],
        "停车": ["car-parks", "tides"],  # in the title before in the summary
        "停车场 客流": ["car-parks"],
        "TIDE": ["tides"],
        "tid": ["tides"],
        "ｔｉｄｅ": ["tides"],
        "进出": ["car-parks"],
        "潮位 没有的词": ["tides"],  # not all words found: any of them
        "地铁": [],
    }.items():
        assert slugs(store, text) == found, text
    assert sorted(slugs(store, "编号")) == ["car-parks", "tides"]  # a column's meaning


def test_without_text_everything_listed_newest_first(store: Store) -> None:
    two_products(store)
    drafted_product(store, "not-yet")
    assert slugs(store) == ["tides", "car-parks"]
    assert slugs(store, "   ") == ["tides", "car-parks"]


def test_filters_facets_and_pages(store: Store) -> None:
    two_products(store)
    assert slugs(store, "停车", zone=Zone.OCEAN) == ["tides"]
    assert slugs(store, tier=Tier.COMMERCIAL) == []
    assert slugs(store, provider=OTHER_PROVIDER.org) == []
    assert slugs(store, page=2, per_page=1) == ["car-parks"]
    assert slugs(store, page=-3, per_page=0) == ["tides"]
    with store.view() as view:
        found = queries.search(view, "停车", zone=Zone.OCEAN)
    assert found.total == 1
    assert found.facets == {
        "tier": {"public_good": 1},
        "zone": {"ocean": 1, "parking": 1},
        "provider": {str(PROVIDER.org): 1},
    }


HOSTILE = [
    '"', "'", "''", '""', "*", "NEAR(a b)", "客流 AND", "OR", "NOT", "title:客流", "^客流", "客流*", "{title}: x",
    "🚗", "👩‍👩‍👧", "\x00", "%", "_", "\\", "a\\'b", "a:*B", "!客流", "客流 & (", "| & !", "<->", "--", ";DROP TABLE product",
    "()", "+", "-客流", "\u202e", "é", "İ", "ß", "①", "x" * 5000, "客" * 500, "ⅷ", "𠀀", "\ud7ff", "a\u0300",
]  # fmt: skip


def test_hostile_searches_break_nothing(hostile_store: Store, subtests: pytest.Subtests) -> None:
    for text in HOSTILE:
        with subtests.test(text=text[:20]):
            assert (slugs(hostile_store, text) == ["car-parks"]) == ("客流" in text)


@pytest.fixture
def hostile_store(store: Store) -> Store:
    listed_product(store, "car-parks")
    return store


def test_any_text_is_safe_to_search_and_what_was_indexed_is_found(hostile_store: Store) -> None:
    @settings(max_examples=120)
    @given(st.text(max_size=40))
    def run(text: str) -> None:
        slugs(hostile_store, text)

    run()


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=80))
def test_tokens_hold_letters_and_digits_only(text: str) -> None:
    for word in [*tokens(text), *query_words(text)]:
        assert word.isalnum()


def test_any_title_can_be_indexed_and_found_by_its_own_words(store: Store) -> None:
    from market.catalogue.search import hits, index_product

    @settings(max_examples=60)
    @given(st.text(alphabet=st.characters(codec="utf-8"), max_size=30))
    def run(title: str) -> None:
        with store.unit("system:test") as unit:
            index_product(unit, "prd_x", title=title, words="", body="")
            unit.record("product.indexed", "product:prd_x")
        words = [word for word in tokens(title) if "一" <= word[0] <= "鿿" or word.isascii()]
        if words:
            with store.view() as view:
                found = hits(view, words[:16], every=True)
                assert view.session.execute(sa.select(found.c.product_id)).scalars().all() == ["prd_x"]

    run()


def test_the_search_table_is_made_and_dropped(database: Database) -> None:
    with database.writing() as connection:
        create_search(connection)
        create_search(connection)
        drop_search(connection)
        names = sa.inspect(connection).get_table_names()
    assert not [name for name in names if name.startswith("fts_")]
