"""The report's block on answers before the last step, from records made by hand."""

import pytest
from fake import made

from spikewise.evaluation import Estimate
from spikewise.evaluation.anytime import options
from spikewise.evaluation.sections import Sections
from spikewise.evaluation.sections.anytime import Anytime, AnytimeStep, EarlyExit, NetworkAnytime
from spikewise.report import render
from spikewise.report.sections.anytime import blocks, view

MODEL = "arithmetic"
STEPS = 12


def estimate(mean, half=None):
    ends = {} if half is None else {"low": mean - half, "high": mean + half}
    return Estimate(mean=mean, method="made up", **ends)


def network(*, threshold=0.9, half=None, name="snn"):
    curve = [
        AnytimeStep(
            step=t,
            accuracy=estimate(1 - 0.5 / t, half),
            accuracy_per_seed=(1 - 0.5 / t,),
            macs=0.0,
            synaptic_operations=1000.0 * t,
            state_updates=10.0 * t,
            energy_nanojoule={MODEL: 7.0 * t},
            latency_ms=0.25 if t in (1, STEPS) else None,
        )
        for t in range(1, STEPS + 1)
    ]
    early = EarlyExit(
        tolerance=0.005,
        thresholds=(threshold,),
        accuracy=estimate(0.95, half),
        difference=estimate(-0.0083, half),
        steps=estimate(3.0),
        exits=(0.0,) * (STEPS - 1) + (1.0,),
        macs=0.0,
        synaptic_operations=2500.0,
        state_updates=30.0,
        energy_nanojoule={MODEL: 20.0},
    )
    return NetworkAnytime(
        network=name, counted_images=256, stream_step_ms=0.05, curve=tuple(curve), early_exit=(early,)
    )


def section(*networks, others=()):
    found = options(networks, others, [MODEL])
    return Anytime(networks=networks, options=found, tolerance=0.005, energy_model=MODEL)


def results(found):
    return made().model_copy(update={"sections": Sections(anytime=found)})


def test_rows_and_sentence_say_what_the_record_says():
    (block,) = blocks(section(network(half=0.01)))
    assert block.steps[0] == ["1", "50.00", "49.00 to 51.00", "–", "8.3", "7.00 nJ", "250 µs"]
    assert block.steps[-1][0] == "12"
    assert block.exits == [["0.5", "0.900", "95.00", "−0.83", "−1.83 to +0.17", "3", "20.8", "20.0 nJ"]]
    assert "stops after 3 of 12 steps on average, with 20.8 % of the additions; test accuracy 95.00 %" in block.sentence
    assert "so stopping early saves time here" in block.timing  # 3 * 0.05 ms are less than 0.25 ms


def test_a_network_that_cannot_stop_early_says_so():
    (block,) = blocks(section(network(threshold=None)))
    assert "cannot stop early" in block.sentence
    assert block.exits[0][1] == "never"


@pytest.mark.parametrize("half", [None, 0.01])
def test_the_page_shows_a_figure_of_accuracy_and_one_for_each_cost(half):
    run = made()
    others = [one for one in run.networks if one.role != "spiking"]
    found = view(results(section(network(half=half), others=others)), None)
    assert [panel.key for panel in found.panels] == ["anytime-accuracy", "anytime-energy", "anytime-operations"]
    page = render(results(section(network(half=half), others=others)))
    assert 'id="anytime"' in page
    assert "counted step by step on 256 test images" in page


def test_a_run_of_the_spiking_network_alone_has_figures_too():
    assert len(view(results(section(network())), None).panels) == 3


def test_models_of_energy_that_disagree_about_every_option_leave_no_front_and_three_figures():
    whole = section(network())
    disputed = whole.replace(options=tuple(one.replace(front_of_energy=False) for one in whole.options))
    panels = {panel.key: panel.caption for panel in view(results(disputed), None).panels}
    assert "There is no front" in panels["anytime-energy"]
    assert "Grey: the front" in panels["anytime-operations"]


def test_a_run_without_time_steps_says_so_and_draws_nothing():
    empty = results(section())
    assert view(empty, None).panels == []
    assert "No network of this run has time steps." in render(empty)


def test_a_run_without_the_section_shows_nothing_of_it():
    assert view(made(), None) is None
