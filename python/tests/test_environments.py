"""The environments of this repository in gymnasium."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from algodistill import _native
from algodistill.spaces import ObservationSpace

if TYPE_CHECKING:
    from pathlib import Path

PRESETS = _native.presets()


def name(preset: str) -> str:
    """Name a preset as gymnasium does."""
    words = "".join(word.capitalize() for word in preset.split("-"))
    return f"algodistill/{words}-v0"


@pytest.mark.parametrize("preset", PRESETS)
def test_gymnasium_finds_nothing_wrong(preset: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # Numbers of any 32 bits are what some of these observe.
        warnings.filterwarnings("ignore", message=".*(Box|bound|symmetric|infinity).*")
        check_env(gym.make(name(preset), task=1).unwrapped, skip_render_check=False)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_seed_decides_everything(preset: str) -> None:
    def played(seed: int) -> list[Any]:
        env = gym.make(name(preset), task=3)
        env.action_space.seed(1)
        observation, _ = env.reset(seed=seed)
        seen: list[Any] = [np.asarray(observation).tolist()]
        for _ in range(300):
            observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
            seen += [np.asarray(observation).tolist(), reward, info]
            if terminated or truncated:
                env.reset()
        return seen

    assert played(5) == played(5)


@pytest.mark.parametrize("preset", PRESETS)
def test_an_episode_that_is_left_leaves_no_trace(preset: str) -> None:
    def played(left: int) -> list[Any]:
        env = gym.make(name(preset), task=3)
        env.reset(seed=9)
        for _ in range(left):
            env.step(1)
        env.reset(seed=5)
        return [env.step(action % 2)[4] for action in range(5)]

    assert played(0) == played(3)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_space_has_the_channels_of_the_models(preset: str) -> None:
    env = gym.make(name(preset))
    interface = json.loads(env.unwrapped._task.interface)
    space = ObservationSpace(env.observation_space)
    assert space.channels == interface["channels"]
    task = _native.Task(preset, 0, "{}")
    task.seed(9)
    observation, _ = env.reset(seed=9)
    assert list(space.words(observation)) == task.reset()


def test_the_optimum_is_known_and_is_reached() -> None:
    env = gym.make("algodistill/KeyToDoor-v0", task=77)
    _, info = env.reset(seed=2)
    total, done = 0.0, False
    while not done:
        _, reward, done, _, info = env.step(info["optimal_action"])
        total += float(reward)
    assert total == info["optimal_return"] == 2
    assert env.unwrapped.random_return < 1
    assert env.unwrapped.task_count == 81 * 80
    assert env.unwrapped.title == "Key-to-Door 9x9, 50 steps"


def test_parameters_are_set_by_name() -> None:
    env = gym.make("algodistill/DarkRoom-v0", set={"size": 5, "start": [0, 1], "reward": "once"})
    assert env.reset()[0].tolist() == [0, 1]
    assert env.observation_space == gym.spaces.MultiDiscrete([5, 5])


def test_random_numbers_go_on_where_they_were() -> None:
    def steps(env: gym.Env[Any, Any]) -> list[Any]:
        env.reset()
        return [env.step(4)[1] for _ in range(100)]

    env = gym.make("algodistill/Bandit-v0", task=3).unwrapped
    env.reset(seed=7)
    state = env.random_state
    first = steps(env)
    assert steps(env) != first
    env.random_state = state
    assert steps(env) == first


def test_a_task_is_drawn() -> None:
    env = gym.make("algodistill/DarkRoom-v0", task=0, render_mode="ansi")
    env.reset()
    assert " G . ." in env.render()
    assert gym.make("algodistill/DarkRoom-v0").render_mode is None


def test_the_package_is_there_without_gymnasium(tmp_path: Path) -> None:
    program = """
import sys
sys.modules["gymnasium"] = None
import algodistill
algodistill.merge("no.parquet")
try:
    algodistill.Recorder
except algodistill.Error as problem:
    print(problem)
"""
    command = [sys.executable, "-c", program]
    # From a folder where the installed package is found, not the one beside the tests.
    said = subprocess.check_output(command, text=True, cwd=tmp_path)  # noqa: S603 - this Python
    assert "pip install gymnasium" in said
