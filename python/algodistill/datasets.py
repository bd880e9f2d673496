"""Files of histories as those of other libraries, and the other way: pandas, Minari."""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from algodistill import _native
from algodistill.errors import ArgumentError, Error, FileError
from algodistill.importing import adding, module
from algodistill.recordings import absolute, merge, number
from algodistill.spaces import ActionSpace, Channel, ObservationSpace


def to_pandas(path: str | os.PathLike[str]) -> Any:  # noqa: ANN401 - a pandas.DataFrame
    """Read a file of histories, checked, as a DataFrame: a row a step, columns as in the format.

    An observation of numbers is an array, a picture is an array of uint8, what is unknown is None.
    """
    pandas = module("pandas", "to_pandas")
    rows = _read(path)
    columns: dict[str, Any] = {name: rows[name] for name in ("task_id", "history_id", "episode")}
    columns["step"] = _step_numbers(rows)
    channels: list[Channel] = rows["card"]["interface"]["channels"]
    for channel, values in enumerate(_channel_columns(channels, rows["observation"])):
        columns[f"observation_{channel}"] = values
    for name in ("action", "reward", "done"):
        columns[name] = rows[name]
    for channel, values in enumerate(_channel_columns(channels, rows["final_observation"])):
        column = np.full(len(rows["action"]), None, object)
        for step, value in zip(rows["final_step"].tolist(), values, strict=True):
            column[step] = value
        columns[f"final_observation_{channel}"] = column
    optimal = pandas.Series(rows["optimal_action"], dtype="Int64")
    columns["optimal_action"] = optimal.mask(optimal < 0)
    truncated = pandas.Series(rows["truncated"] == 1, dtype="boolean")
    columns["truncated"] = truncated.mask(rows["truncated"] < 0)
    return pandas.DataFrame(columns)


def to_minari(path: str | os.PathLike[str], dataset_id: str, **about: Any) -> Any:  # noqa: ANN401
    """Write a file of histories as a local Minari dataset, which `import_minari` reads back.

    An episode is an episode; its infos have `task_id`, `history_id` and, where it is known,
    `optimal_action`. Numbers stay as they were recorded: a float has 16 bits after the point. What
    was observed last is repeated where the observation after it is not known, and an episode is
    terminated where it is not known whether it was truncated. `about` is what Minari wants to know
    beside the data (`author`, `description`, `algorithm_name`, ...).
    """
    minari = module("minari", "to_minari")
    space_of = module("algodistill.environments", "to_minari").space_of
    rows = _read(path)
    space, show = space_of(rows["card"]["interface"]["channels"])
    last = dict(zip(rows["final_step"].tolist(), rows["final_observation"], strict=True))
    buffers = []
    first = 0
    for end in _episode_ends(rows):
        observations = rows["observation"][first:end]
        after = last.get(end - 1, observations[-1])
        words = np.vstack([observations, after])
        infos = {
            name: np.full(len(words), rows[name][first], np.int64)
            for name in ("task_id", "history_id")
        }
        optimal = rows["optimal_action"][first:end]
        if optimal.max() >= 0:
            infos["optimal_action"] = np.append(optimal, -1).astype(np.int64)
        done, truncated = rows["done"][first:end], rows["truncated"][first:end] == 1
        buffers.append(
            minari.data_collector.EpisodeBuffer(
                observations=_stack([show(row.tolist()) for row in words]),
                actions=rows["action"][first:end].astype(np.int64),
                rewards=rows["reward"][first:end].astype(np.float64).tolist(),
                terminations=(done & ~truncated).tolist(),
                truncations=[False] * (end - first - 1) + [bool(truncated[-1] or not done[-1])],
                infos=infos,
            )
        )
        first = end
    create = minari.create_dataset_from_buffers
    if "jpeg_encoding" in inspect.signature(create).parameters:
        about = {"jpeg_encoding": False, **about}
    gymnasium = module("gymnasium", "to_minari")
    actions = gymnasium.spaces.Discrete(rows["card"]["interface"]["actions"])
    try:
        return create(
            dataset_id=dataset_id,
            buffer=buffers,
            observation_space=space,
            action_space=actions,
            **about,
        )
    except ImportError as problem:
        message = f"to_minari: {problem}: pip install 'minari[hdf5]' pillow"
        raise Error(message) from problem
    except (ValueError, TypeError, OSError) as problem:
        message = f"dataset_id {dataset_id!r}: {problem}"
        raise ArgumentError(message) from problem


def import_minari(
    dataset: Any,  # noqa: ANN401 - a minari.MinariDataset
    path: str | os.PathLike[str],
    *,
    task: int = 0,
    history: int | None = None,
) -> dict[str, Any] | None:
    """Add a Minari dataset to a file of histories, and give the card.

    `dataset` is a `MinariDataset` or the name of a local one. Its episodes are one history of
    `task`, in their order, unless their infos say `task_id` and `history_id`, as `to_minari` writes
    them. An episode that was not terminated was truncated.
    """
    minari = module("minari", "import_minari")
    if isinstance(dataset, (str, os.PathLike)):
        try:
            dataset = minari.load_dataset(os.fspath(dataset))
        except Exception as problem:
            message = f"dataset {dataset!r}: cannot be loaded ({problem}); it must be a local one"
            raise FileError(message) from problem
    if not hasattr(dataset, "iterate_episodes"):
        message = f"dataset: is {dataset!r:.80}, expected a minari.MinariDataset or its name"
        raise ArgumentError(message)
    task = number("task", task)
    observations = ObservationSpace(dataset.observation_space)
    actions = ActionSpace(dataset.action_space)
    with adding(path, observations.channels, actions.actions) as begin:
        journals: dict[tuple[int, int | None], _native.Journal] = {}
        for episode in dataset.iterate_episodes():
            infos = episode.infos if isinstance(episode.infos, Mapping) else {}
            key = (
                number("task_id", infos["task_id"][0]) if "task_id" in infos else task,
                number("history_id", infos["history_id"][0]) if "history_id" in infos else history,
            )
            if key not in journals:
                journals[key] = begin(*key)
            steps = len(episode.rewards)
            words = [observations.words(_at(episode.observations, row)) for row in range(steps + 1)]
            optimal = np.asarray(infos.get("optimal_action", np.full(steps, -1)))[:steps]
            journals[key].episode(
                np.array(words, np.int32).reshape(steps + 1, len(words[0])),
                [actions.number(action) for action in np.asarray(episode.actions)],
                np.asarray(episode.rewards, float).tolist(),
                [-1 if one < 0 else actions.number(one) for one in optimal],
                not episode.terminations[-1],
            )
    return merge(path)


def _read(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read the columns of a file of histories, and its card."""
    merge(path)
    rows = _native.read_histories(absolute(path))
    rows["card"] = json.loads(rows["card"])
    return rows


def _episode_ends(rows: Mapping[str, Any]) -> list[int]:
    """Give the row after the last one of each episode."""
    history, episode = rows["history_id"], rows["episode"]
    changes = (history[1:] != history[:-1]) | (episode[1:] != episode[:-1])
    return [*(np.flatnonzero(changes) + 1).tolist(), len(history)]


def _step_numbers(rows: Mapping[str, Any]) -> npt.NDArray[np.int32]:
    ends = _episode_ends(rows)
    lengths = np.diff([0, *ends])
    first = np.repeat([0, *ends[:-1]], lengths)
    return np.asarray(np.arange(ends[-1]) - first, np.int32)


def _channel_columns(channels: list[Channel], words: npt.NDArray[np.int32]) -> list[list[Any]]:
    """Give the values of each channel: numbers, arrays of numbers or pictures."""
    columns: list[list[Any]] = []
    first = 0
    for channel in channels:
        ((kind, fields),) = channel.items()
        if kind == "discrete":
            columns.append(words[:, first].tolist())
            first += 1
        elif kind == "vector":
            columns.append(list(words[:, first : first + fields["size"]]))
            first += fields["size"]
        else:
            picture = (fields["height"], fields["width"], fields["colours"])
            size = int(np.prod(picture))
            end = first - (-size // 4)
            pixels = np.ascontiguousarray(words[:, first:end]).view(np.uint8)[:, :size]
            columns.append(list(pixels.reshape(-1, *picture)))
            first = end
    return columns


def _stack(observations: list[Any]) -> Any:  # noqa: ANN401
    """Join observations as Minari keeps them: an array, or one for each part."""
    if isinstance(observations[0], tuple):
        return tuple(np.stack(part) for part in zip(*observations, strict=True))
    return np.stack(observations)


def _at(observations: Any, row: int) -> Any:  # noqa: ANN401
    if isinstance(observations, Mapping):
        return {key: _at(part, row) for key, part in observations.items()}
    if isinstance(observations, tuple):
        return tuple(_at(part, row) for part in observations)
    return observations[row]
