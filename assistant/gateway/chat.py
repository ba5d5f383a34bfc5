"""What every chat API shares: the conversation's limits, the model's name, and who asks."""

from starlette.requests import Request

from assistant.core.rates import client_of
from assistant.core.snapshot import DialogueNow
from assistant.gateway.errors import Refusal
from assistant.gateway.routes import Gate
from assistant.messages import Script, Shown

MESSAGES = 5_000
TEXT = 10_000_000  # characters of all messages together
STOPS = 16
PICTURES = 16


def client(request: Request) -> str:
    """Whom a request is of, for the queue."""
    return client_of(request.client.host if request.client is not None else "")


def model(gate: Gate) -> DialogueNow:
    """Raises Refusal (503) while there is no language model."""
    state = gate.link.state
    if state.dialogue.model:
        return state.dialogue
    starting = not state.dialogue.persona
    why, mend = "has no language model", "Get one: assistant models pull cpu-en."
    if starting:
        why, mend = "is still starting", "Try again in a moment."
    raise Refusal(503, "no_model", f"The assistant {why}.", mend=mend, headers={"Retry-After": "5"})


def check_model(gate: Gate, asked: str) -> DialogueNow:
    """Raises Refusal (404) for another model than there is."""
    state = model(gate)
    if asked.removesuffix(":latest") != state.model:
        told = f"The model {asked[:100]!r} does not exist; there is {state.model!r}."
        raise Refusal(404, "model_not_found", told, "model")
    return state


def check_size(script: Script) -> Script:
    """Raises Refusal for a conversation that is longer than anybody's."""
    if len(script.messages) > MESSAGES:
        told = f"There are {len(script.messages)} messages; at most {MESSAGES} are taken."
        raise Refusal(400, "too_many_messages", told, "messages")
    parts = [part for said in script.messages for part in said.content]
    length = sum(len(part) for part in parts if isinstance(part, str))
    if length > TEXT:
        raise Refusal(413, "too_much_text", f"There are {length} characters; at most {TEXT} are taken.", "messages")
    pictures = sum(isinstance(part, Shown) for part in parts)
    if pictures > PICTURES:
        told = f"There are {pictures} pictures; at most {PICTURES} are taken."
        raise Refusal(400, "too_many_pictures", told, "messages")
    return script


def stops(given: str | list[str] | None, param: str = "stop") -> tuple[str, ...]:
    """Raises Refusal for too many."""
    found = (given,) if isinstance(given, str) else tuple(given or ())
    if len(found) > STOPS or any(len(stop) > 1_000 for stop in found):
        raise Refusal(400, "too_many_stops", f"At most {STOPS} stop strings are taken, of 1000 characters each.", param)
    return tuple(stop for stop in found if stop)


def natural(seed: int | None) -> int | None:
    """A seed as the engines take it."""
    return None if seed is None else seed % 2**63
