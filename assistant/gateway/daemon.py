"""/api/v1: the daemon itself. How it is, and what can be told to it."""

from starlette.requests import Request

from assistant.core.snapshot import State
from assistant.gateway.routes import Gate, Route


async def state(request: Request, gate: Gate) -> State:
    """How everything is now."""
    return gate.link.state


ROUTES: tuple[Route, ...] = (
    Route("GET", "/api/v1/state", state, "How everything is now", answer=State, tags=("daemon",)),
)
