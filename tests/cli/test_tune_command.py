"""`spikewise tune`: its help, a small search, and a mistake; the search is tested with the experiments."""

import json


def test_help_explains_the_command(command):
    done = command("tune", "--help")
    assert done.returncode == 0
    assert "the test set stays closed" in " ".join(done.stdout.split())


def test_a_search_writes_one_file_per_side(command, tmp_path):
    small = [
        "--set",
        "split.limit=60",
        "--set",
        "model.hidden=[8]",
        "--set",
        "encoder.steps=2",
        "--set",
        'sides=["snn", "twin"]',
    ]
    done = command("tune", "digits", "--trials", "2", "--epochs", "1", *small, "--json", "--quiet", "--threads", "1")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {side: len(one["trials"]) for side, one in found["sides"].items()} == {"snn": 2, "twin": 2}
    for one in found["sides"].values():
        assert (tmp_path / one["file"]).exists()
    told = command("tune", "digits", "--trials", "2", "--epochs", "1", *small, "--quiet", "--threads", "1").stdout
    assert "Judged by accuracy on validation images" in told
    for side, one in found["sides"].items():
        as_given, best = one["trials"][0]["score"], one["best"]["score"]
        line = next(line for line in told.splitlines() if line.startswith(f"{side} "))
        assert line.split()[3:7] == [f"{100 * as_given:.2f}", "%", f"{100 * best:.2f}", "%"]


def test_a_mistake_is_one_message(command):
    done = command("tune", "digist", "--trials", "2")
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
