"""Models of this machine: pulled from every kind of source, verified, bundled, imported, and all the ways to fail."""

import contextlib
import hashlib
import io
import tarfile
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant import bundle, download, lock, modelstore
from assistant.bundle import BundleError, Index
from assistant.core.fetching import NoSource
from assistant.core.manifest import Entry, File, Manifest, Set, Source
from assistant.download import Conditions, DownloadError
from assistant.modelstore import StoreError
from tests import hub
from tests.hub import Hub, Manners

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


def pull(given_: str, model: Entry | None = None, conditions: Conditions = GIVEN) -> list[str]:
    return modelstore.pull("a-model", model or entry(), given_, lambda path: lambda done, total: None, conditions)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ASSISTANT_MODELS", str(tmp_path / "models of mine"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    return tmp_path / "models of mine"


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with hub.serving() as found:
        for base in ("/some/one/resolve/abc", "/models/some/one/resolve/master"):
            found.files |= {f"{base}/config.json": FILES["config.json"]}
            found.files |= {f"{base}/deep/model.onnx": FILES["onnx/model.onnx"]}
        found.files |= {f"/share/a-model/{path}": data for path, data in FILES.items()}
        monkeypatch.setenv("HF_ENDPOINT", found.url)
        monkeypatch.setattr("assistant.core.fetching.MODELSCOPE", found.url)
        yield found


def laid_out(folder: Path) -> Path:
    for path, data in FILES.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


def whole(home: Path) -> bool:
    held = {p.relative_to(home / "a-model").as_posix() for p in (home / "a-model").rglob("*") if p.is_file()}
    return held == {*FILES, modelstore.RECORD} and all(f.ok for f in modelstore.verify("a-model", entry()))


@pytest.mark.parametrize("source", ["hf", "modelscope", "url", "folder", "own folder"])
def test_every_kind_of_source(source: str, home: Path, served: Hub, tmp_path: Path) -> None:
    laid_out(tmp_path / "stick" / "a-model")
    where = {
        "url": f"{served.url}/share",
        "folder": str(tmp_path / "stick"),
        "own folder": str(tmp_path / "stick" / "a-model"),
    }.get(source, source)
    assert modelstore.state("a-model", entry()) == "absent"
    assert pull(where) == list(FILES)
    assert modelstore.state("a-model", entry()) == "installed"
    assert whole(home)
    asked = len(served.asked)
    assert pull(where) == []  # what is here is left alone
    assert len(served.asked) == asked


def test_the_token_goes_to_hugging_face_alone(home: Path, served: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret\n")
    pull("hf")
    assert {asked.headers.get("authorization") for asked in served.asked} == {"Bearer hf_secret"}
    served.asked.clear()
    (home / "a-model" / "config.json").unlink()
    pull("modelscope")
    assert {asked.headers.get("authorization") for asked in served.asked} == {None}
    assert "hf_secret" not in (home / "a-model" / modelstore.RECORD).read_text()


def test_a_pull_that_failed_goes_on(home: Path, served: Hub) -> None:
    served.manners += [Manners(), *[Manners(503)] * 5]
    with pytest.raises(DownloadError, match="status 503"):
        pull("hf")
    assert modelstore.state("a-model", entry()) == "partial"
    assert pull("hf") == ["onnx/model.onnx"]
    assert whole(home)


def test_an_older_install_is_repaired(home: Path, served: Hub) -> None:
    laid_out(home / "a-model")
    (home / "a-model" / "config.json").write_text("older and longer")
    assert pull("hf") == ["config.json"]
    assert (home / "a-model" / "config.json").read_bytes() == b"{}"


def test_two_pulls_of_one_model_do_not_collide(home: Path, served: Hub) -> None:
    served.manners += [Manners(pause_s=20)]
    first = threading.Thread(target=pull, args=("hf",))
    first.start()
    assert served.paused.wait(10)
    with pytest.raises(StoreError, match="a-model is being pulled by another process"):
        pull("hf")
    served.go_on.set()
    first.join(10)
    assert whole(home)
    assert list(home.glob(".*.lock")) == []


def test_a_lock_left_by_a_crash_does_not_hold(home: Path, served: Hub) -> None:
    home.mkdir()
    (home / ".a-model.lock").write_text("999999")
    pull("hf")
    assert lock.holder(home / ".a-model.lock") is None


def test_no_room_is_seen_before_anything_is_asked(home: Path, served: Hub) -> None:
    with pytest.raises(DownloadError, match="make room, or set ASSISTANT_MODELS"):
        pull("hf", conditions=Conditions(lambda path: 1000))
    assert served.asked == []


def test_what_cannot_be_had_says_so(home: Path, tmp_path: Path) -> None:
    with pytest.raises(NoSource, match=r"lies on no hub: see https://example\.org"):
        pull("hf", entry(source=Source(page="https://example.org")))
    with pytest.raises(StoreError, match=r"holds neither a-model/config.json nor config.json"):
        pull(str(tmp_path))
    with pytest.raises(StoreError, match="cannot be the name"):
        modelstore.folder("../x")


def test_a_models_folder_that_is_a_file(home: Path) -> None:
    home.write_text("")
    with pytest.raises(StoreError, match="cannot write into"):
        pull("/nowhere")


def test_names_of_models_and_sets() -> None:
    known = Manifest(models={"a": entry(), "b": entry()}, sets={"s": Set(about="", models=["b", "a"])})
    assert modelstore.expand(known, ["a", "s", "b"]) == ["a", "b"]
    with pytest.raises(StoreError, match="there is no model and no set 'c'; there are: s, a, b"):
        modelstore.expand(known, ["c"])


@pytest.mark.parametrize(
    ("path", "data", "says"),
    [
        ("config.json", b"[]", "has another sha256"),
        ("config.json", b"[ ]", "has 3 bytes, not 2"),
        ("onnx/model.onnx", FILES["onnx/model.onnx"][::-1], "has another sha256"),
        ("onnx/model.onnx", None, "is missing"),
    ],
)
def test_verify_finds_damage(path: str, data: bytes | None, says: str, home: Path, served: Hub) -> None:
    """Also of the file whose sha256 only the pull noted."""
    pull("hf")
    target = home / "a-model" / path
    target.unlink() if data is None else target.write_bytes(data)
    found = {finding.path: finding for finding in modelstore.verify("a-model", entry())}
    assert [finding.path for finding in found.values() if not finding.ok] == [path]
    assert says in found[path].says
    assert pull("hf") == [path]  # what is damaged comes again
    assert whole(home)


def test_verify_without_a_record(home: Path) -> None:
    laid_out(home / "a-model")
    (home / "a-model" / modelstore.RECORD).write_bytes(b"\xff damaged")
    says = {finding.path: finding.says for finding in modelstore.verify("a-model", entry())}
    assert says == {"config.json": "sha256 is right", "onnx/model.onnx": "is there; nobody states its sha256"}


# ---- bundles ----


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


def test_free_space_is_asked_of_a_folder_that_exists(tmp_path: Path) -> None:
    asked: list[Path] = []

    def free(path: Path) -> int:
        asked.append(path)
        return 1 << 40

    download.room(tmp_path / "not" / "yet", 1, Conditions(free))
    assert asked == [tmp_path]
