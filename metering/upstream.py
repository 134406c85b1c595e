"""上游接口 What a provider declares about its own API, which requests pass, and what counts as a hit; pure."""

import re
from typing import Annotated, Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import orjson
from pydantic import BaseModel, ConfigDict, Field

from metering.settings import MeteringSettings
from metering.words import HitTest, SecretPlace
from storage.kernel.problem import Fault
from storage.kernel.words import Words

METHODS = ("GET", "POST")
_LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*|\[[0-9a-f:.]{{2,45}}\]", re.ASCII)
_PATH = re.compile(r"/|(/([A-Za-z0-9._~@!$&'()*+,;=:-]+|\{[a-z][a-z0-9_]{0,30}\}))+/?", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,80}", re.ASCII)
_POINTER = re.compile(r"(/([^~/]|~0|~1)*)*")
# Headers that say who asks, how the message travels or what it weighs: never the place of a secret.
_NOT_FOR_SECRETS = frozenset(
    [
        "accept",
        "accept-encoding",
        "accept-language",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "cookie",
        "expect",
        "forwarded",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
    ]
)
_MISSING = object()

Seconds = Annotated[int, Field(strict=True, ge=1, le=300)]
Short = Annotated[str, Field(max_length=300)]


class Hit(BaseModel):
    """查得条件. When an answer counts as found: what one JSON pointer (RFC 6901) finds in it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pointer: Annotated[str, Field(max_length=200, examples=["/data/records"])]
    test: HitTest = HitTest.NON_EMPTY
    value: bool | int | Annotated[str, Field(max_length=200)] | None = None  # for `equals` only

    def holds(self, document: Any) -> bool:
        """Whether the answer is a hit.

        >>> Hit(pointer="/n/0", test=HitTest.EQUALS, value=1).holds({"n": [1]})
        True
        >>> Hit(pointer="/n").holds({"n": []}), Hit(pointer="/n", test=HitTest.EXISTS).holds({"n": None})
        (False, True)
        """
        found = pointed(document, self.pointer)
        if found is _MISSING:
            return False
        if self.test is HitTest.EXISTS:
            return True
        if self.test is HitTest.NON_EMPTY:
            return found is not None and found not in ("", [], {})
        return type(found) is type(self.value) and found == self.value


def pointed(document: Any, pointer: str) -> Any:
    """What a JSON pointer finds, or a mark that it finds nothing."""
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(document, dict) and name in document:
            document = document[name]
        elif isinstance(document, list) and re.fullmatch(r"0|[1-9][0-9]{0,9}", name, re.ASCII):
            if int(name) >= len(document):
                return _MISSING
            document = document[int(name)]
        else:
            return _MISSING
    return document


class Declaration(BaseModel):
    """接口申报. Where a provider's own API is and what of it may be called; everything but the secret.

    `paths` are below `base_url`; a part in braces stands for exactly one segment: `/companies/{code}`.
    `secret_name` is the header or query parameter whose whole value is the secret.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    base_url: Annotated[Short, Field(examples=["https://api.provider.example/v2"])]
    methods: Annotated[tuple[str, ...], Field(min_length=1, max_length=2, examples=[["GET"]])] = ("GET",)
    paths: Annotated[tuple[Short, ...], Field(min_length=1, max_length=50, examples=[["/companies/{code}"]])]
    secret_in: SecretPlace = SecretPlace.HEADER
    secret_name: Annotated[str, Field(max_length=80)] = "Authorization"  # noqa: S105  # a header, not a secret
    hit: Hit | None = None
    connect_seconds: Seconds = 5
    read_seconds: Seconds = 15
    total_seconds: Seconds = 30
    most_bytes: Annotated[int, Field(strict=True, ge=1024, le=2**30)] = 8 * 2**20

    @property
    def host(self) -> str:
        """The host name, as the secret's audience is shown to an approver."""
        return urlsplit(self.base_url).hostname or ""

    def allows(self, method: str, path: str) -> bool:
        """Whether a decoded path (beginning with a slash) may be called by this method."""
        return method in self.methods and any(_matches(pattern, path) for pattern in self.paths)

    def target(self, path: str, query: str, secret: str) -> tuple[str, dict[str, str]]:
        """The address to call and the header that carries the secret.

        The query is written anew, so that nothing of the caller's can be read as the secret's own parameter.
        """
        address = self.base_url.rstrip("/") + "/".join(quote(part, safe="") for part in path.split("/"))
        pairs = parse_qsl(query, keep_blank_values=True)
        headers: dict[str, str] = {}
        if self.secret_in is SecretPlace.QUERY:
            name = self.secret_name.casefold()
            pairs = [(key, value) for key, value in pairs if key.casefold() != name]
            pairs.append((self.secret_name, secret))
        elif self.secret_in is SecretPlace.HEADER:
            headers[self.secret_name] = secret
        return f"{address}?{urlencode(pairs)}" if pairs else address, headers


def _matches(pattern: str, path: str) -> bool:
    wanted, given = pattern.split("/"), path.split("/")
    return len(wanted) == len(given) and all(
        part == want or (want.startswith("{") and bool(part))
        for want, part in zip(wanted, given, strict=True)
    )


def path_fault(path: str) -> Fault | None:
    """What no upstream is ever asked for: dot segments, empty ones, backslashes, leftover escapes, controls."""
    if "\ufffd" in path:  # stands for bytes that are none
        words = Words("路径须为百分号编码的 UTF-8。", "The path is percent-encoded UTF-8.")
        return Fault("path", "encoding", words)
    parts = path.split("/")[1:]
    bad = any(part in {".", ".."} for part in parts) or "" in parts[:-1]
    if bad or re.search(r"[\\%\x00-\x1f\x7f]", path) or len(path) > 2000:
        words = Words(
            "路径不得含有 . 或 .. 段、空段、反斜杠、百分号或控制字符。",
            "No . or .. segments, empty segments, backslashes, percent signs or control characters in the path.",
        )
        return Fault("path", "upstream.path", words)
    return None


def declaration_faults(declared: Declaration, settings: MeteringSettings) -> list[Fault]:
    """申报规则. Everything wrong with a declaration, each with the field and the way out."""
    faults = [*_address_faults(declared, settings), *_secret_faults(declared)]
    if set(declared.methods) - set(METHODS) or len(set(declared.methods)) < len(declared.methods):
        words = Words("方法为 GET、POST，不重复。", "Methods are GET and POST, each once.")
        faults.append(Fault("methods", "upstream.methods", words))
    if strange := [path for path in declared.paths if not _PATH.fullmatch(path) or path_fault(path)]:
        words = Words(
            f"路径以 / 开头，段为普通字符或 {{名称}}：{strange[0]}",
            f"A path begins with / and has plain segments or {{name}}: {strange[0]}",
        )
        faults.append(Fault("paths", "upstream.paths", words))
    if declared.hit is not None and not _POINTER.fullmatch(declared.hit.pointer):
        words = Words(
            "请填写 JSON Pointer，例如 /data/records。", "Write a JSON pointer such as /data/records."
        )
        faults.append(Fault("hit.pointer", "upstream.pointer", words))
    if (
        declared.hit is not None
        and declared.hit.test is not HitTest.EQUALS
        and declared.hit.value is not None
    ):
        words = Words("只有“等于”需要填写值。", "Only `equals` takes a value.")
        faults.append(Fault("hit.value", "upstream.value", words))
    if not max(declared.connect_seconds, declared.read_seconds) <= declared.total_seconds:
        words = Words(
            "总时限不得短于连接或读取时限。", "The total time is at least as long as connecting and reading."
        )
        faults.append(Fault("total_seconds", "upstream.seconds", words))
    if declared.total_seconds > settings.upstream_seconds:
        most = settings.upstream_seconds
        words = Words(f"总时限至多 {most} 秒。", f"The total time is at most {most} s.")
        faults.append(Fault("total_seconds", "upstream.seconds", words))
    if declared.most_bytes > settings.upstream_bytes:
        most = settings.upstream_bytes
        words = Words(f"应答上限至多 {most} 字节。", f"An answer has at most {most} bytes.")
        faults.append(Fault("most_bytes", "upstream.bytes", words))
    return faults


def _address_faults(declared: Declaration, settings: MeteringSettings) -> list[Fault]:
    try:
        parts = urlsplit(declared.base_url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    schemes = {"https", "http"} if settings.upstream_plain_http else {"https"}
    netloc = parts.netloc.removesuffix(f":{port}")
    plain = not (parts.query or parts.fragment or "?" in declared.base_url or "#" in declared.base_url)
    fine = parts.path == "" or (_PATH.fullmatch(parts.path) and "{" not in parts.path)
    if parts.scheme in schemes and _HOST.fullmatch(netloc) and port != 0 and plain and fine:
        return [] if path_fault(parts.path) is None else [_address_fault()]
    return [_address_fault()]


def _address_fault() -> Fault:
    words = Words(
        "请填写 https:// 地址，主机名小写，不含用户名、查询与锚点。",
        "Write an https:// address: host in lower case, no user, query or fragment.",
    )
    return Fault("base_url", "upstream.address", words)


def _secret_faults(declared: Declaration) -> list[Fault]:
    if declared.secret_in is SecretPlace.NONE:
        return []
    reserved = declared.secret_in is SecretPlace.HEADER and declared.secret_name.lower() in _NOT_FOR_SECRETS
    if _NAME.fullmatch(declared.secret_name) and not reserved:
        return []
    words = Words(
        "请填写承载密钥的请求头或参数名，例如 Authorization 或 X-Api-Key。",
        "Name the header or parameter that carries the secret, such as Authorization or X-Api-Key.",
    )
    return [Fault("secret_name", "upstream.secret_name", words)]


def secret_faults(declared: Declaration, secret: str) -> list[Fault]:
    """密钥规则. Visible ASCII (spaces inside allowed), as the provider's API wants the whole value."""
    if declared.secret_in is SecretPlace.NONE or re.fullmatch(
        r"[\x21-\x7e]([\x20-\x7e]{0,4094}[\x21-\x7e])?", secret
    ):
        return []
    words = Words(
        "密钥为 1 至 4096 个可见 ASCII 字符，首尾无空格；不会再次显示。",
        "The secret has 1 to 4096 visible ASCII characters, no space at the ends; it is never shown again.",
    )
    return [Fault("secret", "upstream.secret", words)]


def is_hit(declared: Declaration, body: bytes) -> bool:
    """查得判定. Whether the declared condition holds for an answer. Raises ValueError when it is not JSON."""
    document = orjson.loads(body)
    return declared.hit is None or declared.hit.holds(document)
