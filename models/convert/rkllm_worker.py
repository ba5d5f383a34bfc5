"""The part of a conversion that rkllm-toolkit does: ``python -m models.convert.rkllm_worker FOLDER``, by child.work.

Its methods return 0 or another number, or for ``get_logits`` None; why is printed only, so the log is where it stands.
"""

import json
import sys
from pathlib import Path
from typing import Any

from models.convert.child import stage
from models.convert.perplexity import perplexity


class _Failed(Exception):
    pass


def main(folder: Path) -> None:
    job = json.loads((folder / "job.json").read_text())
    try:
        found = _update(job, folder) if "update" in job else _convert(job, folder)
    except _Failed as error:
        found = {"failed": str(error)}
    except Exception as error:  # whatever the toolkit's libraries raise
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        found = {"failed": f"the toolkit raised {type(error).__name__} at {(folder / 'stage').read_text()!r}"}
    (folder / "result.json").write_text(json.dumps(found))


def _convert(job: dict[str, Any], folder: Path) -> dict[str, Any]:
    from rkllm.api import RKLLM

    llm = RKLLM()
    stage(folder, "loading the model")
    _must(getattr(llm, job["loader"])(**job["load"]), "load the model")
    stage(folder, "building, the longest part")
    _must(llm.build(**job["build"]), "build the model")
    checks: dict[str, Any] = {}
    if job["chat"]:
        stage(folder, "asking the simulated model")
        checks["asked"] = job["chat"]
        checks["answered"] = str(llm.chat_model(job["chat"], job["sampling"]))
    if job["perplexity"]:
        stage(folder, "perplexity")
        checks["perplexity"] = _perplexity(llm, job, folder)
    stage(folder, "writing the model")
    _must(llm.export_rkllm(job["export"]), f"write {job['export']}")
    return {"checks": checks}


def _perplexity(llm: Any, job: dict[str, Any], folder: Path) -> float:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(job["tokenizer"], trust_remote_code=job["trust_remote_code"])
    ids = tokenizer(Path(job["perplexity"]).read_text(), return_tensors="pt").input_ids

    def told(done: int, total: int) -> None:
        stage(folder, f"perplexity, piece {done} of {total}")

    try:
        return perplexity(ids, lambda piece: llm.get_logits({"input_ids": piece}), told, job["perplexity_tokens"])
    except ValueError as error:
        raise _Failed(f"no perplexity: {error}") from error


def _update(job: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Where the new file goes is nowhere written, so it is given a copy, and what it leaves is looked for."""
    from rkllm.api import RKLLM

    stage(folder, "updating the model")
    _must(RKLLM().update_rkllm(model=job["update"]), "update the model")
    return {}


def _must(code: Any, doing: str) -> None:
    if code != 0:
        raise _Failed(f"the toolkit could not {doing} (it returned {code})")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
