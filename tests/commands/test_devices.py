"""``assistant devices``: what there is, and whether it works."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from assistant.commands import devices
from tests.pipelines.mjpeg_server import mjpeg
from tests.soundserver import SoundServer

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments: str) -> tuple[int, str, str]:
    asked = [sys.executable, "-m", "assistant", "devices", *arguments]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


def measured(*arguments: str) -> dict[str, Any]:
    code, out, said = run("--test", "--json", "--seconds", "0.5", *arguments)
    found: dict[str, Any] = json.loads(out)
    assert code == (1 if found["problem"] else 0), said
    return found


def test_devices_are_listed(sound_server: SoundServer) -> None:
    code, out, said = run()
    assert (code, said) == (0, "")
    microphones, _, rest = out.partition("speakers:")
    assert "desk_microphone, ALSA" in microphones
    assert "kitchen_speaker, ALSA" in rest
    assert "cameras:" in rest
    code, out, _ = run("--json")
    assert {"desk_microphone", "kitchen_speaker"} <= {row["name"] for row in json.loads(out)["speakers"]}


def test_the_way_from_the_speaker_to_the_microphone_is_measured(sound_server: SoundServer) -> None:
    found = measured("--microphone", "echo_of", "--speaker", "desk_speaker")
    assert found["problem"] == ""
    assert -50 < found["delay_ms"] < 150
    assert found["delay_ms"] < found["round_trip_ms"] < 500
    code, out, _ = run("--test", "--seconds", "0.5", "--microphone", "echo_of", "--speaker", "desk_speaker")
    assert code == 0
    assert "ms after it left the speaker" in out


def test_a_microphone_that_hears_nothing_is_told(sound_server: SoundServer) -> None:
    found = measured("--microphone", "desk_microphone", "--speaker", "desk_speaker")
    assert "hears nothing" in found["problem"]
    assert found["delay_ms"] is None
    assert found["level_dbfs"] == -120.0


def test_a_speaker_that_is_not_heard_is_told(sound_server: SoundServer) -> None:
    feeder = sound_server.feed(16_000, noise(16_000 * 20))
    try:
        found = measured("--microphone", "desk_microphone", "--speaker", "kitchen_speaker")
    finally:
        feeder.kill()
        feeder.wait()
    assert "was not heard" in found["problem"]
    assert -60 < found["level_dbfs"] < -30


def noise(samples: int) -> NDArray[np.int16]:
    return np.random.default_rng(1).normal(0, 200, samples).astype(np.int16)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--test", "--microphone", "bedroom"), "no microphone is called 'bedroom'"),
        (("--test", "--speaker", "desk"), "more than one speaker is called 'desk'"),
        (("--test", "--seconds", "0"), "no time to listen"),
    ],
)
def test_what_cannot_be_tested_is_said_in_one_line(
    arguments: tuple[str, ...], said: str, sound_server: SoundServer
) -> None:
    code, out, told = run(*arguments)
    assert (code, out) == (2, "")
    assert said in told
    assert "Traceback" not in told


def test_without_a_sound_server_there_is_nothing_to_list_or_test(sound_server: SoundServer) -> None:
    sound_server.stop()
    code, out, _ = run()
    assert code == 0
    assert out.count("  none") >= 2
    code, _, said = run("--test")
    assert code == 2
    assert "start the sound server" in said


def test_cameras_are_what_the_kernel_shows(tmp_path: Path) -> None:
    for number, name in ((10, "Integrated Camera\n"), (2, "USB Cam\n")):
        (tmp_path / f"video{number}").mkdir()
        (tmp_path / f"video{number}" / "name").write_text(name)
    (tmp_path / "video3").mkdir()
    found = [(camera.device, camera.name) for camera in devices.cameras(tmp_path)]
    assert found == [("/dev/video2", "USB Cam"), ("/dev/video3", "unnamed"), ("/dev/video10", "Integrated Camera")]
    assert devices.cameras(tmp_path / "none") == []


def test_a_camera_is_measured() -> None:
    with mjpeg(np.asarray(cv2.imread(str(ROOT / "config/demo/table-1.png")), np.uint8)) as camera:
        secret = camera.url.replace("//", "//joe:ge-heim@")
        code, out, said = run("--camera", secret, "--seconds", "1", "--json")
        assert (code, "ge-heim" in out + said) == (0, False), out + said
        (found,) = json.loads(out)["cameras"]
        assert (found["camera"], found["problem"]) == (camera.url, "")
        assert found["fps"] > 5
        camera.picture = np.zeros((48, 64, 3), np.uint8)
        code, out, _ = run("--camera", camera.url, "--seconds", "0.5")
        assert code == 1
        assert "64x48" in out
        assert "it is dark" in out


def test_a_camera_that_is_none_is_told() -> None:
    assert run("--camera", "/dev/video97")[:2] == (
        1,
        "camera: /dev/video97\n  there is no camera /dev/video97; is it plugged in?\n",
    )
    code, _, said = run("--camera", "ftp://x/y")
    assert (code, "is no URL of a camera" in said) == (78, True)
