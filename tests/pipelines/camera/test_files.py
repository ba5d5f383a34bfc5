"""Video files at their own pace, over and over; picture files and folders."""

import itertools
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipelines import camera
from pipelines.camera import Camera, CameraLost
from pipelines.camera._pictures import Pictures
from pipelines.engine import EngineError

PATIENCE_S = 20.0
STEP = 40  # grey levels from one frame of the video to the next: more than a codec changes


@pytest.fixture
def video(tmp_path: Path) -> Callable[..., Path]:
    """Writes a video of six frames, the n-th of level 20 + 40 n."""

    def write(suffix: str = ".avi", codec: str = "MJPG", fps: float = 10.0, frames: int = 6) -> Path:
        path = tmp_path / f"video{suffix}"
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), fps, (64, 48))
        for number in range(frames):
            writer.write(np.full((48, 64, 3), 20 + STEP * (number % 6), np.uint8))
        writer.release()
        return path

    return write


def frames_of(one: Camera, count: int) -> list[tuple[int, int]]:
    """Number of each frame that comes, and when it came (ns)."""
    found = []
    for _ in range(count):
        shot = one.read(PATIENCE_S)
        assert shot is not None
        found.append((round((float(shot.picture.mean()) - 20) / STEP), shot.at))
    return found


@pytest.mark.parametrize(("suffix", "codec"), [(".avi", "MJPG"), (".mp4", "mp4v")])
def test_a_video_is_played_at_its_own_pace_and_again(video: Callable[..., Path], suffix: str, codec: str) -> None:
    one = camera.load("opencv", {"source": str(video(suffix, codec))})
    found = frames_of(one, 14)
    one.close()
    numbers = [number for number, _ in found]
    steps = [(b - a) % 6 for a, b in itertools.pairwise(numbers)]
    assert set(steps) <= {1, 2, 3}, numbers  # a busy machine skips some
    assert numbers != sorted(numbers), "it was not played again"
    shown = sum(steps)
    seconds = (found[-1][1] - found[0][1]) / 1e9
    assert shown / 10 - 0.3 < seconds < shown / 10 + 2.0


def test_a_reader_that_comes_late_gets_the_newest_frame(video: Callable[..., Path]) -> None:
    one = camera.load("opencv", {"source": str(video(fps=5.0))})
    first, *_, last = frames_of(one, 3)
    assert last[1] - first[1] > 0.2e9
    one.close()
    with pytest.raises(CameraLost, match="was closed"):
        one.read(PATIENCE_S)


@pytest.mark.parametrize("content", [b"", b"no video at all" * 100])
def test_a_file_that_is_no_video(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.mp4"
    path.write_bytes(content)
    one = camera.load("opencv", {"source": str(path)})
    with pytest.raises(CameraLost, match=r"broken\.mp4 cannot be opened"):
        one.read(PATIENCE_S)
    one.close()


def test_a_video_that_is_cut_off_is_played_as_far_as_it_goes(video: Callable[..., Path]) -> None:
    path = video(frames=200)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    one = camera.load("opencv", {"source": str(path)})
    assert [number for number, _ in frames_of(one, 2)] == [0, 1]
    one.close()


def test_a_folder_is_shown_in_turn_and_a_file_read_again_when_it_changes(tmp_path: Path) -> None:
    now = 0

    def put(name: str, level: int) -> None:
        cv2.imwrite(str(tmp_path / name), np.full((4, 6, 3), level, np.uint8))

    put("b.png", 20)
    put("a.png", 10)
    (tmp_path / "notes.txt").write_text("no picture")
    one = Pictures(str(tmp_path), 2.0, lambda: now)
    seen = []
    for now in (0, 1_900_000_000, 2_000_000_000, 4_000_000_000):  # noqa: B007 (the clock reads it)
        shot = one.read()
        assert shot is not None
        seen.append((int(shot.picture[0, 0, 0]), shot.at))
    assert seen == [(10, 0), (10, 1_900_000_000), (20, 2_000_000_000), (10, 4_000_000_000)]
    first, again = one.read(), one.read()
    assert first is not None
    assert again is not None
    assert again.picture is first.picture
    (tmp_path / "a.png").write_bytes(b"broken")
    with pytest.raises(CameraLost, match=r"a\.png: this is no picture"):
        one.read()


def test_a_folder_that_loses_its_pictures(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="holds no picture"):
        camera.load("opencv", {"source": str(tmp_path)})
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), np.zeros((4, 6, 3), np.uint8))
    one = camera.load("opencv", {"source": str(tmp_path)})
    assert one.read() is not None
    path.unlink()
    with pytest.raises(CameraLost, match="holds no picture any more"):
        one.read()
