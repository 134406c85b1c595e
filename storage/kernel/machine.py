"""A state machine is a table: (state, verb) → state. A missing row is a refusal."""

from collections.abc import Mapping
from typing import Generic, TypeVar

from storage.kernel.problem import WrongState
from storage.kernel.words import Worded

S = TypeVar("S", bound=Worded)


class Machine(Generic[S]):
    """状态机. The moves a thing can make; the documentation is drawn from the same table."""

    def __init__(self, name: str, start: S, moves: Mapping[tuple[S, str], S]) -> None:
        self.name = name
        self.start = start
        self.moves = dict(moves)

    def after(self, state: S, verb: str) -> S:
        """The state that follows `verb`. Raises WrongState naming the verbs that are allowed."""
        try:
            return self.moves[state, verb]
        except KeyError:
            raise WrongState(
                thing=self.name, state=str(state), verb=verb, allowed=self.verbs(state)
            ) from None

    def verbs(self, state: S) -> list[str]:
        """What can be done in `state`, in alphabetical order."""
        return sorted(verb for at, verb in self.moves if at == state)

    def ended(self, state: S) -> bool:
        """Whether nothing can be done any more."""
        return not self.verbs(state)
