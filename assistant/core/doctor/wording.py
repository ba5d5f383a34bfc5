"""How the tables of words are written: one row a case."""

from collections.abc import Mapping

import msgspec

from assistant.core.doctor.finding import Status
from assistant.messages import Language


class Words(msgspec.Struct, frozen=True):
    """Texts with the values of a verdict in braces; ``mend`` is "" where nothing is to be mended."""

    status: Status
    fact: Mapping[Language, str]
    mend: Mapping[Language, str]


def ok(en: str, zh: str) -> Words:
    return Words("ok", {"en": en, "zh": zh}, {"en": "", "zh": ""})


def unseen(en: str, zh: str, mend: str = "", mend_zh: str = "") -> Words:
    return Words("not checked", {"en": en, "zh": zh}, {"en": mend, "zh": mend_zh})


def warning(en: str, zh: str, mend: str, mend_zh: str) -> Words:
    return Words("warning", {"en": en, "zh": zh}, {"en": mend, "zh": mend_zh})


def failure(en: str, zh: str, mend: str, mend_zh: str) -> Words:
    return Words("failure", {"en": en, "zh": zh}, {"en": mend, "zh": mend_zh})
