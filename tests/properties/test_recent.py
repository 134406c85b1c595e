"""What was used last is kept within its bound, and what is used again stays."""

from hypothesis import given
from hypothesis import strategies as st

from metering.gateway.recent import Recent

MOST = 40
steps = st.lists(st.tuples(st.integers(0, 12), st.integers(1, 6), st.booleans()), max_size=200)


@given(steps)
def test_what_is_kept_is_what_was_given_and_never_too_much(taken: list[tuple[int, int, bool]]) -> None:
    recent: Recent[tuple[int, int]] = Recent(MOST, lambda value: value[1])
    given_to: dict[int, tuple[int, int]] = {}
    for name, weight, keeps in taken:
        if keeps:
            if recent.get(name) is None:
                recent.keep(name, (name, weight))
                given_to[name] = (name, weight)
        elif (found := recent.get(name)) is not None:
            assert found == given_to[name]
        held = [value for number in range(13) if (value := _peek(recent, number)) is not None]
        assert sum(weight for _, weight in held) <= MOST


def _peek(recent: "Recent[tuple[int, int]]", name: int) -> tuple[int, int] | None:
    return recent._newer.get(name) or recent._older.get(name)


def test_what_is_asked_for_again_and_again_stays() -> None:
    recent: Recent[str] = Recent(10)
    recent.keep("often", "here")
    for number in range(100):
        recent.keep(number, "once")
        assert recent.get("often") == "here"
    assert recent.get(0) is None


def test_what_is_too_large_is_not_kept() -> None:
    recent: Recent[bytes] = Recent(64, len)
    recent.keep("large", bytes(9))
    recent.keep("small", bytes(8))
    assert (recent.get("large"), recent.get("small")) == (None, bytes(8))
    nothing: Recent[bytes] = Recent(0, lambda body: len(body) + 1024)
    nothing.keep("page", b"")
    assert nothing.get("page") is None
