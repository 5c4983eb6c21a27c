"""Which executor, and what each piece of work needs there: settings that change nothing about a result."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from spikewise.config import Config, parse
from spikewise.errors import ConfigError, quoted, unknown_choice

__all__ = ["AnyExecutor", "LocalExecutor", "RayExecutor", "SlurmExecutor", "executor_from", "executor_table"]

_ADDRESS = re.compile(r"(?P<host>[^\s/\[\]]+|\[[^\s/\[\]]+\]):(?P<port>\d{1,5})", re.ASCII)
_MEMORY = r"^\d+(\.\d+)?\s*(MB|GB)$"


class _Needs(Config):
    """What all executors are told."""

    jobs: Annotated[int, Field(ge=1)] | None = None
    """How much work at once; None: as much as there is room for."""
    cpus: Annotated[int, Field(ge=1, le=1024)] = 1
    """Processor cores, and threads, of each piece of work. The bits of a result depend on it."""


class _Elsewhere(_Needs):
    """What executors on other machines are told beside it."""

    gpus: Annotated[float, Field(ge=0)] = 0.0
    """GPUs of each; 0.25 has four share one, where the executor can."""
    memory: Annotated[str, Field(pattern=_MEMORY)] | None = None
    """Of each, such as "8 GB"."""
    retries: Annotated[int, Field(ge=0, le=100)] = 2
    """How often work is begun again, on another machine if there is one, after its machine or its process has died."""
    patience: Annotated[float, Field(ge=5)] = 120.0
    """Seconds without a sign of life after which a machine is given up."""
    shared: bool | None = None
    """Whether its machines see the folder of the runs; where not, results and checkpoints are brought back. None: each
    machine finds out."""
    bring: Annotated[float, Field(ge=0)] = 30.0
    """Seconds after which checkpoints are brought back again from machines that do not see the folder."""

    @property
    def memory_bytes(self) -> int | None:
        """The memory of each in bytes."""
        if self.memory is None:
            return None
        number, unit = self.memory[:-2], self.memory[-2:]
        return round(float(number) * {"MB": 2**20, "GB": 2**30}[unit])


class LocalExecutor(_Needs):
    """Processes of this machine."""

    kind: Literal["local"] = "local"


class RayExecutor(_Elsewhere):
    """Tasks of a Ray cluster."""

    kind: Literal["ray"] = "ray"
    address: str | None = None
    """HOST:PORT of the cluster; None: the one of this machine, or else a new one for the time of the command."""

    @field_validator("address")
    @classmethod
    def _names_a_port(cls, value: str | None) -> str | None:
        parts = None if value is None else _ADDRESS.fullmatch(value)
        if value is not None and (parts is None or not 0 < int(parts["port"]) < 1 << 16):
            raise ValueError(
                "an address is HOST:PORT, such as ray:10.0.0.1:6379, of a cluster of which this machine is a part "
                "(`ray start --address=HOST:PORT` makes it one)"
            )
        return value


class SlurmExecutor(_Elsewhere):
    """Jobs of a Slurm cluster, submitted on a machine that has `sbatch`."""

    kind: Literal["slurm"] = "slurm"
    partition: str | None = None
    minutes: Annotated[int, Field(ge=1)] = 240
    """Time limit of each job; one that runs into it goes on in another, from its last epoch."""
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    options: dict[str, str | int | bool] = Field(default_factory=dict)
    """Other options of `sbatch`, without dashes before them."""
    cluster: Literal["slurm", "local"] = "slurm"
    """"local" has submitit run the jobs on this machine, to try things out."""


AnyExecutor = Annotated[LocalExecutor | RayExecutor | SlurmExecutor, Field(discriminator="kind")]

_KINDS: dict[str, type[LocalExecutor] | type[RayExecutor] | type[SlurmExecutor]] = {
    "local": LocalExecutor, "ray": RayExecutor, "slurm": SlurmExecutor
}  # fmt: skip
_AFTER = {"local": "jobs", "ray": "address", "slurm": "partition"}
"""What a text says after the colon."""


def executor_from(asked: str | Mapping[str, Any]) -> AnyExecutor:
    """The executor that a text such as "ray:10.0.0.1:6379" or a table names.

    Raises:
        ConfigError: there is no such executor, or a setting is wrong.
    """
    table = executor_table(asked)
    return parse(_KINDS[table["kind"]], table)


def executor_table(asked: str | Mapping[str, Any]) -> dict[str, Any]:
    """The settings that a text or a table says, of a kind that there is.

    Raises:
        ConfigError: there is no such executor.
    """
    if isinstance(asked, str):
        return _table(asked)
    kind = asked.get("kind")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise unknown_choice("executor", str(kind), _KINDS)
    return dict(asked)


def _table(text: str) -> dict[str, Any]:
    kind, colon, rest = text.partition(":")
    if kind not in _KINDS:
        raise unknown_choice("executor", kind, _KINDS)
    if not colon:
        return {"kind": kind}
    if not rest:
        raise ConfigError(f"The executor {quoted(text)} ends with a colon; give local[:N], ray[:HOST:PORT] or "
                          "slurm[:PARTITION].")  # fmt: skip
    if kind == "local":
        if not rest.isdecimal() or not int(rest):
            raise ConfigError(f"local:N names how many processes, such as local:4; got {quoted(text)}.")
        return {"kind": kind, "jobs": int(rest)}
    return {"kind": kind, _AFTER[kind]: rest}
