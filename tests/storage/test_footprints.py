"""Every entry says in which role, what its subject was and what it has become; personal columns are in no hash."""

from itertools import pairwise

from sqlmodel import select

from market.house import House
from market.identity.actions import create_user
from market.identity.queries import role_names
from market.identity.rules import OrgKind, Role
from market.identity.tables import User
from storage.journal import Entry
from storage.unit import Store
from tests import people
from tests.market.products import listed_product


def told(store: Store, subject: str) -> list[Entry]:
    with store.view() as view:
        query = select(Entry).where(Entry.subject == subject).order_by(Entry.id)
        return list(view.session.exec(query))


def test_the_hash_changes_with_the_row_and_back(store: Store) -> None:
    with store.unit("system:test") as unit:
        user = create_user(unit, login="one@x.cn", name="一")
    for lang in ("en", "zh"):
        with store.unit("system:test") as unit:
            row = unit.session.get_one(User, user.id)
            row.lang = lang
            unit.session.add(row)
            unit.record("user.changed", f"user:{user.id}")
    made, first, second = told(store, f"user:{user.id}")
    assert made.before is None
    assert made.after == first.before
    assert first.after == second.before != first.before
    assert second.after == made.after, "the same content has the same hash, just set or read back"


def test_what_is_personal_leaves_no_hash(store: Store) -> None:
    with store.unit("system:test") as unit:
        user = create_user(unit, login="one@x.cn", name="一")
    with store.unit("system:test") as unit:
        row = unit.session.get_one(User, user.id)
        row.name, row.login = "二", "two@x.cn"
        unit.session.add(row)
        unit.record("user.changed", f"user:{user.id}")
    made, changed = told(store, f"user:{user.id}")
    assert made.after == changed.before == changed.after


def test_the_role_of_the_moment_is_kept(store: Store) -> None:
    store.role_of = role_names
    operator = people.organization(store, OrgKind.MARKET_OPERATOR, "青岛数港运营有限公司")
    who = people.person(store, operator, "a@x.cn", Role.APPROVER, Role.ORG_ADMIN)
    with store.unit(who.user.id, operator.id) as unit:
        unit.record("thing.done", "thing:1")
    with store.unit("cli_1", operator.id) as unit:
        unit.record("thing.done", "thing:1")
    with store.unit("system:clock") as unit:
        unit.record("thing.done", "thing:1")
    assert [entry.role for entry in told(store, "thing:1")] == ["approver+org_admin", "program", "system"]


def test_no_listing_or_product_changes_between_its_entries(house: House) -> None:
    """What one entry left is what the next one found: nothing moved in between without an entry."""
    product = listed_product(house.store)
    with house.store.view() as view:
        subjects = {
            entry.subject
            for entry in view.session.exec(select(Entry))
            if entry.subject.startswith(("asset:", "case:", "listing:"))
        }
    assert len(subjects) >= 3, product.id
    links = 0
    for subject in sorted(subjects):
        entries = [entry for entry in told(house.store, subject) if entry.after or entry.before]
        for earlier, later in pairwise(entries):
            assert later.before in {earlier.after, earlier.before}, (subject, earlier.kind, later.kind)
            links += 1
    assert links >= 5
