"""The part of a conversion that rknn-toolkit2 does: ``python -m models.convert.rknn_worker FOLDER``, by child.work.

Its API of 2.5.0: methods return 0 or -1, and raise ValueError for arguments that they do not take; ``inference`` gives
None where it failed. Reasons are printed only, so the log is where they are.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from models.convert.child import stage


class _Failed(Exception):
    pass


def main(folder: Path) -> None:
    job = json.loads((folder / "job.json").read_text())
    try:
        found = _convert(job, folder)
    except _Failed as error:
        found = {"failed": str(error)}
    except Exception as error:  # the toolkit raises ValueError, and whatever its libraries raise
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        found = {"failed": f"the toolkit raised {type(error).__name__} at {(folder / 'stage').read_text()!r}"}
    (folder / "result.json").write_text(json.dumps(found))


def _convert(job: dict[str, Any], folder: Path) -> dict[str, Any]:
    from rknn.api import RKNN

    def must(code: Any, doing: str) -> None:
        if code != 0:
            raise _Failed(f"the toolkit could not {doing} (it returned {code})")

    rknn = RKNN(verbose=False)
    stage(folder, "configuring")
    must(rknn.config(**job["config"]), "take these options")
    stage(folder, "loading the graph")
    must(rknn.load_onnx(**job["load"]), "load the graph")
    stage(folder, "building, the longest part")
    must(rknn.build(**job["build"]), "build the model")
    stage(folder, "writing the model")
    must(rknn.export_rknn(job["export"]), f"write {job['export']}")
    stage(folder, "starting its simulator")
    must(rknn.init_runtime(), "start its simulator")
    with np.load(folder / "pictures.npz") as archive:
        fed = [archive[name] for name in sorted(archive.files)]
    for number, values in enumerate(fed):
        stage(folder, f"simulating picture {number + 1} of {len(fed)}")
        outputs = rknn.inference(inputs=[values], data_format=[job["layout"]])
        if not outputs:
            raise _Failed(f"the simulator failed on picture {number + 1}")
        np.savez(folder / f"simulated-{number:05}.npz", *outputs)
    rknn.release()
    return {"pictures": len(fed)}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
