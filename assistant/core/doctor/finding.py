"""A finding: which check, how it stands, and the case of words.py that says it, with its values."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

import msgspec

from assistant.core.doctor.facts import Facts

Status = Literal["ok", "warning", "failure", "not checked"]
Group = Literal["board", "libraries", "tuning", "models", "devices", "assistant"]


class Reason(msgspec.Struct, frozen=True):
    """Why an engine cannot run here: a key of words.REASONS."""

    engine: str
    case: str
    detail: str = ""


Values = Mapping[str, "str | int | float | Sequence[Reason]"]


class Verdict(msgspec.Struct, frozen=True):
    """What a check says: a case, and what is put into its text."""

    case: str
    values: Values = {}


Verdicts = Iterator[Verdict]


class Finding(msgspec.Struct, frozen=True):
    check: str
    group: Group
    status: Status
    case: str
    values: Values


class Check(NamedTuple):
    """``npu``: about the NPU or the tuning of its board; not done on a machine that has none."""

    name: str
    group: Group
    npu: bool
    run: Callable[[Facts], Verdicts]
