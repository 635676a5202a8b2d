"""Files that pages are drawn with: named by their content, so that a browser keeps them for good."""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from flask import Blueprint, Response, request
from werkzeug.exceptions import NotFound

from web.access import access

FOLDER = Path(__file__).parent.parent
KINDS = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}
NAMED = re.compile(r'(?<=url\(")([^":]+)(?="\))')
FOR_GOOD = "public, max-age=31536000, immutable"


@dataclass(frozen=True)
class File:
    """A file as it is sent. `packed`: with gzip, where that makes it smaller."""

    url: str
    kind: str
    whole: bytes
    packed: bytes | None


Files = Mapping[str, File]


@cache
def load() -> Files:
    """All of them, by path: those of `static/`, and the script or style that a page keeps in its folder."""
    files: dict[str, File] = {}
    # Styles last: what they name is there by then.
    for path in sorted(FOLDER.rglob("*"), key=lambda path: (path.suffix == ".css", path)):
        if path.suffix in KINDS:
            name = path.relative_to(FOLDER).as_posix().removeprefix("static/")
            files[name] = _file(name, path, files)
    return files


def views(files: Files) -> Blueprint:
    """Serves them to everybody. A name with another digest is not there."""
    blueprint = Blueprint("assets", __name__)

    @access(public=True)
    def asset(digest: str, name: str) -> Response:
        file = files.get(name)
        if file is None or file.url != f"/static/{digest}/{name}":
            raise NotFound
        return _sent(file)

    blueprint.add_url_rule("/static/<digest>/<path:name>", "asset", asset)
    return blueprint


def _sent(file: File) -> Response:
    packed = file.packed is not None and request.accept_encodings["gzip"] > 0
    response = Response(file.packed if packed else file.whole, content_type=file.kind)
    if packed:
        response.headers["Content-Encoding"] = "gzip"
    response.headers["Cache-Control"] = FOR_GOOD
    response.vary.add("Accept-Encoding")
    return response


def _file(name: str, path: Path, files: Files) -> File:
    whole = path.read_bytes()
    if path.suffix == ".css":
        whole = NAMED.sub(lambda named: files[named[1]].url, whole.decode()).encode()
    kind = KINDS[path.suffix]
    packed = None if path.suffix == ".woff2" else gzip.compress(whole, 9, mtime=0)
    return File(f"/static/{hashlib.sha256(whole).hexdigest()[:12]}/{name}", kind, whole, packed)
