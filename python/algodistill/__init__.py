"""Reinforcement learning that happens on a microcontroller, without training there."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from algodistill._native import Agent, AgentBatch, __version__
from algodistill.datasets import import_minari, to_minari, to_pandas
from algodistill.errors import (
    ArgumentError,
    CancelledError,
    EnvironmentFailedError,
    Error,
    FileError,
    OrderError,
)
from algodistill.evaluation import evaluate
from algodistill.recordings import merge
from algodistill.report import Report
from algodistill.training import (
    Exported,
    Histories,
    Reproduced,
    Run,
    export,
    generate,
    inspect,
    reproduce,
    train,
)
from algodistill.xland import import_xland

if TYPE_CHECKING:
    from algodistill.recorder import Recorder

__all__ = [
    "Agent",
    "AgentBatch",
    "ArgumentError",
    "CancelledError",
    "EnvironmentFailedError",
    "Error",
    "Exported",
    "FileError",
    "Histories",
    "OrderError",
    "Recorder",
    "Report",
    "Reproduced",
    "Run",
    "__version__",
    "evaluate",
    "export",
    "generate",
    "import_minari",
    "import_xland",
    "inspect",
    "merge",
    "reproduce",
    "to_minari",
    "to_pandas",
    "train",
]

#: What needs gymnasium is imported when it is asked for: where each name is.
_LATER = {"Recorder": "recorder"}

try:
    from algodistill import environments
except ImportError:
    # Without gymnasium: there is nobody to make them.
    pass
else:
    environments.register()


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the name stands for
    if name not in _LATER:
        message = f"module 'algodistill' has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(f"algodistill.{_LATER[name]}"), name)
