"""Wrong calls: each is an exception of ours that says what is wrong, and nothing is lost."""

import json
import re
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from counter import Counter, play, record
from gymnasium import spaces

import algodistill
from algodistill import Recorder, _native, merge
from algodistill import spaces as channels
from algodistill.environments import CoreEnvironment
from algodistill.errors import ArgumentError, Error, FileError, OrderError

PARTS = "a.parquet.parts"


class Room:
    """A folder in which `kept.parquet` was recorded, and what goes wrong there."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.path = folder / "a.parquet"
        self.parts = folder / PARTS

    def recorder(self, env=None, **about):
        return Recorder(Counter() if env is None else env, self.path, **{"task": 0, **about})

    def stepping(self, **about):
        """Record, with an answer to the first step that is wrong."""
        counter = Counter(
            about.pop("space", None), about.pop("show", int), step=about.pop("step", None)
        )
        action = about.pop("action", 0)
        env = self.recorder(counter, **about)
        env.reset()
        return env.step(action)

    def answering(self, *, space=None, observation=1, reward=0.0, show=int):
        answer = (observation, reward, False, False, {})
        return self.stepping(space=space, show=show, step=lambda _: answer)

    def part(self, change=lambda data: data, name="history-0000000000.part"):
        """A part that was changed behind our back."""
        record(self.path)
        part = self.parts / "history-0000000000.part"
        data = part.read_bytes()
        part.unlink()
        (self.parts / name).write_bytes(change(data))

    def merged(self, **about):
        record(self.path)
        merge(self.path)
        record(self.path, **about)


def vector():
    return gym.vector.SyncVectorEnv([Counter])


class Autoreset(gym.Wrapper):
    pass


class FrameStackObservation(gym.Wrapper):
    pass


class VecEnv:
    """As stable_baselines3 has it, which need not be there."""


class DummyVecEnv(VecEnv):
    pass


class OldGym(Counter):
    def reset(self, **_):
        self.count = 0
        return 0


def box(*shape, dtype=np.float32):
    return spaces.Box(0, 1 if dtype == np.float32 else 255, shape, dtype)


RECORDERS = {
    "a vector environment": (lambda room: room.recorder(vector()), "each of its environments"),
    "no environment": (lambda room: room.recorder(3), "expected a gymnasium.Env"),
    "a callback": (lambda room: room.recorder(print), "no callback"),
    "a class": (lambda room: room.recorder(Counter), "expected a gymnasium.Env"),
    "recorded twice": (lambda room: room.recorder(room.recorder()), "recorded already"),
    "recorded twice, inside": (
        lambda room: room.recorder(gym.wrappers.TimeLimit(room.recorder(), 3)),
        "recorded already",
    ),
    "an environment of stable_baselines3": (
        lambda room: room.recorder(DummyVecEnv()),
        "record each of its environments",
    ),
    "rewards are changed": (
        lambda room: room.recorder(gym.wrappers.NormalizeReward(Counter())),
        "NormalizeReward changes .* put the Recorder inside",
    ),
    "rewards are changed, inside": (
        lambda room: room.recorder(
            gym.wrappers.TimeLimit(gym.wrappers.TransformReward(Counter(), abs), 3)
        ),
        "TransformReward changes",
    ),
    "frames are stacked": (
        lambda room: room.recorder(FrameStackObservation(Counter())),
        "FrameStackObservation changes",
    ),
    "resets by itself": (lambda room: room.recorder(Autoreset(Counter())), "inside of it"),
    "no parquet": (lambda room: Recorder(Counter(), room.folder / "a.csv", task=0), "NAME.parquet"),
    "no name": (lambda room: Recorder(Counter(), room.folder, task=0), "NAME.parquet"),
    "no path": (lambda _: Recorder(Counter(), None, task=0), "path: is None"),
    "a number": (lambda _: Recorder(Counter(), 7, task=0), "path: is 7"),
    "no task": (lambda room: room.recorder(task=None), "task: is None"),
    "a negative task": (
        lambda room: room.recorder(task=-1),
        "task: is -1, expected 0 to 2147483647",
    ),
    "a large task": (lambda room: room.recorder(task=2**31), "task: is 2147483648"),
    "half a task": (lambda room: room.recorder(task=1.5), "task: is 1.5, expected a whole"),
    "a named task": (lambda room: room.recorder(task="3"), "task: is '3'"),
    "a true task": (lambda room: room.recorder(task=True), "task: is True"),
    "a negative history": (lambda room: room.recorder(history=-1), "history: is -1"),
    "a large history": (lambda room: room.recorder(history=2**31), "history: is 2147483648"),
    "half a history": (lambda room: room.recorder(history=0.5), "history: is 0.5"),
    "an action for a function": (lambda room: room.recorder(optimal_action=3), "a function"),
}

ACTION_SPACES = {
    "floats": (box(2), "expected Discrete"),
    "bits": (spaces.MultiBinary(2), "expected Discrete"),
    "several": (spaces.MultiDiscrete([2, 2]), "expected Discrete"),
    "one": (spaces.Discrete(1), "has 1 actions, expected 2 to 256"),
    "too many": (spaces.Discrete(257), "has 257 actions"),
    "nothing": (None, "expected Discrete"),
}

SPACES = {
    "a text": (spaces.Text(3), "leave it out"),
    "a text inside": (spaces.Dict(a=spaces.Discrete(2), b=spaces.Text(3)), r"observation\['b'\]"),
    "a sequence": (spaces.Sequence(spaces.Discrete(3)), "expected Discrete"),
    "nothing": (None, "is None"),
    "a number": (3, "is 3"),
    "an index of many": (spaces.Discrete(4097), "has 4097 values, expected 1 to 4096"),
    "many indices": (spaces.MultiDiscrete([2] * 9), "at most 8"),
    "many numbers": (box(65), "has 65 numbers, expected 1 to 64"),
    "no numbers": (box(0), "has 0 numbers"),
    "many bits": (spaces.MultiBinary(65), "has 65 numbers"),
    "three encoders": (spaces.Tuple([box(2)] * 3), "2 of them such"),
    "a large picture": (box(64, 64, 3, dtype=np.uint8), "make it smaller"),
    "a picture of nothing": (box(0, 4, dtype=np.uint8), "0x4x1 bytes"),
    "complex numbers": (type("Box", (), {"shape": (2,), "dtype": complex})(), "integers or floats"),
}

OBSERVATIONS = {
    "an index too large": (None, 100, "observation: is 100, expected 0 to 99"),
    "an index below": (None, -1, "observation: is -1"),
    "half an index": (None, 1.5, "expected a whole number"),
    "a text": (None, "x", "expected a whole number"),
    "nothing": (None, None, "expected a whole number"),
    "a list": (None, [1, 2], "expected a whole number"),
    "below the start": (spaces.Discrete(3, start=5), 4, "is 4, expected 5 to 7"),
    "one of several": (spaces.MultiDiscrete([3, 3]), np.array([1, 3]), "is 3, expected 0 to 2"),
    "too few": (spaces.MultiDiscrete([3, 3]), np.array([1]), "has 1 values, expected 2"),
    "no bit": (spaces.MultiBinary(2), np.array([0, 2]), "expected 0 to 1"),
    "NaN": (box(2), np.array([0, np.nan], np.float32), "expected finite"),
    "infinity": (box(2), np.array([0, np.inf], np.float32), "expected finite"),
    "another shape": (box(2), np.zeros(3, np.float32), r"shape \(3,\), expected \(2,\)"),
    "texts": (box(2), np.array(["a", "b"]), "expected numbers"),
    "floats for integers": (box(2, dtype=np.int32), np.array([0.5, 1]), "expected whole numbers"),
    "beyond 32 bits": (box(2, dtype=np.int64), np.array([0, 2**31]), "numbers of 32 bits"),
    "a picture of floats": (box(2, 2, dtype=np.uint8), np.zeros((2, 2)), "expected uint8"),
    "a picture turned": (box(2, 3, dtype=np.uint8), np.zeros((3, 2), np.uint8), r"of \(2, 3\)"),
    "a JPEG": (
        box(2, 2, dtype=np.uint8),
        np.frombuffer(b"\xff\xd8\xff\xe0", np.uint8),
        r"shape \(4,\), .* is a JPEG that nobody decoded",
    ),
    "part of a tuple": (spaces.Tuple([spaces.Discrete(9)] * 2), (1,), "expected 2 parts"),
    "part of a dict": (spaces.Dict(a=spaces.Discrete(9)), {"b": 1}, r"the part \('a',\)"),
    "no tuple": (spaces.Tuple([spaces.Discrete(9)] * 2), 1, "expected 2 parts"),
    "a tuple with more": (spaces.Tuple([spaces.Discrete(9)] * 2), (1, 2, 3), "expected 2 parts"),
    "a tuple with more, inside": (
        spaces.Dict(a=spaces.Tuple([spaces.Discrete(9)])),
        {"a": (1, 2)},
        r"expected 1 parts at \('a',\)",
    ),
}

ACTIONS = {
    "-1": (-1, "action: is -1, expected 0 to 3"),
    "too large": (4, "action: is 4"),
    "half": (1.5, "expected a whole number"),
    "a text": ("x", "expected a whole number"),
    "nothing": (None, "expected a whole number"),
    "two": ([1, 2], "expected a whole number"),
}

REWARDS = {
    "NaN": (np.nan, "reward: is NaN, expected a finite"),
    "infinity": (-np.inf, "reward: is -inf"),
    "beyond 32 bits": (1e39, "of 32 bits"),
    "a text": ("much", "expected a number"),
    "a number in a text": ("1.0", "reward: is '1.0', expected a number"),
    "no float": (10**5000, "reward: is too large"),
    "nothing": (None, "expected a number"),
    "two": (np.array([1, 2]), "expected a number"),
}

ANSWERS = {
    "of the old gym": ((1, 0.0, False, {}), "shimmy"),
    "nothing": (None, "expected observation, reward"),
    "no info": ((1, 0.0, False, False, None), "info"),
    "two ends": ((1, 0.0, np.array([True, False]), False, {}), "terminated: is array"),
    "an end in a text": ((1, 0.0, "False", False, {}), "terminated: is 'False', expected True"),
    "no end": ((1, 0.0, False, None, {}), "truncated: is None, expected True or False"),
    "half an end": ((1, 0.0, False, 0.5, {}), "truncated: is 0.5"),
}

OPTIMAL = {
    "too large": (9, "optimal_action: action: is 9"),
    "-1": (-1, "optimal_action: action: is -1"),
    "half": (0.5, "expected a whole number"),
    "a text": ("x", "expected a whole number"),
}


def begin(room):
    env = room.recorder()
    env.reset()
    return env


def closed(room):
    env = begin(room)
    env.close()
    return env


def ended(room):
    env = room.recorder()
    play(env, 1)
    return env


def failed(room):
    env = begin(room)
    env.env.answer = lambda _: (0, np.nan, False, False, {})
    with pytest.raises(ArgumentError):
        env.step(0)
    return env


ORDER = {
    "a step before reset": lambda room: room.recorder().step(0),
    "a step after the end": lambda room: ended(room).step(0),
    "a step after close": lambda room: closed(room).step(0),
    "a reset after close": lambda room: closed(room).reset(),
    "a step after an error": lambda room: failed(room).step(0),
}


def other(room, **about):
    """Record what another environment shows to the same file."""
    return Recorder(Counter(**about), room.path, task=0)


def fewer_actions(room):
    counter = Counter()
    counter.action_space = spaces.Discrete(3)
    return Recorder(counter, room.path, task=0)


def generated(room):
    arguments = "generate --environment dark-room --histories 2 --episodes 2 --out"
    _native.run_program(["algodistill", *arguments.split(), str(room.path)])
    return room.recorder(CoreEnvironment("dark-room"))


def foreign(room):
    algodistill.to_pandas(room.folder / "kept.parquet").to_parquet(room.path)
    return room.recorder()


def changed_card(room):
    room.merged()
    card = room.path.with_suffix(".card.json")
    card.write_text(card.read_text().replace("100", "101"))
    return room.recorder()


FILES = {
    "the number of a history twice": (
        lambda room: [room.recorder(history=4), room.recorder(history=4)],
        "history: 4 is in .* already; choose another",
    ),
    "a history that is in the file": (
        lambda room: [room.merged(), room.recorder(history=0)],
        "history: 0 is in",
    ),
    "another space in the same file": (
        lambda room: [begin(room), other(room, observation_space=spaces.Discrete(9))],
        "record to another file",
    ),
    "another space than in the file": (
        lambda room: [room.merged(), other(room, observation_space=spaces.Discrete(9))],
        "record to another file",
    ),
    "other actions in the same file": (
        lambda room: [begin(room), fewer_actions(room)],
        "3 actions",
    ),
    "a generated file": (generated, "was generated, not recorded"),
    "a file without a card": (foreign, "histories check FILE --write-card"),
    "a card that was changed": (changed_card, "was changed"),
    "a folder that cannot be": (
        lambda room: [
            (room.folder / "file").touch(),
            Recorder(Counter(), room.folder / "file" / "a.parquet", task=0),
        ],
        "file/a.parquet.parts",
    ),
    "a folder that is a file": (lambda room: [room.parts.touch(), room.recorder()], PARTS),
    "a file that is not merged": (
        lambda room: [record(room.path), _native.read_histories(room.path)],
        "with algodistill.merge",
    ),
    "a folder of the system": (lambda _: Recorder(Counter(), "/proc/a.parquet", task=0), "/proc/a"),
}

MERGES = {
    "no parquet": (lambda room: merge(room.folder / "a.csv"), ArgumentError, "NAME.parquet"),
    "no path": (lambda _: merge(None), ArgumentError, "path: is None"),
    "negative": (lambda room: merge(room.path, held_out=-1), ArgumentError, "held_out: is -1"),
    "half": (lambda room: merge(room.path, held_out=0.5), ArgumentError, "held_out: is 0.5"),
    "all": (
        lambda room: [record(room.path), merge(room.path, held_out=1)],
        ArgumentError,
        "at least one is needed for training",
    ),
    "a seed below": (
        lambda room: merge(room.path, split_seed=-1),
        ArgumentError,
        "split_seed: is -1",
    ),
    "a large seed": (lambda room: merge(room.path, split_seed=2**64), ArgumentError, "split_seed"),
    "an open recorder": (
        lambda room: [begin(room), merge(room.path)],
        FileError,
        "close its Recorder",
    ),
    "no part": (
        lambda room: [room.part(lambda _: b"something else"), merge(room.path)],
        FileError,
        "is no part of a recorded file",
    ),
    "a damaged head": (
        lambda room: [room.part(lambda data: data[:30] + b"x" + data[31:]), merge(room.path)],
        FileError,
        "damaged after 0 whole",
    ),
    "a damaged episode": (
        lambda room: [room.part(lambda data: data[:-3] + b"xyz"), merge(room.path)],
        FileError,
        "damaged after 1 whole",
    ),
    "garbage behind": (
        lambda room: [room.part(lambda data: data + bytes(20)), merge(room.path)],
        FileError,
        "damaged after 2 whole",
    ),
    "a part of another file": (
        lambda room: [
            record(room.path),
            play_other(room.folder / "b.parquet"),
            (room.folder / "b.parquet.parts" / "history-0000000001.part").rename(
                room.parts / "history-0000000001.part"
            ),
            merge(room.path),
        ],
        ArgumentError,
        "record to another file",
    ),
    "another history of the same number": (
        lambda room: [
            room.merged(task=1),
            record(room.folder / "b.parquet", task=2),
            (room.folder / "b.parquet.parts" / "history-0000000000.part").rename(
                room.parts / "history-0000000000.part"
            ),
            merge(room.path),
        ],
        FileError,
        "is history 0, which .* has already; remove one",
    ),
    "a damaged file": (
        lambda room: [room.merged(), room.path.write_bytes(b"PAR1"), merge(room.path)],
        FileError,
        "SHA-256 differs",
    ),
}


def play_other(path):
    with Recorder(Counter(spaces.Discrete(9)), path, task=0, history=1) as env:
        play(env, 1)


def core(**about):
    return CoreEnvironment(**{"preset": "dark-room", **about})


def at_work(call):
    env = core(set={"horizon": 1})
    env.reset()
    return call(env)


def with_state(state):
    core().random_state = state


ENVIRONMENTS = {
    "unknown": (lambda: core(preset="mars"), 'unknown name "mars"; known are dark-room'),
    "a negative task": (lambda: core(task=-1), "task: is -1"),
    "no such task": (lambda: core(task=81), "tasks 0 to 80"),
    "half a task": (lambda: core(task=0.5), "task: is 0.5"),
    "no such parameter": (lambda: core(set={"sise": 3}), "sise: is not a parameter of dark-room"),
    "a value out of range": (lambda: core(set={"size": 1}), "size: is 1, expected 2 to 128"),
    "a value of another kind": (lambda: core(set={"size": "x"}), "expected a whole number"),
    "no value": (lambda: core(set={"size": None}), "size"),
    "no names": (lambda: core(set=[1]), "expected names"),
    "an object": (lambda: core(set={"size": object()}), "expected names"),
    "no such picture": (lambda: core(render_mode="rgb_array"), "expected 'ansi'"),
    "an option": (lambda: core().reset(options={"a": 1}), "options"),
    "a negative seed": (lambda: core().reset(seed=-1), "seed: is -1"),
    "half a seed": (lambda: core().reset(seed=0.5), "seed: is 0.5"),
    "a large seed": (lambda: core().reset(seed=2**64), "seed: is 18446744073709551616"),
    "action -1": (lambda: at_work(lambda env: env.step(-1)), "action: is -1, expected 0 to 4"),
    "action 5": (lambda: at_work(lambda env: env.step(5)), "action: is 5"),
    "half an action": (lambda: at_work(lambda env: env.step(0.5)), "action: is 0.5"),
    "no action": (lambda: at_work(lambda env: env.step(None)), "action: is None"),
    "a step before reset": (lambda: core().step(0), "call reset first"),
    "a step after the end": (
        lambda: at_work(lambda env: [env.step(0), env.step(0)]),
        "call reset first",
    ),
    "a short state": (lambda: with_state([1, 2]), "has 2 numbers, expected 4"),
    "a wrong state": (lambda: with_state([1, 2, 3, -4]), "random_state: is -4"),
}


def xland(room, about=None, **given):
    """Import what is laid out wrong."""
    h5py = pytest.importorskip("h5py")
    columns = {
        "states": np.ones((1, 2), int), "actions": np.ones((1, 2), int),
        "rewards": np.ones((1, 2)), "dones": np.ones((1, 2), bool),
    }  # fmt: skip
    with h5py.File(room.folder / "x.hdf5", "w") as file:
        group = file.create_group("0")
        for name, values in {**columns, **(about or {})}.items():
            if values is not None:
                group[name] = values
    return algodistill.import_xland(room.folder / "x.hdf5", room.path, **given)


def empty_hdf5(room):
    pytest.importorskip("h5py").File(room.folder / "x.hdf5", "w").close()
    return algodistill.import_xland(room.folder / "x.hdf5", room.path)


class Dataset:
    """A dataset with wrong spaces."""

    observation_space = spaces.Discrete(3)
    action_space = spaces.Discrete(3)

    def __init__(self, **about):
        self.__dict__.update(about)

    def iterate_episodes(self):
        return []


DATASETS = {
    "pandas of no file": (lambda room: algodistill.to_pandas(room.path), "No such file"),
    "pandas of no parquet": (lambda room: algodistill.to_pandas(room.folder), "NAME.parquet"),
    "pandas of nothing": (lambda _: algodistill.to_pandas(None), "path: is None"),
    "pandas of a file without a card": (
        lambda room: [room.path.write_bytes(b"PAR1"), algodistill.to_pandas(room.path)],
        "a.card.json: is missing",
    ),
    "minari of no file": (lambda room: algodistill.to_minari(room.path, "a-v0"), "No such file"),
    "no such dataset": (
        lambda room: algodistill.import_minari("nobody/nothing-v0", room.path),
        "must be a local one",
    ),
    "no dataset": (lambda room: algodistill.import_minari(3, room.path), "expected a minari"),
    "a dataset of texts": (
        lambda room: algodistill.import_minari(
            Dataset(observation_space=spaces.Text(3)), room.path
        ),
        "leave it out",
    ),
    "a dataset of forces": (
        lambda room: algodistill.import_minari(Dataset(action_space=box(2)), room.path),
        "expected Discrete",
    ),
    "a dataset of task -1": (
        lambda room: algodistill.import_minari(Dataset(), room.path, task=-1),
        "task: is -1",
    ),
    "xland of no file": (
        lambda room: algodistill.import_xland(room.folder / "x.hdf5", room.path),
        "cannot be read as HDF5",
    ),
    "xland of something else": (
        lambda room: algodistill.import_xland(room.folder / "kept.parquet", room.path),
        "cannot be read as HDF5",
    ),
    "xland without groups": (empty_hdf5, "has no group"),
    "xland without states": (lambda room: xland(room, {"states": None}), "has no states"),
    "xland of another shape": (
        lambda room: xland(room, {"dones": np.ones((1, 3), bool)}),
        r"dones has the shape \(1, 3\)",
    ),
    "xland without histories": (
        lambda room: xland(
            room, {name: np.ones(2) for name in ("states", "rewards", "dones", "actions")}
        ),
        r"expected \[histories, steps\]",
    ),
    "xland of half actions": (
        lambda room: xland(room, {"actions": np.ones((1, 2))}),
        "actions is of float64",
    ),
    "xland of texts": (
        lambda room: xland(room, {"states": np.array([[b"a", b"b"]])}),
        "expected whole numbers",
    ),
    "xland of cubes": (
        lambda room: xland(room, {"states": np.ones((1, 2, 3, 3, 3), np.uint8)}),
        "a grid of uint8",
    ),
    "xland of NaN": (
        lambda room: xland(room, {"states": np.full((1, 2, 3), np.nan)}),
        "not finite",
    ),
    "xland of large numbers": (
        lambda room: xland(room, {"states": np.full((1, 2, 3), 2**31)}),
        "32 bits",
    ),
    "xland of NaN rewards": (
        lambda room: xland(room, {"rewards": np.full((1, 2), np.nan)}),
        "reward: is NaN",
    ),
    "xland of action 6": (
        lambda room: xland(room, {"actions": np.full((1, 2), 6)}),
        "action: is 6, expected 0 to 5",
    ),
    "xland with one action": (lambda room: xland(room, actions=1), "more than a model can"),
    "xland with -1 tasks": (lambda room: xland(room, tasks=-1), "tasks: is -1"),
    "xland with half histories": (lambda room: xland(room, histories=0.5), "histories: is 0.5"),
    "xland with many colours": (lambda room: xland(room, colours=256), "colours: is 256"),
    "xland of many states": (
        lambda room: xland(room, {"states": np.full((1, 2), 4096)}),
        "more than a model can",
    ),
}


def needs(name):
    """Skip where the other library of a case is not installed."""
    library = {"pandas": "pandas", "xland": "h5py"}.get(name, "minari")
    return pytest.mark.skipif(find_spec(library) is None, reason=f"needs {library}")


def named(table, *more):
    """Cases of a table, by name."""
    return [pytest.param(*case, *more, id=name) for name, case in table.items()]


CASES = [
    *named(RECORDERS, Error),
    *[
        pytest.param(
            partial(Room.stepping, action=action), text, ArgumentError, id=f"action {name}"
        )
        for name, (action, text) in ACTIONS.items()
    ],
    *[
        pytest.param(
            partial(Room.answering, reward=reward), text, ArgumentError, id=f"reward {name}"
        )
        for name, (reward, text) in REWARDS.items()
    ],
    *[
        pytest.param(
            partial(Room.stepping, step=lambda _, answer=answer: answer),
            text,
            ArgumentError,
            id=name,
        )
        for name, (answer, text) in ANSWERS.items()
    ],
    *[
        pytest.param(
            partial(Room.stepping, optimal_action=lambda _, action=action: action),
            text,
            ArgumentError,
            id=f"optimal action {name}",
        )
        for name, (action, text) in OPTIMAL.items()
    ],
    *[
        pytest.param(call, "reset|make another", OrderError, id=name)
        for name, call in ORDER.items()
    ],
    pytest.param(
        lambda room: room.recorder(OldGym()).reset(),
        "expected observation, info",
        Error,
        id="old gym",
    ),
    *named(FILES, Error),
    *[
        pytest.param(call, text, kind, id=f"merge {name}")
        for name, (call, kind, text) in MERGES.items()
    ],
    *[
        pytest.param(call, text, Error, id=name, marks=needs(name.split()[0]))
        for name, (call, text) in DATASETS.items()
    ],
]


@pytest.fixture
def room(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    record(tmp_path / "kept.parquet")
    merge(tmp_path / "kept.parquet")
    return Room(tmp_path)


@pytest.mark.parametrize(("call", "text", "kind"), CASES)
def test_wrong_calls_are_refused(room, call, text, kind):
    with pytest.raises(kind, match=re.compile(text, re.DOTALL)):
        call(room)


@pytest.mark.parametrize(("call", "text"), named(ENVIRONMENTS))
def test_wrong_calls_of_environments_are_refused(call, text):
    with pytest.raises(Error, match=text):
        call()


@pytest.mark.parametrize(("space", "text"), named(SPACES))
def test_spaces_that_no_model_has_are_refused(space, text):
    with pytest.raises(ArgumentError, match=text):
        channels.ObservationSpace(space)


@pytest.mark.parametrize(("space", "text"), named(ACTION_SPACES))
def test_actions_that_no_model_has_are_refused(space, text):
    with pytest.raises(ArgumentError, match=text):
        channels.ActionSpace(space)


@pytest.mark.parametrize(("space", "observation", "text"), named(OBSERVATIONS))
def test_what_is_not_of_its_space_is_refused_and_nothing_is_lost(room, space, observation, text):
    first = (space or spaces.Discrete(100)).sample()
    counter = Counter(space, lambda _: first, length=2)
    with room.recorder(counter) as env:
        play(env, 1)
        env.reset()
        env.step(3)
        counter.answer = lambda _: (observation, 0.0, False, False, {})
        with pytest.raises(ArgumentError, match=text):
            env.step(2)
        with pytest.raises(OrderError, match="each error"):
            env.step(2)
        counter.answer = None
        play(env, 1)
    merge(room.path)
    assert algodistill.to_pandas(room.path).action.tolist() == [0, 1, 3, 0, 1]


def test_there_are_enough_of_them():
    tables = [ENVIRONMENTS, SPACES, ACTION_SPACES, OBSERVATIONS]
    assert len(CASES) + sum(map(len, tables)) > 150


def test_errors_are_those_of_python_as_well():
    assert issubclass(ArgumentError, ValueError)
    assert issubclass(FileError, OSError)
    assert json.dumps(str(ArgumentError("a"))) == '"a"'
