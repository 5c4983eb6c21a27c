"""`spikewise sweep`: its help, its list, and one mistake of each kind; running is tested with the experiments."""

import json


def test_help_explains_the_command(command):
    done = command("sweep", "--help")
    assert done.returncode == 0
    assert "Usage: spikewise sweep" in done.stdout
    assert "--table-only" in done.stdout


def test_the_list_names_the_sweeps_that_come_along(command):
    done = command("sweep", "--list", "--json")
    assert done.returncode == 0
    names = [row["name"] for row in json.loads(done.stdout)]
    assert {"mnist-grid", "mnist-grid-small", "xray-dt", "xray-width"} <= set(names)


def test_a_mistake_is_one_message(command, tmp_path):
    done = command("sweep", "mnist-gird")
    assert (done.returncode, done.stdout) == (2, "")
    assert "Did you mean 'mnist-grid'?" in done.stderr
    (tmp_path / "bad.toml").write_text('preset = "mnist-alif"\n[gird]\n')
    done = command("sweep", "bad.toml")
    assert done.returncode == 2
    assert "bad.toml" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_that_is_no_sweep_and_settings_for_one_that_was_begun_are_refused(command, tmp_path):
    (tmp_path / "folder").mkdir()
    done = command("sweep", "folder")
    assert (done.returncode, "not a sweep folder" in done.stderr) == (2, True)
    done = command("sweep", "folder", "--epochs", "3")
    assert (done.returncode, "its settings stay" in done.stderr) == (2, True)
