"""Fetch one file over HTTP, to the last byte or not at all.

Python's own urllib does: redirects, proxies, certificates; another library is one more thing to install on a board.

The file grows as NAME.part and is renamed when its length and sha256 are right, so that under its own name it is
always whole. A partial file is continued where it broke off, if it is certain to be the same file: its sha256 is known,
or the server still gives it the same ETag.
"""

import hashlib
import http.client
import os
import shutil
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from email.message import Message
from pathlib import Path
from typing import IO, Any, NamedTuple

from assistant.core import fetching

CHUNK = 1 << 18
STALLED_S = 30.0  # a server that sends nothing for so long is gone
MOST = 1 << 36  # bytes: no model file has 64 GiB
SPARE = 64 << 20  # bytes that are left free on the disk
PROGRESS = 1 << 20  # bytes that make up for a failed try

Told = Callable[[int, int], None]  # bytes there, bytes in all (0: not known)


class DownloadError(Exception):
    """A file could not be had; the text names it and the mend."""


class Unreachable(DownloadError):
    """No server answered."""


class Fetched(NamedTuple):
    bytes: int
    sha256: str
    checked: str  # against whose sha256: "manifest", "hub", or "" where nobody states one


class Conditions(NamedTuple):
    """What the machine is like; tests change it."""

    free: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free
    pause: Callable[[float], None] = time.sleep
    stalled_s: float = STALLED_S
    say: Callable[[str], None] = lambda text: None  # why it takes longer


class _Again(Exception):
    """This try failed in a way that may be gone the next time."""

    def __init__(self, why: str, retry_after: str = "", unreachable: bool = False) -> None:
        super().__init__(why)
        self.retry_after, self.unreachable = retry_after, unreachable


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Keeps the token with the host that it is for, stays with HTTP, and notes what a hub says of the file itself."""

    linked = ""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        self.linked = headers.get("X-Linked-Etag", "") or self.linked
        if not newurl.startswith(("http://", "https://")):
            raise DownloadError(f"{fetching.shown(req.full_url)} redirects to something that is no web address")
        if req.full_url.startswith("https://") and newurl.startswith("http://"):
            raise DownloadError(f"{fetching.shown(req.full_url)} redirects to a connection without encryption")
        known = 307 if code == 308 else code  # which Python 3.10 does not know yet
        made = super().redirect_request(req, fp, known, msg, headers, newurl)
        if made is not None and not fetching.may_carry_token(req.full_url, newurl):
            made.remove_header("Authorization")
        return made

    http_error_308 = urllib.request.HTTPRedirectHandler.http_error_302


def fetch(url: str, target: Path, length: int, sha256: str, token: str, told: Told, given: Conditions) -> Fetched:
    """Download ``url`` to ``target``; a ``length`` of 0 and a ``sha256`` of "" are not known beforehand.

    Raises DownloadError, Unreachable among them; what was received stays as NAME.part unless it is wrong.
    """
    part = _Part(target)
    failures = 0
    while True:
        before = part.have()
        try:
            linked = _attempt(url, part, length, sha256, token, told, given)
            return part.finish(length, sha256, linked, fetching.shown(url))
        except _Again as again:
            failures = 0 if part.have() - before >= PROGRESS else failures + 1
            wait = fetching.wait_s(failures - 1 if failures else 0, again.retry_after, time.time())
            if failures >= fetching.TRIES or wait > fetching.LONGEST_WAIT_S:
                kind = Unreachable if again.unreachable else DownloadError
                asks = f"; it asks to wait {wait:.0f} s" if wait > fetching.LONGEST_WAIT_S else ""
                raise kind(f"{fetching.shown(url)}: {again}{asks}; what came is kept: pull again later") from again
            given.say(f"{fetching.shown(url)}: {again}; trying again in {wait:.0f} s")
        given.pause(wait)


def copy(source: Path, target: Path, length: int, sha256: str, told: Told, given: Conditions) -> Fetched:
    """The same from a file of this machine. Raises DownloadError."""
    part = _Part(target)
    part.drop()
    try:
        total = source.stat().st_size
        _fits(target.parent, total, length, 0, str(source), given)
        with source.open("rb") as stream, part.begin(0, "") as out:
            _pour(stream, out, 0, total, told)
    except OSError as error:
        raise DownloadError(f"cannot copy {source} to {target}: {error.strerror or error}") from error
    return part.finish(length, sha256, "", str(source))


def digest(path: Path) -> str:
    """The sha256 of a file. Raises OSError."""
    found = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            found.update(chunk)
    return found.hexdigest()


class _Part:
    """NAME.part, and the ETag that it belongs to."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self.path = target.with_name(target.name + ".part")
        self._etag = target.with_name(target.name + ".part.etag")

    def have(self) -> int:
        return self.path.stat().st_size if self.path.is_file() else 0

    def etag(self) -> str:
        return self._etag.read_text("latin-1") if self._etag.is_file() else ""

    def begin(self, start: int, etag: str) -> IO[bytes]:
        """The file to go on writing from ``start``; unbuffered, so that what cannot be written is known at once."""
        try:
            self.target.parent.mkdir(parents=True, exist_ok=True)
            strong = etag if etag.isprintable() and not etag.startswith("W/") else ""
            self._etag.write_text(strong, "latin-1", "replace")
            return self.path.open("ab" if start else "wb", buffering=0)
        except OSError as error:
            raise DownloadError(f"cannot write {self.path}: {error.strerror}") from error

    def drop(self) -> None:
        self.path.unlink(missing_ok=True)
        self._etag.unlink(missing_ok=True)

    def finish(self, length: int, sha256: str, linked: str, origin: str) -> Fetched:
        """Check what is there and give it its name. Raises DownloadError, having removed what is wrong."""
        have, found = self.have(), digest(self.path)
        wanted = sha256 or fetching.declared_sha256(linked)
        if (length and have != length) or (wanted and found != wanted):
            self.drop()
            what = f"has {have} bytes, not {length}" if length and have != length else "has another sha256"
            raise DownloadError(
                f"{origin} {what} than it should have: it was changed there or damaged on the way; it was not installed"
            )
        try:
            with self.path.open("rb") as stream:
                os.fsync(stream.fileno())
            self.path.replace(self.target)
        except OSError as error:
            raise DownloadError(f"cannot write {self.target}: {error.strerror}") from error
        self._etag.unlink(missing_ok=True)
        return Fetched(have, found, "manifest" if sha256 else "hub" if wanted else "")


def _attempt(url: str, part: _Part, length: int, sha256: str, token: str, told: Told, given: Conditions) -> str:
    """One connection; returns what the hub states as the file's sha256, if it does. Raises _Again, DownloadError."""
    have, etag = part.have(), part.etag()
    if (have and not (sha256 or etag)) or (length and have > length):
        part.drop()
        have = 0
    if length and sha256 and have == length:
        return ""  # all of it came the last time, but was not given its name
    redirects = _Redirects()
    headers = {"Accept-Encoding": "identity", "User-Agent": "edge-assistant"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if etag:
            headers["If-Range"] = etag
    if token:
        headers["Authorization"] = f"Bearer {token}"
    try:
        opener = urllib.request.build_opener(redirects)
        with opener.open(urllib.request.Request(url, headers=headers), timeout=given.stalled_s) as response:
            _receive(response, part, length, have, told, given)
    except urllib.error.HTTPError as error:
        error.close()
        _refused(error.code, error.headers, url, part)
    except (http.client.InvalidURL, ValueError) as error:
        raise DownloadError(f"{url!r} is no web address: {error}") from error
    except (OSError, http.client.HTTPException) as error:
        raise _broken(error) from error
    return redirects.linked


def _receive(
    response: http.client.HTTPResponse, part: _Part, length: int, have: int, told: Told, given: Conditions
) -> None:
    headers = {name.lower(): value for name, value in response.headers.items()}
    found = fetching.answer(response.status, headers, have)
    if found is None:
        part.drop()
        raise _Again("the server sent another part of the file than was asked for")
    _fits(part.target.parent, found.total, length, found.start, fetching.shown(response.url), given)
    with part.begin(found.start, headers.get("etag", "")) as out:
        done = _pour(response, out, found.start, found.total or length, told)
    if found.total and done < found.total:
        raise _Again(f"the connection broke off after {done} of {found.total} bytes")


def _pour(stream: Any, out: IO[bytes], done: int, total: int, told: Told) -> int:
    """Copy what comes; returns the length of the file. Raises DownloadError where it cannot be written."""
    told(done, total)
    while chunk := stream.read1(CHUNK):  # what is there, so that a stall loses nothing
        try:
            rest = memoryview(chunk)
            while rest:
                rest = rest[out.write(rest) :]
        except OSError as error:
            raise DownloadError(
                f"cannot write {out.name}: {error.strerror}; make room, then pull again: it goes on from there"
            ) from error
        done += len(chunk)
        if done > (total or MOST):
            raise DownloadError(f"{out.name}: the server sends more than it announced; it was not installed")
        told(done, total)
    return done


def _fits(folder: Path, total: int, length: int, have: int, origin: str, given: Conditions) -> None:
    """Raises DownloadError for a file of a wrong or absurd length, or one for which there is no room."""
    if length and total and total != length:
        raise DownloadError(f"{origin} has {total} bytes, but the manifest says {length}: it is another file")
    if total > MOST:
        raise DownloadError(f"{origin} claims to have {total} bytes, which no model has")
    room(folder, (total or length) - have, given)


def room(folder: Path, wanted: int, given: Conditions) -> None:
    """Raises DownloadError where fewer than ``wanted`` bytes, and some to spare, are free."""
    there = folder
    while not there.exists():
        there = there.parent
    free = given.free(there)
    if wanted > 0 and free < wanted + SPARE:
        raise DownloadError(
            f"{folder} has {fetching.megabytes(free)} free, and {fetching.megabytes(wanted + SPARE)} are needed; "
            "make room, or set ASSISTANT_MODELS to a folder on another disk"
        )


def _refused(status: int, headers: Message, url: str, part: _Part) -> None:
    """Raises what a status means."""
    where = fetching.shown(url)
    if status in fetching.PASSING:
        raise _Again(f"the server answers with status {status}", headers.get("Retry-After", ""))
    if status == 416:  # what is here is no part of that file
        part.drop()
        raise _Again("the server has no such part of the file")
    if status in (401, 403):
        raise DownloadError(f"{where} is closed to us (status {status}): accept its licence there and set HF_TOKEN")
    if status == 404:
        raise DownloadError(f"{where} does not exist (status 404): try another --from, or see `models list --json`")
    raise DownloadError(f"{where}: the server answers with status {status}")


def _broken(error: Exception) -> Exception:
    """What a connection that failed means."""
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, DownloadError):
        return reason
    if isinstance(reason, ssl.SSLCertVerificationError):
        return DownloadError(
            f"the server's certificate is not accepted ({reason.verify_message}): is this machine's clock right? "
            "A board without a battery for it may believe that it is 1970"
        )
    if isinstance(reason, socket.gaierror):
        return _Again("the name cannot be resolved: there is no network, or no DNS", unreachable=True)
    if isinstance(reason, TimeoutError):
        return _Again("the server does not answer in time", unreachable=True)
    if isinstance(reason, ConnectionResetError | http.client.HTTPException):
        return _Again("the connection broke off")
    return _Again(f"the server cannot be reached ({getattr(reason, 'strerror', None) or reason})", unreachable=True)
