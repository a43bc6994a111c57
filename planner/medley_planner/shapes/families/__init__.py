"""The known architectures, a row each: how its config.json says what its layers are.

A further architecture is one more `Architecture` in the module of its like, or a module of its own that is named here.
"""

from __future__ import annotations

from collections.abc import Mapping

from medley_planner.shapes.families import deepseek, dense, hybrid, kimi, mixture, nemotron, qwen, windowed
from medley_planner.shapes.families.row import Architecture

_MODULES = (dense, windowed, mixture, deepseek, qwen, kimi, hybrid, nemotron)

ARCHITECTURES: tuple[Architecture, ...] = tuple(row for module in _MODULES for row in module.ROWS)
BY_TYPE: Mapping[str, Architecture] = {name: row for row in ARCHITECTURES for name in row.types}
BY_CLASS: Mapping[str, Architecture] = {name: row for row in ARCHITECTURES for name in row.classes}

__all__ = ["ARCHITECTURES", "BY_CLASS", "BY_TYPE", "Architecture"]
