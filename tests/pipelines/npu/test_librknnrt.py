"""Which release of librknnrt.so a file is."""

import pytest

from pipelines.npu.librknnrt import release


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"\x7fELF..\0librknnrt version: 2.3.2 (429f97ae6b@2025-04-09T09:09:27)\0", "2.3.2"),
        (b"\0librknnrt version: 2.0.0b0 (35a6907d79@2024-03-24T10:31:14)\0", "2.0.0b0"),
        (b"librknnrt version: 2.3.2 \0 and again librknnrt version: 2.3.2 (x)", "2.3.2"),
        (b"librknnrt version: 2.3.2 (x) librknnrt version: 2.2.0 (y)", ""),
        (b"librknnrt version: %s\x002.3.2\0", ""),
        (b"librknnrt version: 2.3.2.1", ""),
        (b"", ""),
    ],
)
def test_it_is_taken_at_its_word(data: bytes, found: str) -> None:
    assert release(data) == found
