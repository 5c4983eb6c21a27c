import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spikewise.data import AugmentConfig, augment, batches, sample_positions
from spikewise.data.counter import permutation, uniform_at
from spikewise.errors import ConfigError, ShapeError
from spikewise.types import Draw

GENERATOR = torch.Generator().manual_seed(0)
IMAGES = torch.randint(0, 256, (12, 2, 9, 7), generator=GENERATOR, dtype=torch.uint8)
LABELS = torch.arange(12) % 3
MOVES = AugmentConfig(shift=2, rotation=20, flip=0.5, crop=0.7, erase=0.4)


def draw(index, epoch=1, seed=5) -> Draw:
    return Draw(seed, epoch, torch.as_tensor(index))


def run(config, images=IMAGES, labels=LABELS, key=None):
    return augment(images, labels, key or draw(torch.arange(len(images))), config, classes=3)


def test_nothing_switched_on_changes_nothing():
    found = run(AugmentConfig())
    assert found.targets is None
    torch.testing.assert_close(found.images, IMAGES)
    assert not AugmentConfig().changes
    assert MOVES.changes


def test_an_image_does_not_feel_the_others_of_its_batch():
    whole = run(MOVES).images
    order = torch.randperm(12, generator=GENERATOR)
    shuffled = run(MOVES, IMAGES[order], LABELS[order], draw(order)).images
    assert torch.equal(shuffled, whole[order])
    single = run(MOVES, IMAGES[4:5], LABELS[4:5], draw([4])).images
    assert torch.equal(single[0], whole[4])


def test_seed_and_epoch_change_the_draw():
    one = run(MOVES).images
    assert torch.equal(one, run(MOVES).images)
    for key in (draw(torch.arange(12), epoch=2), draw(torch.arange(12), seed=6)):
        assert not torch.equal(one, run(MOVES, key=key).images)


def test_shifts_are_whole_pixels_with_black_behind():
    image = torch.zeros(200, 1, 9, 9, dtype=torch.uint8)
    image[:, 0, 4, 4] = 77
    found = run(AugmentConfig(shift=2), image, torch.zeros(200, dtype=torch.int64)).images
    assert (found.amax((1, 2, 3)) == 77).all()
    assert (found.sum((1, 2, 3)) == 77).all()
    places = {tuple(place.tolist()[2:]) for place in found.nonzero()}
    assert places == {(y, x) for y in range(2, 7) for x in range(2, 7)}


def test_flips_are_exact_and_as_frequent_as_asked():
    images = IMAGES[:1].expand(400, -1, -1, -1)
    found = run(AugmentConfig(flip=0.25), images, torch.zeros(400, dtype=torch.int64)).images
    flipped = (found == images.flip(3)).all((1, 2, 3))
    same = (found == images).all((1, 2, 3))
    assert (flipped | same).all()
    assert 60 < flipped.sum() < 140  # 100 +- 4.6 sigma
    assert torch.equal(run(AugmentConfig(flip=1)).images, IMAGES.flip(3))


def test_a_turned_disc_stays_itself():
    y, x = torch.meshgrid(torch.arange(33) - 16.0, torch.arange(33) - 16.0, indexing="ij")
    disc = (255 * torch.exp(-(x**2 + y**2) / 50)).to(torch.uint8)[None, None]
    found = run(AugmentConfig(rotation=180), disc.expand(20, -1, -1, -1), torch.zeros(20, dtype=torch.int64)).images
    assert (found.int() - disc.int()).abs().max() <= 4


def test_a_rotation_turns_by_the_angle_drawn():
    image = torch.zeros(1, 1, 21, 21, dtype=torch.uint8)
    image[0, 0, 2, 10] = 255  # above the middle
    index = torch.tensor([0])
    found = run(AugmentConfig(rotation=90), image, torch.tensor([0]), draw(index)).images[0, 0].double()
    y, x = torch.meshgrid(torch.arange(21.0) - 10, torch.arange(21.0) - 10, indexing="ij")
    centre = ((found * y).sum() / found.sum(), (found * x).sum() / found.sum())
    drawn = (uniform_at(index, 5, 1, 102).item() * 2 - 1) * 90
    assert abs(abs(np.degrees(np.arctan2(centre[1].item(), -centre[0].item()))) - abs(drawn)) < 5


def test_a_crop_enlarges_and_erasing_blackens():
    bright = torch.full((50, 1, 16, 16), 200, dtype=torch.uint8)
    labels = torch.zeros(50, dtype=torch.int64)
    inner = run(AugmentConfig(crop=0.5), bright, labels).images[:, :, 1:-1, 1:-1]
    assert (inner == 200).all()
    erased = run(AugmentConfig(erase=0.5), bright, labels).images
    assert set(erased.unique().tolist()) == {0, 200}
    assert ((erased == 0).float().mean((1, 2, 3)) <= 0.25 + 1e-6).all()


def test_blending_mixes_images_and_labels_alike():
    found = run(AugmentConfig(mixup=0.4))
    torch.testing.assert_close(found.targets.sum(1), torch.ones(12))
    own = found.targets[torch.arange(12), LABELS]
    expected = own[:, None, None, None] * IMAGES + (1 - own)[:, None, None, None] * IMAGES.roll(-1, 0)
    assert (found.images - expected).abs().max() <= 0.501


@pytest.mark.gpu
def test_a_gpu_gives_the_same_bytes():
    config = MOVES.replace(mixup=0.3)
    there = augment(IMAGES.cuda(), LABELS.cuda(), draw(torch.arange(12).cuda()), config, classes=3)
    here = run(config)
    assert torch.equal(there.images.cpu(), here.images)
    assert torch.equal(there.targets.cpu(), here.targets)


def test_lengths_that_differ_are_refused():
    with pytest.raises(ShapeError, match="12 images, 12 labels and 11 positions"):
        run(AugmentConfig(), key=draw(torch.arange(11)))
    with pytest.raises(ConfigError, match="rotation"):
        AugmentConfig(rotation=200)


def test_counter_numbers_are_uniform_and_independent_of_each_other():
    index = torch.arange(20_000)
    first, second = uniform_at(index, 1, 2, 3), uniform_at(index, 1, 2, 4)
    assert first.min() >= 0
    assert first.max() < 1
    for numbers in (first, second):
        counts = torch.histc(numbers, 50, 0, 1)
        assert ((counts - 400) ** 2 / 400).sum() < 98  # chi-square, 49 degrees of freedom, p = 4e-5
    assert torch.corrcoef(torch.stack([first, second]))[0, 1].abs() < 0.03
    assert torch.corrcoef(torch.stack([first[1:], first[:-1]]))[0, 1].abs() < 0.03


@given(count=st.integers(0, 200), size=st.integers(1, 70), seed=st.integers(0, 2**63), epoch=st.integers(0, 1000))
def test_batches_hold_every_index_once(count, size, seed, epoch):
    indices = np.arange(count) * 3
    cut = list(batches(indices, size, seed=seed, epoch=epoch))
    assert all(len(batch) == size for batch in cut[:-1])
    assert sorted(np.concatenate([*cut, indices[:0]])) == indices.tolist()
    again = np.concatenate([*batches(indices, size, seed=seed, epoch=epoch), indices[:0]])
    np.testing.assert_array_equal(again, np.concatenate([*cut, indices[:0]]))


def test_epochs_differ_and_order_is_kept_without_shuffling():
    indices = np.arange(50)
    first, second = (np.concatenate(list(batches(indices, 8, epoch=epoch))) for epoch in (0, 1))
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(np.concatenate(list(batches(indices, 8, shuffle=False))), indices)
    with pytest.raises(ConfigError, match="batch_size"):
        batches(indices, 0)


def test_an_order_is_fixed_for_good():
    assert permutation(8, 0, 1).tolist() == permutation(8, 0, 1).tolist()
    assert sorted(permutation(100, 3).tolist()) == list(range(100))


def test_samples_show_each_class():
    labels = np.repeat([0, 1, 2], [50, 3, 10])
    found = sample_positions(labels, 4, seed=1)
    assert np.bincount(labels[found]).tolist() == [4, 3, 4]
    assert len(set(found.tolist())) == len(found)
    with pytest.raises(ConfigError, match="per_class"):
        sample_positions(labels, 0)
