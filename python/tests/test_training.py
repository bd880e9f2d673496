"""From an environment to a weights file, and on after Ctrl-C."""

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

import algodistill

#: A model that is trained in a moment.
SMALL = {"layers": 1, "d_model": 16, "heads": 1, "d_ff": 16, "window": 40, "batch": 4}


@pytest.fixture(scope="module")
def histories(tmp_path_factory: pytest.TempPathFactory) -> algodistill.Histories:
    out = tmp_path_factory.mktemp("histories") / "room.parquet"
    return algodistill.generate(
        out,
        "dark-room",
        parameters={"size": 5},
        tasks=6,
        held_out=2,
        histories_per_task=np.int64(2),
        held_out_histories_per_task=1,
        episodes=6,
        progress=False,
    )


def test_histories_are_those_of_the_program(
    histories: algodistill.Histories, tmp_path: Path
) -> None:
    out = tmp_path / "room.parquet"
    words = "--set size=5 --tasks 6 --held-out 2 --histories 2 --held-out-histories 1 --episodes 6"
    program = ["algodistill", "generate", "--out", str(out), *words.split()]
    assert algodistill._native.run_program(program) == 0
    assert out.read_bytes() == histories.path.read_bytes()
    assert histories.card["histories"] == 6 * 2 + 2


def test_a_model_is_trained_exported_inspected_and_evaluated(
    histories: algodistill.Histories, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = algodistill.train(
        histories, tmp_path / "run", updates=12, log_every=4, threads=1, progress=False, **SMALL
    )
    assert (run.updates, [line["update"] for line in run.metrics]) == (12, [4, 8, 12])
    assert run.model.exists()
    assert run.tokens_per_second > 0
    again = algodistill.train(histories, tmp_path / "run", updates=12, log_every=4, **SMALL)
    assert again.loss is None, "nothing was left"
    exported = algodistill.export(run, tmp_path / "room.adw")
    path = exported.path
    named = algodistill.export(run.folder, tmp_path / "same.adw", histories=[histories.path])
    assert path.read_bytes() == named.path.read_bytes()
    assert algodistill.inspect(path)["parameters"] == exported.parameters
    assert exported.memory["flash"] == path.stat().st_size
    said = capfd.readouterr().err
    assert "all 12 updates were done before" in said, "the bar"
    report = algodistill.evaluate(path, tasks=2, episodes=3, runs=1, progress=False, threads=1)
    assert report.found["environment"] == "dark-room"
    assert len(report.curves["source"]) == 3


def test_ctrl_c_stops_a_training_that_then_ends_as_if_it_had_not(
    histories: algodistill.Histories, tmp_path: Path
) -> None:
    whole = algodistill.train(
        histories, tmp_path / "whole", updates=4000, progress=False, threads=1, **SMALL
    )
    stopped = tmp_path / "stopped"
    program = f"""
        import os, signal, threading
        import algodistill
        # Whoever runs the tests in the background ignores it, and so would this child.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        algodistill.train({str(histories.path)!r}, {str(stopped)!r}, updates=4000, threads=1,
                          progress=False, **{SMALL!r})
    """
    process = subprocess.run(  # noqa: S603 - Python itself
        [sys.executable, "-c", textwrap.dedent(program)],
        # Where the installed package is found, not the folder beside the tests.
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    said = process.stderr
    assert process.returncode == -signal.SIGINT
    assert "of 4000 updates are done and in the checkpoint" in said
    assert "KeyboardInterrupt" in said
    assert "the same call goes on from there" in said
    assert not (stopped / "model.safetensors").exists()
    run = algodistill.train(histories, stopped, updates=4000, progress=False, threads=1, **SMALL)
    assert run.model.read_bytes() == whole.model.read_bytes()


def test_an_experiment_is_reproduced(tmp_path: Path) -> None:
    made = algodistill.reproduce(
        "quickstart", tmp_path / "run", scale="toy", threads=1, progress=False
    )
    assert [one.found["environment"] for one in made.reports] == ["dark-room"]
    assert not made.made_before
    assert all(path.exists() for path in made.files)
    assert algodistill.reproduce(
        "quickstart", tmp_path / "run", scale="toy", progress=False
    ).made_before


def test_what_should_be_thought_over_is_a_warning(
    histories: algodistill.Histories, tmp_path: Path
) -> None:
    with pytest.warns(UserWarning, match="not longer than the window"):
        algodistill.train(
            histories, tmp_path / "run", updates=1, progress=False, **{**SMALL, "window": 512}
        )
