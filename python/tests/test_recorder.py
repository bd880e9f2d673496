"""What a Recorder writes down."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

import algodistill
from algodistill import Recorder, merge


class Counter(gym.Env):
    """Counts its steps; an episode has `length`."""

    def __init__(self, observation_space=None, show=int, length=3, truncate=False):
        self.observation_space = observation_space or spaces.Discrete(100)
        self.action_space = spaces.Discrete(4)
        self.show, self.length, self.truncate = show, length, truncate

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.count = 0
        return self.show(0), {"optimal_action": 0}

    def step(self, action):
        self.count += 1
        ended = self.count == self.length
        info = {"optimal_action": self.count}
        return self.show(self.count), action / 2, ended and not self.truncate, ended and self.truncate, info


def play(env, episodes=2):
    for _ in range(episodes):
        env.reset()
        ended = False
        while not ended:
            *_, terminated, truncated, _ = env.step(env.unwrapped.count)
            ended = terminated or truncated


def rows(path):
    return pytest.importorskip("pyarrow.parquet").read_table(path).to_pydict()


def test_rows_are_those_of_the_format(tmp_path):
    path = tmp_path / "counter.parquet"
    with Recorder(Counter(), path, task=7, history=3) as env:
        play(env)
    card = merge(path)
    found = rows(path)
    assert found["task_id"] == [7] * 6
    assert found["history_id"] == [3] * 6
    assert found["episode"] == [0, 0, 0, 1, 1, 1]
    assert found["step"] == [0, 1, 2] * 2
    assert found["observation_0"] == [0, 1, 2] * 2
    assert found["action"] == [0, 1, 2] * 2
    assert found["reward"] == [0, 0.5, 1] * 2
    assert found["done"] == [False, False, True] * 2
    assert found["final_observation_0"] == [None, None, 3] * 2
    assert found["optimal_action"] == [0, 1, 2] * 2
    assert card["interface"]["channels"] == [{"discrete": {"size": 100}}]
    assert card["interface"]["actions"] == 4
    assert card == json.loads(path.with_suffix(".card.json").read_text())
    assert merge(path) is None
    assert not path.with_name("counter.parquet.parts").exists()
    assert algodistill._native.run_program(["algodistill", "histories", "check", str(path)]) == 0
