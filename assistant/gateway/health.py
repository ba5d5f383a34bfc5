"""For what watches over the daemon: /healthz, /readyz and /metrics."""

from http import HTTPStatus

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from assistant.core.readiness import Missing
from assistant.gateway.routes import Gate, Route


class Health(msgspec.Struct, frozen=True):
    alive: bool


class Readiness(msgspec.Struct, frozen=True):
    ready: bool
    missing: tuple[Missing, ...] = ()


async def healthz(request: Request, gate: Gate) -> Response:
    """Whether the gateway itself works; not whether anything can be asked."""
    return _answer(Health(gate.monitor.alive), gate.monitor.alive)


async def readyz(request: Request, gate: Gate) -> Response:
    missing = gate.monitor.missing()
    return _answer(Readiness(not missing, missing), not missing)


async def metrics(request: Request, gate: Gate) -> Response:
    text, kind = gate.monitor.render(request.headers.get("accept", ""))
    return Response(text, headers={"Content-Type": kind})


def _answer(body: msgspec.Struct, good: bool) -> Response:
    status = HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE
    return Response(msgspec.json.encode(body), status, media_type="application/json")


ROUTES: tuple[Route, ...] = (
    Route("GET", "/healthz", healthz, "Whether the gateway works", answer=Health, access="open", tags=("health",)),
    Route(
        "GET",
        "/readyz",
        readyz,
        "Whether all that the profile asks for works, and if not (503) what is missing and why",
        answer=Readiness,
        tags=("health",),
    ),
    Route("GET", "/metrics", metrics, "Figures for Prometheus", answer="text/plain", tags=("health",)),
)
