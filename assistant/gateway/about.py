"""/api/v1: what the daemon knows of itself. Health with mends, settings without secrets, questions to begin with."""

import re
from collections.abc import Mapping
from typing import Any, cast, get_args

import msgspec
from starlette.requests import Request

from assistant.core import personas
from assistant.core.doctor.words import tell
from assistant.core.snapshot import CameraNow, MicrophoneNow, ServiceNow, SpeakerNow
from assistant.gateway.errors import Refusal
from assistant.gateway.routes import Gate, Route
from assistant.messages import Language

HIDDEN = "***"
_SECRET = re.compile(r"(^|_)(key|token|password|passwd|secret)$")
_IN_URL = re.compile(r"(?<=://)[^\s/]*:[^\s]*@")


class Check(msgspec.Struct, frozen=True):
    """One of `assistant doctor`'s."""

    check: str
    group: str
    status: str  # ok, warning, failure, not checked
    fact: str
    mend: str


class Health(msgspec.Struct, frozen=True):
    services: dict[str, ServiceNow]
    microphone: MicrophoneNow
    camera: dict[str, CameraNow]
    speaker: SpeakerNow
    checks: tuple[Check, ...]
    language: str


class Presets(msgspec.Struct, frozen=True):
    language: str
    questions: tuple[str, ...]


def language(request: Request, gate: Gate) -> Language:
    """That of the query, else the one that dialogue speaks. Raises Refusal (400)."""
    wanted = request.query_params.get("language", "") or gate.link.state.dialogue.language or "en"
    if wanted not in get_args(Language):
        there = ", ".join(get_args(Language))
        raise Refusal(400, "invalid_query", f"language must be one of: {there}.", "language")
    return cast(Language, wanted)


async def health(request: Request, gate: Gate) -> Health:
    spoken = language(request, gate)
    now = gate.link.state
    checks = []
    for finding in await gate.doctor.findings():
        fact, mend = tell(finding, spoken)
        checks.append(Check(finding.check, finding.group, finding.status, fact, mend))
    return Health(now.services, now.microphone, now.camera, now.speaker, tuple(checks), spoken)


async def config(request: Request, gate: Gate) -> dict[str, Any]:
    return cast(dict[str, Any], discreet(dict(gate.config)))


def discreet(values: Any, key: str = "") -> Any:
    """Settings that anybody may see: no passwords in addresses, nothing whose name says that it is a secret."""
    if isinstance(values, Mapping):
        return {name: discreet(inner, name) for name, inner in values.items()}
    if isinstance(values, list | tuple):
        return [discreet(inner, key) for inner in values]
    if isinstance(values, str) and values:
        return HIDDEN if _SECRET.search(key) else _IN_URL.sub(f"{HIDDEN}@", values)
    return values


async def presets(request: Request, gate: Gate) -> Presets:
    spoken = language(request, gate)
    return Presets(spoken, personas.PRESET_QUESTIONS[spoken])


ROUTES: tuple[Route, ...] = (
    Route(
        "GET",
        "/api/v1/health",
        health,
        "Every service and device, and what `assistant doctor` finds, with its mends",
        answer=Health,
        tags=("daemon",),
        query={"language": Language},
    ),
    Route("GET", "/api/v1/config", config, "The settings in force; secrets are hidden", answer=dict, tags=("daemon",)),
    Route(
        "GET",
        "/api/v1/presets",
        presets,
        "Questions to begin with",
        answer=Presets,
        tags=("daemon",),
        query={"language": Language},
    ),
)
