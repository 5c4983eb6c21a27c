"""Speed and memory are measured, in the right units."""

import sys
import time

import numpy as np
import pytest
import torch

from spikewise.encoders import Direct
from spikewise.evaluation import speed
from spikewise.models import MLP, build
from spikewise.network import Network
from spikewise.readouts import LastMembrane
from spikewise.types import Draw


def test_throughput_counts_images_and_latency_is_in_milliseconds(monkeypatch):
    graph = build(MLP(hidden=(4,)), Direct(steps=2), LastMembrane(), image_shape=(1, 3, 3), classes=2)
    monkeypatch.setattr(speed, "_answer", lambda network, images: time.sleep(0.01 if len(images) > 1 else 0.002))
    found = speed.measure_speed(Network(graph), np.zeros((50, 1, 3, 3), np.uint8))
    assert 50 / 0.05 < found.throughput <= 50 / 0.01
    assert 2 <= found.latency_ms < 20
    assert found.latency_ms <= found.latency_p99_ms


def test_the_99th_of_100_latencies_shows_what_the_median_hides(monkeypatch):
    graph = build(MLP(hidden=(4,)), Direct(steps=2), LastMembrane(), image_shape=(1, 3, 3), classes=2)
    clock, calls = [0.0], [0]

    def answer(network, images):
        calls[0] += len(images) == 1
        clock[0] += 0.5 if calls[0] % 50 == 0 else 0.001

    monkeypatch.setattr(speed, "_answer", answer)
    monkeypatch.setattr(speed.time, "perf_counter", lambda: clock[0])
    found = speed.measure_speed(Network(graph), np.zeros((1, 1, 3, 3), np.uint8))
    assert (found.latency_ms, found.latency_p99_ms) == pytest.approx((1, 500))


def test_a_real_network_has_a_speed():
    graph = build(MLP(hidden=(4,)), Direct(steps=2), LastMembrane(), image_shape=(1, 3, 3), classes=2)
    found = speed.measure_speed(Network(graph), np.zeros((300, 1, 3, 3), np.uint8))
    assert found.throughput > 0
    assert found.latency_ms > 0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_peak_memory_sees_what_is_freed_again():
    found = speed.peak_memory_mb(lambda: torch.ones(64, 1024, 1024 // 4).sum())
    if found is None:  # as in some containers, whose /proc/self/clear_refs cannot be written: there is no figure then
        pytest.skip("the kernel lets no process reset its peak here")
    assert 55 < found < 110


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_what_the_engine_kept_from_an_earlier_batch_hides_nothing():
    graph = build(MLP(hidden=(4096,)), Direct(steps=20), LastMembrane(), image_shape=(1, 3, 3), classes=2)
    network, images = Network(graph, engine_name="native"), torch.zeros(256, 1, 3, 3, dtype=torch.uint8)
    membranes = 4 * 256 * 20 * 4096 / 1e6

    def step() -> None:
        network(images, Draw(0, 1, torch.arange(256))).logits.sum().backward()

    first, again = speed.peak_memory_mb(step), speed.peak_memory_mb(step)
    if first is None or again is None:
        pytest.skip("the kernel lets no process reset its peak here")
    assert min(first, again) > 0.9 * membranes


def test_without_the_kernels_help_there_is_no_figure(monkeypatch, tmp_path):
    monkeypatch.setattr(speed, "_CLEAR", tmp_path / "none" / "clear_refs")
    assert speed.peak_memory_mb(lambda: None) is None


def test_peak_memory_is_in_millions_of_bytes_as_it_is_shown(monkeypatch, tmp_path):
    status, clear = tmp_path / "status", tmp_path / "clear_refs"
    monkeypatch.setattr(speed, "_STATUS", status)
    monkeypatch.setattr(speed, "_CLEAR", clear)

    def say(kib: int) -> None:
        status.write_text(f"VmHWM:\t{kib} kB\nVmRSS:\t{kib} kB\n")

    say(2048)
    assert speed.peak_memory_mb(lambda: say(2048 + 15_625)) == 16  # 15,625 x 1,024 bytes
