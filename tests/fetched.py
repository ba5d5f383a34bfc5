"""Published model files that `make models-for-tests` fetches; a test that lacks one is skipped by its name."""

from pathlib import Path

from models.fetch_wheels import FETCHED
from tests.conftest import need


def fetched(name: str) -> Path:
    """The file of this name."""
    path = FETCHED / name
    if not path.is_file():
        need(name)
    return path
