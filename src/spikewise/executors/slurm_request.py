"""What each job asks of Slurm, and whether the cluster can ever give it: said before any work is done."""

import importlib.util
import os
import re
import shutil
import subprocess
from typing import Any, Final, NamedTuple

from spikewise.errors import ConfigError, DependencyError, ExecutorError
from spikewise.executors.config import SlurmExecutor

__all__ = ["Called", "asked_of_submitit", "called", "in_a_line", "is_full", "is_silent", "must_be_able", "must_take"]

_ANSWERS: Final = 60.0
"""Seconds that a command of Slurm may take: each tries for some 20 to reach a controller that is away."""
_SIGNAL: Final = (90, 15)
"""Seconds before its end at which a job is told and goes back into the queue: at most, and for each minute that it has.
Slurm may be a minute early: a job of two minutes that is told 90 seconds before its end would be told as it begins."""


class Called(NamedTuple):
    """What became of a command of Slurm."""

    code: int
    out: str
    said: str
    """What it complained of, in one line."""


class _Nodes(NamedTuple):
    """Nodes of a partition that are alike."""

    partition: str
    default: bool
    cpus: int
    megabytes: int
    gpus: int
    minutes: float
    """The longest time limit of a job."""
    words: str


def must_be_able(config: SlurmExecutor) -> None:
    """What jobs are submitted with is here.

    Raises:
        DependencyError: submitit is not installed.
        ConfigError: there is no `sbatch` here.
    """
    if importlib.util.find_spec("submitit") is None:
        raise DependencyError(
            "The executor 'slurm' needs submitit, which is not installed: pip install 'spikewise[slurm]'."
        )
    if config.cluster == "slurm" and any(shutil.which(name) is None for name in ("sbatch", "srun", "squeue")):
        raise ConfigError(
            "The executor 'slurm' submits jobs with sbatch, which is not on this machine. Give the command on a "
            "login node of the cluster, or try it out here with --executor-set cluster=local."
        )


def must_take(config: SlurmExecutor) -> None:
    """Slurm would take such jobs, and could run them some day.

    Raises:
        DependencyError: submitit is not installed.
        ConfigError: there is no `sbatch` here, or Slurm does not have what is asked for; the message says what it has.
        ExecutorError: Slurm does not answer.
    """
    must_be_able(config)
    asked = asked_of_submitit(config)
    if config.cluster == "local":
        return
    tried = called("sbatch", "--test-only", *_flags(asked), "--wrap=true")
    if is_silent(tried.said):
        raise ExecutorError(
            f"Slurm does not answer: {tried.said} `scontrol ping` says whether its controller is there; give the same "
            "command again then."
        )
    nodes = _nodes_of(config)
    fitting = [one for one in nodes if _fits(one, config)]
    # The same words are said of nodes that are down or drained for a while, for which a job may wait.
    waits = "node configuration is not available" in tried.said and fitting
    if tried.code and not waits and not is_full(tried.said):
        raise ConfigError(
            f"Slurm refuses such jobs: {tried.said} Asked for: {' '.join(_flags(asked))}. {_there(nodes)}"
            "Check --executor and --executor-set."
        )
    longest = max((one.minutes for one in fitting), default=float(config.minutes))
    if longest < config.minutes:
        raise ConfigError(
            f"Each job asks for {config.minutes} minutes, and the partition allows {longest:g} at most. Give "
            f"--executor-set minutes={longest:g} (a job that runs into its time limit goes on in another), or a "
            "partition that allows more."
        )


def asked_of_submitit(config: SlurmExecutor) -> dict[str, Any]:
    """The settings as submitit calls them.

    Raises:
        ConfigError: a part of a GPU.
    """
    asked: dict[str, Any] = {"timeout_min": config.minutes, "cpus_per_task": config.cpus}
    if config.gpus:
        if config.gpus != int(config.gpus):
            raise ConfigError(f"Slurm gives whole GPUs; got gpus={config.gpus:g}.")
        asked["gpus_per_node"] = int(config.gpus)
    if config.memory_bytes is not None:
        asked["mem_gb"] = config.memory_bytes / 2**30
    if config.cluster == "slurm":
        named = {name: getattr(config, name) for name in ("partition", "account", "qos", "constraint")}
        asked |= {f"slurm_{name}": value for name, value in named.items() if value is not None}
        asked["slurm_signal_delay_s"] = min(_SIGNAL[0], _SIGNAL[1] * config.minutes)
        asked |= {"slurm_additional_parameters": dict(config.options)} if config.options else {}
    return asked


def called(*command: str, seconds: float = _ANSWERS) -> Called:
    """Ask Slurm something; for so long."""
    # What is said is looked at: in one language, and one form.
    environment = {**os.environ, "LC_ALL": "C", "SLURM_TIME_FORMAT": "standard"}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=seconds, check=False, env=environment,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return Called(1, "", f"Unable to contact slurm controller within {seconds:g} s.")
    except OSError as error:
        return Called(1, "", f"{command[0]}: {error.strerror}.")
    return Called(done.returncode, done.stdout, in_a_line(done.stderr))


def is_silent(said: str) -> bool:
    """Whether a complaint is that the controller cannot be reached."""
    return bool(re.search(r"[Uu]nable to contact slurm|Socket timed out|[Cc]onnection (refused|timed out)", said))


def is_full(said: str) -> bool:
    """Whether a complaint is that so many jobs are in the queue already."""
    return bool(re.search(r"submit limit|SubmitJob|SubmitLimit|temporarily unable to accept|temporarily unavail", said))


def _flags(asked: dict[str, Any]) -> list[str]:
    """The settings as options of `sbatch`."""
    names = {"timeout_min": "time", "mem_gb": "mem"}
    table = {names.get(key, key.removeprefix("slurm_")): value for key, value in asked.items()}
    del table["signal_delay_s"]
    if "mem" in table:
        table["mem"] = f"{round(table['mem'] * 1024)}M"
    table |= table.pop("additional_parameters", {})
    return [f"--{key.replace('_', '-')}" + ("" if value is True else f"={value}") for key, value in table.items()]


def _nodes_of(config: SlurmExecutor) -> list[_Nodes]:
    """What the partitions have that are asked for: the default one, or all where none of them is there."""
    lines = called("sinfo", "--noheader", "--format=%P|%c|%m|%G|%l").out.split("\n")
    nodes = [_nodes(line) for line in lines if line.count("|") == 4]
    wanted = (config.partition or "").split(",")
    return [one for one in nodes if (one.partition in wanted if config.partition else one.default)] or nodes


def _nodes(line: str) -> _Nodes:
    name, cpus, megabytes, gres, limit = line.strip().split("|")
    gpus = sum(int(count) for count in re.findall(r"\bgpu(?::[^:,()]+)*:(\d+)", gres))
    default, partition = name.endswith("*"), name.rstrip("*")
    words = f"{partition} (nodes of {cpus} CPUs, {megabytes} MB, {gpus} GPUs)"
    return _Nodes(partition, default, _number(cpus), _number(megabytes), gpus, _minutes(limit), words)


def _number(text: str) -> int:
    """Of "8", or of "8+": some have more, and nobody says how much."""
    return int(text) if text.isdecimal() else 1 << 40


def _minutes(text: str) -> float:
    """Of "1-12:00:00" and the like."""
    days, dash, rest = text.rpartition("-")
    parts = rest.split(":")
    if not all(part.isdecimal() for part in parts) or (dash and not days.isdecimal()):
        return float("inf")
    hours, minutes, seconds = [0] * (3 - len(parts)) + [int(part) for part in parts]
    return float(int(days or 0) * 1440 + hours * 60 + minutes + seconds // 60)


def _fits(nodes: _Nodes, config: SlurmExecutor) -> bool:
    megabytes = 0 if config.memory_bytes is None else config.memory_bytes / 2**20
    return nodes.cpus >= config.cpus and nodes.megabytes >= megabytes and nodes.gpus >= config.gpus


def _there(nodes: list[_Nodes]) -> str:
    """What there is, in words."""
    return f"There is: {', '.join(dict.fromkeys(one.words for one in nodes))}. " if nodes else ""


def in_a_line(said: str) -> str:
    """Without the names of commands."""
    names = re.compile(r"^((sbatch|scancel|sinfo): )?(error: |allocation failure: )*")
    text = "; ".join(dict.fromkeys(filter(None, (names.sub("", line.strip()) for line in said.split("\n")))))
    return text if not text or text.endswith((".", "!")) else f"{text}."
