"""What a client cannot have, said in the shape that its API expects."""

from http import HTTPStatus
from typing import Any

import msgspec
from starlette.responses import Response

OLLAMA = ("/api/tags", "/api/show", "/api/ps", "/api/version", "/api/chat", "/api/generate")


class Refusal(Exception):
    """A request that is not granted. ``message``: one sentence that names the thing and the mend."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        param: str = "",
        *,
        mend: str = "",
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.param = status, code, message, param
        self.mend, self.headers = mend, headers or {}


class Problem(msgspec.Struct, frozen=True):
    message: str
    mend: str
    code: str


class ErrorDocument(msgspec.Struct, frozen=True):
    """What /api/v1 answers when it refuses."""

    error: Problem


def told(refusal: Refusal, path: str) -> dict[str, Any]:
    """The body of an error, as the clients of this path know it: OpenAI's, Ollama's, or the daemon's own."""
    if path in ("/v1", "/rkllm_chat") or path.startswith("/v1/"):
        kind = "invalid_request_error" if refusal.status < HTTPStatus.INTERNAL_SERVER_ERROR else "server_error"
        kinds = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
        text = f"{refusal.message} {refusal.mend}".strip()
        return {
            "error": {
                "message": text,
                "type": kinds.get(refusal.status, kind),
                "param": refusal.param or None,
                "code": refusal.code,
            }
        }
    if path in OLLAMA:
        return {"error": f"{refusal.message} {refusal.mend}".strip()}
    return {"error": {"message": refusal.message, "mend": refusal.mend, "code": refusal.code}}


def response(refusal: Refusal, path: str) -> Response:
    body = msgspec.json.encode(told(refusal, path))
    return Response(body, refusal.status, refusal.headers, media_type="application/json")
