"""Forms that come back: what was written is kept, and each message stands beside its field."""

import hashlib
import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import wraps
from typing import Annotated, ParamSpec, TypeVar, cast
from urllib.parse import urlencode, urlsplit
from uuid import uuid4

from fastapi import Depends, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy.exc import IntegrityError
from starlette.concurrency import run_in_threadpool

from market.house import House
from market.http.problems import CsrfMissing, as_problem
from market.http.uploads import is_upload
from market.http.who import SAFE, csrf_field
from market.identity.problems import LinkSpent, SecondFactorNeeded, Unauthenticated
from market.identity.rules import Actor
from storage import idempotency
from storage.kernel.problem import Fault, Invalid, NotFound, Problem
from storage.kernel.words import Words
from storage.unit import Unit

P = ParamSpec("P")
R = TypeVar("R")
Values = Mapping[str, Sequence[str]]

# These say that there is no form to come back to.
_FINAL = (NotFound, LinkSpent, Unauthenticated, SecondFactorNeeded)


class Form:
    """What the reader wrote (or the query of a GET), and why it was refused, if it was."""

    def __init__(self, values: Values | None = None, problem: Problem | None = None) -> None:
        self.values = {name: [_clean(v) for v in sent] for name, sent in (values or {}).items()}
        self.problem = problem

    def __getitem__(self, name: str) -> str:
        """The first value of a field without surrounding space; empty when absent."""
        return self.raw(name).strip()

    def raw(self, name: str) -> str:
        """The first value exactly as written: a password keeps its spaces."""
        return self.values.get(name, [""])[0]

    def all(self, name: str) -> list[str]:
        """Every value of a field: the ticked boxes."""
        return list(self.values.get(name, []))

    def faults(self, name: str) -> list[Words]:
        """What is wrong with one field."""
        return [fault.words for fault in self._faults if fault.field == name]

    @property
    def _faults(self) -> Sequence[Fault]:
        return self.problem.faults if isinstance(self.problem, Invalid) else ()

    @property
    def listed(self) -> Sequence[Fault]:
        """Every fault, for the summary above the form."""
        return self._faults

    def refused(self, problem: Problem) -> "Form":
        """The same form with the refusal to be shown in it."""
        return Form(self.values, problem)

    @property
    def key(self) -> str:
        """What the hidden field `key` holds: fresh, and the same again when the form came back refused."""
        spent = isinstance(self.problem, idempotency.IdempotencyKeyReused | None)
        return str(uuid4()) if spent or not self["key"] else self["key"]

    @property
    def fingerprint(self) -> str:
        """SHA-256 over what was written, without the tokens: the same key must not carry something else."""
        written = sorted((name, value) for name, value in self.values.items() if name not in {"csrf", "key"})
        return hashlib.sha256(repr(written).encode()).hexdigest()

    def filled(self, **values: str | Sequence[str]) -> "Form":
        """The same form where fields that were not sent hold `values`."""
        given = {name: [v] if isinstance(v, str) else list(v) for name, v in values.items()}
        return Form(given | self.values, self.problem)


def _clean(value: str) -> str:
    return value.replace("\x00", "").replace("\r\n", "\n")  # no database keeps NUL in text


async def read(request: Request) -> Form:
    """The form of this request: the fields sent, or the query. An upload is streamed elsewhere."""
    items = request.query_params.multi_items()
    if request.method not in SAFE and not _is_upload(request):
        items = [
            (name, value) for name, value in (await request.form()).multi_items() if isinstance(value, str)
        ]
    values: dict[str, list[str]] = {}
    for name, value in items:
        values.setdefault(name, []).append(value)
    return Form(values)


def _is_upload(request: Request) -> bool:
    return is_upload(request.scope)


FormDep = Annotated[Form, Depends(read)]


def _host_of(address: str) -> str | None:
    """Host and port of an address somebody sent; None when it is none."""
    try:
        return urlsplit(address).netloc
    except ValueError:
        return None


def same_origin(request: Request) -> None:
    """A write must come from one of our own pages, also before anybody has signed in.

    Browsers say where a request comes from in `Sec-Fetch-Site` (on HTTPS and loopback) and `Origin`.
    """
    if request.method in SAFE:
        return
    site = request.headers.get("sec-fetch-site")
    if site is not None and site != "same-origin":
        raise CsrfMissing
    origin = request.headers.get("origin")
    if origin is None and site is None:
        raise CsrfMissing
    if origin is not None and _host_of(origin) != request.headers.get("host"):
        raise CsrfMissing


# What every router of pages carries: writes come from our own forms.
GUARDED = [Depends(same_origin), Depends(csrf_field)]


def again(show: Callable[..., Response]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorate a POST: when it is refused, `show` the same page with the values and the messages.

    `show` is the GET route. The decorated route must take every parameter `show` takes, by the same
    names, `form` among them; that is checked when the module is loaded.
    """
    wanted = tuple(inspect.signature(show).parameters)

    def shown(problem: Problem, arguments: Mapping[str, object]) -> Response:
        if isinstance(problem, _FINAL):
            raise problem
        form = cast("Form", arguments["form"])
        answer = show(
            **{name: arguments[name] for name in wanted if name != "form"}, form=form.refused(problem)
        )
        answer.status_code = problem.status
        return answer

    def around(act: Callable[P, R]) -> Callable[P, R]:
        if lacking := set(wanted) - set(inspect.signature(act).parameters):
            raise TypeError(f"{act.__name__} cannot show {show.__name__} again without {sorted(lacking)}")
        if inspect.iscoroutinefunction(act):
            waiting = cast("Callable[P, Awaitable[Response]]", act)

            @wraps(act)
            async def upload(*args: P.args, **kwargs: P.kwargs) -> Response:
                try:
                    return await waiting(*args, **kwargs)
                except (Problem, IntegrityError) as error:
                    problem = as_problem(error) or Problem()
                return await run_in_threadpool(shown, problem, kwargs)

            return cast("Callable[P, R]", upload)

        @wraps(act)
        def post(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return act(*args, **kwargs)
            except (Problem, IntegrityError) as error:
                problem = as_problem(error) or Problem()
            return cast("R", shown(problem, kwargs))

        return post

    return around


def once(request: Request, house: House, actor: Actor, form: Form, act: Callable[[Unit], str]) -> str:
    """Do `act` once for the form's hidden `key` and give the id it returned ever after: a double click does it once.

    Raises IdempotencyKeyMissing without the field, IdempotencyKeyReused when it was sent with other values.
    """
    if not 1 <= len(form["key"]) <= 200 or not form["key"].isprintable():
        raise idempotency.IdempotencyKeyMissing
    print_of = f"{request.url.path} {form.fingerprint}"

    def attempt() -> str:
        with house.store.unit(actor.id, actor.org) as unit:
            return str(idempotency.once(unit, form["key"], print_of, lambda: {"id": act(unit)})["id"])

    try:
        return attempt()
    except IntegrityError:  # its twin committed first: the answer is there now
        return attempt()


def local(target: str) -> str:
    r"""`target` when it is a path of this site, else `/`: nobody is sent elsewhere after signing in.

    >>> (
    ...     local("/orders?page=2"),
    ...     local("//evil.example"),
    ...     local(r"/\evil.example"),
    ...     local("https://evil.example"),
    ... )
    ('/orders?page=2', '/', '/', '/')
    """
    inside = target.startswith("/") and not target.startswith("//") and "\\" not in target
    return target if inside and target.isprintable() and " " not in target else "/"


def leave(path: str, **query: str) -> RedirectResponse:
    """After a write that succeeded: see `path` (a second reload then writes nothing)."""
    tail = f"{'&' if '?' in path else '?'}{urlencode(query)}" if query else ""
    return RedirectResponse(path + tail, status_code=303)
