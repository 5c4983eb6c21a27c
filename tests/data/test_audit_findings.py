"""Planted leaks are found, each by its own check; clean sets raise no alarm."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from spikewise.data import ImageSet, Role, Split, SplitConfig, load_data, split
from spikewise.data.arrays import fingerprint, hash_images
from spikewise.data.audit import Audit, advice, audit, examples
from spikewise.errors import DataError

TRAIN, TEST = Role.TRAIN, Role.TEST


def blobs(count=400, classes=4, side=16, seed=0, **about) -> ImageSet:
    """Smooth random images; the class is a soft light in the inner part, about a place of its own."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    coarse = rng.integers(40, 200, (count, 6, 6)).astype(np.uint8)
    images = np.stack(
        [np.asarray(Image.fromarray(one).resize((side, side), Image.Resampling.BICUBIC)) for one in coarse]
    )
    images = (images + rng.integers(0, 12, images.shape)).astype(np.uint8)
    at = side // 3 + (side // 3) * np.stack([labels // 2, labels % 2], axis=1) + rng.normal(0, 0.7, (count, 2))
    y, x = np.mgrid[:side, :side]
    for image, (row, column) in zip(images, at, strict=True):
        light = rng.uniform(60, 200) * np.exp(-((y - row) ** 2 + (x - column) ** 2) / 8)
        image[:] = np.clip(image + light, 0, 255)
    return ImageSet(
        name="blobs",
        images=images[:, None],
        labels=labels.astype(np.int64),
        classes=tuple(f"spot {k}" for k in range(classes)),
        roles=np.full(count, Role.UNASSIGNED, np.int8),
        fingerprint=f"{seed:032x}{count}",
        **about,
    )


def halves(count: int) -> Split:
    index = np.arange(count)
    return Split(index[: count // 2], index[count // 2 : 3 * count // 4], index[3 * count // 4 :])


def changed(image_set: ImageSet, **edits) -> ImageSet:
    """A copy with other content, fingerprinted as a reader would."""
    made = replace(image_set, **edits)
    return replace(made, fingerprint=fingerprint(hash_images(made.images), made.labels, made.roles))


def planted(image_set: ImageSet, pairs) -> ImageSet:
    images = image_set.images.copy()
    for source, target in pairs:
        images[target] = images[source]
    return changed(image_set, images=images)


@pytest.mark.parametrize("seed", range(4))
def test_a_clean_set_has_no_grave_finding_and_no_duplicates(seed):
    images = blobs(seed=seed, groups=np.arange(400) // 2)
    found = audit(images, split(images, SplitConfig(seed=seed)))
    assert [one.title for one in found.findings if one.severity == "red"] == []
    assert found.nearness.pairs == 0
    assert not {one.check for one in found.findings} & {"duplicates-across", "near-duplicates-across", "parts-differ"}


def test_digits_have_no_grave_finding():
    images = load_data("digits")
    found = audit(images, split(images))
    assert found.count("red") == 0
    assert found.find("near-duplicates-across") is None


def test_copies_in_the_test_part_are_grave_and_named():
    images, parts = blobs(), halves(400)
    found = audit(planted(images, [(0, 300), (4, 304), (8, 204)]), parts).find("duplicates-across")
    assert found is not None
    assert (found.severity, found.count) == ("red", 3)
    assert {tuple(place.index for place in group) for group in found.groups} == {(0, 300), (4, 304), (8, 204)}
    assert "train/validation 1, train/test 2" in found.title
    assert "2 of 100 test images (2.0 %)" in found.effect
    assert examples(found)[0] == "image 0 (train, spot 0) = image 300 (test, spot 0)"


def test_copies_that_do_not_reach_the_test_part_flatter_validation_only():
    found = audit(planted(blobs(), [(0, 200)]), halves(400)).find("duplicates-across")
    assert found is not None
    assert found.severity == "amber"
    assert "validation" in found.effect


def test_copies_within_a_part_are_a_fact():
    found = audit(planted(blobs(), [(0, 4)]), halves(400))
    assert found.find("duplicates-across") is None
    within = found.find("duplicates-within")
    assert within is not None
    assert (within.severity, within.count) == ("info", 1)
    assert "train has 199 distinct of 200" in within.title


def test_identical_images_with_different_labels_contradict_each_other():
    found = audit(planted(blobs(), [(0, 1)]), halves(400)).find("conflicting-labels")
    assert found is not None
    assert [place.label for place in found.groups[0]] == ["spot 0", "spot 1"]


def test_subjects_on_both_sides_are_grave_and_kept_together_they_are_not():
    images = changed(blobs(), groups=np.arange(400) // 8)
    leaky = audit(images, split(images, SplitConfig(grouped=False)))
    found = leaky.find("subjects-across")
    assert found is not None
    assert found.severity == "red"
    assert "Do not trust" in leaky.verdict
    assert any("split.grouped=true" in line for line in advice(leaky))
    assert audit(images, split(images)).find("subjects-across") is None


def test_an_image_under_two_subjects_is_found_even_on_one_side():
    images = planted(changed(blobs(), groups=np.arange(400)), [(0, 4)])
    found = audit(images, halves(400)).find("duplicates-of-subjects")
    assert found is not None
    assert found.count == 1


def test_subjects_that_are_alike_only_within_parts_were_numbered_anew():
    """Images of a subject share a texture; in the test part the same numbers name other people."""
    rng = np.random.default_rng(5)
    person = rng.integers(0, 256, (160, 16, 16))
    who = np.repeat(np.arange(160), 4)  # the last 80 people are in the test part, under the numbers of the first 80
    images = np.clip(person[who] * 0.5 + 127 * rng.random((640, 16, 16)), 0, 255).astype(np.uint8)
    whole = changed(blobs(640, classes=2), images=images[:, None], groups=who % 80, labels=who % 2)
    parts = Split(np.arange(300), np.arange(300, 320), np.arange(320, 640))
    found = audit(whole, parts).find("subjects-across")
    assert found is not None
    assert found.severity == "amber"
    assert "given anew" in found.effect
    same = audit(changed(whole, images=images[np.r_[0:320, 0:320]][:, None] // 2 + images[:, None] // 2), parts)
    assert same.find("subjects-across").severity == "red"


def test_near_duplicates_across_parts_are_grave_when_they_are_many():
    images, rng = blobs(), np.random.default_rng(1)
    pixels = images.images.copy()
    for number in range(12):
        noisy = pixels[4 * number] * 0.9 + rng.normal(5, 2, pixels.shape[1:])
        pixels[300 + 4 * number] = np.clip(noisy, 0, 255).astype(np.uint8)
    found = audit(changed(images, images=pixels), halves(400))
    finding = found.find("near-duplicates-across")
    assert finding is not None
    assert (finding.severity, finding.count, found.near_across, found.near_tested) == ("red", 12, 12, 12)
    few = found.model_copy(update={"findings": (finding.model_copy(update={"severity": "amber"}),)})
    assert few.headline == "The split leaks, not gravely; 1 worth knowing"
    none = few.model_copy(update={"findings": (few.findings[0].model_copy(update={"check": "frame"}),)})
    assert none.headline == "No grave leak; 1 worth knowing"
    assert {tuple(place.index for place in group) for group in finding.groups} == {
        (4 * k, 300 + 4 * k) for k in range(12)
    }


def test_a_corner_mark_that_tells_the_label_is_grave():
    images = blobs()
    pixels = images.images.copy()
    pixels[:, 0, 0, 0] = 60 * images.labels
    pixels[:, 0, -1, -1] = 250 - 60 * images.labels
    found = audit(changed(images, images=pixels), halves(400)).find("label-from-corner-pixels")
    assert found is not None
    assert found.severity == "red"
    assert found.probe is not None
    assert found.probe.score > 0.95
    assert found.probe.chance == 0.25


def test_brightness_that_tells_the_label_is_worth_knowing():
    images = blobs(classes=2)
    pixels = (images.images * np.where(images.labels == 0, 0.4, 1.0)[:, None, None, None]).astype(np.uint8)
    found = audit(changed(images, images=pixels), halves(400)).find("label-from-mean-contrast")
    assert found is not None
    assert found.severity == "amber"


def test_parts_that_were_not_drawn_alike_are_told_apart():
    images = blobs()
    pixels = images.images.copy()
    pixels[300:] = np.clip(pixels[300:].astype(int) + 50, 0, 255).astype(np.uint8)
    found = audit(changed(images, images=pixels), halves(400)).find("parts-differ")
    assert found is not None
    assert found.probe is not None
    assert found.probe.target == "part"
    assert found.probe.score > 0.8


def test_other_shares_of_the_classes_in_test_are_found():
    images = changed(blobs(classes=2), labels=np.r_[np.arange(300) % 2, np.arange(100) % 10 == 0].astype(np.int64))
    found = audit(images, halves(400)).find("balance-differs")
    assert found is not None
    assert "spot 0 is train 50 %, validation 50 %, test 90 %" in found.title


def test_a_rare_class_makes_accuracy_flatter():
    labels = (np.arange(400) % 10 == 0).astype(np.int64)
    found = audit(changed(blobs(classes=2), labels=labels), halves(400)).find("class-balance")
    assert found is not None
    assert found.severity == "amber"
    assert "90.0 %" in found.effect


def test_a_frame_is_found_and_padding_is_told_from_it():
    images = blobs()
    pixels = images.images.copy()
    pixels[:, :, 0, :] = 155
    pixels[:, :, :, 0] = 160
    frame = audit(changed(images, images=pixels), halves(400)).find("frame")
    assert frame is not None
    assert "top 1 (grey 155), left 1 (grey 160)" in frame.title
    padded = audit(changed(images, images=np.pad(images.images, ((0, 0), (0, 0), (0, 2), (0, 0)))), halves(400))
    assert padded.find("frame") is None
    assert "bottom 2" in padded.find("padding").title


def test_blank_images_are_named():
    pixels = blobs().images.copy()
    pixels[7] = 31
    blank = audit(changed(blobs(), images=pixels), halves(400)).find("blank-images")
    assert blank is not None
    assert [group[0].index for group in blank.groups] == [7]


def test_an_audit_goes_to_json_and_back(tmp_path):
    found = audit(planted(blobs(), [(0, 300)]), halves(400))
    found.save(tmp_path / "audit.json")
    assert Audit.load(tmp_path / "audit.json") == found
    (tmp_path / "audit.json").write_text("{}")
    with pytest.raises(DataError, match="Make it again"):
        Audit.load(tmp_path / "audit.json")


def test_the_second_audit_is_read_back_and_another_split_is_not(tmp_path):
    images = planted(blobs(), [(0, 300)])
    first = audit(images, halves(400), cache_dir=tmp_path)
    assert audit(images, halves(400), cache_dir=tmp_path) == first  # the seconds it took are the same, too
    other = audit(images, split(images), cache_dir=tmp_path)
    assert other.find("duplicates-across") is None
    (kept,) = [one for one in tmp_path.glob("*.audit.json") if "duplicates-across" in one.read_text()]
    kept.write_text("damaged")
    again = audit(images, halves(400), cache_dir=tmp_path)
    assert [one.title for one in again.findings] == [one.title for one in first.findings]


def test_a_set_without_a_split_is_audited_without_parts():
    found = audit(planted(blobs(), [(0, 300)]))
    assert found.parts is None
    assert found.find("duplicates-across") is None
    assert found.find("duplicates-within") is not None
    assert "part" not in {probe.target for probe in found.probes}


def test_a_cache_that_cannot_be_written_is_no_obstacle(tmp_path):
    (tmp_path / "file").write_text("in the way")
    assert audit(blobs(), halves(400), cache_dir=tmp_path / "file").images == 400
