"""Models on a USB stick: one tar file with an index of what it holds, written here and read on a board.

What is read is not trusted: only what the index announces is taken, only plain files, only below the model's folder,
never more bytes than announced, and each under its own name only after its sha256 was right.
"""

import io
import tarfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Annotated

import msgspec

from assistant import download, modelstore, paths
from assistant.core import manifest
from assistant.core.manifest import Entry
from assistant.download import Conditions
from assistant.modelstore import Pulled, Record, StoreError

INDEX = "assistant-models.json"  # always the first member
INDEX_MOST = 1 << 20  # bytes
FILES_MOST = 10_000

Length = Annotated[int, msgspec.Meta(ge=0, le=download.MOST)]
Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


class Member(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    bytes: Length
    sha256: Sha256


class Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    licence: str
    revision: str
    files: dict[str, Member]


class Index(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: Annotated[int, msgspec.Meta(ge=1, le=1)]
    models: dict[str, Model]


class BundleError(Exception):
    """A bundle cannot be written or is not to be trusted; the text says why."""


def write(
    names: Sequence[str], known: Mapping[str, Entry], out: Path, told: Callable[[str], None], given: Conditions
) -> int:
    """Put installed models into one file, which has its name only when it is whole; returns its bytes.

    Raises BundleError, StoreError, DownloadError (no room).
    """
    index = Index(format=1, models={name: _described(name, known.get(name), told) for name in names})
    total = sum(member.bytes for model in index.models.values() for member in model.files.values())
    download.room(out.absolute().parent, total, given)
    half = out.with_name(out.name + ".part")
    try:
        with tarfile.open(half, "w", format=tarfile.PAX_FORMAT) as tar:
            told_index = msgspec.json.format(msgspec.json.encode(index))
            tar.addfile(_member(INDEX, len(told_index)), io.BytesIO(told_index))
            for name, model in index.models.items():
                for path, member in model.files.items():
                    told(f"{name}/{path}")
                    with (modelstore.folder(name) / path).open("rb") as stream:
                        tar.addfile(_member(f"{name}/{path}", member.bytes), stream)
        half.replace(out)
    except (OSError, tarfile.TarError) as error:
        half.unlink(missing_ok=True)
        raise BundleError(f"cannot write {out}: {getattr(error, 'strerror', None) or error}") from error
    return out.stat().st_size


def read(source: Path, told: Callable[[str], None], given: Conditions) -> list[str]:
    """Install what a bundle holds; returns the names of its models.

    Raises BundleError, StoreError, DownloadError (no room); what came before the fault is whole and stays.
    """
    try:
        with tarfile.open(source, "r:") as tar:
            index = _index(tar)
            total = sum(member.bytes for model in index.models.values() for member in model.files.values())
            download.room(paths.user_models(), total, given)
            wanted = {
                f"{name}/{path}": (name, path, member)
                for name, model in index.models.items()
                for path, member in model.files.items()
            }
            _unpack(tar, wanted, index, told)
    except BundleError as error:
        raise BundleError(f"{source} is not installed: {error}") from error
    except (tarfile.TarError, ValueError, EOFError) as error:  # the last two for damage that tarfile does not name
        raise BundleError(f"{source} is no bundle, or only a part of one: {error}") from error
    except OSError as error:
        raise BundleError(f"{source} is not installed: {error.strerror or error}") from error
    return list(index.models)


def parse(data: bytes) -> Index:
    """The index, if every name in it is harmless. Raises BundleError."""
    try:
        index = msgspec.json.decode(data, type=Index)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BundleError(f"its index cannot be read: {error}") from error
    if sum(len(model.files) for model in index.models.values()) > FILES_MOST:
        raise BundleError("its index names more files than any models have")
    for name, model in index.models.items():
        for path in model.files:
            if not manifest.safe_name(name) or not manifest.safe_path(path):
                raise BundleError(
                    f"it wants to write {f'{name}/{path}'!r}, which is outside the models or no file's name"
                )
        if len({path.casefold() for path in model.files}) != len(model.files):
            raise BundleError(f"it names a file of {name} twice")
    return index


def _index(tar: tarfile.TarFile) -> Index:
    first = tar.next()
    if first is None or first.name != INDEX or not first.isreg() or first.size > INDEX_MOST:
        raise BundleError(f"it does not begin with {INDEX}: make bundles with `assistant models bundle`")
    stream = tar.extractfile(first)
    assert stream is not None  # a regular file has contents
    return parse(stream.read())


def _unpack(
    tar: tarfile.TarFile, wanted: dict[str, tuple[str, str, Member]], index: Index, told: Callable[[str], None]
) -> None:
    while (found := tar.next()) is not None:
        if found.name not in wanted or not found.isreg():
            raise BundleError(f"it holds {found.name!r}, which its index does not name as a file, or not twice")
        name, path, member = wanted.pop(found.name)
        if found.size != member.bytes:
            raise BundleError(f"{found.name} has {found.size} bytes in it, and {member.bytes} in its index")
        stream = tar.extractfile(found)
        assert stream is not None  # a regular file has contents
        told(found.name)
        with modelstore.claimed(name):
            _install(stream, name, path, member, index.models[name].revision)
    if wanted:
        raise BundleError(f"it ends before {next(iter(wanted))}; copy it again")


def _install(stream: IO[bytes], name: str, path: str, member: Member, revision: str) -> None:
    home = modelstore.folder(name)
    target = home / path
    half = target.with_name(target.name + ".part")
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.parent.resolve().is_relative_to(home.parent.resolve()):
        raise BundleError(f"{target.parent} is a link that leaves the models")
    half.unlink(missing_ok=True)  # also a link that somebody left there
    try:
        with half.open("xb") as out:
            left = member.bytes
            while left and (chunk := stream.read(min(left, download.CHUNK))):
                out.write(chunk)
                left -= len(chunk)
        if left or download.digest(half) != member.sha256:
            raise BundleError(f"{name}/{path} is damaged in it; make or copy the bundle again")
        half.replace(target)
    finally:
        half.unlink(missing_ok=True)
    known = modelstore.recorded(home)
    files = (dict(known.files) if known else {}) | {path: Record(member.bytes, member.sha256, "bundle")}
    modelstore.record(home, Pulled("bundle", revision, files))


def _described(name: str, entry: Entry | None, told: Callable[[str], None]) -> Model:
    """A model as the index has it; reads every file, and refuses those that are not what they should be."""
    files = {}
    for path in modelstore.installed_files(name, entry):
        told(f"reading {name}/{path}")
        target = modelstore.folder(name) / path
        files[path] = Member(target.stat().st_size, download.digest(target))
    for file in entry.files if entry else ():
        if file.sha256 and files[file.path].sha256 != file.sha256:
            raise StoreError(f"{name}/{file.path} is damaged here; see `assistant models verify {name}`")
    return Model(entry.licence if entry else "", entry.source.revision if entry else "", files)


def _member(name: str, size: int) -> tarfile.TarInfo:
    """Without owner, rights and time of this machine: the same models make the same file."""
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o644
    return member
