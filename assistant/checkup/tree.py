"""Files of a system as they stand, or of one that was recorded or mounted under a directory: the one reader of all.

What cannot be read is None and never an error. Under a root no link leads out of it: a tree may come from anybody.
"""

import fnmatch
import os
from pathlib import Path

TEXT = 64 * 1024  # bytes of a text that are looked at: /proc and /sys have no longer ones that matter
LINKS = 40  # on the way to one file, as the kernel has it


class Tree:
    def __init__(self, root: Path | None = None) -> None:
        """``root``: the directory that stands for /; None: this machine."""
        self.live = root is None
        self.root = root or Path("/")
        self.read: dict[str, bytes] = {}  # texts that were read: what a recording consists of
        self.met: set[str] = set()  # names that were found by a pattern

    def text(self, path: str) -> str:
        """A short text, "" where there is none; bytes that are no UTF-8 become question marks."""
        found = self.data(path, TEXT)
        if found is None:
            return ""
        self.read[path] = found
        return found.decode("utf-8", "replace")

    def data(self, path: str, most: int) -> bytes | None:
        """At most so many first bytes of a file."""
        place = self._place(path)
        if place is None:
            return None
        try:
            if not place.is_file():  # a pipe or a device would keep us waiting
                return None
            with place.open("rb") as file:
                return file.read(most)
        except (OSError, ValueError):
            return None

    def size(self, path: str) -> int | None:
        """Bytes of a file; None where it is none."""
        place = self._place(path)
        try:
            return place.stat().st_size if place is not None and place.is_file() else None
        except OSError:
            return None

    def is_folder(self, path: str) -> bool:
        place = self._place(path)
        try:
            return place is not None and place.is_dir()
        except OSError:
            return False

    def names(self, pattern: str) -> list[str]:
        """Paths that fit an absolute pattern with ``*`` and ``?``, sorted."""
        found = ["/"]
        for part in pattern.strip("/").split("/"):
            if "*" in part or "?" in part:
                found = [
                    os.path.join(folder, name) for folder in found for name in fnmatch.filter(self._list(folder), part)
                ]
            else:
                found = [os.path.join(folder, part) for folder in found if self._exists(os.path.join(folder, part))]
        self.met.update(found)
        return sorted(found)

    def _list(self, folder: str) -> list[str]:
        place = self._place(folder)
        try:
            return [] if place is None else os.listdir(place)
        except OSError:
            return []

    def _exists(self, path: str) -> bool:
        place = self._place(path)
        try:
            return place is not None and place.exists()
        except OSError:
            return False

    def _place(self, path: str) -> Path | None:
        """Where it really lies: under a root every link is followed within it. None where it cannot be."""
        if self.live:
            return Path(path)
        left, here, links = path.split("/")[::-1], [""], 0
        while left:
            part = left.pop()
            if part in ("", "."):
                continue
            if part == "..":
                here = here[:-1] or [""]
                continue
            candidate = self.root.joinpath(*here[1:], part)
            try:
                target = os.readlink(candidate)
            except (OSError, ValueError):
                here.append(part)  # no link, or not there: the reader will see
                continue
            links += 1
            if links > LINKS:
                return None
            here = [""] if target.startswith("/") else here
            left += target.split("/")[::-1]
        return self.root.joinpath(*here[1:])
