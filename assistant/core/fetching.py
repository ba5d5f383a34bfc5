"""Downloads, decided: which address, whether to try again and when, whether a partial file may be continued."""

import email.utils
from collections.abc import Mapping
from typing import Literal, NamedTuple
from urllib.parse import quote, urlsplit

from assistant.core.manifest import Entry, File

HUGGING_FACE = "https://huggingface.co"
MODELSCOPE = "https://www.modelscope.cn"
TRIES = 5  # in a row without any progress
LONGEST_WAIT_S = 120.0  # what a server may ask for before we say so instead of waiting
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})  # statuses that may be gone the next time

Kind = Literal["hf", "modelscope", "url", "folder"]


class Plan(NamedTuple):
    """Where one file comes from."""

    kind: Kind
    where: str  # a URL, or a path relative to the folder


class NoSource(Exception):
    """The model cannot be had from there; the text says from where it can."""


def kind_of(given: str) -> Kind:
    """What ``--from`` means."""
    if given in ("hf", "modelscope"):
        return "hf" if given == "hf" else "modelscope"
    return "url" if given.startswith(("http://", "https://")) else "folder"


def plan(name: str, entry: Entry, file: File, given: str, endpoint: str) -> Plan:
    """The source of one file. ``endpoint`` is HF_ENDPOINT's value or "". Raises NoSource."""
    kind, source = kind_of(given), entry.source
    remote = quote(file.remote or file.path)
    if kind == "hf":
        if not source.hf:
            raise NoSource(
                f"{name} lies on no hub: see {source.page}, put its files "
                f"({', '.join(each.path for each in entry.files)}) into a folder, "
                f"then: assistant models pull {name} --from FOLDER"
            )
        return Plan(kind, f"{endpoint.rstrip('/') or HUGGING_FACE}/{source.hf}/resolve/{source.revision}/{remote}")
    if kind == "modelscope":
        if not source.modelscope:
            raise NoSource(
                f"{name} is not known to be on ModelScope; from China try HF_ENDPOINT=https://hf-mirror.com instead"
            )
        where = f"{MODELSCOPE}/models/{source.modelscope}/resolve/{source.modelscope_revision}/{remote}"
        return Plan(kind, where)
    if kind == "url":
        return Plan(kind, f"{given.rstrip('/')}/{quote(name)}/{quote(file.path)}")
    return Plan(kind, file.path)


def shown(url: str) -> str:
    """An address as people may see it: without credentials, and without the query, where hubs put signatures."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"


def may_carry_token(asked: str, redirected: str) -> bool:
    """Whether the token goes along to where a server sends us: only to the same host, never from https to http."""
    before, after = urlsplit(asked), urlsplit(redirected)
    return (before.scheme, before.netloc) == (after.scheme, after.netloc)


def wait_s(attempt: int, retry_after: str, now: float) -> float:
    """Seconds before the next try: what Retry-After says (seconds, or a date beside ``now``, seconds since 1970), else
    1, 2, 4, 8 …"""
    text = retry_after.strip()
    if text.isdecimal() and len(text) < 8:
        return float(text)
    if text:
        try:
            return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - now)
        except (TypeError, ValueError, OverflowError):
            pass
    return float(2 ** min(attempt, 6))


class Answer(NamedTuple):
    """What a response means for the partial file."""

    start: int  # offset at which its bytes belong
    total: int  # length of the whole file; 0 where the server does not say


def answer(status: int, headers: Mapping[str, str], have: int) -> Answer | None:
    """None for a range that is not the one that was asked for: begin again."""
    length = headers.get("content-length", "")
    if status != 206:
        return Answer(0, int(length) if length.isdecimal() else 0)
    unit, _, span = headers.get("content-range", "").partition(" ")
    first, _, rest = span.partition("-")
    _, _, total = rest.partition("/")
    if unit != "bytes" or not first.isdecimal() or int(first) != have:
        return None
    return Answer(have, int(total) if total.isdecimal() else 0)


def declared_sha256(etag: str) -> str:
    """The sha256 that a hub states for a large file (X-Linked-Etag), or ""."""
    plain = etag.removeprefix("W/").strip('"').lower()
    return plain if len(plain) == 64 and all(c in "0123456789abcdef" for c in plain) else ""


def progress(label: str, done: int, total: int, rate: float) -> str:
    """A line of progress; bytes, and bytes a second."""
    parts = [f"{label}  {megabytes(done)}"]
    if total:
        parts = [f"{label}  {megabytes(done)} of {megabytes(total)}  {100 * done // total:3d} %"]
    parts.append(f"{megabytes(int(rate))}/s")
    if total and rate > 0:
        left = int((total - done) / rate + 0.5)
        parts.append(f"{left // 60}:{left % 60:02d} left")
    return "  ".join(parts)


def megabytes(count: int) -> str:
    """Bytes as people read them, in units of 1000."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} B"
