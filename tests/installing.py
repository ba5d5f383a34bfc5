"""A model of two small files, and where tests put it."""

import hashlib
from pathlib import Path
from typing import Any

from assistant import modelstore
from assistant.core.manifest import Entry, File, Source
from assistant.download import Conditions

FILES = {"config.json": b"{}", "onnx/model.onnx": bytes(range(200)) * 50}
GIVEN = Conditions(lambda path: 1 << 40, lambda seconds: None, 5)


def entry(**changed: Any) -> Entry:
    """A model of two files, of which the manifest knows the first one's sha256."""
    known = hashlib.sha256(FILES["config.json"]).hexdigest()
    files = (
        File(path="config.json", bytes=2, sha256=known),
        File(path="onnx/model.onnx", bytes=0, about_mb=0.01, sha256="", remote="deep/model.onnx"),
    )
    source = Source(page="https://example.org", hf="some/one", revision="abc", modelscope="some/one")
    fields: dict[str, Any] = {
        "role": "asr",
        "engines": ["x"],
        "about": "",
        "languages": ["en"],
        "licence": "MIT",
        "soc": [],
        "runtime": "",
        "ram_mb": 0,
        "verified": True,
        "unverified": [],
        "source": source,
        "files": files,
    }
    return Entry(**(fields | changed))


def laid_out(folder: Path) -> Path:
    for path, data in FILES.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


def whole(home: Path) -> bool:
    held = {p.relative_to(home / "a-model").as_posix() for p in (home / "a-model").rglob("*") if p.is_file()}
    return held == {*FILES, modelstore.RECORD} and all(f.ok for f in modelstore.verify("a-model", entry()))
