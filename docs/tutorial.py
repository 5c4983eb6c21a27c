"""Run the tutorial notebook and store what its cells give: `python docs/tutorial.py`.

No kernel is needed. Stored are what is printed, the value of a cell's last line and its figures, without links to files
of the run, so that the same code stores the same on the same machine.
"""

import ast
import base64
import contextlib
import io
import json
import re
import tempfile
from pathlib import Path
from typing import Any

import matplotlib as mpl
import torch
from matplotlib import pyplot as plt

TUTORIAL = Path(__file__).parent / "tutorial.ipynb"
_LINK = re.compile(r'<p><a href="file:.*?</p>', re.DOTALL)
_PICTURE = re.compile(r'<p><img [^>]*src="data:image/png;base64,([^"]+)"[^>]*></p>')
_DPI = 80


def executed(notebook: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The notebook with the outputs of its cells, run from the top in the current folder, and the names they made."""
    names: dict[str, Any] = {"__name__": "tutorial"}
    cells, count = [], 0
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            count += 1
            outputs = _outputs("".join(cell["source"]), cell["id"], names, count)
            cell = {**cell, "execution_count": count, "outputs": outputs}  # noqa: PLW2901
        cells.append(cell)
    return {**notebook, "cells": cells}, names


def _outputs(source: str, name: str, names: dict[str, Any], count: int) -> list[dict[str, Any]]:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        value = _run(source, name, names)
    found: list[dict[str, Any]] = []
    if printed.getvalue():
        found.append({"output_type": "stream", "name": "stdout", "text": _lines(printed.getvalue())})
    if value is not None:
        data, picture = _shown(value)
        found.append({"output_type": "execute_result", "execution_count": count, "metadata": {}, "data": data})
        found += [_display({"image/png": picture})] if picture else []
    for number in plt.get_fignums():
        png = io.BytesIO()
        plt.figure(number).savefig(png, format="png", dpi=_DPI, bbox_inches="tight", metadata={"Software": None})
        found.append(_display({"image/png": base64.b64encode(png.getvalue()).decode()}))
    plt.close("all")
    return found


def _run(source: str, name: str, names: dict[str, Any]) -> Any:
    """The value of the last line, if it is an expression that no semicolon ends."""
    tree, value = ast.parse(source), None
    last = tree.body[-1]
    shows = isinstance(last, ast.Expr) and not source.rstrip().endswith(";")
    body = ast.Module(tree.body[:-1] if shows else tree.body, type_ignores=[])
    exec(compile(body, f"{name} of the tutorial", "exec"), names)  # our own
    if shows:
        assert isinstance(last, ast.Expr)
        value = eval(compile(ast.Expression(last.value), f"{name} of the tutorial", "eval"), names)
    return value


def _shown(value: Any) -> tuple[dict[str, Any], str]:
    """What stands for a value, and its picture as a PNG: pages that show notebooks drop one inside a text."""
    html = getattr(value, "_repr_html_", str)()
    picture = _PICTURE.search(html)
    data: dict[str, Any] = {"text/plain": _lines(repr(value))}
    if picture:
        data = {"text/plain": [type(value).__name__]}
    if html:
        data["text/html"] = _lines(_PICTURE.sub("", _LINK.sub("", html)))
    return data, picture[1] if picture else ""


def _display(data: dict[str, Any]) -> dict[str, Any]:
    return {"output_type": "display_data", "metadata": {}, "data": data}


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def main() -> None:
    """Run it in an empty folder, and write it back with its outputs."""
    mpl.use("agg")
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        notebook, _ = executed(json.loads(TUTORIAL.read_text(encoding="utf-8")))
    TUTORIAL.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
