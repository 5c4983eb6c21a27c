"""`spikewise audit`: readable, as JSON, as a page; and the split it writes is one that other commands take."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import spikewise
from spikewise.data.audit import Audit
from spikewise.errors import DataError


@pytest.fixture
def leaky(tmp_path: Path) -> Path:
    """Noise with published parts; five test images are copies of training images."""
    rng = np.random.default_rng(0)
    train, test = rng.integers(0, 256, (200, 12, 12), np.uint8), rng.integers(0, 256, (60, 12, 12), np.uint8)
    test[:5] = train[:5]
    path = tmp_path / "leaky.npz"
    np.savez(path, train_images=train, train_labels=np.arange(200) % 2, test_images=test, test_labels=np.arange(60) % 2)
    return path


def test_a_clean_set_ends_well(call):
    code, out, _ = call("audit", "digits", "--check")
    assert code == 0
    assert "No grave leak" in out or "Nothing was found" in out
    assert "digits, 1,797 images" in out


def test_the_verdict_comes_first_then_findings_then_what_to_do(call, leaky):
    code, out, _ = call("audit", leaky)
    lines = out.splitlines()
    assert code == 0
    assert lines[0].startswith("Do not trust figures from this split: 5 images stand in more than one part")
    assert lines.index("Grave") < lines.index("Facts") < lines.index("What to do")
    assert "= image 20" in out  # the test images follow the training images


def test_check_ends_with_one_where_a_finding_is_grave(call, leaky):
    assert call("audit", leaky, "--check", "--quiet")[0] == 1


def test_json_is_an_audit_and_nothing_else(call, leaky):
    code, out, _ = call("audit", leaky, "--json")
    found = Audit.model_validate_json(out)
    assert code == 0
    assert found.find("duplicates-across").count == 5


def test_fix_writes_a_split_that_is_clean(call, leaky):
    code, out, _ = call("audit", leaky, "--fix", "clean.json")
    assert code == 0
    assert "5 left out (like a test image)" in out
    code, out, _ = call("audit", leaky, "--set", "split.file=clean.json", "--check")
    assert code == 0
    assert "duplicates" not in out
    code, out, _ = call("data", "info", leaky, "--set", "split.file=clean.json")
    assert "0 pixel-identical images straddle" in out


def test_a_split_of_another_set_is_one_message(call, leaky):
    call("audit", leaky, "--fix", "clean.json")
    code, _, err = call("audit", "digits", "--set", "split.file=clean.json")
    assert code == 2
    assert "clean.json divides leaky.npz" in err


def test_the_page_loads_nothing_and_names_the_findings(call, leaky, tmp_path):
    code, out, _ = call("audit", leaky, "--html", "audit.html")
    page = (tmp_path / "audit.html").read_text()
    assert code == 0
    assert "audit.html" in out
    assert "<h1>Do not trust figures from this split: 1 grave finding</h1>" in page
    assert "5 images stand in more than one part" in page
    assert "What tells the label" in page
    assert not any(word in page for word in ("<script", "http://", "https://", "@import"))


def test_file_names_cannot_write_markup_into_the_page(call, tmp_path):
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        (tmp_path / "set" / name).mkdir(parents=True)
        for number in range(20):
            Image.fromarray(rng.integers(0, 256, (8, 8), np.uint8)).save(tmp_path / "set" / name / f"{number}.png")
    copy = (tmp_path / "set" / "a" / "0.png").read_bytes()
    (tmp_path / "set" / "b" / "<img onerror=x>.png").write_bytes(copy)
    code, _, _ = call("audit", tmp_path / "set", "--html", "audit.html")
    page = (tmp_path / "audit.html").read_text()
    assert code == 0
    assert "<img" not in page
    assert "&lt;img onerror=x&gt;.png" in page


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["digit"], "Did you mean 'digits'"),
        (["digits", "--set", "split.file=none.json"], "--fix none.json"),
        (["digits", "--fix", "no/such/folder/clean.json"], "Cannot write"),
        ([], "No images were named"),
    ],
    ids=["unknown set", "no split file", "no folder", "nothing"],
)
def test_a_mistake_is_one_message_and_exit_code_2(call, arguments, words):
    code, _, err = call("audit", *arguments)
    assert code == 2
    assert words in err


def test_help(call):
    code, out, _ = call("audit", "--help")
    assert code == 0
    assert "Usage: spikewise audit" in out


def test_the_python_call_gives_the_same(leaky, tmp_path, monkeypatch):
    monkeypatch.setenv("SPIKEWISE_CACHE", str(tmp_path / "cache"))
    found = spikewise.audit(leaky, fix=tmp_path / "clean.json")
    assert found.find("duplicates-across").count == 5
    assert len(json.loads((tmp_path / "clean.json").read_text())["test"]) == 60
    assert spikewise.audit(leaky, split={"file": tmp_path / "clean.json"}).count("red") == 0
    with pytest.raises(DataError, match="does not exist"):
        spikewise.audit(tmp_path / "nothing.npz")
