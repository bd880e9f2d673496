"""Reinforcement learning that happens on a microcontroller, without training there."""

from algodistill._native import Agent, AgentBatch, __version__
from algodistill.errors import (
    ArgumentError,
    CancelledError,
    EnvironmentFailedError,
    Error,
    FileError,
    OrderError,
)
from algodistill.evaluation import evaluate
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
    "Report",
    "Reproduced",
    "Run",
    "__version__",
    "evaluate",
    "export",
    "generate",
    "inspect",
    "reproduce",
    "train",
]
