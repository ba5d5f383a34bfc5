"""What every chat API shares: the conversation's limits, the model's name, and who asks."""

from starlette.requests import Request

from assistant.core.rates import client_of
from assistant.gateway.errors import Refusal
from assistant.gateway.routes import Gate
from assistant.messages import DialogueState, Script, Shown

MESSAGES = 5_000
TEXT = 10_000_000  # characters of all messages together
STOPS = 16
PICTURES = 16


def client(request: Request) -> str:
    """Whom a request is of, for the queue."""
    return client_of(request.client.host if request.client is not None else "")


def dialogue(gate: Gate) -> DialogueState:
    """Raises Refusal (503) while there is no language model."""
    state = gate.link.dialogue
    if state is None or not state.model:
        why = "is still starting" if state is None else "has no language model"
        mend = "Try again in a moment." if state is None else "Get one: assistant models pull cpu-en."
        raise Refusal(503, "no_model", f"The assistant {why}.", mend=mend, headers={"Retry-After": "5"})
    return state


def check_model(gate: Gate, asked: str) -> DialogueState:
    """Raises Refusal (404) for another model than there is."""
    state = dialogue(gate)
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
