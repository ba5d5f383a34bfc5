"""What others measured of a model, beside what was measured here: which entry is meant, and where they contradict."""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from assistant.core.manifest import Entry, Manifest, Speed

FIGURES = ("tokens_per_s", "prefill_ms", "prefill_tokens", "encoder_s", "ram_mb")
COMPARED = ("tokens_per_s", "encoder_s", "ram_mb")  # the prefill's depends on how many tokens it had
CLOSE = 1.05  # figures that differ by less say the same


class Published(NamedTuple):
    model: str  # the entry's name
    figures: list[dict[str, Any]]  # one for each source: soc, source, and those of FIGURES that it gives
    contradictions: dict[str, list[dict[str, Any]]]  # figure -> value and source of each that gives it


def find(manifest: Manifest, names: Sequence[str], soc: str) -> Published | None:
    """The entry with figures that one of ``names`` means: of an entry, a family, a folder or a file, however it is
    spelt. ``soc``: only figures of this one; "" all."""
    wanted = [_plain(name) for name in names if name]
    known = [
        (len(base), name, entry)
        for name, entry in manifest.models.items()
        if entry.speed and (base := _base(name, entry)) and any(one.startswith(base) for one in wanted)
    ]
    if not known:
        return None
    _, name, entry = max(known)[:3]
    rows = [speed for speed in entry.speed if soc in ("", speed.soc)]
    return Published(name, [_given(row) for row in rows], _contradictions(rows))


def _contradictions(rows: Sequence[Speed]) -> dict[str, list[dict[str, Any]]]:
    """Figures of which two sources on one SoC say something else."""
    found = {}
    for figure in COMPARED:
        for soc in dict.fromkeys(row.soc for row in rows):
            told = [(getattr(row, figure), row.source) for row in rows if row.soc == soc and getattr(row, figure)]
            values = [value for value, _ in told]
            if values and max(values) > CLOSE * min(values):
                key = f"{figure} ({soc})" if len({row.soc for row in rows}) > 1 else figure
                found[key] = [{"value": value, "source": source} for value, source in told]
    return found


def _given(row: Speed) -> dict[str, Any]:
    values = msgspec.structs.asdict(row)
    return {"soc": row.soc, "source": row.source, **{name: values[name] for name in FIGURES if values[name]}}


def _base(name: str, entry: Entry) -> str:
    """The entry's name without its SoC."""
    for soc in entry.soc:
        name = name.removesuffix(f"-{soc}")
    return _plain(name)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
