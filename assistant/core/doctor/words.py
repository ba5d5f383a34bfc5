"""A finding in words, in English and Chinese: the fact, and the mend in one line."""

from collections.abc import Mapping
from typing import cast

from assistant.core.doctor.finding import Finding, Group, Reason, Status
from assistant.core.doctor.wording import Words
from assistant.core.doctor.words_board import BOARD
from assistant.core.doctor.words_machine import MACHINE
from assistant.core.doctor.words_models import MODELS
from assistant.messages import Language

WORDS: Mapping[str, Words] = {**BOARD, **MACHINE, **MODELS}

GROUPS: Mapping[Group, Mapping[Language, str]] = {
    "board": {"en": "board and NPU", "zh": "开发板与 NPU"},
    "libraries": {"en": "libraries", "zh": "运行库"},
    "models": {"en": "engines and models", "zh": "引擎与模型"},
    "assistant": {"en": "the assistant", "zh": "助手本身"},
    "devices": {"en": "sound and camera", "zh": "声音与摄像头"},
    "tuning": {"en": "tuning", "zh": "性能设置"},
}
STATUSES: Mapping[Status, Mapping[Language, str]] = {
    "ok": {"en": "ok", "zh": "正常"},
    "warning": {"en": "warning", "zh": "警告"},
    "failure": {"en": "failure", "zh": "故障"},
    "not checked": {"en": "not checked", "zh": "未检查"},
}
# Why `auto` passes an engine over.
REASONS: Mapping[str, Mapping[Language, str]] = {
    "unconfigured": {"en": "not configured", "zh": "没有配置"},
    "package": {"en": "needs pip install '{detail}'", "zh": "需要 pip install '{detail}'"},
    "model.missing": {"en": "its model is not here ({detail})", "zh": "模型不在（{detail}）"},
    "model.nowhere": {"en": "its model is not here ({detail})", "zh": "模型不在（{detail}）"},
    "no npu": {"en": "there is no Rockchip NPU", "zh": "没有瑞芯微 NPU"},
    "library": {"en": "{detail} is missing or not in order", "zh": "{detail} 缺失或不可用"},
}
DAMAGED: Mapping[Language, str] = {"en": "its model is damaged ({detail})", "zh": "模型已损坏（{detail}）"}


def tell(finding: Finding, language: Language) -> tuple[str, str]:
    """The fact that was seen, and the mend ("" where nothing is to be mended)."""
    words = WORDS[finding.case]
    values = {name: _told(value, language) for name, value in finding.values.items()}
    return words.fact[language].format_map(values), words.mend[language].format_map(values)


def _told(value: object, language: Language) -> str | int | float:
    if isinstance(value, str):  # it may come out of any file, and go to a terminal
        return "".join(each if each.isprintable() else "?" for each in value)
    if isinstance(value, int | float):
        return value
    reasons = cast("tuple[Reason, ...]", value)
    between = "；" if language == "zh" else "; "
    return between.join(str(_told(_reason(reason, language), language)) for reason in reasons)


def _reason(reason: Reason, language: Language) -> str:
    why = REASONS.get(reason.case, DAMAGED)[language].format(detail=reason.detail)
    return f"{reason.engine}：{why}" if language == "zh" else f"{reason.engine}: {why}"
