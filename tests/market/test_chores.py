"""What the clock does by itself."""

from datetime import timedelta

from sqlmodel import select

from market import chores
from market.house import House
from metering import actions
from metering.tables import RevokedToken
from storage.journal import Entry
from storage.kernel import clock


def test_a_revocation_is_kept_until_nothing_is_left_to_refuse(house: House) -> None:
    now = clock.now()
    with house.store.unit("system:test") as unit:
        row, _ = actions.keep_credential(unit, org_id="org_buyer", kept_by="usr_buyer", name="program")
        for name, hours in (("old", -2), ("other old", -48), ("just over", -0.5), ("alive", 2)):
            until = now + timedelta(hours=hours)
            actions.revoke_token(unit, jti=name, credential_id=row.id, until=until)
    for _ in range(2):
        chores.each_hour(house)
    with house.store.view() as view:
        left = set(view.session.exec(select(RevokedToken.jti)).all())
        told = view.session.exec(select(Entry).where(Entry.kind == "tokens.forgotten")).all()
    assert left == {"just over", "alive"}
    assert [entry.data["revocations"] for entry in sorted(told, key=lambda entry: entry.id)] == [2, 0]
