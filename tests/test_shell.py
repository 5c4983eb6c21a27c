"""Commands in messages and on pages can be copied whatever files are called."""

import ast
import re
import shlex
from pathlib import Path

import pytest

import spikewise
from spikewise.shell import named, word

ROOT = Path(spikewise.__file__).parent
VERBS = "|".join(
    re.findall(r"^## `spikewise (\w+)", (Path(__file__).parents[1] / "docs/commands.md").read_text(), re.M)
)
AWKWARD = "Röntgen 'flach' (neu) $HOME"


def commands(path: Path):
    """For each command with a value of a file's f-strings: the line, and what stands at its values."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.JoinedStr):
            continue
        open_command = False
        for part in node.values:
            if isinstance(part, ast.Constant):
                text = str(part.value)
                begun = re.search(rf"\bspikewise ({VERBS}) [^`]*$", text)
                open_command = bool(begun) or (open_command and "`" not in text)
            elif open_command:
                yield node.lineno, part.value


def is_one_word(value: ast.expr) -> bool:
    # Names of trackers, presets and known sets, which are ours, are words already.
    ours = {"to", "self._to", "preset", "known.name"}
    return "word(" in ast.unparse(value) or ast.unparse(value) in ours


@pytest.mark.parametrize("path", [path for path in sorted(ROOT.rglob("*.py")) if "spikewise " in path.read_text()])
def test_every_value_in_a_command_is_one_word(path):
    unsure = [(line, ast.unparse(value)) for line, value in commands(path) if not is_one_word(value)]
    assert not [one for one in unsure if one[1] not in {"run", "file"}]  # made words where they are first named


def test_every_value_in_a_command_of_a_page_is_one_word():
    found = [
        value
        for path in ROOT.rglob("*.j2")
        for command in re.findall(r"<code>(?:spikewise|--set) .*?</code>", path.read_text())
        for value in re.findall(r"{{(.*?)}}", command)
    ]
    assert found
    assert not [value for value in found if "| word" not in value]


def test_a_word_is_read_back_whole():
    assert shlex.split(f"spikewise predict {word(AWKWARD)}") == ["spikewise", "predict", AWKWARD]
    assert word("runs/compare-digits-1a2b3c4d") == "runs/compare-digits-1a2b3c4d"


def test_a_folder_is_named_from_where_the_command_is_given(tmp_path, monkeypatch):
    (tmp_path / "runs" / "one").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert named(tmp_path / "runs" / "one") == "runs/one"
    monkeypatch.chdir(tmp_path / "runs" / "one")
    assert named(tmp_path / "runs") == "runs"
