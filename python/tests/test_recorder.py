"""What a Recorder writes down, and what outlives it."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pyarrow.parquet
import pytest
from counter import Counter, play, record
from gymnasium import spaces

import algodistill
from algodistill import Recorder, _native, merge


def rows(path: Path) -> dict[str, list[Any]]:
    """Read a file by another library than ours."""
    columns: dict[str, list[Any]] = pyarrow.parquet.read_table(path).to_pydict()
    return columns


def test_rows_are_those_of_the_format(tmp_path: Path) -> None:
    path = tmp_path / "counter.parquet"
    with Recorder(Counter(), path, task=7, history=3, optimal_action=lambda seen: seen) as env:
        assert env.history == 3
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
    assert card is not None
    assert card["interface"]["channels"] == [{"discrete": {"size": 100}}]
    assert card["interface"]["actions"] == 4
    assert card == json.loads(path.with_suffix(".card.json").read_text())
    assert sorted(one.name for one in tmp_path.iterdir()) == ["counter.card.json", path.name]
    assert merge(path) is None
    assert _native.run_program(["algodistill", "histories", "check", str(path)]) == 0


def test_truncated_and_terminated_episodes_are_over(tmp_path: Path) -> None:
    path = tmp_path / "counter.parquet"
    for truncate in (False, True):
        with Recorder(Counter(truncate=truncate), path, task=0) as env:
            play(env, 1)
    merge(path)
    assert rows(path)["done"] == [False, False, True] * 2
    assert rows(path)["truncated"] == [False] * 5 + [True]
    assert rows(path)["final_observation_0"] == [None, None, 3] * 2


def test_what_is_terminated_and_truncated_at_once_is_terminated(tmp_path: Path) -> None:
    path = tmp_path / "counter.parquet"
    counter = Counter(step=lambda count: (count, 0.0, count == 2, count == 2, {}))
    with Recorder(counter, path, task=0) as env:
        play(env, 1)
    merge(path)
    assert rows(path)["done"] == [False, True]
    assert rows(path)["truncated"] == [False, False]


def test_an_episode_that_is_left_ends_where_it_was_left(tmp_path: Path) -> None:
    path = tmp_path / "counter.parquet"
    with Recorder(Counter(), path, task=0) as env:
        env.reset()
        env.reset()
        env.step(1)
        env.reset()
        env.step(2)
        env.step(3)
    merge(path)
    found = rows(path)
    assert found["action"] == [1, 2, 3]
    assert found["truncated"] == [True, False, True]
    assert found["done"] == [True, False, True]
    assert found["final_observation_0"] == [1, None, 2]


@pytest.mark.parametrize(
    ("space", "show", "columns"),
    [
        (spaces.Discrete(9, start=4), lambda count: count + 4, [[0, 1, 2]]),
        (spaces.Discrete(1), lambda _count: np.int64(0), []),
        (spaces.MultiDiscrete([5, 9]), lambda count: np.array([count, 8]), [[0, 1, 2], [8] * 3]),
        (spaces.MultiBinary(2), lambda count: np.array([count % 2, 1]), [[[0, 1], [1, 1], [0, 1]]]),
        (
            spaces.Box(-9, 9, (2,), np.float32),
            lambda count: np.array([count / 2, -1e9], np.float32),
            [[[0, -(2**31)], [2**15, -(2**31)], [2**16, -(2**31)]]],
        ),
        (spaces.Box(-9, 9, (1,), np.int64), lambda count: np.array([-count]), [[[0], [-1], [-2]]]),
        (
            spaces.Box(0, 255, (1, 2, 3), np.uint8),
            lambda count: np.full((1, 2, 3), count, np.uint8),
            [[bytes([count] * 6) for count in range(3)]],
        ),
        (
            spaces.Tuple((spaces.Discrete(4), spaces.Box(-1, 1, (), np.float64))),
            lambda count: (count, np.float64(0.25)),
            [[0, 1, 2], [[2**14]] * 3],
        ),
        (
            spaces.Dict(b=spaces.Discrete(4), a=spaces.Discrete(4)),
            lambda count: {"a": 3 - count, "b": count},
            [[0, 1, 2], [3, 2, 1]],
        ),
    ],
)
def test_spaces_become_columns(
    tmp_path: Path, space: gym.Space[Any], show: Any, columns: list[list[Any]]
) -> None:
    path = tmp_path / "counter.parquet"
    with Recorder(Counter(space, show), path, task=0) as env:
        play(env, 1)
    merge(path)
    found = rows(path)
    assert [found[f"observation_{number}"] for number in range(len(columns))] == columns
    assert f"observation_{len(columns)}" not in found


def test_many_histories_in_one_file_whichever_order(tmp_path: Path) -> None:
    path = tmp_path / "counter.parquet"
    record(path, task=5, history=8)
    for task in range(3):
        record(path, task)
    merge(path)
    record(path, task=9, history=2)
    record(path, task=4)
    card = merge(path, held_out=2, split_seed=1)
    found = rows(path)
    assert sorted(set(zip(found["history_id"], found["task_id"], strict=True))) == [
        (2, 9), (8, 5), (9, 0), (10, 1), (11, 2), (12, 4),
    ]  # fmt: skip
    assert found["history_id"] == sorted(found["history_id"])
    assert card is not None
    assert card["histories"] == 6
    assert len(card["split"]["held_out"]) == 2
    with pytest.raises(algodistill.ArgumentError, match="history: 8 is in"):
        record(path, task=5, history=8)


def worker(path: Path, task: int) -> None:
    """Record in another process."""
    record(path, task, episodes=20)


@pytest.mark.parametrize("start", ["spawn", "fork"])
def test_parallel_workers_record_to_one_file(tmp_path: Path, start: str) -> None:
    path = tmp_path / "counter.parquet"
    context: Any = multiprocessing.get_context(start)
    workers = [context.Process(target=worker, args=(path, task)) for task in range(3)]
    for one in workers:
        one.start()
    for one in workers:
        one.join()
    # Those that ended while others recorded left it to these.
    merge(path)
    found = rows(path)
    assert sorted(set(found["task_id"])) == [0, 1, 2]
    assert len(found["task_id"]) == 3 * 20 * 3


def script(folder: Path, text: str, *arguments: str) -> subprocess.Popen[str]:
    """Start a program that has the counter."""
    head = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
    head += "import os, signal, algodistill\nfrom counter import Counter, play, record\n"
    command = [sys.executable, "-c", head + textwrap.dedent(text), *arguments]
    return subprocess.Popen(  # noqa: S603 - this Python
        command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def test_a_loop_over_tasks_needs_no_merge(tmp_path: Path) -> None:
    loop = script(tmp_path, "for task in range(4): record('counter.parquet', task)")
    assert loop.communicate() == ("", "")
    assert sorted(set(rows(tmp_path / "counter.parquet")["task_id"])) == [0, 1, 2, 3]


def test_a_recorder_that_nobody_closed_is_closed_at_the_end(tmp_path: Path) -> None:
    text = """
        env = algodistill.Recorder(Counter(), "counter.parquet", task=0)
        play(env, 2)
        env.reset()
        env.step(3)
    """
    assert script(tmp_path, text).communicate() == ("", "")
    assert rows(tmp_path / "counter.parquet")["action"] == [0, 1, 2, 0, 1, 2, 3]


def test_rows_outlive_a_killed_process_up_to_the_last_whole_episode(tmp_path: Path) -> None:
    text = """
        env = algodistill.Recorder(Counter(), "counter.parquet", task=0)
        play(env, 5)
        env.reset()
        env.step(3)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    assert script(tmp_path, text).wait() == -signal.SIGKILL
    path = tmp_path / "counter.parquet"
    assert not path.exists()
    record(path, task=1)
    merge(path)
    assert rows(path)["action"] == [0, 1, 2] * 7
    assert sorted(set(rows(path)["task_id"])) == [0, 1]


def test_a_process_may_be_killed_at_any_moment(tmp_path: Path) -> None:
    path = tmp_path / "counter.parquet"
    text = """
        env = algodistill.Recorder(Counter(), "counter.parquet", task=int(sys.argv[1]))
        print("ready", flush=True)
        play(env, 10**9)
    """
    for task in range(3):
        process = script(tmp_path, text, str(task))
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.05 * (task + 1))
        process.kill()
        process.wait()
    card = merge(path)
    assert card is not None
    assert card["histories"] == 3
    assert card["steps"] > 100


@pytest.mark.parametrize("cut", range(1, 40, 3))
def test_what_a_dead_writer_left_of_an_episode_is_dropped(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "counter.parquet"
    record(path, episodes=3)
    part = tmp_path / "counter.parquet.parts" / "history-0000000000.part"
    part.write_bytes(part.read_bytes()[:-cut])
    merge(path)
    assert rows(path)["action"] == [0, 1, 2] * 2


def test_a_damaged_episode_is_not_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "counter.parquet"
    record(path, episodes=1)
    part = tmp_path / "counter.parquet.parts" / "history-0000000000.part"
    whole = len(part.read_bytes())
    record(tmp_path / "other.parquet", episodes=3)
    good = (tmp_path / "other.parquet.parts" / part.name).read_bytes()
    for place in range(whole, whole + 20):
        damaged = bytearray(good)
        damaged[place] ^= 4
        part.write_bytes(damaged)
        with pytest.raises(algodistill.FileError, match=r"damaged after 1 whole .*--size") as said:
            merge(path)
    # What the message says to do.
    os.truncate(part, int(str(said.value).split("--size ")[1].split()[0]))
    merge(path)
    assert rows(path)["action"] == [0, 1, 2]


def test_a_merge_that_was_killed_is_done_again(tmp_path: Path) -> None:
    path, folder = tmp_path / "counter.parquet", tmp_path / "counter.parquet.parts"
    record(path)
    part = folder / "history-0000000000.part"
    kept = part.read_bytes()
    merge(path)
    folder.mkdir()
    part.write_bytes(kept)
    merge(path)
    assert rows(path)["action"] == [0, 1, 2] * 2
    assert not folder.exists()


def test_a_child_leaves_the_history_of_its_parent_alone(tmp_path: Path) -> None:
    text = """
        env = algodistill.Recorder(Counter(), "counter.parquet", task=0)
        env.reset()
        env.step(0)
        if os.fork() == 0:
            try:
                play(env, 1)
            except algodistill.FileError as problem:
                print(problem)
            sys.exit()
        os.wait()
        env.step(1)
    """
    said, problems = script(tmp_path, text).communicate()
    assert "another process" in said
    assert problems == ""
    assert rows(tmp_path / "counter.parquet")["action"] == [0, 1]


def test_a_full_disk_loses_no_whole_episode(tmp_path: Path) -> None:
    text = """
        import resource
        env = algodistill.Recorder(Counter(), "counter.parquet", task=0)
        # No file may grow beyond this: the system answers as on a full disk.
        resource.setrlimit(resource.RLIMIT_FSIZE, (300, resource.RLIM_INFINITY))
        for episode in range(20):
            try:
                play(env, 1)
            except algodistill.FileError as problem:
                print(problem)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, ) * 2)
    """
    said, problems = script(tmp_path, text).communicate()
    assert "history-0000000000.part: File too large" in said
    assert problems == ""
    assert rows(tmp_path / "counter.parquet")["action"] == [0, 1, 2] * 20


def test_a_recorder_that_is_forgotten_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "counter.parquet"
    for task in range(3):
        env = Recorder(Counter(), path, task=task)
        env.reset()
        env.step(1)
        del env
    merge(path)
    assert rows(path)["task_id"] == [0, 1, 2]


def test_what_the_environment_answers_is_passed_on_as_it_is(tmp_path: Path) -> None:
    observation, info = np.array([1, 2]), {"a": object()}
    answer = (observation, np.float32(0.5), np.bool_(False), np.bool_(True), info)
    counter = Counter(spaces.MultiDiscrete([5, 5]), lambda _: observation, step=lambda _: answer)
    env = Recorder(counter, tmp_path / "a.parquet", task=0)
    assert env.reset(seed=3, options={"x": 1})[0] is observation
    answered = env.step(0)
    assert all(one is other for one, other in zip(answered, answer, strict=True))
    assert env.unwrapped is counter


def test_info_may_have_the_optimal_action(tmp_path: Path) -> None:
    path = tmp_path / "room.parquet"
    room = gym.make("algodistill/DarkRoom-v0", task=80, set={"horizon": 3})
    with Recorder(room, path, task=80) as env:
        _, info = env.reset(seed=1)
        expected = []
        ended = False
        while not ended:
            expected.append(info["optimal_action"])
            *_, ended, _, info = env.step(0)
    merge(path)
    assert rows(path)["optimal_action"] == expected


def test_wrappers_of_the_agent_go_around_it(tmp_path: Path) -> None:
    path = tmp_path / "cart.parquet"
    env = gym.wrappers.FlattenObservation(Recorder(gym.make("CartPole-v1"), path, task=0))
    env.reset(seed=1)
    for _ in range(100):
        if any(env.step(env.action_space.sample())[2:4]):
            env.reset()
    env.close()
    merge(path)
    assert len(rows(path)["observation_0"]) == 100


def test_recording_costs_at_most_some_microseconds_a_step(tmp_path: Path) -> None:
    def seconds(env: gym.Env[Any, Any]) -> float:
        begun = time.process_time()
        for _ in range(200):
            env.reset()
            for number in range(99):
                env.step(number % 4)
        return (time.process_time() - begun) / 19_800

    bare = min(seconds(Counter(length=99)) for _ in range(3))
    with Recorder(Counter(length=99), tmp_path / "a.parquet", task=0) as env:
        recorded = min(seconds(env) for _ in range(3))
    # It is 1.5.
    assert recorded - bare < 5e-6
