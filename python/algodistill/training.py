"""From an environment to a weights file: `generate`, `train`, `export`, `reproduce`, `inspect`.

The engine is that of the command line, without the interpreter's lock. Keyword arguments are the
words of the TOML files: `train(..., updates=2000, d_model=32)`.
"""

import json
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from algodistill import _native
from algodistill.errors import ArgumentError
from algodistill.recordings import number
from algodistill.report import Report

StrPath = str | os.PathLike[str]


@dataclass(frozen=True)
class Histories:
    """Learning histories on the disk."""

    path: Path
    """The Parquet file; its card lies beside it."""
    card: dict[str, Any] = field(repr=False)
    """What is in it, as docs/histories-format.md says."""


@dataclass(frozen=True)
class Run:
    """A training run that is complete."""

    folder: Path
    histories: list[Path] = field(repr=False)
    """What it was trained on."""
    updates: int
    parameters: int
    loss: float | None
    """Of the last updates, in nats per token; None where nothing was left to train."""
    validation_loss: float | None
    """On held-out tasks; None where there were none, or nothing was left to train."""
    tokens_per_second: float
    seconds: float
    """Of this call."""

    @property
    def model(self) -> Path:
        """The trained model, before it is quantized."""
        return self.folder / "model.safetensors"

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """Losses, learning rate and speed along the way, a dict for each line of metrics.jsonl."""
        lines = (self.folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]


@dataclass(frozen=True)
class Exported:
    """A weights file."""

    path: Path
    parameters: int
    tensors: list[dict[str, Any]] = field(repr=False)
    """What quantization cost, tensor by tensor."""
    memory: dict[str, Any] = field(repr=False)
    """Bytes of flash and RAM that a device needs."""


@dataclass(frozen=True)
class Reproduced:
    """What an experiment came to."""

    folder: Path
    reports: list[Report] = field(repr=False)
    """One for each evaluation."""
    claims: list[dict[str, Any]]
    """What the experiment claims, and whether it holds."""
    files: list[Path] = field(repr=False)
    """Weights files and reports."""
    made_before: bool = field(repr=False)
    """Whether only the evaluations were run, because everything else was there."""


def generate(
    out: StrPath,
    environment: str = "dark-room",
    *,
    threads: int | None = None,
    progress: bool = True,
    **fields: Any,  # noqa: ANN401 - words of the TOML, checked in Rust
) -> Histories:
    """Let a source algorithm learn tasks of a built-in environment; write its histories to `out`.

    Other keyword arguments are those of a [[histories]] table: `source`, `tasks`, `held_out`,
    `histories_per_task`, `episodes`, `keep_every`, `seed`, `parameters={"size": 5}`, ...
    """
    path = one_path("out", out)
    given = in_json({"environment": environment, **fields})
    card = _native.generate(path, given, threads_of(threads), progress)
    return Histories(Path(path), json.loads(card))


def train(  # noqa: PLR0913 - one argument for each choice
    histories: StrPath | Histories | Sequence[StrPath | Histories],
    out: StrPath | None = None,
    *,
    config: StrPath | None = None,
    resume: bool = True,
    observation_memory: int = 256,
    threads: int | None = None,
    progress: bool = True,
    **fields: Any,  # noqa: ANN401 - words of the TOML, checked in Rust
) -> Run:
    """Train a transformer on learning histories.

    `out` is the folder of the run; unless told, NAME.run beside NAME.parquet. Ctrl-C stops it at a
    checkpoint; the same call then goes on, and ends with the same bytes as one that was never
    stopped.

    Other keyword arguments are those of a [train] table: `updates`, `batch`, `learning_rate`,
    `layers`, `d_model`, `window`, `objective`, `seed`, ...; they override those of the file
    `config`. `observation_memory` is the number of megabytes of pictures and numbers that are kept
    in memory.
    """
    paths = histories_paths(histories)
    if not paths:
        msg = "histories: is empty, expected at least one NAME.parquet"
        raise ArgumentError(msg)
    folder = (
        one_path("out", out) if out is not None else os.fspath(Path(paths[0]).with_suffix(".run"))
    )
    config_path = one_path("config", config) if config is not None else None
    if not isinstance(resume, bool):
        msg = f"resume: is {resume!r:.80}, expected True or False"
        raise ArgumentError(msg)
    memory = count("observation_memory", observation_memory, 2**40)
    workers = threads_of(threads)
    text, said = _native.train(
        paths, folder, config_path, in_json(fields), resume, memory, workers, progress
    )
    for warning in said:
        warnings.warn(warning, stacklevel=2)
    found = json.loads(text)
    del found["model"]
    return Run(folder=Path(folder), histories=[Path(path) for path in paths], **found)


def export(
    run: Run | StrPath,
    out: StrPath,
    *,
    histories: StrPath | Histories | Sequence[StrPath | Histories] | None = None,
) -> Exported:
    """Quantize a trained model to int8, and write its weights file `out` (.adw).

    `histories` are those that it was trained on, which a `Run` knows.
    """
    if isinstance(run, Run):
        model = os.fspath(run.folder)
        paths = [os.fspath(path) for path in run.histories]
        if histories is not None:
            paths = histories_paths(histories)
    else:
        model = one_path("run", run)
        paths = histories_paths(histories) if histories is not None else []
    found = json.loads(_native.export(model, paths, one_path("out", out)))
    return Exported(**{**found, "path": Path(found["path"])})


def inspect(model: StrPath) -> dict[str, Any]:
    """Return what is in a weights file, and what it needs on a device."""
    found: dict[str, Any] = json.loads(_native.inspect_model(one_path("model", model)))
    return found


def reproduce(  # noqa: PLR0913 - one argument for each choice
    experiment: StrPath,
    out: StrPath | None = None,
    *,
    scale: str = "full",
    seeds: int | None = None,
    threads: int | None = None,
    progress: bool = True,
) -> Reproduced:
    """Run an experiment from nothing: one of the repository by its name, or a FILE.toml.

    A run that was interrupted goes on. `scale` is "full", "small" or "toy", `seeds` the number of
    training seeds of every model.
    """
    name = one_path("experiment", experiment)
    usual = Path("runs") if scale == "full" else Path("runs") / scale
    folder = one_path("out", out) if out is not None else os.fspath(usual / Path(name).stem)
    text, reports = _native.reproduce(
        name,
        folder,
        scale,
        None if seeds is None else count("seeds", seeds, 1000),
        threads_of(threads),
        progress,
    )
    found = json.loads(text)
    return Reproduced(
        folder=Path(folder),
        reports=[Report(report) for report in reports],
        claims=found["claims"],
        files=[Path(path) for path in found["files"]],
        made_before=found["made_before"],
    )


def histories_paths(
    histories: StrPath | Histories | Sequence[StrPath | Histories],
) -> list[str]:
    """Return the paths of one file of histories, or of several."""
    several = isinstance(histories, Sequence) and not isinstance(histories, str)
    items: Sequence[Any] = histories if several else [histories]  # type: ignore[assignment]
    return [
        one_path("histories", item.path if isinstance(item, Histories) else item) for item in items
    ]


def one_path(argument: str, path: object) -> str:
    """Return a path as text."""
    if isinstance(path, (str, os.PathLike)):
        text = os.fspath(path)
        if isinstance(text, str):
            return text
    msg = f"{argument}: is {path!r:.80}, expected a path"
    raise ArgumentError(msg)


def count(argument: str, given: object, largest: int) -> int:
    """Return a number of things, 1 to `largest`."""
    return number(argument, given, largest, 1)


def threads_of(threads: object) -> int | None:
    """Return a number of threads, or None for as many as there are cores."""
    return None if threads is None else count("threads", threads, 1024)


def in_json(fields: Mapping[str, object]) -> str:
    """Return keyword arguments as JSON; those that are None are left out."""
    given = {name: value for name, value in fields.items() if value is not None}
    for name, value in given.items():
        refuse_no_json(name, value)
    return json.dumps(given, default=plain)


def refuse_no_json(name: str, value: object) -> None:
    """Refuse a value that no field can have."""
    try:
        json.dumps(value, default=plain, allow_nan=False)
    except RecursionError as problem:
        msg = f"{name}: is nested too deep"
        raise ArgumentError(msg) from problem
    except (TypeError, ValueError) as problem:
        msg = (
            f"{name}: is {value!r:.80}, expected finite numbers, texts, or lists or dicts of these"
        )
        raise ArgumentError(msg) from problem


def plain(value: object) -> object:
    """Return a scalar or array of NumPy as Python's own, and a path as text."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    to_list = getattr(value, "tolist", None)
    if to_list is None:
        msg = f"{type(value)} is no JSON"
        raise TypeError(msg)
    return to_list()
