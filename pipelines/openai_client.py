"""What the three engines named openai share: the official client (openai, Apache-2.0), its key, time-outs, retries and
complaints. It talks to any server with an OpenAI-compatible API: vLLM, SGLang, llama.cpp, Ollama, speaches …

The asynchronous client runs on a thread of its own, because only so can a request be stopped at any moment: a blocking
read ends when the server speaks or when its time is over, and an interrupted user must not wait for that.
"""

import asyncio
import os
import queue
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine, Generator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec

from pipelines.engine import EngineError
from pipelines.engine import Options as EngineOptions

T = TypeVar("T")
Source = Callable[[Any], AsyncIterator[T]]  # opens a request on an AsyncOpenAI client and yields what comes

TRANSIENT = frozenset({408, 409, 425, 429, 500, 502, 503, 504})  # HTTP states worth another try
FIRST_WAIT, LONGEST_WAIT = 0.25, 4.0  # s between tries: doubled each time, or what the server asks for
CLOSING = 2.0  # s that a client gets to close its connections
Seconds = Annotated[float, msgspec.Meta(gt=0, le=3600)]


class Options(EngineOptions, frozen=True, kw_only=True):
    """A key goes only where a profile says so: never from the environment unasked, and never into the settings."""

    base_url: Annotated[str, msgspec.Meta(pattern=r"^https?://[^/]")]  # usually ends in /v1
    model: Annotated[str, msgspec.Meta(min_length=1)]  # as the server calls it
    api_key_env: str = ""  # name of an environment variable that holds the key
    api_key_file: str = ""  # or a file that holds it; a plain name: a credential that systemd hands to the service
    connect_s: Seconds = 3.0
    timeout_s: Seconds = 30.0  # longest silence of the server; the first token counts
    retries: Annotated[int, msgspec.Meta(ge=0, le=10)] = 2  # only as long as nothing of the answer came


class Server:
    """One client of one server. Usable from one thread at a time."""

    def __init__(self, options: Options) -> None:
        """Raises EngineError for a key that cannot be read, ImportError without openai. Does not connect."""
        import openai

        self.options = options
        self._client = openai.AsyncOpenAI(
            base_url=options.base_url,
            api_key=_key(options),
            timeout=openai.Timeout(options.timeout_s, connect=options.connect_s),
            max_retries=0,  # its own retries do not see a stream that dies before its first token
        )
        self._loop = asyncio.new_event_loop()
        thread = threading.Thread(target=_serve, args=(self._loop,), name="openai", daemon=True)
        thread.start()
        self.close = weakref.finalize(self, _close, self._loop, thread, self._client)

    def stream(self, source: Source[T], tick_s: float | None = None) -> Generator[T | None, None, None]:
        """What ``source`` yields; None after every ``tick_s`` seconds without anything. Closing it ends the request.

        Raises EngineError naming the server and the mend: at once, or after what had come.
        """
        came: queue.SimpleQueue[T | _End] = queue.SimpleQueue()
        running = asyncio.run_coroutine_threadsafe(self._pump(source, came), self._loop)
        try:
            while True:
                try:
                    item = came.get(timeout=tick_s)
                except queue.Empty:
                    yield None
                    continue
                if isinstance(item, _End):
                    if item.error is not None:
                        raise self._explained(item.error, item.began) from item.error
                    return
                yield item
        finally:
            running.cancel()

    def call(self, request: Callable[[Any], Coroutine[Any, Any, T]]) -> T:
        """The result of one request that is answered in one piece. Raises EngineError as ``stream`` does."""

        async def source(client: Any) -> AsyncIterator[T]:
            yield await request(client)

        for result in self.stream(source):
            if result is not None:
                return result
        raise EngineError(f"the server at {self.options.base_url} sent an empty answer; see its log")

    async def _pump(self, source: Source[T], came: "queue.SimpleQueue[T | _End]") -> None:
        """Bring everything over, trying again as long as nothing came."""
        wait, tries, began = FIRST_WAIT, self.options.retries, False
        while True:
            try:
                async for item in source(self._client):
                    began = True
                    came.put(item)
            except Exception as error:  # whatever it is, the reader waits for it
                if began or not tries or not _transient(error):
                    return came.put(_End(error, began))
                pause = _asked(error, wait)
            else:
                return came.put(_End())
            await asyncio.sleep(pause)
            wait, tries = wait * 2, tries - 1

    def _explained(self, error: Exception, began: bool) -> EngineError:
        import openai

        url, model = self.options.base_url, self.options.model
        if isinstance(error, EngineError):
            return error
        if _timed_out(error):
            silent = "broke off in mid-answer" if began else "gave no answer"
            return EngineError(
                f"the server at {url} {silent}: nothing for {self.options.timeout_s:g} s; "
                "see whether it is overloaded, or raise timeout_s"
            )
        if isinstance(error, openai.APIStatusError):
            return EngineError(f"{_refusal(error.status_code, url, model)} ({_brief(error)})")
        if began:
            what = "broke off" if isinstance(error, openai.OpenAIError) or _raw(error) else "sent something damaged"
            return EngineError(f"the server at {url} {what} in mid-answer; see its log ({_brief(error)})")
        if isinstance(error, openai.APIConnectionError) or _raw(error):
            why = _brief(error.__cause__ or error)
            return EngineError(f"nothing answers at {url}; start the server or correct base_url ({why})")
        if isinstance(error, openai.OpenAIError):
            return EngineError(f"the server at {url} failed; see its log ({_brief(error)})")
        return EngineError(f"the server at {url} does not speak the OpenAI API; correct base_url ({_brief(error)})")


class _End(msgspec.Struct, frozen=True):
    error: Exception | None = None
    began: bool = False


def _refusal(status: int, url: str, model: str) -> str:
    """One sentence for an HTTP state of 400 and more."""
    match status:
        case 401 | 403:
            return f"the server at {url} refuses the key; set api_key_env or api_key_file"
        case 404:
            return f"the server at {url} knows no model {model!r}, or no such address; correct model or base_url"
        case 429:
            return f"the server at {url} takes no more requests now; wait, or raise its limits"
        case _ if status >= 500:
            return f"the server at {url} failed with state {status}; see its log"
        case _:
            return f"the server at {url} refuses the request with state {status}; correct the engine's options"


def _brief(error: BaseException) -> str:
    """The error's own words on one line; servers put whole pages into them."""
    return " ".join(str(error).split())[:200] or type(error).__name__


def _transient(error: Exception) -> bool:
    """Whether another try may help. After a time-out it will not: the user has waited long enough."""
    import openai

    if isinstance(error, openai.APIStatusError):
        return error.status_code in TRANSIENT
    return (isinstance(error, openai.APIConnectionError) or _raw(error)) and not _timed_out(error)


def _raw(error: Exception) -> bool:
    """Whether it comes from the client's HTTP library: the client wraps what it meets in a stream of events, but not
    what it meets in a stream of bytes."""
    return type(error).__module__.startswith("httpx")


def _timed_out(error: Exception) -> bool:
    import openai

    return isinstance(error, openai.APITimeoutError) or (_raw(error) and type(error).__name__.endswith("Timeout"))


def _asked(error: Exception, wait: float) -> float:
    """Seconds until the next try: what a busy server asks for, within bounds."""
    headers = getattr(getattr(error, "response", None), "headers", {})
    with suppress(ValueError):  # it may also be a date
        wait = max(wait, float(headers.get("retry-after", wait)))
    return min(wait, LONGEST_WAIT)


def _key(options: Options) -> str:
    if options.api_key_env and options.api_key_file:
        raise EngineError("api_key_env and api_key_file are both set; keep one of them")
    if options.api_key_env:
        key = os.environ.get(options.api_key_env, "").strip()
        if not key:
            raise EngineError(f"the environment variable {options.api_key_env} (api_key_env) is not set or empty")
        return key
    if options.api_key_file:
        path = Path(options.api_key_file).expanduser()
        if (given := os.environ.get("CREDENTIALS_DIRECTORY")) and path.name == options.api_key_file:
            path = Path(given) / path
        try:
            key = path.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise EngineError(f"cannot read the key from {path} (api_key_file): {error}") from error
        if not key:
            raise EngineError(f"{path} (api_key_file) holds no key")
        return key
    return "none"  # the client insists on one; servers without keys ignore it


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    loop.run_forever()
    loop.close()


def _close(loop: asyncio.AbstractEventLoop, thread: threading.Thread, client: Any) -> None:
    async def end() -> None:
        for task in asyncio.all_tasks():
            if task is not asyncio.current_task():
                task.cancel()
        await client.close()
        await loop.shutdown_asyncgens()
        await loop.shutdown_default_executor()
        loop.stop()

    asyncio.run_coroutine_threadsafe(end(), loop)
    if threading.current_thread() is not thread:
        thread.join(CLOSING)
