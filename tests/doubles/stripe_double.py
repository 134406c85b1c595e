"""A double of Stripe over real HTTP: it keeps state and refuses what the SDK's own types would not allow."""

import builtins
import hashlib
import hmac
import itertools
import json
import re
import sys
import threading
import time
import types
import typing
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ForwardRef, NotRequired, Required, Union
from urllib.parse import parse_qsl, unquote

import stripe
from stripe.params import RefundCreateParams
from stripe.params.checkout import SessionCreateParams, SessionExpireParams

REQUEST_OPTIONS = {
    "api_key",
    "content_type",
    "headers",
    "idempotency_key",
    "max_network_retries",
    "stripe_account",
    "stripe_context",
    "stripe_version",
}


class Refused(Exception):
    """What Stripe answers to a wrong request."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.body = {"error": {"type": "invalid_request_error", "code": code, "message": message}}
        self.status = status


def form(body: str) -> dict[str, Any]:
    """Stripe's form encoding (`line_items[0][quantity]=1`) as nested values; every leaf is text."""
    tree: dict[str, Any] = {}
    for name, value in parse_qsl(body, keep_blank_values=True):
        *path, last = re.findall(r"[^\[\]]+", name)
        at = tree
        for step in path:
            at = at.setdefault(step, {})
        at[last] = value
    return tree


class _Names(dict[str, Any]):
    """Looks a name up where a TypedDict was defined; what only the type checker imports is anything."""

    def __init__(self, module: str) -> None:
        super().__init__(vars(sys.modules[module]))

    def __missing__(self, name: str) -> Any:
        return getattr(builtins, name, getattr(typing, name, Any))


def check(value: Any, kind: Any, module: str, at: str) -> None:
    """Raise Refused unless `value` has the shape of a type from Stripe's SDK."""
    if isinstance(kind, str | ForwardRef):
        text = kind if isinstance(kind, str) else kind.__forward_arg__
        kind = eval(text, {}, _Names(module))
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (NotRequired, Required):
        check(value, arguments[0], module, at)
    elif origin in (Union, types.UnionType):
        # `Literal[…] | str` is how the SDK leaves room for later values; today's values are the literals.
        choices = [a for a in arguments if typing.get_origin(a) is typing.Literal] or list(arguments)
        _check_any(value, choices, module, at)
    elif origin is typing.Literal:
        if value not in arguments:
            raise Refused("parameter_invalid", f"Invalid {at}: must be one of {arguments}")
    elif hasattr(kind, "__required_keys__"):  # a TypedDict, from typing or typing_extensions
        check_fields(value, kind, at)
    elif origin in (list, list):
        if not isinstance(value, dict) or sorted(value) != sorted(str(i) for i in range(len(value))):
            raise Refused("parameter_invalid", f"Invalid array: {at}")
        for index, item in value.items():
            check(item, arguments[0], module, f"{at}[{index}]")
    elif origin is dict:
        if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
            raise Refused("parameter_invalid", f"Invalid hash: {at}")
    elif kind is int and not (isinstance(value, str) and re.fullmatch(r"-?\d+", value)):
        raise Refused("parameter_invalid_integer", f"Invalid integer: {at}={value}")
    elif kind is str and not isinstance(value, str):
        raise Refused("parameter_invalid", f"Invalid string: {at}")


def _check_any(value: Any, choices: list[Any], module: str, at: str) -> None:
    refusals = []
    for choice in choices:
        try:
            check(value, choice, module, at)
        except Refused as refusal:
            refusals.append(refusal)
        else:
            return
    raise refusals[0]


def check_fields(value: Any, kind: Any, at: str) -> None:
    """Every name known, every required name there, every value of its type."""
    if not isinstance(value, dict):
        raise Refused("parameter_invalid", f"Invalid object: {at or 'body'}")
    for name, item in value.items():
        where = f"{at}[{name}]" if at else name
        if name not in kind.__annotations__ or name in REQUEST_OPTIONS:
            raise Refused("parameter_unknown", f"Received unknown parameter: {where}")
        check(item, kind.__annotations__[name], kind.__module__, where)
    for name in sorted(kind.__required_keys__ - value.keys()):
        raise Refused("parameter_missing", f"Missing required param: {at}[{name}]" if at else name)


class StripeDouble:
    """Stripe as far as the market uses it. `url` is its base address, `secret` signs its webhooks."""

    def __init__(self, secret: str = "whsec_double") -> None:
        self.secret = secret
        self.url = ""
        self.sessions: dict[str, dict[str, Any]] = {}
        self.intents: dict[str, dict[str, Any]] = {}
        self.refunds: list[dict[str, Any]] = []
        self.requests: list[tuple[str, str | None]] = []  # path, idempotency key
        self.down = False
        self._answers: dict[str, tuple[Any, dict[str, Any]]] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def answer(
        self, method: str, path: str, body: str, key: str | None, headers: Mapping[str, str]
    ) -> dict[str, Any]:
        """What Stripe says. Raises Refused."""
        if not headers.get("Authorization", "").startswith("Bearer sk_test_"):
            raise Refused("api_key_invalid", "Invalid API Key provided", 401)
        with self._lock:
            self.requests.append((path, key))
            if self.down:
                raise Refused("api_error", "down", 500)
            asked = (path, form(body))
            if method == "POST" and key in self._answers:
                before, answer = self._answers[key or ""]
                if before != asked:
                    raise Refused("idempotency_error", "Keys can only be used with the same parameters")
                return answer
            answer = self._act(method, path, asked[1])
            if method == "POST" and key:
                self._answers[key] = (asked, json.loads(json.dumps(answer)))
            return answer

    def _act(self, method: str, path: str, asked: dict[str, Any]) -> dict[str, Any]:
        if method == "POST" and path == "/v1/checkout/sessions":
            return self._create_session(asked)
        if method == "POST" and path == "/v1/refunds":
            return self._refund(asked)
        if found := re.fullmatch(r"/v1/checkout/sessions/(\w+)(/expire)?", path):
            session = self._known(self.sessions, found[1], "checkout.session")
            if not found[2]:
                return session
            check_fields(asked, SessionExpireParams, "")
            if session["status"] != "open":
                raise Refused("resource_invalid", "Only open Checkout Sessions can be expired.")
            session["status"] = "expired"
            return session
        if found := re.fullmatch(r"/v1/payment_intents/(\w+)", path):
            return self._known(self.intents, found[1], "payment_intent")
        raise Refused("url_invalid", f"Unrecognized request URL ({method}: {path})", 404)

    @staticmethod
    def _known(things: dict[str, dict[str, Any]], name: str, kind: str) -> dict[str, Any]:
        if name not in things:
            raise Refused("resource_missing", f"No such {kind}: '{name}'", 404)
        return things[name]

    def _create_session(self, asked: dict[str, Any]) -> dict[str, Any]:
        check_fields(asked, SessionCreateParams, "")
        if asked.get("mode") == "payment" and not asked.get("line_items"):
            raise Refused("parameter_missing", "line_items is required in payment mode")
        total = 0
        for item in asked["line_items"].values():
            price = item.get("price_data", {})
            if not {"product_data", "product"} & price.keys() or "unit_amount" not in price:
                raise Refused("parameter_missing", "price_data needs a product and a unit_amount")
            total += int(price["unit_amount"]) * int(item.get("quantity", 1))
        number = next(self._numbers)
        session = {
            "id": f"cs_test_{number:06d}",
            "object": "checkout.session",
            "amount_total": total,
            "currency": asked["line_items"]["0"]["price_data"]["currency"],
            "client_reference_id": asked.get("client_reference_id"),
            "created": int(time.time()),
            "expires_at": int(time.time()) + 86_400,
            "livemode": False,
            "metadata": asked.get("metadata", {}),
            "mode": asked["mode"],
            "payment_intent": None,
            "payment_status": "unpaid",
            "status": "open",
            "url": f"{self.url}/pay/cs_test_{number:06d}",
        }
        self.sessions[str(session["id"])] = session
        return session

    def _refund(self, asked: dict[str, Any]) -> dict[str, Any]:
        check_fields(asked, RefundCreateParams, "")
        intent = self._known(self.intents, asked.get("payment_intent", ""), "payment_intent")
        left = intent["amount"] - intent["amount_refunded"]
        amount = int(asked.get("amount", left))
        if not 0 < amount <= left:
            raise Refused("charge_already_refunded", "Refund amount is greater than unrefunded amount")
        intent["amount_refunded"] += amount
        refund = {
            "id": f"re_{next(self._numbers):06d}",
            "object": "refund",
            "amount": amount,
            "currency": intent["currency"],
            "payment_intent": intent["id"],
            "status": "succeeded",
        }
        self.refunds.append(refund)
        return refund

    def pay(self, session_id: str, **other: Any) -> dict[str, Any]:
        """The buyer pays on the page (also one that closed a moment ago); `other` changes the session."""
        session = self.sessions[session_id]
        intent = {
            "id": f"pi_{next(self._numbers):06d}",
            "object": "payment_intent",
            "amount": session["amount_total"],
            "amount_refunded": 0,
            "currency": session["currency"],
            "status": "succeeded",
        }
        self.intents[str(intent["id"])] = intent
        session |= {"status": "complete", "payment_status": "paid", "payment_intent": intent["id"]} | other
        return session

    def message(
        self, kind: str, thing: dict[str, Any], *, at: int | None = None, secret: str | None = None
    ) -> tuple[bytes, str]:
        """A webhook about `thing` as it is now: its raw body and its signature header."""
        event = {
            "id": f"evt_{next(self._numbers):06d}",
            "object": "event",
            "api_version": stripe.api_version,
            "created": int(time.time()),
            "type": kind,
            "data": {"object": thing},
        }
        raw = json.dumps(event).encode()
        return raw, self.sign(raw, at=at, secret=secret)

    def sign(self, raw: bytes, *, at: int | None = None, secret: str | None = None) -> str:
        stamp = int(time.time()) if at is None else at
        mac = hmac.new((secret or self.secret).encode(), f"{stamp}.".encode() + raw, hashlib.sha256)
        return f"t={stamp},v1={mac.hexdigest()}"


@contextmanager
def serving(double: StripeDouble) -> Iterator[StripeDouble]:
    """Serve the double on a free port while the block runs."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            try:
                path = unquote(self.path.partition("?")[0])
                key = self.headers.get("Idempotency-Key")
                said, status = double.answer(self.command, path, body, key, dict(self.headers)), 200
            except Refused as refusal:
                status, said = refusal.status, refusal.body
            raw = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def do_GET(self) -> None:
            self._serve()

        def do_POST(self) -> None:
            self._serve()

        def log_message(self, *_arguments: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    double.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield double
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
