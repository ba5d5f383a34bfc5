"""Nothing leaves the device: no library that we load keeps an identity of it or reports about it."""

import os
import subprocess
import sys
from pathlib import Path


def test_onnxruntime_keeps_no_identity_and_reports_nothing(tmp_path: Path) -> None:
    """Where its reporting is on, importing it leaves a device id and a queue of events on the disk."""
    environ = {name: value for name, value in os.environ.items() if "TELEMETRY" not in name and name != "CI"}
    home = {"HOME": str(tmp_path), "TMPDIR": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    code = "import pipelines, onnxruntime"
    subprocess.run([sys.executable, "-c", code], env={**environ, **home}, check=True, timeout=60)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
