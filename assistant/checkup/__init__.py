"""What `assistant doctor` sees of a machine: facts out of a system tree, this machine's or a recorded one.

``facts`` looks and ``assistant.core.doctor`` judges; ``findings`` is both. Nothing here prints or opens a device.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from assistant import modelstore
from assistant.checkup import board, doorway, libraries, live, models, record
from assistant.checkup.tree import Tree
from assistant.config import ConfigError
from assistant.core import doctor
from assistant.core.doctor import board as decided
from assistant.core.doctor.facts import Facts, Live, Opened
from assistant.core.doctor.finding import Finding
from assistant.core.manifest import Manifest, ManifestError


def findings(resolved: Mapping[str, Any]) -> list[Finding]:
    """Of this machine, with settings as a service finds them in its file. ``doctor.words.tell`` puts them in words."""
    return doctor.examine(facts(Tree(), resolved))


def facts(tree: Tree, resolved: Mapping[str, Any] | None) -> Facts:
    """Everything but what opening devices shows. Never raises for what a tree holds.

    ``resolved``: the settings; None takes the engines that were recorded with the tree.
    """
    recorded = record.Recorded() if tree.live else record.read(tree.root)
    chosen = models.choices(resolved) if resolved is not None else tuple(recorded.choices)
    seen = Facts(**board.look(tree))
    alive = live.look(board.nodes(tree)) if tree.live else recorded.live
    if tree.live and alive is not None and resolved is not None:
        alive = msgspec.structs.replace(alive, door=doorway.look(resolved))
    machine = (alive.machine if alive else "") or "aarch64"
    looked = libraries.look(tree, chosen, machine) if decided.has_npu(seen) else {}
    for name in ("rkllm", "rknn"):  # a recording holds no libraries, only what they are
        if name in looked and looked[name].problem == "missing" and getattr(recorded, name) is not None:
            looked[name] = getattr(recorded, name)
    written = {model.key: model for model in recorded.models}
    found = tuple(
        written.get(model.key, model) if model.kind == "missing" else model
        for model in models.look(tree, chosen, _manifest())
    )
    opened = tuple(recorded.opened)
    return msgspec.structs.replace(
        seen,
        **looked,
        profile=recorded.profile,
        live=alive,
        choices=chosen,
        models=found,
        opened=opened,
        not_opened=_why(tree, alive, opened),
    )


def _why(tree: Tree, alive: Live | None, opened: tuple[Opened, ...]) -> str:
    """Why no device is open: a case of words.py."""
    if not tree.live:
        return "" if opened else "opened.recorded"
    return "opened.running" if alive and alive.running else "opened.declined"


def _manifest() -> Manifest | None:
    try:
        return modelstore.load()
    except (ConfigError, ManifestError):
        return None  # `assistant models` says what is wrong with it
