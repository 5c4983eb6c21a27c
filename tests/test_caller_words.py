"""Messages name what their reader can give: the options of a command, or the arguments of a call in Python."""

import ast
import inspect
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import spikewise
from spikewise.cli.main import app
from spikewise.data import load_data
from spikewise.errors import ConfigError, DataError
from spikewise.executors.process import perform
from spikewise.executors.work import Work
from spikewise.shell import for_caller, in_command
from spikewise.training.progress import LineProgress

ROOT = Path(spikewise.__file__).parent
SAY_OTHERS = {"cli", "serving", "shell.py"}
"""What only commands say, and the words themselves; trackers have commands of their own."""


@pytest.fixture(autouse=True)
def words_of_commands() -> None:
    """No command runs here but those that a test gives."""


def sentences():
    """Each text of the package that names an option to people: where it stands, and with 64 for each value in it."""
    for path in sorted(ROOT.rglob("*.py")):
        if path.relative_to(ROOT).parts[0] in SAY_OTHERS or path.name == "trackers.py":
            continue
        tree = ast.parse(path.read_text())
        bare = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
        for node in ast.walk(tree):
            if id(node) in bare | inside:
                continue
            if isinstance(node, ast.JoinedStr):
                text = "".join(str(part.value) if isinstance(part, ast.Constant) else "64" for part in node.values)
                text = text.replace("--set 64", "--set data.size=64")
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                text = node.value
            else:
                continue
            if re.search(r"\s[(`]?--[a-z]|[(`]--[a-z]", text):
                yield path.relative_to(ROOT).as_posix(), text


def arguments() -> set[str]:
    """What functions of the package can be given by name."""
    public = [getattr(spikewise, name) for name in spikewise.__all__]
    given = {name for one in public if inspect.isfunction(one) for name in inspect.signature(one).parameters}
    return given | {"device", "sides", "white"}  # among the settings of `compare`, and the arguments of `predict`


def test_no_sentence_names_an_option_to_python():
    found = list(sentences())
    assert len(found) > 40
    for where, text in found:
        said = re.sub(r"`[^`]*`", "", for_caller(text))
        assert not re.search(r"(^|[\s(])--[a-z]", said), (where, said)


def test_every_argument_that_is_named_instead_exists():
    known = arguments()
    named = {
        name
        for _, text in sentences()
        for name in re.findall(r"(?<![\w.])([a-z_]+)=", re.sub(r"`[^`]*`", "", for_caller(text)))
        if f"--{name}" in text or f"--{name.replace('_', '-')}" in text
    }
    assert len(named) > 5
    assert named <= known


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("--set data.roles=false.", '**{"data.roles": False}.'),
        ("--set 'data.labels=my file.csv' (all)", '**{"data.labels": "my file.csv"} (all)'),
        ("--set model.hidden=[64, 2], say", '**{"model.hidden": [64, 2]}, say'),
        ("--set data.columns=file=a,class=b", '**{"data.columns": "file=a,class=b"}'),
        ("give --max-size 1.5MB or more", 'give max_size="1.5MB" or more'),
        ("with --executor-set minutes=30", 'with executor={"kind": ..., "minutes": 30}'),
        ("(--reset zero)", '(reset="zero")'),
        ("see `spikewise audit X --fix FILE`", "see `spikewise audit X --fix FILE`"),
        ("/my set/--out.png and --out.png", "/my set/--out.png and --out.png"),
    ],
)
def test_an_option_becomes_an_argument_but_in_a_command_and_a_name(text, said):
    assert for_caller(text) == said
    with in_command():
        assert for_caller(text) == text


def ambiguous(root: Path) -> Path:
    """Colour and grey images, of which nothing says which to make them."""
    rng = np.random.default_rng(0)
    path = root / "set.npz"
    arrays: dict[str, Any] = {f"{part}_labels": np.arange(20) % 2 for part in ("train", "val", "test")}
    arrays |= {f"{part}_images": rng.integers(0, 256, (20, 8, 8), dtype=np.uint8) for part in ("train", "val")}
    np.savez(path, **arrays, test_images=rng.integers(0, 256, (20, 8, 8, 3), dtype=np.uint8))
    return path


def test_python_is_told_what_python_takes_and_a_command_what_a_command_takes(tmp_path):
    path = ambiguous(tmp_path)
    with pytest.raises(DataError) as told:
        spikewise.compare(path, out=tmp_path)
    assert str(told.value).endswith('**{"data.grey": True} or **{"data.grey": False}.')
    asked: dict[str, Any] = {"data.grey": True}
    assert load_data(path, **asked).image_shape == (1, 8, 8)
    refused = CliRunner().invoke(app, ["compare", str(path), "--out", str(tmp_path)])
    assert str(refused.exception).endswith("--set data.grey=true or --set data.grey=false.")
    with pytest.raises(DataError, match=r"\*\*.*data\.grey"):  # the command is over
        load_data(path)


def test_fits_takes_what_messages_name():
    asked: dict[str, Any] = {"model.hidden": [16]}
    small = spikewise.fits("digits", "cortex-m4:512k/160k", **asked)
    assert small == spikewise.fits("digits", "cortex-m4:512k/160k", settings=["model.hidden=[16]"])
    assert small != spikewise.fits("digits", "cortex-m4:512k/160k")


def test_a_remark_names_arguments_where_progress_is_shown():
    stream = io.StringIO()
    LineProgress(stream).said("Network: dense; --set model.kind=... decides otherwise.")
    with in_command():
        LineProgress(stream).said("Network: dense; --set model.kind=... decides otherwise.")
    python, command = stream.getvalue().splitlines()
    assert python == 'Network: dense; **{"model.kind": ...} decides otherwise.'
    assert command == "Network: dense; --set model.kind=... decides otherwise."


def fails(folder: Path, arguments: dict[str, Any], listener: object) -> None:
    raise ConfigError("Choose another --out.")


@pytest.mark.parametrize(("commanded", "said"), [(False, "Choose another out=."), (True, "Choose another --out.")])
def test_a_process_that_does_work_speaks_to_whoever_gave_it(tmp_path, monkeypatch, commanded, said):
    monkeypatch.setattr("spikewise.executors.process._named", lambda call: fails)
    work = Work("a", "a", "x:y", tmp_path, "done", "lock", tmp_path / "log", dict)
    with monkeypatch.context() as context:
        context.setattr("spikewise.shell._commands", int(commanded))
        order = work.order()
    told: list[dict[str, Any]] = []
    assert perform(order, told.append) == 2
    assert told[-1]["error"] == said
