"""授权 The OAuth 2 doors: token (client credentials), revoke (RFC 7009), introspect (RFC 7662), metadata (RFC 8414, 9728)."""

import base64
import hmac
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, unquote

import orjson
from authlib.oauth2.rfc6749 import (
    AuthorizationServer,
    ClientMixin,
    JsonRequest,
    OAuth2Error,
    OAuth2Payload,
    OAuth2Request,
    grants,
)
from authlib.oauth2.rfc6749.errors import InvalidRequestError, InvalidScopeError
from authlib.oauth2.rfc6750 import BearerTokenGenerator
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7662 import IntrospectionEndpoint
from starlette.requests import Request
from starlette.responses import Response

from contracts.terms import Tier
from metering.actions import hash_secret, revoke_token
from metering.gateway.answers import json_answer
from metering.gateway.plane import Plane
from metering.problems import InvalidToken
from metering.settings import MeteringSettings
from metering.shelf import is_live, refuse_spent, why_shut
from metering.tables import Credential, Gate
from metering.tokens import (
    ALGORITHM,
    AUD_API,
    AUD_COMMERCIAL,
    AUD_OPEN,
    LEEWAY,
    Access,
    inside,
    marked,
    mint_access,
)
from metering.words import told
from storage.kernel import clock
from storage.kernel.ids import new_id
from storage.kernel.problem import Problem

SCOPE = "data:read"
AUTH_METHODS = ["client_secret_basic", "client_secret_post"]
FORM = "application/x-www-form-urlencoded"
MOST_FORM = 16_384
MOST_FIELDS = 20
# What the doors read; what else a client sends is passed over (RFC 6749 3.2).
FIELDS = {
    "client_id",
    "client_secret",
    "grant_type",
    "license",
    "purpose",
    "scope",
    "token",
    "token_type_hint",
}


class InvalidTarget(OAuth2Error):  # type: ignore[misc]
    """The license asked for cannot be served to this client (RFC 8707)."""

    error = "invalid_target"


class InvalidClient(OAuth2Error):  # type: ignore[misc]
    """The id is unknown or the secret is wrong: which of the two is not told (RFC 6749 5.2)."""

    error = "invalid_client"
    description = "the client id or the client secret is missing or wrong"
    status_code = 401

    def get_headers(self) -> list[tuple[str, str]]:
        return [*super().get_headers(), ("WWW-Authenticate", 'Basic realm="shugang", charset="UTF-8"')]


class _Payload(OAuth2Payload):  # type: ignore[misc]
    def __init__(self, form: dict[str, str]) -> None:
        self._form = form

    @property
    def data(self) -> dict[str, str]:
        return self._form

    @property
    def datalist(self) -> dict[str, list[str]]:
        return {name: [value] for name, value in self._form.items()}


class _Ask(OAuth2Request):  # type: ignore[misc]
    """A request as Authlib reads it. The address is our public one: the Host header decides nothing."""

    def __init__(self, uri: str, headers: Mapping[str, str], form: dict[str, str], address: str) -> None:
        super().__init__(method="POST", uri=uri, headers=headers)
        self._form = form
        self.payload = _Payload(form)
        self.address = address

    @property
    def args(self) -> dict[str, str]:
        return {}

    @property
    def form(self) -> dict[str, str]:
        return self._form


class _Client(ClientMixin):  # type: ignore[misc]
    """A credential as Authlib sees it; an unknown one fails like a wrong secret."""

    def __init__(self, credential: Credential | None) -> None:
        self.credential = credential
        self.target: Gate | None = None
        self.purpose = ""

    def get_client_id(self) -> str:
        return self.credential.id if self.credential else ""

    def get_allowed_scope(self, scope: str | None) -> str:
        if scope and scope != SCOPE:
            raise InvalidScopeError
        return SCOPE

    def check_client_secret(self, client_secret: str) -> bool:
        given, now = hash_secret(client_secret), clock.now()
        row = self.credential
        good = hmac.compare_digest(given, row.secret_sha256 if row else "")
        older = hmac.compare_digest(given, (row.older_sha256 if row else None) or "")
        if row is None or row.ended_at is not None:
            return False
        return good or (older and row.older_until is not None and now < row.older_until)

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type == "client_credentials"

    def check_response_type(self, response_type: str) -> bool:  # noqa: ARG002
        return False


class _ClientCredentials(grants.ClientCredentialsGrant):  # type: ignore[misc]
    """Client credentials for one license (form field `license`) and one of its purposes."""

    def validate_token_request(self) -> None:
        super().validate_token_request()
        client: _Client = self.request.client
        assert client.credential is not None
        networks = client.credential.cidrs
        if networks and not any(inside(self.request.address, network) for network in networks):
            self.server.plane.refusals.count(client.credential.id)
            raise InvalidTarget("the address is outside the networks of the credential", status_code=403)
        license_id = self.request.form.get("license")
        if license_id:
            self._target(client, license_id)

    def _target(self, client: _Client, license_id: str) -> None:
        assert client.credential is not None
        plane: Plane = self.server.plane
        with plane.store.view() as view:
            gate = view.session.get(Gate, license_id)
        if gate is None or gate.buyer_id != client.credential.org_id:
            plane.refusals.count(client.credential.id)
            raise InvalidTarget("this organization has no such license")
        if reason := why_shut(gate, clock.now()):
            words = told(reason, gate.stands_on)  # RFC 6749 5.2: an error_description is ASCII
            why = f"{reason[:80]}: {words.en}" if words else reason[:80]
            raise InvalidTarget(f"the license is not in force: {why}", status_code=403)
        purpose = self.request.form.get("purpose") or ""
        if not purpose and len(gate.purposes) > 1:
            raise InvalidTarget(f"name one purpose of: {' '.join(gate.purposes)}")
        purpose = purpose or (gate.purposes[0] if gate.purposes else "")
        if gate.purposes and purpose not in gate.purposes:
            plane.refusals.count(client.credential.id)
            raise InvalidTarget(f"name one purpose of: {' '.join(gate.purposes)}")
        client.target, client.purpose = gate, purpose


class _Known:
    """A verified token as the introspection endpoint sees it."""

    def __init__(self, plane: Plane, access: Access) -> None:
        self.access = access
        self._plane = plane

    def is_expired(self) -> bool:
        return False  # the verifier has judged the time

    def is_revoked(self) -> bool:
        if self.access.license_id is None:
            with self._plane.store.view() as view:
                return not is_live(view, self.access)
        try:
            standing = self._plane.shelf.standing(self.access)
            refuse_spent(standing)
        except Problem:
            return True
        return why_shut(standing.gate, clock.now()) is not None


class _Revocation(RevocationEndpoint):  # type: ignore[misc]
    def authenticate_token(self, request: _Ask, client: _Client) -> Access | None:
        """The client's own token while anything stands on it; a hint, known or not, is passed over (RFC 7009 2.1).

        Another's is as good as unknown: who asks learns nothing of it, and ends nothing.
        """
        plane: Plane = self.server.plane
        try:
            access = plane.verifier.signed(request.form["token"])
        except InvalidToken:
            return None
        if access.client_id != client.get_client_id() or _over(access, plane.settings) <= clock.now():
            return None
        return access

    def revoke_token(self, token: Access, request: _Ask) -> None:  # noqa: ARG002
        plane: Plane = self.server.plane
        until = _over(token, plane.settings)
        with plane.store.unit(token.client_id, token.org) as unit:
            revoke_token(unit, jti=token.jti, credential_id=token.client_id, until=until)


def _over(access: Access, settings: MeteringSettings) -> datetime:
    """When the last download ticket that the token may have bought ends: it carries the same jti and lives on.

    Bought at the token's last moment, begun and resumed at its own; with the leeway of both.
    """
    ticket = timedelta(hours=settings.resume_hours, seconds=settings.ticket_start_seconds)
    return datetime.fromtimestamp(access.expires_at, UTC) + ticket + 2 * LEEWAY


class _Introspection(IntrospectionEndpoint):  # type: ignore[misc]
    def authenticate_token(self, request: _Ask, client: _Client) -> _Known | None:
        """A token of the client's organization; a hint, known or not, is passed over (RFC 7662 2.1)."""
        known: _Known | None = self.server.known(request.form["token"])
        assert client.credential is not None
        return known if known and known.access.org == client.credential.org_id else None

    def introspect_token(self, token: _Known) -> dict[str, Any]:
        access = token.access
        return {
            "active": True,
            "client_id": access.client_id,
            "sub": access.client_id,
            "token_type": "Bearer",
            "scope": access.scope,
            "aud": access.audience,
            "iss": self.server.plane.issuer,
            "iat": access.issued_at,
            "exp": access.expires_at,
            "jti": access.jti,
            "lic": access.license_id,
            "prd": access.product_id,
            "pur": access.purpose,
        }


class OAuthDoor(AuthorizationServer):  # type: ignore[misc]
    """授权服务. Authlib's server over our credentials and our token keys; its calls run in a thread."""

    def __init__(self, plane: Plane) -> None:
        super().__init__(scopes_supported=[SCOPE])
        self.plane = plane
        seconds = plane.settings.token_seconds
        self.register_token_generator(
            "default", BearerTokenGenerator(self._mint, expires_generator=lambda *_: seconds)
        )
        self.register_grant(_ClientCredentials)
        self.register_endpoint(_Revocation)
        self.register_endpoint(_Introspection)

    def authenticate_client(self, request: _Ask, methods: list[str], endpoint: str = "token") -> _Client:  # noqa: ARG002
        """The client by its id and secret, told in one of the two ways. Raises InvalidClient, InvalidRequestError."""
        client_id, secret = _credentials(request)
        client = self.query_client(client_id)
        if not client.check_client_secret(secret):
            raise InvalidClient
        return client

    def query_client(self, client_id: str) -> _Client:
        if "\0" in client_id:  # no id of ours, and PostgreSQL takes no such text
            return _Client(None)
        with self.plane.store.view() as view:
            return _Client(view.session.get(Credential, client_id))

    def save_token(self, token: dict[str, Any], request: _Ask) -> None:
        """Tokens are signed, not kept."""

    def create_oauth2_request(self, request: _Ask) -> _Ask:
        return request

    def create_json_request(self, request: Any) -> JsonRequest:  # noqa: ARG002
        raise TypeError("the token endpoints take forms only")

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        """Nobody listens."""

    def get_error_uri(self, request: _Ask, error: OAuth2Error) -> str | None:  # noqa: ARG002
        return None

    def handle_response(self, status: int, payload: Any, headers: Any) -> Response:
        body = payload if isinstance(payload, str) else orjson.dumps(payload)
        return Response(body, status, dict(headers) | {"Cache-Control": "no-store"})

    def known(self, token: str) -> _Known | None:
        """The token when its signature and time hold, from any address; else None."""
        try:
            access = self.plane.verifier.read(token, now=clock.now())
        except InvalidToken:
            return None
        return _Known(self.plane, access)

    def _mint(
        self, client: _Client, grant_type: str, user: object = None, scope: str | None = None
    ) -> str:  # the parameters are named by Authlib
        del grant_type, user
        row, gate = client.credential, client.target
        assert row is not None
        audience = AUD_API
        if gate is not None:
            audience = AUD_COMMERCIAL if gate.tier is Tier.COMMERCIAL else AUD_OPEN
        now = int(clock.now().timestamp())
        access = Access(
            client_id=row.id,
            org=row.org_id,
            audience=audience,
            license_id=gate.license_id if gate else None,
            product_id=gate.product_id if gate else None,
            purpose=client.purpose,
            scope=scope or SCOPE,
            cidrs=tuple(row.cidrs),
            jti=marked(new_id("tok"), row.cidrs),
            issued_at=now,
            expires_at=now + self.plane.settings.token_seconds,
        )
        return mint_access(access, issuer=self.plane.issuer, ring=self.plane.keys.ring)

    async def token(self, request: Request) -> Response:
        """An access token for one license."""
        return await self._answer(request, "grant_type", self._token)

    async def revoke(self, request: Request) -> Response:
        """Refuse a token from now on; 200 also for one we do not know."""
        return await self._answer(request, "token", self._revoke)

    async def introspect(self, request: Request) -> Response:
        """Whether a token would be served now, for its own organization only."""
        return await self._answer(request, "token", self._introspect)

    async def _token(self, ask: _Ask) -> Response:
        return await self.plane.in_thread(self.create_token_response, ask)

    async def _revoke(self, ask: _Ask) -> Response:
        # 200 says that the token is refused now: not knowing the newest key would make that untrue.
        await self.plane.seek_key(ask.form["token"])
        return await self.plane.in_writing_thread(self.create_endpoint_response, "revocation", ask)

    async def _introspect(self, ask: _Ask) -> Response:
        await self.plane.know_key(ask.form["token"])
        return await self.plane.in_thread(self.create_endpoint_response, "introspection", ask)

    async def _answer(
        self, request: Request, required: str, answer: Callable[[_Ask], Awaitable[Response]]
    ) -> Response:
        """What the door answers to a form that can be read and has the field that it requires."""
        self.plane.fair_use(request, self.plane.token_burst)
        await self.plane.fresh_keys()
        try:
            ask = await self._ask(request)
            if not ask.form.get(required):
                raise InvalidRequestError(f"the parameter {required} is missing")
        except OAuth2Error as refusal:
            return self.handle_response(*refusal())
        return await answer(ask)

    async def _ask(self, request: Request) -> _Ask:
        plane, fields = self.plane, await _form(request)
        # Authlib refuses plain http, wherever TLS may end; production's settings refuse it, a trial may use it.
        uri = "https://" + plane.public_url.partition("://")[2] + request.url.path
        return _Ask(uri, request.headers, fields, plane.address(request))

    async def metadata(self, request: Request) -> Response:  # noqa: ARG002
        """Where the doors are (RFC 8414)."""
        base = self.plane.public_url
        return json_answer(
            {
                "issuer": self.plane.issuer,
                "token_endpoint": f"{base}/oauth/token",
                "revocation_endpoint": f"{base}/oauth/revoke",
                "introspection_endpoint": f"{base}/oauth/introspect",
                "jwks_uri": f"{base}/.well-known/jwks.json",
                "grant_types_supported": ["client_credentials"],
                "response_types_supported": ["none"],
                "scopes_supported": [SCOPE],
                "token_endpoint_auth_methods_supported": AUTH_METHODS,
                "revocation_endpoint_auth_methods_supported": AUTH_METHODS,
                "introspection_endpoint_auth_methods_supported": AUTH_METHODS,
                "access_token_signing_alg_values_supported": [ALGORITHM],
            },
            headers={"Cache-Control": "public, max-age=300"},
        )

    async def resource(self, request: Request) -> Response:  # noqa: ARG002
        """Whose tokens the data plane takes, and how (RFC 9728)."""
        return json_answer(
            {
                "resource": self.plane.public_url,
                "authorization_servers": [self.plane.issuer],
                "scopes_supported": [SCOPE],
                "bearer_methods_supported": ["header"],
            },
            headers={"Cache-Control": "public, max-age=300"},
        )

    async def jwks(self, request: Request) -> Response:  # noqa: ARG002
        """The keys that sign tokens (RFC 7517)."""
        await self.plane.fresh_keys()
        return json_answer(self.plane.keys.ring.jwks(), headers={"Cache-Control": "public, max-age=60"})


async def _form(request: Request) -> dict[str, str]:
    """The fields that the doors read, each told once. Raises InvalidRequestError."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise InvalidRequestError(f"send the parameters as {FORM}")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_FORM:
            raise InvalidRequestError(f"the form is larger than {MOST_FORM} bytes")
    try:
        given = parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS)
    except ValueError:
        raise InvalidRequestError(
            f"the form cannot be read as UTF-8 or has more than {MOST_FIELDS} fields"
        ) from None
    fields: dict[str, str] = {}
    for name, value in given:
        if name not in FIELDS:
            continue
        if name in fields:
            raise InvalidRequestError(f"the parameter {name} is repeated")
        if "\0" in value:  # PostgreSQL takes no such text
            raise InvalidRequestError(f"the parameter {name} has a NUL character")
        fields[name] = value
    return fields


def _credentials(request: _Ask) -> tuple[str, str]:
    """The client id and secret of the header or of the form. Raises InvalidRequestError when both tell a secret."""
    scheme, _, told = request.headers.get("authorization", "").partition(" ")
    form_id, form_secret = request.form.get("client_id", ""), request.form.get("client_secret", "")
    if scheme.lower() != "basic":
        return form_id, form_secret
    if form_secret:  # RFC 6749 2.3: one way of authentication in a request
        raise InvalidRequestError(
            "tell the client secret in the Authorization header or in the form, not in both"
        )
    return _basic(told)


def _basic(told: str) -> tuple[str, str]:
    """Id and secret as HTTP Basic tells them (RFC 7617, each encoded as RFC 6749 2.3.1 has it).

    What cannot be read is nobody's.

    >>> _basic("Y2xpXzE6c2VjcmV0"), _basic("//46/w==")
    (('cli_1', 'secret'), ('', ''))
    """
    try:
        client_id, _, secret = base64.b64decode(told.strip(), validate=True).decode().partition(":")
    except ValueError:
        return "", ""
    return unquote(client_id), unquote(secret)
