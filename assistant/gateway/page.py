"""The console's files, read once when the gateway starts: no path from a request is ever opened."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from starlette.responses import Response

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
INDEX = "index.html"


class Leaf(NamedTuple):
    body: bytes
    media_type: str
    etag: str

    def response(self, seen: str) -> Response:
        """``seen``: the If-None-Match header of the request."""
        headers = {"ETag": self.etag, "Cache-Control": "no-cache"}
        if self.etag in (tag.strip() for tag in seen.split(",")):
            return Response(status_code=304, headers=headers)
        return Response(self.body, headers=headers, media_type=self.media_type)


def leaves(folder: Path) -> Mapping[str, Leaf]:
    """Path of a request -> what is served there: the page at /, everything under /static/. Files of other kinds than
    TYPES, and links, are not served."""
    found: dict[str, Leaf] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix in TYPES and path.is_file() and not path.is_symlink():
            body = path.read_bytes()
            leaf = Leaf(body, TYPES[path.suffix], f'"{hashlib.sha256(body).hexdigest()[:24]}"')
            found[f"/static/{path.relative_to(folder).as_posix()}"] = leaf
            if path == folder / INDEX:
                found["/"] = leaf
    return found
