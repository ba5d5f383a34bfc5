"""Serves the joined tables of all areas with uvicorn, in a thread beside the service's own loop."""

import asyncio
import contextlib
import importlib.metadata
import logging
import re
import socket
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import uvicorn
from starlette.requests import ClientDisconnect, Request
from starlette.routing import compile_path
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from assistant import paths
from assistant.gateway import about, audio, daemon, errors, events, health, ollama, openai, openapi, page, patience, tls
from assistant.gateway.errors import Refusal
from assistant.gateway.guard import Guard, refuse
from assistant.gateway.keys import Keys, read
from assistant.gateway.link import Closed, Link, Overrun, Unreachable
from assistant.gateway.monitor import ROUTE, Counted
from assistant.gateway.routes import Gate, Route, SocketRoute, written
from assistant.gateway.settings import Settings
from assistant.service import RESOLVED, Service

log = logging.getLogger(__name__)

# Each area's table; the document of the API lists them in this order.
TABLES: tuple[Sequence[Route], ...] = (
    daemon.ROUTES,
    about.ROUTES,
    health.ROUTES,
    openai.ROUTES,
    audio.ROUTES,
    ollama.ROUTES,
)


async def document(request: Request, gate: Gate) -> dict[str, Any]:
    return openapi.document((route for table in (*TABLES, OWN) for route in table), gate.version)


OWN = (Route("GET", "/api/v1/openapi.json", document, "This document", answer=dict, access="open", tags=("daemon",)),)
SOCKETS: tuple[SocketRoute, ...] = (*events.ROUTES,)

SOCKET_BYTES = 1_000_000  # of one WebSocket message: six seconds of sound at 48 kHz, and far longer commands
STOP_S = 2  # for what is being answered to end, once the gateway is told to


def serve(service: Service, settings: Settings) -> None:
    """Until the service is told to stop. Raises Unfit for settings with which it must not start."""
    keys = Keys(read(settings))
    names = tls.own_names()
    pair = tls.pair(settings, service.state_dir, names)
    listener = _listener(settings)
    config = msgspec.json.decode((service.bus.runtime / RESOLVED).read_bytes(), type=dict[str, Any])
    version = importlib.metadata.version(paths.NAME)
    link = Link(service, tuple(config.get("supervisor", {}).get("services", ())), version)
    gate = Gate(link, settings, config, service.clock, version, keys, service.state_dir)
    app = Counted(Guard(Dispatch(gate, (*TABLES, OWN), SOCKETS), settings, names), gate.monitor.metrics)
    thread = WebThread(app, link, service, listener, settings, pair)
    thread.start()
    service.figures["port"] = listener.getsockname()[1]
    service.ready(_url(settings, listener.getsockname()[1], pair is not None))
    try:
        while service.running:
            link.pump()
            if not thread.is_alive():
                raise RuntimeError("the web server has stopped by itself")
    finally:
        thread.stop()


def _listener(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Inherited by each connection: else a token waits until the client has acknowledged the one before, 40 ms. asyncio
    # sees to that only where a socket says that it speaks TCP.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        listener.bind((settings.host, settings.port))
        listener.listen(4 * settings.limits.clients)
    except OSError as error:
        listener.close()
        raise OSError(
            f"the gateway cannot listen at {settings.host} port {settings.port} ({error.strerror}); "
            "see which program does (ss -ltnp), or set gateway.port"
        ) from error
    listener.setblocking(False)
    return listener


def _url(settings: Settings, port: int, secure: bool) -> str:
    """Where it is to be reached: by another machine, if others can."""
    host = settings.host
    if host in ("0.0.0.0", "::"):
        host = next(iter(tls.own_addresses()), "127.0.0.1")
    return f"http{'s' if secure else ''}://{f'[{host}]' if ':' in host else host}:{port}"


class WebThread(threading.Thread):
    """uvicorn and its loop. It ends when the process does, or when it is told to."""

    def __init__(
        self,
        app: ASGIApp,
        link: Link,
        service: Service,
        listener: socket.socket,
        settings: Settings,
        pair: tls.Pair | None,
    ) -> None:
        super().__init__(name="web", daemon=True)
        self._link, self._service, self._listener = link, service, listener
        self._up = threading.Event()
        config = uvicorn.Config(
            app,
            loop="asyncio",
            http=patience.protocol(settings.limits),
            ws="websockets-sansio",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            ws_per_message_deflate=False,
            timeout_graceful_shutdown=STOP_S,
            limit_concurrency=4 * settings.limits.clients,  # connections, idle ones too
            ws_max_size=SOCKET_BYTES,
            ssl_certfile=pair and pair.certificate,
            ssl_keyfile=pair and pair.key,
        )
        self._server = uvicorn.Server(config)

    def start(self) -> None:
        """Returns when it takes connections."""
        super().start()
        self._up.wait()

    def run(self) -> None:
        # What it has to say of clients that talk nonsense, anybody could fill the log with.
        logging.getLogger("uvicorn").setLevel(logging.ERROR)
        try:
            # It would warn of each word to a client that has just gone; that one went is no news.
            logging.getLogger("asyncio").setLevel(logging.ERROR)
            asyncio.run(self._run())
        except Exception:
            log.exception("the web server has stopped")
        finally:
            self._up.set()
            self._service.wake()

    async def _run(self) -> None:
        self._link.connect(asyncio.get_running_loop())
        self._up.set()  # the socket listens: whoever connects from now on is served
        await self._server.serve(sockets=[self._listener])

    def stop(self) -> None:
        self._link.close()
        self._server.should_exit = True
        self.join(STOP_S + 1.0)


class Dispatch:
    """From a request to its handler, by the joined tables."""

    def __init__(self, gate: Gate, tables: Sequence[Sequence[Route]], sockets: Sequence[SocketRoute]) -> None:
        self._gate = gate
        self._leaves = page.leaves(paths.web())
        self._sockets = {route.path: route for route in sockets}
        self._fixed: dict[str, dict[str, Route]] = {}
        self._patterns: dict[str, tuple[re.Pattern[str], dict[str, Route]]] = {}
        for route in (route for table in tables for route in table):
            if "{" in route.path:
                pattern = compile_path(route.path)[0]
                self._patterns.setdefault(route.path, (pattern, {}))[1][route.method] = route
            else:
                self._fixed.setdefault(route.path, {})[route.method] = route

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._socket(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            answer = await self._answer(request)
        except Refusal as refusal:
            answer = errors.response(refusal, request.url.path)
        except Unreachable as error:
            answer = errors.response(Refusal(503, "unreachable", f"{error}."), request.url.path)
        except Closed as error:
            answer = errors.response(Refusal(503, "stopping", f"{error}."), request.url.path)
        except Overrun as error:
            answer = errors.response(Refusal(503, "overrun", f"{error}; ask again."), request.url.path)
        except ClientDisconnect:
            return
        await answer(scope, receive, send)

    async def _answer(self, request: Request) -> ASGIApp:
        path, method = request.url.path, request.method
        leaf = self._leaves.get(path)
        if leaf is not None and method in ("GET", "HEAD"):
            return leaf.response(request.headers.get("if-none-match", ""))
        by_method, found = self._find(path)
        if by_method is None:
            raise Refusal(404, "not_found", f"There is nothing at {path[:200]}.", mend="See GET /api/v1/openapi.json.")
        route = by_method.get("GET" if method == "HEAD" else method)
        if route is None:
            allowed = ", ".join(sorted({*by_method, *(["HEAD"] if "GET" in by_method else [])}))
            raise Refusal(
                405, "method_not_allowed", f"{path[:200]} takes {allowed}, not {method}.", headers={"Allow": allowed}
            )
        request.scope["path_params"], request.scope[ROUTE] = found, route.path
        if route.access == "token":
            self._gate.keys.check(request.headers, method, request.state.ours)
        return written(await route.handler(request, self._gate))

    def _find(self, path: str) -> tuple[Mapping[str, Route] | None, Mapping[str, str]]:
        if path in self._fixed:
            return self._fixed[path], {}
        for pattern, by_method in self._patterns.values():
            match = pattern.match(path)
            if match is not None:
                return by_method, match.groupdict()
        return None, {}

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        socket_ = WebSocket(scope, receive, send)
        route = self._sockets.get(scope["path"])
        try:
            if route is None:
                raise Refusal(404, "not_found", "There is no WebSocket here.", mend="Events are at /ws.")
            if route.access == "token":
                self._gate.keys.check(socket_.headers, "GET", socket_.state.ours)
        except Refusal as refusal:
            await refuse(refusal, scope, receive, send)
            return
        scope[ROUTE] = route.path
        with contextlib.suppress(ClientDisconnect):
            await route.handler(socket_, self._gate)
