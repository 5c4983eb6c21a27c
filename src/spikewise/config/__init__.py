"""Configs: frozen values that are checked on construction and say in words what is wrong."""

from spikewise.config.base import Config, parse
from spikewise.config.growing import GrowingConfig
from spikewise.config.problems import settings_of

__all__ = ["Config", "GrowingConfig", "parse", "settings_of"]
