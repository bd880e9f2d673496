"""What an evaluation found: curves, intervals, tables, files."""

from __future__ import annotations

import html
import io
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from algodistill.errors import ArgumentError, Error, FileError

if TYPE_CHECKING:
    import os

    import numpy.typing as npt
    import pandas as pd
    from matplotlib.axes import Axes

    from algodistill import _native

_MISSING = "{0} is needed, and not installed: pip install {0}"


def _write(path: Path, text: str) -> None:
    """Write a file, whole or not at all."""
    if path.is_dir():
        message = f"{path}: is a folder, expected the name of a file"
        raise FileError(message)
    unfinished = path.with_name(path.name + ".partial")
    try:
        try:
            unfinished.write_text(text, encoding="utf-8")
            unfinished.replace(path)
        except OSError:
            unfinished.unlink(missing_ok=True)
            raise
    except OSError as problem:
        message = f"{path}: cannot be written: {problem.strerror}"
        raise FileError(message) from problem


class Report:
    """Curves of learning in context, with 95 % confidence intervals over tasks.

    `print` shows the table of the command line, a notebook its picture.
    """

    def __init__(self, native: _native.Report) -> None:
        """Tell `native` in any form; reports come from `evaluate` and `reproduce`."""
        self._native = native
        self._found: dict[str, Any] = json.loads(native.json())

    @property
    def found(self) -> dict[str, Any]:
        """Everything, as `algodistill evaluate --json` prints it."""
        return self._found

    @property
    def curves(self) -> dict[str, npt.NDArray[np.float64]]:
        """Mean return by episode of every learner: `int8` is the model, `random` is chance."""
        curves = self._found["curves"]
        return {key: np.asarray(curves[key]) for key in self._found["intervals"]}

    @property
    def intervals(self) -> dict[str, tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]]:
        """Lower and upper ends of the 95 % confidence intervals of `curves`."""
        return {
            key: (np.asarray(ends["low"]), np.asarray(ends["high"]))
            for key, ends in self._found["intervals"].items()
        }

    @property
    def never_solved(self) -> int:
        """Runs of the model without any reward."""
        return int(self._found["never_solved"])

    @property
    def warnings(self) -> list[str]:
        """What a reader of the numbers must know."""
        return self._native.warnings

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the curves with matplotlib, into `ax` or a figure of its own."""
        try:
            import matplotlib.pyplot as plt  # noqa: PLC0415 - optional
        except ImportError as problem:
            raise Error(_MISSING.format("matplotlib")) from problem
        axes = ax if ax is not None else plt.subplots()[1]
        for key, curve in self.curves.items():
            numbers = range(1, len(curve) + 1)
            line = axes.plot(numbers, curve, label=key)[0]
            low, high = self.intervals[key]
            axes.fill_between(numbers, low, high, color=line.get_color(), alpha=0.2, linewidth=0)
        optimal = self._found["curves"].get("optimal")
        if isinstance(optimal, (int, float)):
            axes.axhline(optimal, color="black", linestyle="dashed", linewidth=1, label="optimum")
        axes.set_xlabel("episode")
        axes.set_ylabel("return")
        axes.set_title(str(self._found["environment"]))
        axes.legend()
        return axes

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write every curve, a line a point."""
        _write(Path(path), self._native.csv())

    def to_pandas(self) -> pd.DataFrame:
        """Return every curve, a row a point."""
        try:
            import pandas as pd  # noqa: PLC0415 - optional
        except ImportError as problem:
            raise Error(_MISSING.format("pandas")) from problem
        return pd.read_csv(io.StringIO(self._native.csv()))

    def save(self, folder: str | os.PathLike[str], name: str = "report") -> list[Path]:
        """Write the report in every form into `folder`, and return the files."""
        if Path(name).name != name:
            message = f"name: is {name!r:.80}, expected the name of a file without a folder"
            raise ArgumentError(message)
        into = Path(folder)
        try:
            into.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            message = f"{into}: is no folder, and none can be made there: {problem.strerror}"
            raise FileError(message) from problem
        text = into / f"{name}.txt"
        _write(text, self._native.text(100))
        return [text, *(Path(path) for path in self._native.write_files(into / name))]

    def _repr_html_(self) -> str:
        table = html.escape(self._native.summary())
        return f"<div>{self._native.svg()}<pre>{table}</pre></div>"

    def __str__(self) -> str:
        """Return the table of the command line."""
        return self._native.text(shutil.get_terminal_size((100, 40)).columns)

    def __repr__(self) -> str:
        """Say what it is about."""
        shape = ", ".join(f"{self._found[key]} {key}" for key in ("tasks", "runs", "episodes"))
        return f"Report({self._found['environment']!r}, {shape})"
