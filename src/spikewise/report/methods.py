"""The methods of a run as a paragraph for a paper, from what the run folder itself says."""

from collections.abc import Mapping
from typing import Any, Final

from spikewise.evaluation import NetworkResult, Results
from spikewise.evaluation.cost import ENERGY_MODELS
from spikewise.evaluation.wording import called, capital, count_of, listed
from spikewise.report.front import energy_model
from spikewise.report.numbers import brief, count

__all__ = ["methods"]

_ENCODERS: Final = {"rate": "rate coding", "latency": "latency coding", "periodic": "periodic coding",
                    "direct": "direct (constant current) input", "delta": "delta coding"}  # fmt: skip
_NEURONS: Final = {"if": "integrate-and-fire", "lif": "leaky integrate-and-fire", "cuba_lif": "current-based leaky "
                   "integrate-and-fire", "alif": "adaptive leaky integrate-and-fire",
                   "izhikevich": "Izhikevich"}  # fmt: skip

Table = Mapping[str, Any]
"""A table of the resolved experiment."""


def methods(results: Results, experiment: Table | None = None) -> str:
    """A paragraph on data, networks, training, statistics and cost.

    Args:
        experiment: the resolved experiment, as `run.json` holds it; what it does not say is left out.
    """
    table = experiment or {}
    parts = [_data(results, table), _networks(results, table), _training(results, table), _statistics(results)]
    parts += [_cost(results), _software(results)]
    return " ".join(part for part in parts if part)


def _data(results: Results, table: Table) -> str:
    data = results.data
    channels, height, width = data.image_shape
    colour = {1: "grey", 3: "colour"}.get(channels, f"{channels}-channel")
    split = table.get("split") or {}
    how = ["stratified by class"]
    if split.get("file"):
        how = ["parts as a file says"]
    elif split.get("published"):
        how = ["published parts as they are, what is divided here stratified by class"]
    how += ["images of one subject kept together"] if data.grouped and data.subjects is not None else []
    how += [f"split seed {split['seed']}"] if "seed" in split and not split.get("file") else []
    return (
        f"We used {data.name} ({len(data.classes)} classes, {colour} images of {height} by {width} pixels): "
        f"{count(data.train.images)} images for training, {count(data.validation.images)} for validation and "
        f"{count(data.test.images)} for testing ({', '.join(how)}; SHA-256 of images, labels and classes "
        f"{data.fingerprint[:12]}...)."
    )


def _networks(results: Results, table: Table) -> str:
    told = [_network(one, results) for one in results.networks]
    return " ".join(told if results.kind == "judge" else [*told, _neurons(table)]).strip()


def _network(network: NetworkResult, results: Results) -> str:
    name = called(network.name)
    steps = f", {network.steps} time steps" if network.steps > 1 else ""
    same = network.role == "twin" and results.kind != "judge"  # whose twin is what its caller gave
    twin = ", the same graph with ReLU in place of spiking neurons" if same else ""
    size = f"{count(network.parameters)} parameters{steps}"
    return f"{name[:1].upper()}{name[1:]}{twin}: {network.description} ({size})."


def _neurons(table: Table) -> str:
    encoder, model = table.get("encoder") or {}, table.get("model") or {}
    cell = model.get("cell") or {}
    told = []
    if "kind" in encoder and "steps" in encoder:
        kind = encoder["kind"]
        told.append(f"Images entered the spiking network by {_ENCODERS.get(kind, kind)} over {encoder['steps']} steps")
    if "kind" in cell:
        kind = _NEURONS.get(cell["kind"], cell["kind"])
        leak = f", membrane decay {_value(cell, 'beta', ' per step')}" if isinstance(cell.get("beta"), float) else ""
        height = f", threshold {_value(cell, 'threshold')}" if isinstance(cell.get("threshold"), float) else ""
        reset = f", reset by {cell['reset'].replace('subtract', 'subtraction')}" if "reset" in cell else ""
        told.append(f"its neurons were {kind}{leak}{height}{reset}")
    surrogate = cell.get("surrogate") or {}
    if "kind" in surrogate:
        alpha = f" (alpha {surrogate['alpha']:g})" if isinstance(surrogate.get("alpha"), float) else ""
        told.append(f"gradients passed them through the {surrogate['kind'].replace('_', ' ')} surrogate{alpha}")
    return ", and ".join(["; ".join(told[:-1]), told[-1]]) + "." if len(told) > 1 else "".join(f"{x}." for x in told)


def _value(cell: Table, name: str, unit: str = "") -> str:
    """A parameter of the neurons as it is, or as it starts where it is learned or differs between neurons."""
    told = f"{cell[name]:g}{unit}"
    if cell.get("spread"):
        told += f" on average (relative deviation {cell['spread']:g})"
    if name in (cell.get("learn") or ()):
        told += f" at the start, learned for each {cell.get('per', 'layer')}"
    return told


def _training(results: Results, table: Table) -> str:
    train, protocol = table.get("train") or {}, results.protocol
    seeds = len(protocol.seeds)
    tested = (
        f"the test images were predicted {protocol.test_opened} times for "
        f"{sum(len(one.runs) for one in results.networks)} trained networks"
    )
    here = [one for one in results.networks if one.trained_here]
    away = [called(one.name) for one in results.networks if not one.trained_here]
    were = "was" if len(away) == 1 else "were"
    elsewhere = f"{capital(listed(away))} {were} trained elsewhere, on images that are not known here. " if away else ""
    if not here:
        return f"{elsewhere}{count_of(seeds, 'training')} of each {'was' if seeds == 1 else 'were'} judged; {tested}."
    trained = "All networks were" if not away else f"{capital(listed([called(one.name) for one in here]))} "
    if away:
        trained += "was" if len(here) == 1 else "were"
    optimizer, schedule = train.get("optimizer") or {}, train.get("schedule") or {}
    how = [f"at most {protocol.epochs} epochs"]
    if "kind" in optimizer:
        at = _learning_rates(results, train.get("learning_rate"))
        decay = f", weight decay {optimizer['weight_decay']:g}" if optimizer.get("weight_decay") else ""
        how.append(f"{str(optimizer['kind']).capitalize()}{at}{decay}")
    how += [f"a {schedule['kind']} schedule"] if "kind" in schedule else []
    how += [f"batches of {protocol.batch_size}"] if protocol.batch_size else []
    loss = (table.get("loss") or {}).get("kind")
    how += [f"the {str(loss).replace('_', ' ')} loss"] if loss else []
    how.append(f"augmentation: {protocol.augmentation or 'none'}")
    order = "on the same images in the same order" if len(here) > 1 else "on the training images"
    return (
        f"{elsewhere}{trained} trained {order}, {', '.join(how)}; weights were chosen by "
        f"{protocol.selection}. {seeds} seed{'s' if seeds != 1 else ''} "
        f"({', '.join(map(str, protocol.seeds))}) {'was' if seeds == 1 else 'were'} trained per "
        f"network, and {tested}, after all training."
    )


def _learning_rates(results: Results, given: object) -> str:
    rates = {one.name: one.tuning for one in results.networks if one.tuning is not None and one.trained_here}
    if not rates:
        return f" at a learning rate of {given:g}" if isinstance(given, int | float) else ""
    told = ", ".join(f"{one.learning_rate:g} for {called(name)}" for name, one in rates.items())
    trials = max((len(one.trials) for one in rates.values()), default=0)
    how = f", chosen on validation images from {trials} short trials a network" if trials else ""
    return f" at learning rates of {told}{how}"


def _statistics(results: Results) -> str:
    accuracy = next((one.metrics["accuracy"] for one in results.networks if "accuracy" in one.metrics), None)
    if accuracy is None:
        return ""
    seeds = len(results.protocol.seeds)
    told = f"Accuracies are means over seeds with {100 * accuracy.level:g} % intervals ({accuracy.method})."
    if not results.comparisons:
        return told
    pair = results.comparisons[0]
    rest = ""
    if seeds >= 2:
        rest = (
            ", and called significant only where the interval leaves out zero and p, the larger of that test's and the "
            "interval's, is below 0.05"
        )
    many = max(one.family for one in results.comparisons)
    corrected = f" (Holm's correction over {many} secondary comparisons)" if many > 1 else ""
    unit = "subjects" if pair.units != pair.images else "images"
    return f"{told} Networks were compared {unit[:-1]} by {unit[:-1]} with an exact sign-flip test{rest}{corrected}."


def _cost(results: Results) -> str:
    model = energy_model(results)
    if model is None:
        return ""
    source = next((one.source for one in ENERGY_MODELS if one.name == model), "")
    others = dict.fromkeys(m for one in results.networks for m in one.cost.energy_nanojoule)
    names = [name for name in others if not name.startswith(model)]
    skipped = ", with and without skipping multiplications by zero" if f"{model}, zeros skipped" in others else ""
    more = f" Other models in the report: {', '.join(names)}." if names else ""
    where = "validation" if results.kind == "judge" else "test"
    return (
        f"Energy was computed from operations counted on the {where} images, by {model}"
        f"{f' ({source})' if source else ''}{skipped}; it was not measured.{more}"
    )


def _software(results: Results) -> str:
    where = results.environment
    return (
        f"Times were measured on {where.cpu} ({count_of(where.cores, 'core')}, "
        f"{count_of(where.threads, 'thread')}, device {where.device}). Spikewise {results.spikewise_version}, PyTorch "
        f"{where.torch}, Python {where.python}; {brief(results.seconds)} s in all."
    )
