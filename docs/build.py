"""Write the reference pages from the code: `make docs`. A test fails when a page is out of date."""

import json
import sys
from pathlib import Path
from typing import Any

import typer.main

HERE = Path(__file__).parent
NOTE = "<!-- Written by docs/build.py from the code; run `make docs` after a change. -->\n\n"


def commands() -> str:
    """Every command with its arguments and options."""
    from spikewise.cli.main import app

    root = typer.main.get_command(app)
    return NOTE + "# Commands\n\n" + "\n".join(_command(root, "spikewise"))


def config() -> str:
    """Every key of an experiment file."""
    from spikewise.experiments import Experiment

    schema = Experiment.model_json_schema()
    parts = [NOTE, "# Experiment files\n\n", "Keys of a TOML file for `--config`, and of `--set key=value`.\n"]
    parts.append(_table("Experiment", schema))
    for name, definition in sorted(schema["$defs"].items()):
        if definition.get("properties"):
            parts.append(_table(name, definition))
    return "".join(parts)


def results() -> str:
    """The content of results.json: a table for each part, with the records that it brings."""
    from spikewise.evaluation import results_json_schema

    schema = results_json_schema()
    seen: set[str] = set()
    parts = [NOTE, "# results.json\n\n", schema["description"].strip(), "\n\n", _ABOUT_RESULTS, "\n## The whole\n\n", _HEAD]
    parts += _fields(schema)
    for name, field in schema["properties"].items():
        below = schema["$defs"]["Sections"]["properties"] if name == "sections" else {name: field}
        if name == "sections":
            parts += ["\n## sections\n\n", _HEAD, *_record("Sections", schema["$defs"], seen)]
        for key, part in below.items():
            rows = [row for record in _records(part) for row in _with_those_below(record, schema["$defs"], seen)]
            if rows:
                parts += [f"\n## {key if name == key else f'sections.{key}'}\n\n", _HEAD, *rows]
    return "".join(parts)


_ABOUT_RESULTS = """`spikewise schema` prints the JSON Schema, which a program checks against. Here a record stands in bold
letters before its keys; a key that may be `none` is null in the file where there was nothing to say.
"""
_HEAD = "| key | type | meaning |\n|---|---|---|\n"


def _with_those_below(name: str, records: dict[str, Any], seen: set[str]) -> list[str]:
    """Rows of a record, then of each that its keys bring and that did not stand yet."""
    if name in seen:
        return []
    rows = _record(name, records, seen)
    for field in records[name]["properties"].values():
        rows += [row for record in _records(field) for row in _with_those_below(record, records, seen)]
    return rows


def _record(name: str, records: dict[str, Any], seen: set[str]) -> list[str]:
    seen.add(name)
    about = " ".join(records[name].get("description", "").split())
    named, rows = f'<a id="{name.lower()}"></a>**{name}**', _fields(records[name])
    if all(row.endswith("|  |\n") for row in rows):  # nothing to say of any key: one row holds them
        keys = "; ".join(row.removeprefix("| ").removesuffix(" |  |\n").replace(" | ", ": ") for row in rows)
        return [f"| {named} | {keys} | {about} |\n"]
    return [f"| {named} | | {about} |\n", *rows]


def _fields(record: dict[str, Any]) -> list[str]:
    """A row for each key; those of one type that need no words share one."""
    rows: dict[tuple[str, str], list[str]] = {}
    for key, field in record["properties"].items():
        meaning = " ".join(field.get("description", "").split()).replace("|", "\\|")
        rows.setdefault((_linked(field), meaning), []).append(f"`{key}`")
    return [f"| {', '.join(keys)} | {kind} | {meaning} |\n" for (kind, meaning), keys in rows.items()]


def _records(field: dict[str, Any]) -> list[str]:
    """The records that a key holds, at any depth."""
    if "$ref" in field:
        return [field["$ref"].rpartition("/")[2]]
    inner = [*field.get("anyOf", []), *field.get("oneOf", []), *field.get("prefixItems", [])]
    inner += [field[key] for key in ("items", "additionalProperties") if isinstance(field.get(key), dict)]
    return [name for one in inner for name in _records(one)]


def _linked(field: dict[str, Any]) -> str:
    """The type of a key, records linked to their place on the page."""
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if options := field.get("anyOf") or field.get("oneOf"):
        return " or ".join(_linked(option) for option in options)
    if field.get("type") == "array":
        return "list of " + _linked(field.get("items", {}))
    if isinstance(field.get("additionalProperties"), dict):
        return "by name: " + _linked(field["additionalProperties"])
    return _type(field)


def presets() -> str:
    """The page on the published systems, with the tables of what they gave filled in between its marks."""
    from spikewise.experiments import preset_names

    text = (HERE / "presets.md").read_text(encoding="utf-8")
    for name in preset_names():
        begin, end = f"<!-- figures of {name} -->\n", "<!-- end of figures -->"
        before, found, after = text.partition(begin)
        if found:
            _, _, rest = after.partition(end)
            text = f"{before}{begin}{_figures(name)}{end}{rest}"
    return text


def _figures(preset: str) -> str:
    from spikewise.data import CATALOG
    from spikewise.experiments import load_preset
    from spikewise.experiments.reproduction import reproductions

    table = load_preset(preset)
    published = table.get("published", {})
    runs = [run for run in reproductions() if run.preset == preset]
    source = table["data"]["source"]
    positive = CATALOG[source].positive if source in CATALOG else None
    return "".join(_reproduction(run, published, positive) for run in runs) or "\nNot run yet.\n\n"


def _reproduction(run: Any, published: dict[str, float], positive: str | None) -> str:
    from spikewise.report.numbers import duration, interval, metric_label, metric_value

    names = [network.name for network in run.networks]
    lines = [f"\n`{run.command}`\n\n| on {run.test_images:,} test images | published | {' | '.join(names)} |"]
    lines.append(f"|---|---|{'---|' * len(names)}")
    for metric in [one for one in dict.fromkeys([*published, "accuracy", "auc"]) if one in run.networks[0].metrics]:
        cells = []
        for network in run.networks:
            estimate = network.metrics[metric]
            ends = interval(metric, estimate)
            spread = "" if estimate.sd is None else f" ± {metric_value(metric, estimate.sd).removesuffix(' %')}"
            cells.append(f"{metric_value(metric, estimate.mean)}{spread}" + (f" ({ends})" if ends else ""))
        told = metric_value(metric, published.get(metric))
        lines.append(f"| {metric_label(metric, positive)} | {told} | {' | '.join(cells)} |")
    times = [duration(sum(network.train_seconds) / len(network.train_seconds)) for network in run.networks]
    epochs = [f"{network.seconds_per_epoch:.2f}" for network in run.networks]
    lines.append(f"| training of a seed | | {' | '.join(times)} |")
    lines.append(f"| an epoch, s | | {' | '.join(epochs)} |")
    seeds = "1 seed" if run.seeds == 1 else f"{run.seeds} seeds"
    threads = f"{run.threads} thread{'s' if run.threads != 1 else ''}"
    where = f"{run.cpu}, {threads}" if run.device == "cpu" else f"{run.device}, beside other trainings"
    stood = f" of {run.stand_in}" if run.stand_in else ""
    return "\n".join(lines) + f"\n\n{seeds}, {run.train_images:,} training images{stood}; {run.date}, {where}.\n\n"


def _command(command: Any, path: str) -> list[str]:  # a class of click, or of the copy that newer typers carry
    if hasattr(command, "commands"):
        return [line for name, below in command.commands.items() for line in _command(below, f"{path} {name}")]
    rows = []
    for parameter in command.params:
        if getattr(parameter, "hidden", False) or parameter.name == "help":
            continue
        is_option = parameter.param_type_name == "option"
        names = parameter.opts if is_option else [(parameter.metavar or parameter.name).upper()]
        meaning = " ".join((getattr(parameter, "help", "") or "").split()).replace("|", "\\|")
        rows.append(f"| {', '.join(f'`{name}`' for name in names)} | {meaning} |")
    table = ["| argument or option | meaning |", "|---|---|", *rows, ""] if rows else []
    return [f"## `{path}`\n", (command.help or "").strip() + "\n", *table]


def _table(name: str, definition: dict[str, Any]) -> str:
    about = definition.get("description", "").strip()
    lines = [f"\n## {name}\n\n{about}\n\n| key | type | default | meaning |\n|---|---|---|---|\n"]
    for key, field in definition["properties"].items():
        default = "required" if key in definition.get("required", []) else f"`{json.dumps(field.get('default'))}`"
        if len(default) > 80:
            default = "see its table"
        meaning = field.get("description", "").replace("\n", " ")
        lines.append(f"| `{key}` | {_type(field)} | {default} | {meaning} |\n")
    return "".join(lines)


def _type(field: dict[str, Any]) -> str:
    if "const" in field:
        return f'"{field["const"]}"'
    if "enum" in field:
        return ", ".join(f'"{choice}"' for choice in field["enum"])
    if "$ref" in field:
        return field["$ref"].rpartition("/")[2]
    options = field.get("anyOf") or field.get("oneOf")
    if options:
        return " or ".join(_type(option) for option in options)
    if field.get("type") == "array":
        return "list of " + _type(field.get("items", {}))
    return {"integer": "whole number", "null": "none"}.get(field.get("type", ""), field.get("type", "any"))


PAGES = {"commands.md": commands, "config.md": config, "results.md": results, "presets.md": presets}

if __name__ == "__main__":
    for page, write in PAGES.items():
        (HERE / page).write_text(write(), encoding="utf-8")
        print(f"docs/{page}", file=sys.stderr)
