"""One table of routes: it dispatches, and the API description and the permission law are read from it."""

import re
from dataclasses import dataclass
from re import Pattern

from metering.tokens import AUD_COMMERCIAL, AUD_OPEN
from storage.kernel.words import Worded, Words


class Door(Worded):
    """谁可以进入. Who may use a route."""

    PUBLIC = "public", "任何人", "Anybody"
    OPEN = "open", "任何人；有条件开放的需令牌", "Anybody; a token when openness has conditions"
    TOKEN = "token", "商业令牌", "A token for commercial data"
    TICKET = "ticket", "下载票据", "A download ticket"
    CREDENTIAL = "credential", "接入凭证", "A client credential"


@dataclass(frozen=True, slots=True)
class Route:
    """One path: its methods, who may use it, the audience of its token, and what it is for."""

    name: str
    path: str
    methods: tuple[str, ...]
    door: Door
    summary: Words
    audience: str | None = None

    def pattern(self) -> Pattern[str]:
        """The path as a regular expression; a parameter named `path` takes the rest, slashes included."""
        return re.compile(
            re.sub(
                r"\{(\w+)\}",
                lambda name: f"(?P<{name[1]}>{'.*' if name[1] == 'path' else '[^/]+'})",
                self.path.replace(".", r"\."),
            ),
            re.DOTALL,
        )


RESOURCE_METADATA = "/.well-known/oauth-protected-resource"
_READ = ("GET", "HEAD")
ROUTES: tuple[Route, ...] = (
    Route(
        "rows",
        "/data/v1/{product}/rows",
        _READ,
        Door.TOKEN,
        Words("按条件查询数据行", "Rows by filters"),
        AUD_COMMERCIAL,
    ),
    Route(
        "call",
        "/data/v1/{product}/call/{path}",
        ("GET", "POST"),
        Door.TOKEN,
        Words("经平台调用供方接口", "Call the provider's own API through us"),
        AUD_COMMERCIAL,
    ),
    Route(
        "downloads",
        "/data/v1/{product}/downloads",
        ("POST",),
        Door.TOKEN,
        Words("申请下载票据（免费）", "Ask for a download ticket (free)"),
        AUD_COMMERCIAL,
    ),
    Route(
        "ticket",
        "/d/{ticket}",
        _READ,
        Door.TICKET,
        Words("凭票下载文件", "The file behind a ticket"),
        AUD_COMMERCIAL,
    ),
    Route(
        "open_metadata",
        "/open/v1/{product}",
        _READ,
        Door.PUBLIC,
        Words("公益数据说明与许可", "What open data is, and its license"),
    ),
    Route(
        "open_rows",
        "/open/v1/{product}/rows",
        _READ,
        Door.OPEN,
        Words("公益数据查询", "Rows of open data"),
        AUD_OPEN,
    ),
    Route(
        "open_file",
        "/open/v1/{product}/files/{kind}",
        _READ,
        Door.OPEN,
        Words("公益数据文件", "Files of open data"),
        AUD_OPEN,
    ),
    Route("token", "/oauth/token", ("POST",), Door.CREDENTIAL, Words("获取访问令牌", "Get an access token")),
    Route("revoke", "/oauth/revoke", ("POST",), Door.CREDENTIAL, Words("撤销令牌", "Revoke a token")),
    Route(
        "introspect",
        "/oauth/introspect",
        ("POST",),
        Door.CREDENTIAL,
        Words("查询令牌状态", "Introspect a token"),
    ),
    Route(
        "metadata",
        "/.well-known/oauth-authorization-server",
        _READ,
        Door.PUBLIC,
        Words("授权服务元数据", "Authorization server metadata"),
    ),
    Route(
        "resource",
        RESOURCE_METADATA,
        _READ,
        Door.PUBLIC,
        Words("受保护资源元数据", "Protected resource metadata"),
    ),
    Route("jwks", "/.well-known/jwks.json", _READ, Door.PUBLIC, Words("令牌公钥", "Token keys")),
    Route("healthz", "/healthz", _READ, Door.PUBLIC, Words("存活检查", "Liveness")),
    Route("readyz", "/readyz", _READ, Door.PUBLIC, Words("就绪检查", "Readiness")),
)
