"""A small fixed sample of the fuzzer's own cases."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip("resource")

from benchmarks.fuzz import kinds
from benchmarks.fuzz.harness import judged


def test_settings_are_answered_in_words():
    kind = kinds.kind("settings")
    ends = [(case.name, *judged(kind, case)) for case in kind.cases(seed=11, count=40)]
    assert [end for end in ends if end[1] == "failure"] == []
    assert {end[1] for end in ends} == {"result", "message"}


@pytest.mark.slow
def test_damaged_run_folders_are_answered_in_words(tmp_path):
    """In a process of its own, which can be forked; of the commands in turn those that draw and train nothing."""
    quick = [turn + place for turn in (0, 16) for place in (1, 2, 5, 6, 7, 8, 12, 13, 14, 15)]
    asked = [sys.executable, "-m", "benchmarks.fuzz", "runs", "--seed", "5", "--kept", str(tmp_path), "--count", "32"]
    ended = subprocess.run(
        [*asked, "--at", *map(str, quick)],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "runs: 20 cases" in ended.stdout
    assert ", 0 failures" in ended.stdout


@pytest.mark.slow
def test_damaged_exports_are_answered_in_words(tmp_path):
    """Files at which onnxruntime writes to its output, where answers are expected, are among them."""
    asked = [sys.executable, "-m", "benchmarks.fuzz", "exports", "--seed", "7", "--kept", str(tmp_path)]
    ended = subprocess.run(
        [*asked, "--count", "700", "--at", "1", "2", "3", "284", "338", "542"],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "exports: 6 cases" in ended.stdout


@pytest.mark.slow
def test_random_graphs_have_the_references_answers_under_tritons_interpreter(tmp_path):
    pytest.importorskip("triton")
    asked = [sys.executable, "-m", "benchmarks.fuzz", "triton", "--seed", "1", "--kept", str(tmp_path)]
    ended = subprocess.run(
        [*asked, "--count", "12", "--seconds", "120"],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "triton: 12 cases of seed 1: 12 results" in ended.stdout


def test_random_graphs_have_the_references_answers_on_the_native_engine(monkeypatch):
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)  # other tests run in this process
    kind = kinds.kind("engines")
    ends = [(case.name, *judged(kind, case)) for case in kind.cases(seed=3, count=12)]
    assert [end for end in ends if end[1] == "failure"] == []
