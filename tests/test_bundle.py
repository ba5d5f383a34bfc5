"""Models on a USB stick: what is carried, and everything that is refused."""

import contextlib
import hashlib
import io
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant import bundle, modelstore
from assistant.bundle import BundleError, Index
from assistant.download import Conditions, DownloadError
from assistant.modelstore import StoreError
from tests.installing import FILES, GIVEN, entry, laid_out, whole


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ASSISTANT_MODELS", str(tmp_path / "models of mine"))
    return tmp_path / "models of mine"


@pytest.fixture
def bundled(home: Path, tmp_path: Path) -> Path:
    laid_out(home / "a-model")
    laid_out(home / "own")
    out = tmp_path / "stick.tar"
    size = bundle.write(["a-model", "own"], {"a-model": entry()}, out, lambda text: None, GIVEN)
    assert size == out.stat().st_size
    return out


def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("ASSISTANT_MODELS", str(tmp_path / "board"))
    return tmp_path / "board"


def load(source: Path, conditions: Conditions = GIVEN) -> list[str]:
    return bundle.read(source, lambda text: None, conditions)


def test_a_bundle_carries_models(bundled: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    board = elsewhere(monkeypatch, tmp_path)
    assert load(bundled) == ["a-model", "own"]
    assert whole(board)
    assert (board / "own" / "onnx" / "model.onnx").read_bytes() == FILES["onnx/model.onnx"]
    assert load(bundled) == ["a-model", "own"]  # over an older install
    assert [f.ok for f in modelstore.verify("own", None)] == [True, True]


def test_a_bundle_needs_whole_models(home: Path, tmp_path: Path) -> None:
    laid_out(home / "a-model")
    (home / "a-model" / "config.json").write_bytes(b"[]")
    with pytest.raises(StoreError, match="is damaged here"):
        bundle.write(["a-model"], {"a-model": entry()}, tmp_path / "x.tar", lambda text: None, GIVEN)
    (home / "a-model" / "config.json").unlink()
    with pytest.raises(StoreError, match=r"config.json is missing; pull it first"):
        bundle.write(["a-model"], {"a-model": entry()}, tmp_path / "x.tar", lambda text: None, GIVEN)
    with pytest.raises(StoreError, match="there is no model none"):
        bundle.write(["none"], {}, tmp_path / "x.tar", lambda text: None, GIVEN)
    (home / "a-model" / "config.json").write_bytes(b"{}")
    with pytest.raises(BundleError, match="cannot write"):
        bundle.write(["a-model"], {}, tmp_path / "none" / "x.tar", lambda text: None, GIVEN)
    (home / "a-model" / "a b").write_bytes(b"")
    with pytest.raises(StoreError, match="holds 'a b'; only letters"):
        bundle.write(["a-model"], {}, tmp_path / "x.tar", lambda text: None, GIVEN)
    (home / "bare" / ".git").mkdir(parents=True)
    with pytest.raises(StoreError, match="holds no files"):
        bundle.write(["bare"], {}, tmp_path / "x.tar", lambda text: None, GIVEN)
    assert list(tmp_path.glob("*.tar*")) == []


def tar(path: Path, index: Any, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w") as out:
        data = index if isinstance(index, bytes) else msgspec.json.encode(index)
        for info, body in ((tarfile.TarInfo(bundle.INDEX), data), *members):
            info.size = len(body) if info.isreg() else 0
            out.addfile(info, io.BytesIO(body))
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def index(*paths: str, name: str = "m", size: int = 2, body: bytes = b"{}") -> dict[str, Any]:
    file = {"bytes": size, "sha256": hashlib.sha256(body).hexdigest()}
    return {"format": 1, "models": {name: {"licence": "", "revision": "", "files": dict.fromkeys(paths, file)}}}


GOOD = (member("m/a"), b"{}")
HOSTILE: dict[str, tuple[Any, ...]] = {
    "climbs out in the index": (index("../../x"), (member("m/../../x"), b"{}")),
    "climbs out by the model's name": (index("x", name=".."), (member("../x"), b"{}")),
    "absolute": (index("/tmp/x"), (member("m//tmp/x"), b"{}")),
    "hidden": (index(".ssh"), (member("m/.ssh"), b"{}")),
    "ours": (index("a.part"), (member("m/a.part"), b"{}")),
    "climbs out beside the index": (index("a"), GOOD, (member("../../x"), b"{}")),
    "not announced": (index("a"), GOOD, (member("m/b"), b"{}")),
    "twice": (index("a"), GOOD, GOOD),
    "twice but for case": (index("a", "A"), GOOD),
    "a link": (index("a"), (member("m/a", tarfile.SYMTYPE, "/etc/passwd"), b"")),
    "a hard link": (index("a"), (member("m/a", tarfile.LNKTYPE, "/etc/passwd"), b"")),
    "a device": (index("a"), (member("m/a", tarfile.CHRTYPE), b"")),
    "a folder": (index("a"), (member("m/a", tarfile.DIRTYPE), b"")),
    "another length": (index("a", size=3), GOOD),
    "another sha256": (index("a", body=b"[]"), GOOD),
    "an absurd size": (index("a", size=1 << 50), GOOD),
    "a file too few": (index("a", "b"), GOOD),
    "another format": ({**index("a"), "format": 2}, GOOD),
    "an index that is none": (b"\xff\x00", GOOD),
    "more files than any model has": (index(*(f"f{n}" for n in range(10_001))),),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_bundle_is_refused(kind: str, home: Path, tmp_path: Path) -> None:
    made, *members = HOSTILE[kind]
    with pytest.raises(BundleError, match="is not installed"):
        load(tar(tmp_path / "x.tar", made, *members))
    outside = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "x.tar"]
    assert [p for p in outside if not p.is_relative_to(home / "m") or p.name not in ("a", modelstore.RECORD)] == []


def test_a_folder_that_is_a_link_is_not_followed(home: Path, tmp_path: Path) -> None:
    (home / "m").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (home / "m" / "sub").symlink_to(tmp_path / "outside")
    with pytest.raises(BundleError, match="is a link that leaves the models"):
        load(tar(tmp_path / "x.tar", index("sub/a"), (member("m/sub/a"), b"{}")))
    assert list((tmp_path / "outside").iterdir()) == []


def test_a_bundle_that_does_not_fit(bundled: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    board = elsewhere(monkeypatch, tmp_path)
    with pytest.raises(DownloadError, match="make room"):
        load(bundled, Conditions(lambda path: 1000))
    assert not board.exists()


def test_no_bundle_at_all(home: Path, tmp_path: Path) -> None:
    (tmp_path / "text.tar").write_text("no tar")
    (tmp_path / "empty.tar").write_bytes(b"")
    plain = tarfile.open(tmp_path / "plain.tar", "w")  # noqa: SIM115
    plain.addfile(member("m/a"))
    plain.close()
    for name, says in (("text", "is no bundle"), ("empty", "is no bundle"), ("plain", "does not begin with")):
        with pytest.raises(BundleError, match=says):
            load(tmp_path / f"{name}.tar")
    with pytest.raises(BundleError, match="No such file"):
        load(tmp_path / "none.tar")


def test_a_bundle_cut_anywhere_installs_nothing_half(
    bundled: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    board = elsewhere(monkeypatch, tmp_path)
    data = bundled.read_bytes()
    cut = tmp_path / "cut.tar"
    end = len(data.rstrip(b"\0")) - 1
    for length in range(1, end, max(1, end // 60)):
        cut.write_bytes(data[:length])
        with pytest.raises(BundleError):
            load(cut)
    for path in board.rglob("*"):
        if path.is_file() and path.name != modelstore.RECORD:
            assert path.read_bytes() == FILES[path.relative_to(board).as_posix().partition("/")[2]]


@given(position=st.integers(0, 4095), value=st.integers(0, 255))
def test_a_bundle_with_a_wrong_byte_is_read_or_refused(position: int, value: int) -> None:
    """Bytes of headers and index, in a fresh folder each time."""
    with tempfile.TemporaryDirectory() as where, pytest.MonkeyPatch.context() as patch:
        patch.setenv("ASSISTANT_MODELS", f"{where}/models")
        made = tar(Path(where) / "x.tar", index("a"), (member("m/a"), b"{}"))
        data = bytearray(made.read_bytes())
        data[position] = value
        made.write_bytes(data)
        try:
            load(made)
        except (BundleError, DownloadError):
            pass
        else:
            assert [p for p in Path(where).rglob("*") if p.is_file() and p.read_bytes() == b"{}"]


@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.text(), lambda x: st.dictionaries(st.text(), x)).map(msgspec.json.encode)
)
def test_any_index_is_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(BundleError):
        assert isinstance(bundle.parse(data), Index)
