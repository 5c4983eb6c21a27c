"""Each command: its help, a happy path, one mistake."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image

from spikewise.api import Run
from spikewise.cli import main as entry
from spikewise.data import load_data
from spikewise.evaluation.sections import SECTION_NAMES

COMMANDS = [
    "compare", "train", "config", "predict", "evaluate", "cost", "report", "encode", "presets", "doctor", "sweep",
    "audit", "calibrate", "anytime", "robustness", "diagnose", "convert", "explain", "tune", "trace", "versus",
    "schema", "serve", "data", "data list", "data info", "data download", "data verify", "data show",
]  # fmt: skip
TINY = ["--seeds", "1", "--epochs", "1", "-s", "split.limit=200", "-s", "model.hidden=[16]", "-s", "encoder.steps=4",
        "--without", "robustness", "--without", "explanations", "--without", "diagnosis"]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(call, command):
    code, out, _ = call(*command.split(), "--help")
    assert code == 0
    assert f"Usage: spikewise {command}" in out


@pytest.mark.parametrize(
    "command",
    ["export LONG --to nir", "verify LONG", "import LONG --data digits", "convert LONG", "fits LONG --target hls4ml",
     "fits digits --target LONG.toml", "predict LONG x.png", "report LONG", "compare digits --quick --out LONG/runs",
     "audit LONG", "compare LONG", "serve LONG"],
)  # fmt: skip
def test_a_name_that_no_file_can_have_is_told(call, command):
    code, _, err = call(*command.replace("LONG", "x" * 300).split())
    assert code == 2
    assert "xxx" in err


def test_help_names_every_section_that_can_be_left_out(call):
    _, out, _ = call("compare", "--help")
    assert all(name in out for name in ("all", *SECTION_NAMES))


def test_help_lists_every_command_and_the_exit_codes(call):
    code, out, _ = call("--help")
    assert code == 0
    assert all(re.search(rf"\b{command.split()[0]}\b", out) for command in COMMANDS)
    assert "Exit codes" in out


def test_version(call):
    code, out, _ = call("--version")
    assert (code, out.split()[0]) == (0, "spikewise")


def test_the_schema_describes_the_results_of_a_run(call):
    code, out, _ = call("schema")
    schema = json.loads(out)
    assert code == 0
    assert set(schema["required"]) <= set(schema["properties"]) >= {"data", "networks", "verdict", "sections"}
    assert schema["properties"]["data"]["$ref"] == "#/$defs/DataFacts"


def test_compare_prints_a_table_the_verdict_and_the_report(call):
    code, out, err = call("compare", "digits", *TINY)
    assert code == 0
    assert re.search(r"^ +snn +twin +cnn$", out, re.MULTILINE)
    assert "test accuracy" in out
    assert Path(re.search(r"^report +(\S+)$", out, re.MULTILINE)[1]).is_file()
    epochs = [line for line in err.splitlines() if "epoch 1/1" in line]
    assert [line.split()[0] for line in epochs] == ["snn", "twin", "cnn"]


def test_train_with_json_prints_json_alone_and_a_second_call_reads_the_run_back(call):
    code, first, err = call("train", "digits", *TINY, "--json")
    assert code == 0
    assert "epoch 1/1" in err
    _, second, err = call("train", "digits", *TINY, "--json", "--quiet")
    assert err == ""
    assert json.loads(first) == json.loads(second)
    assert [network["name"] for network in json.loads(first)["networks"]] == ["snn"]


def test_config_prints_toml_that_config_reads_back(call, tmp_path):
    code, out, _ = call("config", "digits", *TINY, "-s", "encoder.kind=latency")
    assert code == 0
    (tmp_path / "experiment.toml").write_text(out)
    assert call("config", "--config", "experiment.toml")[1] == out
    assert json.loads(call("config", "--schema")[1])["properties"]["data"]


def test_predict_says_which_network_answered_and_which_could(call, run: Run, image):
    said = call("predict", run.folder, image)[2].splitlines()[-1]
    others = [one.name for one in run.results.networks if one.name != "snn"]
    assert said == f"Answered by snn, seed 0; --network {' or '.join(others)} asks another."
    assert call("predict", run.folder, image, "--network", "twin")[2].splitlines()[-1].startswith("Answered by twin, ")


def test_predict_gives_a_label_and_a_probability(call, run: Run, image):
    code, out, _ = call("predict", run.folder, image, image.parent)
    assert code == 0
    answers = re.findall(r"stripe\.png +(\d) +[\d.]+ %", out)
    assert len(answers) == 2
    assert len(set(answers)) == 1


def test_predict_leaves_out_and_lists_what_it_cannot_decode(call, run: Run, image, tmp_path):
    (tmp_path / "good.png").write_bytes(image.read_bytes())
    (tmp_path / "torn.png").write_bytes(image.read_bytes()[:40])
    code, out, err = call("predict", run.folder, tmp_path)
    assert (code, out) == (2, "")
    assert "torn.png" in err
    code, out, err = call("predict", run.folder, tmp_path, "--skip-bad")
    assert code == 0
    assert "good.png" in out
    assert "torn.png" not in out
    assert "torn.png" in err
    (tmp_path / "good.png").unlink()
    code, _, err = call("predict", run.folder, tmp_path, "--skip-bad")
    assert code == 2
    assert "None of the 1 images can be decoded" in err


def test_predict_with_json_gives_probabilities_and_evidence(call, run: Run, image):
    code, out, _ = call("predict", run.folder, image, "--json", "--network", "twin", "--seed", 1)
    assert code == 0
    (answer,) = json.loads(out)
    assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert answer["probability"] == max(answer["probabilities"].values())
    assert (answer["network"], answer["seed"], answer["spikes"]) == ("twin", 1, None)


def test_predict_names_images_that_are_unlike_the_runs(call, run: Run, tmp_path):
    digits = load_data("digits").images[:20, 0]
    for at, digit in enumerate(digits):
        Image.fromarray(digit).save(tmp_path / f"w{at}.png")
    code, out, err = call("predict", run.folder, tmp_path, "--json")
    assert (code, [one["unlike"] for one in json.loads(out)]) == (0, [None] * 20)
    assert " ".join(err.split()).startswith("9 of 20 images are ones that this run learned from, pixel for pixel:")
    for at, digit in enumerate(digits):
        (tmp_path / f"w{at}.png").unlink()
        Image.fromarray(255 - digit).resize((200, 200)).save(tmp_path / f"b{at:02}.png")
    code, out, err = call("predict", run.folder, tmp_path, "--json")
    assert code == 0
    assert all("looks inverted" in one["unlike"] for one in json.loads(out))
    assert "b00.png looks inverted" in err
    assert "20 of 20 images are unlike what the network learned from" in err
    results = json.loads((run.folder / "results.json").read_text())
    old = tmp_path / "old"
    shutil.copytree(run.folder, old)
    for key in ("appearance", "whites", "cautions"):  # as runs were before
        del results["data"][key]
    (old / "results.json").write_text(json.dumps(results))
    (old / "likeness.npz").unlink()
    code, out, err = call("predict", old, tmp_path / "b00.png", "--json")
    assert (code, json.loads(out)[0]["unlike"], err) == (0, None, "")


def test_predict_reads_deep_images_as_the_run_did_or_as_it_is_told(call, run: Run, tmp_path):
    digit = load_data("digits").images[0, 0]
    Image.fromarray(digit).save(tmp_path / "8.png")
    Image.fromarray(digit.astype(np.uint16) * 257).save(tmp_path / "16.png")
    Image.fromarray(digit.astype(np.uint16) * 16).save(tmp_path / "12.png")
    answers = [call("predict", run.folder, tmp_path / "8.png", "--json")]
    answers += [call("predict", run.folder, tmp_path / "16.png", "--json")]
    answers += [call("predict", run.folder, tmp_path / "12.png", "--json", "--white", 4080)]
    assert len({json.dumps(json.loads(out)[0] | {"image": ""}) for _, out, _ in answers}) == 1
    code, _, err = call("predict", run.folder, tmp_path / "12.png", "--white", 0)
    assert code == 2
    assert "above 0" in err


def test_evaluate_gives_what_the_run_found_and_is_recorded(call, run: Run):
    before = len(json.loads((run.folder / "openings.json").read_text()))
    code, out, _ = call("evaluate", run.folder, "--json")
    assert code == 0
    found = {(one["network"], one["seed"]): one["metrics"]["accuracy"] for one in json.loads(out)}
    known = {(net.name, one.seed): one.test["accuracy"] for net in run.results.networks for one in net.runs}
    assert found == pytest.approx(known)
    openings = json.loads((run.folder / "openings.json").read_text())
    assert [opening["why"] for opening in openings[before:]] == ["evaluate"] * 6


def test_report_is_written_again_and_for_several_runs(call, run: Run, tmp_path):
    (run.folder / "report.html").unlink()
    assert call("report", run.folder)[0] == 0
    assert (run.folder / "report.html").is_file()
    assert call("report", run.folder, run.folder, "-o", "both.html")[0] == 0
    assert (tmp_path / "both.html").is_file()


@pytest.mark.parametrize(("name", "start"), [("a.gif", b"GIF89a"), ("a.png", b"\x89PNG")])
def test_encode_writes_an_animation_or_a_raster(call, image, tmp_path, name, start):
    code, out, _ = call("encode", image, "--encoder", "latency", "--steps", 5, "--size", 12, "--grey", "-o", name)
    assert (code, out.strip()) == (0, name)
    assert (tmp_path / name).read_bytes().startswith(start)


def test_presets_are_listed(call):
    from spikewise.experiments import preset_names

    code, out, _ = call("presets")
    assert code == 0
    assert all(name in out for name in preset_names())


def test_doctor_finds_this_machine_sound(call):
    code, out, _ = call("doctor", "--json")
    assert {check["what"] for check in json.loads(out)} >= {"spikewise", "engine", "device"}
    assert [check["what"] for check in json.loads(out) if not check["sound"]] in ([], ["processor"])
    assert code == (0 if all(check["sound"] for check in json.loads(out)) else 1)


def test_doctor_looks_for_every_package_that_is_declared(call, monkeypatch):
    declared = ["numpy>=1.26", "no-such-package>=2", "nor-this; extra == 'peers'"]
    monkeypatch.setattr("spikewise.cli.checks.requires", lambda _: declared)
    code, out, _ = call("doctor")
    assert code == 1
    assert "no-such-package is missing" in out
    assert "'peers' is not complete" in out
    assert "numpy 2" in out or "numpy 1" in out


def test_doctor_says_what_to_do_about_a_folder_that_is_not_there(call, monkeypatch, tmp_path):
    monkeypatch.setenv("SPIKEWISE_DATA", str(tmp_path / "nowhere"))
    code, out, _ = call("doctor")
    assert code == 1
    assert "nowhere is no folder" in out


def test_data_commands(call):
    assert "mnist" in call("data", "list")[1]
    assert "1,797 of 1x8x8" in call("data", "info", "digits")[1]
    assert call("data", "info", "mnist")[0] == 0  # not here, and still described
    assert call("data", "verify", "digits")[0] == 0
    code, out, _ = call("data", "verify", "mnist", "--json")
    assert (code, {file["verdict"] for file in json.loads(out)}) == (1, {"missing"})


def test_data_show_draws_a_grid(command, tmp_path):
    done = command("data", "show", "digits", "-o", "grid.png")
    assert (done.returncode, done.stdout.strip()) == (0, "grid.png")
    assert (tmp_path / "grid.png").is_file()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("compare", "No images were named"),
        ("compare digts", "Did you mean 'digits'?"),
        ("compare digits --set train.epohs=3", "Did you mean 'train.epochs'?"),
        ("compare digits --set nonsense", "key=value"),
        ("compare digits --config nowhere.toml", "Cannot read the config"),
        ("compare digits --preset nowhere", "Unknown preset"),
        ("compare digits --device tpu", "device"),
        ("compare digits --epochs 0", "--epochs"),
        ("train no/such/folder", "does not exist"),
        ("config", "No images were named"),
        ("predict . nothing.png", "is not a run folder"),
        ("evaluate .", "is not a run folder"),
        ("report .", "run.json"),
        ("encode nothing.png", "does not exist"),
        ("data info nothing.npz", "does not exist"),
        ("data download nowhere", "Unknown image set"),
        ("data verify mnst", "Did you mean 'mnist'?"),
        ("data show mnist", "not found"),
        ("data show digits -o grid.foo", "Available: .pdf, .png, .svg"),
        ("compar digits", "Did you mean 'compare'?"),
        ("compare digits --epoch 1", "--epochs"),
        ("presets --nothing", "No such option"),
        ("doctor --threads x", "No such option"),
    ],
)
def test_a_mistake_is_one_message_and_exit_code_2(call, arguments, words):
    code, out, err = call(*arguments.split())
    assert code == 2
    assert words in " ".join(err.replace("│", " ").split())
    assert out == ""


def test_images_that_cannot_be_read_are_named(call, run: Run, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG nothing")
    code, _, err = call("predict", run.folder, "broken.png")
    assert code == 2
    assert "broken.png" in err
    assert call("predict", run.folder, "broken.png", "--network", "rnn")[2].startswith("Error: Unknown network 'rnn'")


def test_standard_input_is_an_image(command, run: Run, image):
    done = command("predict", run.folder, "-", "--json", stdin=image.read_bytes())
    assert done.returncode == 0
    assert json.loads(done.stdout)[0]["image"] == "-"


def test_ctrl_c_ends_with_one_line_and_130(call, monkeypatch):
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("spikewise.api.share", interrupted)
    code, _, err = call("compare", "digits")
    assert code == 130
    assert err.strip() == "Interrupted. The same command goes on where this one stopped."


def test_help_imports_nothing_heavy():
    code = "import sys, spikewise.cli.main; print([m for m in ('torch', 'numpy', 'matplotlib') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_training_brings_nothing_that_draws():
    code = (
        "import sys, spikewise.experiments.run, spikewise.executors.server; "
        "print([m for m in ('matplotlib', 'jinja2', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_help_of_without_names_every_section():
    from spikewise.cli.options import Without
    from spikewise.evaluation.sections import SECTION_NAMES

    text = Without.__metadata__[0].help
    assert all(name in text for name in SECTION_NAMES)


def test_a_control_is_asked_for_beside_the_sides(call):
    code, out, _ = call("config", "digits", "--with", "noise", "--json")
    assert (code, json.loads(out)["sides"]) == (0, ["snn", "twin", "cnn", "twin-noise"])
    code, _, err = call("config", "digits", "--with", "nosie")
    assert code == 2
    assert "Did you mean 'noise'?" in err


@pytest.mark.parametrize("name", ["compare", "train", "config", "tune", "import", "predict"])
def test_the_option_that_the_message_about_a_bad_file_names_is_there(name):
    options = [word for parameter in typer.main.get_command(entry.app).commands[name].params for word in parameter.opts]
    assert "--skip-bad" in options


@pytest.mark.parametrize("leaving", [["--quick"], ["--without", "all"]], ids=" ".join)
def test_sections_cannot_be_whole_and_left_out(command, leaving):
    done = command("compare", "digits", "--thorough", *leaving)
    assert done.returncode == 2
    assert "--thorough makes every section whole" in done.stderr


@pytest.mark.parametrize(
    "given",
    ["predict runs/one -x.png", "data info -x.png", "compare -x.png --epochs", "runs list -x.png", "encode -x.png"],
)
def test_a_file_whose_name_begins_with_a_dash_is_shown_as_it_is_given(call, tmp_path, given):
    (tmp_path / "-x.png").touch()
    code, _, said = call(*given.split())
    assert code == 2
    assert "A name that begins with a dash is given with its folder: ./-x.png" in " ".join(
        said.replace("│", " ").split()
    )
    (tmp_path / "-x.png").unlink()
    code, _, said = call(*given.split())
    assert (code, "dash" in said) == (2, False)
