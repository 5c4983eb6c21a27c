"""Counter-based random numbers: right, and independent of everything but their key."""

import itertools
import math

import pytest
import torch

from spikewise import extension, randomness
from spikewise.randomness import bytes_of_steps, generator, philox4x32, random_bytes, uniform
from spikewise.types import Draw

ONES = 0xFFFFFFFF


@pytest.fixture(params=["numpy", *extension.versions()], autouse=True)
def made_by(request, monkeypatch):
    """Everything holds for each of the ways to make numbers on a processor."""
    if request.param == "numpy":
        monkeypatch.setattr(randomness, "extension", lambda: None)
    else:
        monkeypatch.setenv("SPIKEWISE_ISA", request.param)
    return request.param


@pytest.mark.parametrize(
    ("counter", "key", "answer"),
    [
        ((0, 0, 0, 0), (0, 0), "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ((ONES,) * 4, (ONES,) * 2, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            "d16cfe09 94fdcceb 5001e420 24126ea1",
        ),
    ],
    ids=["zeros", "ones", "pi"],
)
def test_philox_gives_the_known_answers_of_random123(counter, key, answer):
    words = philox4x32(tuple(torch.tensor(c) for c in counter), key)
    assert " ".join(f"{word.item():08x}" for word in words) == answer


def test_bytes_are_the_words_of_the_documented_blocks_little_endian():
    draw = Draw(seed=(7 << 32) | 5, epoch=3, index=torch.tensor([11, 12]))
    found = random_bytes(draw, 2, 40, stream=9)
    for image, index in enumerate(draw.index):
        blocks = (philox4x32((torch.tensor(b), torch.tensor(2), index, torch.tensor(3)), (5, 7 ^ 9)) for b in range(3))
        words = [word.item() for block in blocks for word in block]
        assert bytes(found[image].tolist()) == b"".join(word.to_bytes(4, "little") for word in words)[:40]


def test_bytes_made_in_pieces_are_those_of_single_images():
    many = torch.arange(20)  # 20 x 1250 blocks: two pieces, cut inside an image
    found = random_bytes(Draw(4, 1, many), 3, 20_000, stream=2)
    key = (4, 2)
    words = philox4x32((torch.arange(1250), torch.tensor(3), many.unsqueeze(1), torch.tensor(1)), key)
    assert torch.equal(found.view(torch.int32).view(20, 1250, 4).long() & ONES, torch.stack(words, -1))


def test_numbers_hold_three_bytes_each_most_significant_first():
    draw = Draw((6 << 32) | 1, 2, torch.arange(70, 73))
    for count in (1, 255, 256, 257, 1000):
        raw = random_bytes(draw, 0, 3 * count, stream=5).long().view(3, count, 3)
        whole = raw[..., 0] << 16 | raw[..., 1] << 8 | raw[..., 2]
        assert torch.equal(uniform(draw, count, stream=5), whole / 2**24)


def test_an_image_draws_the_same_bytes_in_any_batch_and_a_shorter_draw_is_a_prefix():
    index = torch.tensor([5, 900, 17, 3])
    together = random_bytes(Draw(1, 2, index), 0, 100)
    for row, i in enumerate(index):
        alone = random_bytes(Draw(1, 2, i.view(1)), 0, 33)
        assert torch.equal(alone[0], together[row, :33])


def test_bytes_are_uniform():
    # chi-square with 255 degrees of freedom: beyond 5 sigma about once in 10^6 seeds, and the seed is fixed
    count = torch.bincount(random_bytes(Draw(0, 0, torch.arange(64)), 0, 4096).flatten(), minlength=256).double()
    expected = count.sum() / 256
    chi_square = ((count - expected).square() / expected).sum().item()
    assert abs(chi_square - 255) < 5 * math.sqrt(2 * 255)


def test_every_part_of_the_key_gives_independent_bytes():
    n = 65536
    keys = {
        "base": (Draw(0, 0, torch.tensor([0])), 0, 0),
        "seed": (Draw(1, 0, torch.tensor([0])), 0, 0),
        "high seed": (Draw(1 << 32, 0, torch.tensor([0])), 0, 0),
        "epoch": (Draw(0, 1, torch.tensor([0])), 0, 0),
        "index": (Draw(0, 0, torch.tensor([1])), 0, 0),
        "step": (Draw(0, 0, torch.tensor([0])), 1, 0),
        "stream": (Draw(0, 0, torch.tensor([0])), 0, 3),
    }
    drawn = {
        name: random_bytes(draw, step, n, stream).double().squeeze() for name, (draw, step, stream) in keys.items()
    }
    for one, other in itertools.combinations(drawn, 2):
        correlation = torch.corrcoef(torch.stack([drawn[one], drawn[other]]))[0, 1].item()
        assert abs(correlation) < 5 / math.sqrt(n), (one, other)  # 5 sigma


def test_uniform_numbers_lie_in_0_to_1_with_24_bits_and_the_right_moments():
    u = uniform(Draw(3, 1, torch.arange(50)), 2000, stream=4)
    assert u.shape == (50, 2000)
    assert u.dtype == torch.float32
    assert u.min() >= 0
    assert u.max() < 1
    assert torch.equal(u * 2**24, (u * 2**24).round())
    n = u.numel()
    assert abs(u.mean().item() - 1 / 2) < 5 * math.sqrt(1 / 12 / n)
    assert abs(u.double().square().mean().item() - 1 / 3) < 5 * math.sqrt(4 / 45 / n)


def test_a_generator_depends_on_its_key_alone_and_leaves_the_global_one():
    before = torch.get_rng_state()
    first, again = (torch.rand(5, generator=generator("weights", 1)) for _ in range(2))
    assert torch.equal(first, again)
    others = [
        torch.rand(5, generator=generator(*key))
        for key in [("weights", 2), ("order", 1), ("weights", "1"), ("weights", 1, 1)]
    ]
    assert all(not torch.equal(first, other) for other in others)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("count", [1, 16, 37])
def test_steps_drawn_together_are_those_drawn_one_by_one_and_the_epoch_may_lie_in_a_tensor(count):
    index = torch.tensor([5, 0, 2**31])
    draw = Draw(2**33 + 7, 3, index)
    together = bytes_of_steps(draw._replace(epoch=torch.tensor(3)), range(2, 6), count, stream=1)
    one_by_one = torch.stack([random_bytes(draw, step, count, stream=1) for step in range(2, 6)])
    assert torch.equal(together, one_by_one)
