"""What the trackers' own programs read of what was written; each in words of its own, so that they can be compared."""

import json
import struct
from importlib import import_module
from pathlib import Path
from typing import Any

Told = dict[tuple[str, int, str], float]
"""Value by training, step and tag."""

_BLOCK, _HEADER = 32768, 7


def of_tensorboard(root: Path) -> Told:
    """As TensorBoard's own reader has them; that none of them is there twice is checked here."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found: Told = {}
    for file in sorted(root.rglob("*tfevents*")):
        reader = EventAccumulator(str(file.parent), size_guidance={"scalars": 0})
        reader.Reload()
        part = file.parent.relative_to(root).as_posix()
        for tag in reader.Tags()["scalars"]:
            for event in reader.Scalars(tag):
                assert (part, event.step, tag) not in found
                found[part, event.step, tag] = event.value
    return found


def of_mlflow(uri: str) -> tuple[Told, dict[str, Any]]:
    """As MLflow's client has them, and its runs by name."""
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("spikewise")
    assert experiment is not None
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id], max_results=1000)}
    found: Told = {}
    for name, run in runs.items():
        for tag in run.data.metrics:
            for metric in client.get_metric_history(run.info.run_id, tag):
                assert (name, metric.step, tag) not in found
                found[name, metric.step, tag] = metric.value
    return found, runs


def of_wandb(folder: Path) -> tuple[list[dict[str, Any]], dict[str, Any], dict[str, Any]]:
    """Rows of the history, the summary and the settings in the log of an offline run.

    Source: the log is LevelDB's (doc/log_format.md there) behind a header of seven bytes; its records are wandb's.
    """
    protocol: Any = import_module("wandb.proto.wandb_internal_pb2")

    (file,) = folder.glob("*.wandb")
    history: list[dict[str, Any]] = []
    summary: dict[str, Any] = {}
    config: dict[str, Any] = {}
    for content in _log_records(file.read_bytes()):
        record = protocol.Record.FromString(content)
        kind = record.WhichOneof("record_type")
        if kind == "history":
            items = record.history.item
            history.append({item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in items})
        elif kind == "summary":
            summary |= {
                item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in record.summary.update
            }
        elif kind == "run":
            config |= {item.key: json.loads(item.value_json) for item in record.run.config.update}
    return history, summary, config


def _log_records(content: bytes) -> list[bytes]:
    out, at, part = [], _HEADER, b""
    while at + _HEADER <= len(content):
        if _BLOCK - at % _BLOCK < _HEADER:
            at += _BLOCK - at % _BLOCK
            continue
        _, size, kind = struct.unpack_from("<IHB", content, at)
        part += content[at + _HEADER : at + _HEADER + size]
        at += _HEADER + size
        if kind in (1, 4):  # whole, or the last of several pieces
            out.append(part)
            part = b""
    return out
