"""The reference pages and the README say what the code does."""

import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BUILD = runpy.run_path(str(ROOT / "docs" / "build.py"))


@pytest.mark.parametrize("page", BUILD["PAGES"])
def test_reference_pages_are_up_to_date(page):
    written = (ROOT / "docs" / page).read_text(encoding="utf-8")
    assert written == BUILD["PAGES"][page](), f"docs/{page} is out of date: run `make docs`"


def test_every_file_that_the_readme_links_is_there():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", text)
    missing = [link for link in links if not (ROOT / link).exists()]
    assert links
    assert not missing


@pytest.mark.parametrize("page", sorted(path.name for path in (ROOT / "docs").glob("*.md")))
def test_every_file_that_a_page_links_is_there(page):
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", (ROOT / "docs" / page).read_text(encoding="utf-8"))
    missing = [link for link in links if not (ROOT / "docs" / link).exists()]
    assert not missing


def test_every_module_is_on_the_readme_map():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    package = ROOT / "src" / "spikewise"
    rooms = {p.name for p in package.iterdir() if p.is_dir() and p.name != "__pycache__"}
    rooms |= {p.name for p in package.glob("*.py") if p.name != "__init__.py"}
    unnamed = [room for room in sorted(rooms) if room not in text]
    assert not unnamed
