"""What `assistant doctor` sees of a machine: facts out of a system tree, this machine's or a recorded one.

``facts`` looks; ``assistant.core.doctor.examine`` judges. Nothing here prints, and no device is opened.
"""

from collections.abc import Iterable

import msgspec

from assistant import modelstore
from assistant.checkup import board, libraries, live, models, record
from assistant.checkup.tree import Tree
from assistant.config import ConfigError, Engine
from assistant.core.doctor import board as decided
from assistant.core.doctor.facts import Facts
from assistant.core.manifest import Manifest, ManifestError

Named = Iterable[tuple[str, str, Engine]]  # dotted key, role, what the settings say


def facts(tree: Tree, named: Named | None) -> Facts:
    """Everything but what opening devices shows. Never raises for what a tree holds.

    ``named`` are the engines of the settings; None takes those that were recorded with the tree.
    """
    recorded = record.Recorded() if tree.live else record.read(tree.root)
    chosen = models.choices(named) if named is not None else tuple(recorded.choices)
    seen = Facts(**board.look(tree))
    alive = live.look(board.nodes(tree)) if tree.live else recorded.live
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
    return msgspec.structs.replace(
        seen, **looked, live=alive, choices=chosen, models=found, opened=tuple(recorded.opened)
    )


def _manifest() -> Manifest | None:
    try:
        return modelstore.load()
    except (ConfigError, ManifestError):
        return None  # `assistant models` says what is wrong with it
