"""Reinforcement learning that happens on a microcontroller, without training there."""

from algodistill._native import __version__
from algodistill.errors import ArgumentError, CancelledError, Error, FileError, OrderError

__all__ = ["ArgumentError", "CancelledError", "Error", "FileError", "OrderError", "__version__"]
