"""Gateway: the front door for browsers, programs and monitoring. Spoken dialogue goes on without it."""

from assistant.gateway.settings import Settings
from assistant.service import Service

__all__ = ["Settings", "run"]


def run(service: Service, settings: Settings) -> None:
    # Imported here: every command reads the settings above, and only this process needs a web server.
    from assistant.gateway.server import serve

    serve(service, settings)
