"""Which requests carry a file: their bodies are read in a stream, every other one is small."""

import re
from collections.abc import MutableMapping
from typing import Any

STREAMED = re.compile(
    r"/api/v1/(assets/[^/]+/(files|evidence)|amendments/[^/]+/evidence|parties/own/evidence)"
    r"|(?!/api/).*/(files|evidence)"
    r"|(/api/v1)?/(notices/[^/]+/objections|directory/imports)"
)


def is_upload(scope: MutableMapping[str, Any]) -> bool:
    """Whether `market.http.body` reads this body in a stream; every other one is held in memory and small.

    A page's upload is a multipart form; the API also takes the raw file, under any Content-Type.
    """
    path: str = scope["path"]
    if scope["method"] != "POST" or not STREAMED.fullmatch(path):
        return False
    kind: bytes = dict(scope["headers"]).get(b"content-type", b"")
    return path.startswith("/api/") or kind.lower().startswith(b"multipart/form-data")
