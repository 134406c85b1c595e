"""Random walks through a registration against a small model written apart from the machine."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from market.identity.problems import Forbidden, OwnDecision
from market.identity.rules import Actor
from market.registry import actions, amending, ending, notices, queries
from market.registry.commands import Hand, allowed
from market.registry.life import AmendmentKind, CancelGround, ObjectionState, Standing
from market.registry.rules import AssetState, Description
from market.registry.settings import RegistrySettings
from market.registry.tables import Asset
from market.registry.verification import verified
from storage.kernel import clock
from storage.kernel.ids import new_id
from storage.kernel.problem import Conflict, NotFound, Problem, WrongState
from storage.unit import Store, Unit
from tests.market.assets import drafted, stored
from tests.market.people import BUYER, OTHER_PROVIDER, PROVIDER, REGISTRAR

OFFICE = RegistrySettings(notice_days=3, answer_days=1)
REASON = "材料齐全，依法办理"
LONG = "事实与理由：权属存在争议，详见所附证据。"
PEOPLE = {"registrant": PROVIDER, "other": OTHER_PROVIDER, "registrar": REGISTRAR, "public": BUYER}
# What each command needs: who may give it, in which states, and what follows. Written from the procedure.
TABLE: dict[str, tuple[str, dict[str, str]]] = {
    "submit": ("registrant", {"draft": "submitted", "returned": "submitted"}),
    "accept": ("registrar", {"submitted": "accepted"}),
    "return": ("registrar", {"submitted": "returned"}),
    "review": ("registrar", {"accepted": "under_review"}),
    "reject": ("registrar", {"accepted": "rejected", "under_review": "rejected"}),
    "publish": ("registrar", {"under_review": "publicity"}),
    "object": ("public", {"publicity": "objected", "objected": "objected"}),
    "answer": ("registrant", {"objected": "objected"}),
    "dismiss": ("registrar", {"objected": "publicity"}),
    "sustain": ("registrar", {"objected": "rejected"}),
    "register": ("registrar", {"publicity": "registered"}),
    "withdraw": (
        "registrant",
        dict.fromkeys(
            ("draft", "returned", "submitted", "accepted", "under_review", "publicity", "objected"),
            "withdrawn",
        ),
    ),
    "cancel": ("registrant", {"registered": "cancelled"}),
    "revoke": ("registrar", {"registered": "revoked"}),
    "expire": ("clock", {"registered": "expired"}),
}


@dataclass
class Model:
    """What the walk believes: the state, the notice's end, whether an objection is open and answered."""

    state: str = "draft"
    ends_at: datetime | None = None
    objection: str | None = None
    answered: bool = False
    raised_at: datetime | None = None
    valid_until: datetime | None = None
    history: list[tuple[datetime, str]] = field(default_factory=list)


class Walk:
    """One asset, one model, the same commands to both."""

    def __init__(self, store: Store) -> None:
        self.store, self.model = store, Model()
        self.now = datetime(2026, 9, 24, 2, tzinfo=UTC)
        with clock.held(self.now):
            self.id = drafted(store, content=new_id("content")).id

    def step(self, who: str, verb: str, hours: int) -> None:
        self.now += timedelta(hours=hours)
        with clock.held(self.now):
            try:
                with self.store.unit(PEOPLE[who].id, PEOPLE[who].org) as unit:
                    getattr(self, f"_{verb}")(unit, PEOPLE[who])
                done: str | Problem = "done"
            except Problem as problem:
                done = problem
            self._judge(who, verb, done)
            with self.store.view() as view:
                found = view.session.get_one(Asset, self.id)
                assert str(found.state) == self.model.state, (verb, who)

    def _judge(self, who: str, verb: str, done: str | Problem) -> None:
        """The model says yes or no; the register must say the same, and a no explains itself."""
        model, (holder, moves) = self.model, TABLE[verb]
        allowed = holder in {who, "clock"}
        timely = self._timely(verb)
        if allowed and model.state in moves and timely:
            assert done == "done", (verb, model, done)
            self._follow(verb, moves[model.state])
            return
        assert isinstance(done, Problem), (verb, who, model)
        assert done.status in {403, 404, 409, 422}
        if isinstance(done, WrongState):
            assert verb not in done.members["allowed"] or verb == "answer"
        if not allowed:
            assert isinstance(done, Forbidden | NotFound | OwnDecision | Conflict | WrongState), done

    def _timely(self, verb: str) -> bool:
        model = self.model
        match verb:
            case "register":
                return model.ends_at is not None and self.now >= model.ends_at
            case "object" if model.state == "publicity":
                return model.ends_at is not None and self.now < model.ends_at
            case "object":
                return False  # the same person's objection is open already
            case "answer":
                return model.objection is not None and not model.answered
            case "dismiss" | "sustain":
                waited = model.raised_at is not None and self.now - model.raised_at > timedelta(days=12)
                return model.objection is not None and (model.answered or waited)
            case "expire":
                return model.valid_until is not None and self.now >= model.valid_until
            case _:
                return True

    def _follow(self, verb: str, state: str) -> None:
        model = self.model
        model.state = state
        with self.store.view() as view:
            notice = queries.notice_of(view, self.id)
        if verb in {"publish", "dismiss"}:
            assert notice is not None
            assert notice.ends_at > self.now
            model.ends_at, model.objection = notice.ends_at, None
        if verb == "object":
            model.objection, model.answered, model.raised_at, model.ends_at = "open", False, self.now, None
        model.answered = model.answered or verb == "answer"
        if verb == "register":
            with self.store.view() as view:
                model.valid_until = view.session.get_one(Asset, self.id).valid_until
            model.history.append((self.now, "in_force"))
        if verb in {"cancel", "revoke", "expire"}:
            model.history.append((self.now, state))

    # ------------------------------------------------------------- the commands

    def _submit(self, unit: Unit, actor: Actor) -> None:
        actions.submit_asset(unit, actor, self.id)

    def _accept(self, unit: Unit, actor: Actor) -> None:
        actions.accept_asset(unit, actor, self.id)

    def _return(self, unit: Unit, actor: Actor) -> None:
        actions.return_asset(unit, actor, self.id, missing=[("files", "补")], reason=REASON)

    def _review(self, unit: Unit, actor: Actor) -> None:
        actions.review_asset(unit, actor, self.id)

    def _reject(self, unit: Unit, actor: Actor) -> None:
        actions.reject_asset(unit, actor, self.id, reason=REASON)

    def _publish(self, unit: Unit, actor: Actor) -> None:
        actions.publish_asset(unit, actor, self.id, reason=REASON, office=OFFICE)

    def _register(self, unit: Unit, actor: Actor) -> None:
        actions.register_asset(unit, actor, self.id, reason=REASON, office=OFFICE)

    def _withdraw(self, unit: Unit, actor: Actor) -> None:
        actions.withdraw_asset(unit, actor, self.id)

    def _object(self, unit: Unit, actor: Actor) -> None:
        if actor is OTHER_PROVIDER:
            raise Forbidden  # the walk's one objector is the public
        notice = queries.notice_of(unit, self.id)
        notices.raise_objection(
            unit,
            actor,
            notice.number if notice else "GS-2026-000000-0",
            statement=LONG,
            evidence=[("证据.pdf", stored("proof"))],
            office=OFFICE,
        )

    def _open(self, unit: Unit) -> str:
        notice = queries.notice_of(unit, self.id)
        rows = queries.objections_of(unit, notice.id) if notice else []
        return rows[-1].id if rows else "obj_none"

    def _answer(self, unit: Unit, actor: Actor) -> None:
        notices.answer_objection(unit, actor, self._open(unit), answer=LONG)

    def _dismiss(self, unit: Unit, actor: Actor) -> None:
        notices.dismiss_objection(unit, actor, self._open(unit), reason=REASON, office=OFFICE)

    def _sustain(self, unit: Unit, actor: Actor) -> None:
        notices.sustain_objection(unit, actor, self._open(unit), reason=REASON)

    def _cancel(self, unit: Unit, actor: Actor) -> None:
        asked = amending.ask_amendment(
            unit,
            actor,
            self.id,
            kind=AmendmentKind.CANCELLATION,
            cause=REASON,
            office=OFFICE,
            ground=CancelGround.WAIVED,
        )
        amending.review_amendment(unit, REGISTRAR, asked.id)
        amending.apply_amendment(unit, REGISTRAR, asked.id, reason=REASON, office=OFFICE)

    def _revoke(self, unit: Unit, actor: Actor) -> None:
        ending.revoke_asset(unit, actor, self.id, reason=REASON)

    def _expire(self, unit: Unit, _actor: Actor) -> None:
        ending.expire_asset(unit, self.id)


def test_the_published_table_is_the_one_walked() -> None:
    published = {
        (str(state), str(hand), str(command))
        for state in AssetState
        for hand in Hand
        for command in allowed(state, hand)
    }
    walked = {(state, holder, verb) for verb, (holder, moves) in TABLE.items() for state in moves}
    # Drafts are edited before the walk; what is registered is changed in the tests of applications; the walk's
    # office gives days of notice.
    besides = {
        *((state, "registrant", "edit") for state in ("draft", "returned")),
        *(("registered", "registrant", verb) for verb in ("change", "renew", "transfer")),
        ("expired", "registrant", "renew"),
        ("under_review", "registrar", "register"),
    }
    assert published == walked | besides


LIKELY = ["submit", "accept", "review", "publish", "object", "answer", "dismiss", "register", "revoke"]
steps = st.lists(
    st.tuples(
        st.one_of(st.none(), st.sampled_from(sorted(PEOPLE))),
        st.one_of(st.sampled_from(LIKELY), st.sampled_from(sorted(TABLE))),
        st.sampled_from([0, 5, 20, 90, 300, 30_000]),
    ),
    min_size=4,
    max_size=14,
)


@settings(max_examples=25)
@given(steps)
def test_the_register_and_the_model_never_part(store: Store, walk: list[tuple[str | None, str, int]]) -> None:
    told = Walk(store)
    for who, verb, hours in walk:
        holder = TABLE[verb][0]
        told.step(who or ("registrar" if holder == "clock" else holder), verb, hours)
    with store.view() as view:
        found = view.session.get_one(Asset, told.id)
        if found.number is None:
            return
        for at, standing in told.model.history:
            seen = verified(view, found.number, at)
            assert seen.standing.value == standing
        before = verified(view, found.number, told.model.history[0][0] - timedelta(seconds=1))
        assert before.standing is Standing.NOT_YET
        open_rows = [
            row
            for row in queries.objections(view, REGISTRAR, told.id)
            if row.state in {ObjectionState.RAISED, ObjectionState.ANSWERED}
        ]
        assert bool(open_rows) == (told.model.state == "objected")


def test_the_whole_way_once(store: Store) -> None:
    """The walk above is random; this one is sure to reach the end, objection and answer included."""
    told = Walk(store)
    for who, verb, hours in [
        ("registrant", "submit", 1),
        ("registrar", "accept", 1),
        ("registrar", "review", 1),
        ("registrar", "register", 0),
        ("registrar", "publish", 1),
        ("registrar", "register", 1),
        ("public", "object", 5),
        ("registrar", "dismiss", 0),
        ("registrant", "answer", 1),
        ("registrar", "dismiss", 1),
        ("public", "object", 400),
        ("registrar", "register", 1),
        ("registrar", "expire", 1),
        ("registrar", "expire", 30_000),
    ]:
        told.step(who, verb, hours)
    assert told.model.state == "expired"
    assert Description.model_fields
