"""The pages that people read: links that lead somewhere, and the same chapters in both languages."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("README*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("models/*/README.md")])
LINK = re.compile(r"\]\(([^)\s]+)\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_link_of_a_page_leads_to_a_file_here_or_to_the_web(page: Path) -> None:
    for link in LINK.findall(page.read_text()):
        path, _, part = link.partition("#")
        if link.startswith(("https://", "http://")):
            continue
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), f"{link} leads nowhere"
        if part:
            assert part in _parts(there), f"{link} names no heading"


def test_each_chapter_is_there_in_both_languages_and_in_the_table_of_its_readme() -> None:
    english = {page.name for page in ROOT.glob("docs/*.md")}
    assert english == {page.name for page in ROOT.glob("docs/zh-CN/*.md")}
    for readme, folder in (("README.md", "docs"), ("README.zh-CN.md", "docs/zh-CN")):
        links = set(LINK.findall((ROOT / readme).read_text()))
        assert {f"{folder}/{name}" for name in english} <= links


def _parts(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
