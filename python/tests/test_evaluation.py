"""Learning in context in an environment of somebody else, told in every form."""

import builtins
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import gymnasium as gym
import numpy as np
import pytest

import algodistill

REPOSITORY = Path(__file__).parents[2]
DARK_ROOM = REPOSITORY / "models" / "dark-room.adw"
TASKS = [3, 40, 77]


def room(task: int) -> gym.Env:
    return gym.make("algodistill/DarkRoom-v0", task=task)


class Room(gym.Env):
    """A room without walls that pays in one corner; what goes wrong can be chosen."""

    def __init__(self, wrong: Mapping[str, Any] | None = None) -> None:
        self.wrong = wrong or {}
        cells = gym.spaces.Discrete(9, start=self.wrong.get("start", 0))
        self.observation_space = self.wrong.get("space", gym.spaces.Tuple((cells, cells)))
        self.action_space = gym.spaces.Discrete(self.wrong.get("actions", 5))
        self.steps = 0

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple:
        super().reset(seed=seed, options=options)
        self.steps = 0
        return self.seen(), {}

    def step(self, action: int) -> tuple:
        self.steps += 1
        if self.wrong.get("crash") == self.steps:
            message = "the motor burned"
            raise ZeroDivisionError(message)
        reward = self.wrong.get("reward", float(action == 2))
        return self.seen(), reward, self.steps == self.wrong.get("length", 10), False, {}

    def seen(self) -> object:
        start = self.wrong.get("start", 0)
        return self.wrong.get("seen", (start + self.steps % 9, start + 4))


def evaluate(make_env: object = room, **more: object) -> algodistill.Report:
    usual = {"tasks": TASKS, "episodes": 4, "runs": 2, "progress": False}
    return algodistill.evaluate(DARK_ROOM, make_env, **(usual | more))


def test_a_report_has_every_learner_in_every_form(tmp_path: Path) -> None:
    class Still:
        def act(self, _observation: object) -> int:
            return 4

        def feedback(self, *_told: object) -> None:
            pass

    seeds = []

    def make(task: int, seed: int) -> Still:
        seeds.append((task, seed))
        return Still()

    report = evaluate(
        others={"still": make, "same": DARK_ROOM}, held_out=True, optimal=[16, 16, 16]
    )
    assert len(set(seeds)) == 6, "one policy a context"
    assert set(report.curves) == {"int8", "random", "still", "same"}
    assert report.curves["int8"].tolist() == report.curves["same"].tolist()
    assert report.curves["int8"].mean() > report.curves["random"].mean()
    low, high = report.intervals["int8"]
    assert (low <= report.curves["int8"]).all()
    assert (report.curves["int8"] <= high).all()
    assert report.found["curves"]["optimal"] == 16
    assert report.found["task_names"] == ["3", "40", "77"]
    assert 0 <= report.never_solved <= 6
    assert "still" in str(report)
    assert repr(report).startswith("Report('algodistill/DarkRoom-v0'")
    shown = ET.fromstring(report._repr_html_())  # noqa: S314 - our own
    assert "never solved" in shown.find("pre").text
    table = report.to_pandas()
    points = table[table["curve"] == "int8"]
    assert np.allclose(points["mean"], report.curves["int8"], atol=1e-6)
    report.to_csv(tmp_path / "curves.csv")
    assert (tmp_path / "curves.csv").read_text().startswith("curve,episode,")
    files = report.save(tmp_path / "deep" / "folder", "lake")
    names = {path.name for path in files}
    assert {"lake.txt", "lake.json", "lake.csv", "lake.svg", "lake.html"} <= names
    assert all(path.stat().st_size > 0 for path in files)


def test_a_plot_has_a_line_for_every_learner() -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    axes = evaluate(optimal=[1, 2, 3]).plot()
    assert [line.get_label() for line in axes.lines] == ["int8", "random", "optimum"]


@pytest.mark.parametrize(("package", "method"), [("matplotlib", "plot"), ("pandas", "to_pandas")])
def test_what_is_not_installed_is_named(
    package: str, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = evaluate(tasks=TASKS[:1], episodes=1, runs=1)
    real = builtins.__import__

    def without(name: str, *rest: object, **more: object) -> object:
        if name.partition(".")[0] == package:
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(algodistill.Error, match=f"pip install {package}"):
        getattr(report, method)()


def test_the_same_seed_gives_the_same_numbers_and_another_one_others() -> None:
    first, again, other = (evaluate(seed=seed).found["curves"] for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_a_model_learns_in_the_environment_of_python_as_in_the_one_of_rust() -> None:
    tasks = list(range(0, 81, 4))
    outside = evaluate(tasks=tasks, episodes=10, runs=4).curves["int8"][5:].mean()
    inside = algodistill.evaluate(DARK_ROOM, episodes=10, runs=4, progress=False)
    assert math.isclose(outside, inside.curves["int8"][5:].mean(), rel_tol=0.15)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"crash": 3}, ["task 40", "run 0", "episode 0", "step 3", "the motor burned"]),
        ({"length": -1}, ["has not ended after 50 steps", "TimeLimit", "max_episode_steps"]),
        ({"seen": (3, 9)}, ["task 40", "step 1", "is 9, expected 0 to 8"]),
        ({"seen": None}, ["task 40", "step 1"]),
        ({"reward": math.nan}, ["task 40", "reward: is NaN"]),
        ({"reward": "much"}, ["task 40"]),
        ({"reward": math.inf}, ["task 40", "episode 0, step 1", "reward: is inf"]),
        ({"reward": 1e300}, ["task 40", "episode 0, step 1", "reward: is 1e+300"]),
        ({"space": gym.spaces.Discrete(81)}, ["'size': 81", "'size': 9", "trained on histories"]),
        ({"space": gym.spaces.Text(3)}, ["expected Discrete"]),
        ({"actions": 4}, ["has 5 actions", "has 4"]),
    ],
)
def test_what_goes_wrong_in_an_environment_says_where(wrong: dict, said: list[str]) -> None:
    def make(task: int) -> gym.Env:
        return Room(wrong if task == 40 else {})

    with pytest.raises(algodistill.Error) as error:
        evaluate(make, max_episode_steps=50)
    assert all(part in str(error.value) for part in said), str(error.value)


def test_the_cause_is_chained() -> None:
    with pytest.raises(algodistill.EnvironmentFailedError) as error:
        evaluate(lambda _task: Room({"crash": 1}))
    assert isinstance(error.value.__cause__, ZeroDivisionError)
    with pytest.raises(algodistill.EnvironmentFailedError, match=r"make_env\(3\) failed") as error:
        evaluate(lambda _task: 1 // 0)
    assert isinstance(error.value.__cause__, ZeroDivisionError)


def test_spaces_may_begin_anywhere() -> None:
    plain, moved = evaluate(lambda _task: Room()), evaluate(lambda _task: Room({"start": 7}))
    assert plain.found["curves"] == moved.found["curves"]


def test_a_report_that_cannot_be_written_says_why(tmp_path: Path) -> None:
    report = evaluate(tasks=[3], episodes=1, runs=1, random=False)
    (tmp_path / "file").touch()
    wrong = [
        lambda: report.save(tmp_path / "file" / "x"),
        lambda: report.to_csv(tmp_path),
        lambda: report.to_csv(tmp_path / "none" / "a.csv"),
        lambda: report.to_csv("/dev/full/a.csv"),
    ]
    for call in wrong:
        with pytest.raises(algodistill.FileError):
            call()
    with pytest.raises(algodistill.ArgumentError, match="name: is 'a/b'"):
        report.save(tmp_path, name="a/b")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
