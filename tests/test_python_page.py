"""The blocks of docs/python.md run, one after the other, as a reader would run them."""

import re
from pathlib import Path

import pytest

from spikewise.config import registered

PAGE = Path(__file__).parent.parent / "docs" / "python.md"


def test_the_page_on_python_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registered, "_kinds", {})
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert len(blocks) >= 4
    names: dict[str, object] = {"__name__": "page"}
    for number, block in enumerate(blocks, start=1):
        exec(compile(block, f"block {number} of docs/python.md", "exec"), names)  # our own page
    judged = names["judged"]
    assert judged.results.network("snn").metrics["accuracy"].mean > 0.5
    assert judged.results.network("twin").metrics["accuracy"].mean > 0.5


@pytest.fixture(autouse=True)
def _one_thread():
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
