"""Models of this machine: pulled from every kind of source, verified, bundled, imported, and all the ways to fail."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from assistant import download, lock, modelstore
from assistant.core.fetching import NoSource
from assistant.core.manifest import Entry, Manifest, Set, Source
from assistant.download import Conditions, DownloadError
from assistant.modelstore import StoreError
from tests import hub
from tests.hub import Hub, Manners
from tests.installing import FILES, GIVEN, entry, laid_out, whole


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
    assert not (home / "a-model").exists()


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
    with pytest.raises(StoreError, match="there is no model and no set 'c'; `assistant models list` shows them"):
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


def test_free_space_is_asked_of_a_folder_that_exists(tmp_path: Path) -> None:
    asked: list[Path] = []

    def free(path: Path) -> int:
        asked.append(path)
        return 1 << 40

    download.room(tmp_path / "not" / "yet", 1, Conditions(free))
    assert asked == [tmp_path]
