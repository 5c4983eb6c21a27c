"""A first look: one seed, few epochs, no sections, and an answer that says so; what is asked for beside it stays."""

import json

import pytest

import spikewise
from spikewise.cli.options import Request
from spikewise.cli.run import asked_experiment
from spikewise.errors import ConfigError
from spikewise.evaluation import Results
from spikewise.evaluation.sections import SECTION_NAMES
from spikewise.experiments import Experiment, resolve
from spikewise.report.notices import notices


def resolved(images: int, **asked: object) -> Experiment:
    return resolve("digits", **asked).resolved("compare", device="cpu", train_images=images, image_shape=(1, 8, 8))


@pytest.mark.parametrize("images", [100, 3_000, 3_001, 60_000])
def test_a_first_look_has_one_seed_no_sections_and_a_few_of_the_usual_epochs(images):
    whole, look = resolved(images), resolved(images, quick=True)
    assert (look.seeds, look.sections, look.quick) == ((0,), (), True)
    assert 1 <= look.train.epochs <= whole.train.epochs / 4
    assert look.sides == whole.sides
    assert (look.tuned, whole.tuned) == ((), whole.sides)
    assert look.train.batch_size < whole.train.batch_size  # few passes, but not few updates
    assert not whole.quick


def test_what_is_given_explicitly_wins():
    look = resolved(100, quick=True, seeds=2, epochs=7, overrides=['sections=["audit"]', "train.batch_size=16"])
    assert (look.seeds, look.train.epochs, look.sections, look.quick) == ((0, 1), 7, ("audit",), True)
    assert look.train.batch_size == 16


def test_it_is_laid_over_what_a_preset_or_a_file_says(tmp_path):
    preset = resolve(preset="pneumonia-conv")
    look = resolve(preset="pneumonia-conv", quick=True)
    assert preset.train.epochs != "auto"
    assert (look.train.epochs, look.seeds, look.sections) == ("auto", (0,), ())
    assert (look.model, look.encoder) == (preset.model, preset.encoder)
    file = tmp_path / "mine.toml"
    file.write_text('seeds = [4, 5]\n[data]\nsource = "digits"\n[train]\nepochs = 90\n')
    assert resolve(config=file, quick=True) == resolve("digits", quick=True)


def test_the_setting_means_the_same_as_the_option():
    assert resolve("digits", overrides=["quick=true"]) == resolve("digits", quick=True)


def test_a_section_can_be_left_out_beside_it_and_its_name_is_checked():
    request = Request("digits", None, None, None, None, None, None, False, without=["audit"], quick=True)
    assert asked_experiment(request).sections == ()
    with pytest.raises(ConfigError, match="calibration"):
        asked_experiment(request._replace(without=["calibratoin"]))


def test_it_has_a_folder_of_its_own_and_the_others_keep_their_names():
    same = resolve("digits", seeds=1, overrides=["sections=[]"])
    assert resolve("digits", quick=True).identity() != same.identity()
    table = same.model_dump(mode="json")
    del table["quick"]  # as a folder has it that was made before there were first looks
    assert Experiment(**table).identity() == same.identity()


def test_the_answer_says_that_it_is_a_first_look(columns_file, tmp_path):
    small = {"encoder": {"kind": "direct", "steps": 2}, "model": {"kind": "mlp", "hidden": [8]}, "device": "cpu"}
    run = spikewise.compare(str(columns_file), quick=True, epochs=1, sides=["snn", "twin"], out=tmp_path, **small)
    results = Results.load(run.folder / "results.json")
    assert results.protocol.quick
    assert results.verdict.headline.startswith("At a first look, ")
    assert "first look" in results.verdict.paragraph.partition("Test accuracy")[2]
    assert "A first look" in [notice.title for notice in notices(results)]
    assert run.report.exists()
    assert all(getattr(results.sections, name) is None for name in SECTION_NAMES)
    content = json.loads((run.folder / "results.json").read_text())
    del content["protocol"]["quick"]  # as before
    (run.folder / "results.json").write_text(json.dumps(content))
    assert not Results.load(run.folder / "results.json").protocol.quick
