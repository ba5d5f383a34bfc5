"""Who may reach the gateway, by its settings and the token that they name."""

from collections.abc import Mapping
from typing import Any

from assistant import tokens
from assistant.core import access
from assistant.core.doctor.facts import Door


def look(resolved: Mapping[str, Any]) -> Door | None:
    """None where the gateway is not started."""
    settings = resolved.get("gateway")
    if settings is None or "gateway" not in resolved.get("supervisor", {}).get("services", ("gateway",)):
        return None
    host, tls = settings.get("host", ""), settings.get("tls", "auto")
    why, unseen = "", False
    try:
        tokens.read(host, settings.get("token_file", ""))
    except tokens.NotHere as error:
        why, unseen = str(error), True
    except tokens.TokenError as error:
        why = str(error)
    return Door(
        host=host,
        port=settings.get("port", 0),
        wide=not access.loopback(host),
        secure=tls != "off" and not (tls == "auto" and access.loopback(host)),
        why=why,
        unseen=unseen,
    )
