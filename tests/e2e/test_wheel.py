"""The wheel, installed in an empty environment and far from the checkout, holds the demo."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


def quietly(command: list[str], folder: Path) -> None:
    subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL)


@pytest.mark.timeout(420)
def test_the_wheel_holds_the_demo_outside_the_checkout(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    quietly(build, tmp_path)
    wheel = next(tmp_path.glob("*.whl"))
    held = zipfile.ZipFile(wheel).namelist()
    for needed in (
        "config/demo.toml",
        "config/boards/rk3588.toml",
        "models/pico/model/config.json",
        "models/manifest.toml",
        "systemd/common/unit.conf",
    ):
        assert f"assistant/shipped/{needed}" in held
    assert "assistant/web/index.html" in held
    quietly([sys.executable, "-m", "venv", "empty"], tmp_path)
    bin_ = tmp_path / "empty" / "bin"
    install = [str(bin_ / "python"), "-m", "pip", "install", "--quiet", "--prefer-binary", str(wheel)]
    quietly(install, tmp_path)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [str(bin_ / "assistant"), "demo", "--out", "out"], cwd=tmp_path, env=environ, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert (tmp_path / "out" / "turns.jsonl").is_file()
    assert len(list((tmp_path / "out").glob("answer-*.wav"))) >= 10
    assert (tmp_path / "out" / "timeline.png").read_bytes().startswith(b"\x89PNG")
