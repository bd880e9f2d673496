"""Histories from and for other libraries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
import pytest
from counter import Counter, play, record
from gymnasium import spaces

import algodistill
from algodistill import _native

if TYPE_CHECKING:
    from pathlib import Path

SPACES = [
    (spaces.Discrete(9), np.int64),
    (spaces.Discrete(1), lambda _count: np.int64(0)),
    (spaces.MultiDiscrete([5, 9]), lambda count: np.array([count, 8])),
    (spaces.Box(-9, 9, (2,), np.float32), lambda count: np.array([count / 2, -1], np.float32)),
    (
        spaces.Box(0, 255, (1, 2, 3), np.uint8),
        lambda count: np.full((1, 2, 3), count, np.uint8),
    ),
    (
        spaces.Tuple((spaces.Discrete(4), spaces.Box(-9, 9, (2,), np.int32))),
        lambda count: (np.int64(count), np.array([count, -count], np.int32)),
    ),
]


def recorded(path: Path, space: gym.Space[Any], show: Any) -> None:
    """Record two tasks, the second one with optimal actions."""
    with algodistill.Recorder(Counter(space, show), path, task=3, history=1) as env:
        play(env)
    counter = Counter(space, show, truncate=True)
    with algodistill.Recorder(counter, path, task=5, history=4, optimal_action=lambda _: 2) as env:
        play(env)


@pytest.mark.parametrize(("space", "show"), SPACES)
def test_a_minari_dataset_round_trips(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, space: gym.Space[Any], show: Any
) -> None:
    minari = pytest.importorskip("minari")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    first, second = tmp_path / "first.parquet", tmp_path / "second.parquet"
    recorded(first, space, show)
    algodistill.to_minari(first, "counter/test-v0", author="a", description="b")
    dataset = minari.load_dataset("counter/test-v0")
    assert (dataset.total_episodes, dataset.total_steps) == (4, 12)
    ends = [(one.terminations[-1], one.truncations[-1]) for one in dataset.iterate_episodes()]
    assert ends == [(True, False)] * 2 + [(False, True)] * 2
    algodistill.import_minari("counter/test-v0", second)
    assert first.read_bytes() == second.read_bytes()
    # One history of one task, where nobody says which.
    for episode in dataset.iterate_episodes():
        episode.infos.clear()
    third = tmp_path / "third.parquet"
    card = algodistill.import_minari(Unlabelled(dataset), third, task=8, history=2)
    frame = algodistill.to_pandas(third)
    assert card is not None
    assert set(frame.task_id) == {8}
    assert set(frame.history_id) == {2}
    assert frame.episode.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]


class Unlabelled:
    """A dataset of another program: its episodes do not say of which task they are."""

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset
        self.observation_space = dataset.observation_space
        self.action_space = dataset.action_space

    def iterate_episodes(self) -> Any:
        for episode in self.dataset.iterate_episodes():
            episode.infos.clear()
            yield episode


def test_an_episode_of_floats_is_scaled_as_a_recorded_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    minari = pytest.importorskip("minari")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    buffer = minari.data_collector.EpisodeBuffer(
        observations=np.array([[0.5, 1], [2, -3], [4, 5]], np.float32),
        actions=np.array([0, 1]),
        rewards=[1.0, 2.0],
        terminations=[False, False],
        truncations=[False, True],
        infos={},
    )
    dataset = minari.create_dataset_from_buffers(
        "a/one/b-v0",
        [buffer],
        observation_space=spaces.Box(-9, 9, (2,), np.float32),
        action_space=spaces.Discrete(2),
    )
    path = tmp_path / "a.parquet"
    algodistill.import_minari(dataset, path)
    frame = algodistill.to_pandas(path)
    assert frame.observation_0.map(list).tolist() == [[2**15, 2**16], [2**17, -3 * 2**16]]
    assert list(frame.final_observation_0[1]) == [2**18, 5 * 2**16]
    assert frame.truncated.tolist() == [False, True]


@pytest.mark.parametrize(("space", "show"), SPACES)
def test_a_file_is_read_as_a_data_frame(tmp_path: Path, space: gym.Space[Any], show: Any) -> None:
    path = tmp_path / "counter.parquet"
    recorded(path, space, show)
    frame = algodistill.to_pandas(path)
    assert frame.task_id.tolist() == [3] * 6 + [5] * 6
    assert frame.history_id.tolist() == [1] * 6 + [4] * 6
    assert frame.step.tolist() == [0, 1, 2] * 4
    assert frame.action.tolist() == [0, 1, 2] * 4
    assert frame.reward.tolist() == [0, 0.5, 1] * 4
    assert frame.done.tolist() == [False, False, True] * 4
    assert frame.optimal_action.isna().tolist() == [True] * 6 + [False] * 6
    assert frame.truncated.tolist() == [False] * 8 + [True] + [False] * 2 + [True]
    if space == spaces.Box(0, 255, (1, 2, 3), np.uint8):
        assert [one.tolist() for one in frame.observation_0] == [
            [[[count] * 3] * 2] for count in (0, 1, 2)
        ] * 4
        assert frame.final_observation_0[2].tolist() == [[[3] * 3] * 2]
    if isinstance(space, spaces.MultiDiscrete):
        assert frame.observation_0.tolist() == [0, 1, 2] * 4
        assert frame.observation_1.tolist() == [8] * 12
        assert frame.final_observation_0.tolist() == [None, None, 3] * 4


def test_truncated_episodes_of_pandas_are_checked(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path, foreign = tmp_path / "counter.parquet", tmp_path / "foreign.parquet"
    recorded(path, *SPACES[0])
    frame = algodistill.to_pandas(path)
    check = ["algodistill", "histories", "check", str(foreign), "--write-card"]
    check += ["--held-out", "0", "--observation-sizes", "9"]
    frame.loc[:2, "truncated"] = None
    frame.to_parquet(foreign)
    assert _native.run_program(check) == 0
    assert algodistill.to_pandas(foreign).truncated.equals(frame.truncated)
    foreign.with_suffix(".card.json").unlink()
    frame.loc[7, "truncated"] = True
    frame.to_parquet(foreign)
    capfd.readouterr()
    assert _native.run_program(check) != 0
    assert "foreign.parquet: truncated is true in row 7, where" in capfd.readouterr().err


def xland(path: Path, states: Any, **about: Any) -> None:
    """Write a file as XLand-100B is laid out: two tasks, two histories of five steps each."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        for number, ruleset in enumerate((400, 7)):
            group = file.create_group(str(number))
            group.attrs["ruleset-id"] = ruleset
            columns = {
                "states": states,
                "actions": np.array([[0, 1, 2, 3, 5]] * 2, np.uint8),
                "rewards": np.array([[0, 0, 1, 0, 0]] * 2, np.float16),
                "dones": np.array([[False, False, True, False, False]] * 2),
                "expert_actions": np.array([[5, 4, 3, 2, 1]] * 2, np.uint8),
                **about,
            }
            for name, values in columns.items():
                if values is not None:
                    group[name] = values


def test_histories_of_xland_are_imported(tmp_path: Path) -> None:
    source, path = tmp_path / "x.hdf5", tmp_path / "x.parquet"
    tiles = np.arange(2 * 5 * 4).reshape(2, 5, 2, 2) % 15
    colours = tiles * 3 % 14
    xland(source, (tiles * 14 + colours).astype(np.uint8))
    card = algodistill.import_xland(source, path)
    assert card is not None
    assert card["interface"]["channels"] == [{"pixels": {"height": 2, "width": 2, "colours": 2}}]
    assert card["interface"]["actions"] == 6
    frame = algodistill.to_pandas(path)
    assert frame.task_id.tolist() == [400] * 10 + [7] * 10
    assert frame.episode.tolist() == [0, 0, 0, 1, 1] * 4
    assert frame.done.tolist() == [False, False, True, False, True] * 4
    assert frame.optimal_action.tolist() == [5, 4, 3, 2, 1] * 4
    # Only of what was not done is it known.
    assert frame.truncated.isna().tolist() == [True, True, True, False, False] * 4
    assert frame.truncated[3:5].tolist() == [False, True]
    seen = np.stack(frame.observation_0[:10]).reshape(2, 5, 2, 2, 2)
    assert (seen == np.stack([tiles, colours], -1)).all()
    assert frame.final_observation_0.isna().all()
    few = algodistill.import_xland(source, tmp_path / "few.parquet", tasks=1, histories=1)
    assert few is not None
    assert (few["histories"], few["steps"]) == (1, 5)


@pytest.mark.parametrize(
    ("states", "channel"),
    [
        (np.arange(10).reshape(2, 5), {"discrete": {"size": 10}}),
        (np.ones((2, 5, 3), np.int64), {"vector": {"size": 3}}),
        (np.ones((2, 5, 3), np.float32), {"vector": {"size": 3}}),
        (np.ones((2, 5, 3, 3), np.uint8), {"pixels": {"height": 3, "width": 3, "colours": 1}}),
    ],
)
def test_other_states_are_imported_as_well(
    tmp_path: Path, states: Any, channel: dict[str, Any]
) -> None:
    source, path = tmp_path / "x.hdf5", tmp_path / "x.parquet"
    xland(source, states, expert_actions=None)
    card = algodistill.import_xland(source, path, colours=None)
    assert card is not None
    assert card["interface"]["channels"] == [channel]
    first = algodistill.to_pandas(path).observation_0[1]
    expected = {"discrete": 1, "vector": 1 if states.dtype == np.int64 else 2**16, "pixels": 1}
    assert np.asarray(first).ravel()[0] == expected[next(iter(channel))]


def test_what_cannot_be_imported_leaves_nothing(tmp_path: Path) -> None:
    source, path = tmp_path / "x.hdf5", tmp_path / "x.parquet"
    record(tmp_path / "other.parquet")
    xland(source, np.arange(10).reshape(2, 5), actions=np.array([[0, 1, 2, 3, 6]] * 2))
    with pytest.raises(algodistill.ArgumentError, match="action: is 6, expected 0 to 5"):
        algodistill.import_xland(source, path)
    assert not path.exists()
    assert not path.with_name("x.parquet.parts").exists()
