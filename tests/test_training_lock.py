"""swinlib.training.lock: one run at a time in one place, and a crash shuts nothing."""

import errno
import os
import re
import signal
import subprocess
import sys
import time

import pytest
from test_training_resume import arguments
from training_runs import TINY, outcome, run

from swinlib.training import __main__ as command
from swinlib.training import lock as lock_module
from swinlib.training.lock import InUseError, locked

HOLD = """
import os, sys, time
from swinlib.training.lock import locked
with locked(sys.argv[1]):
    child = os.fork() if sys.argv[2] == "fork" else None
    if child != 0:
        print(child, flush=True)
    time.sleep(600)
"""


def holder(path, *more):
    """A process that holds the lock, and its first line."""
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, path, *more], stdout=subprocess.PIPE, text=True
    )
    return child, child.stdout.readline().strip()


def heed_interrupts():
    """Shells start what runs in the background deaf to SIGINT, and children inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def wait_for(condition, seconds=300):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_the_second_is_refused_and_told_by_whom(tmp_path):
    child, _ = holder(tmp_path, "alone")
    try:
        words = rf"{tmp_path} is in use by process {child.pid} on .*, since \d{{4}}-\d\d-\d\d \d\d:"
        with pytest.raises(InUseError, match=words), locked(tmp_path):
            pass
    finally:
        child.kill()  # a crash: nobody tidies up
        child.wait()
    with locked(tmp_path):
        assert f"process {os.getpid()} " in (tmp_path / ".lock").read_text()
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_reader_does_not_keep_the_lock(tmp_path):
    """Processes that read pictures live on for a while when the training process is killed."""
    child, reader = holder(tmp_path, "fork")
    wait_for((tmp_path / ".lock").exists)
    child.kill()
    child.wait()
    try:
        os.kill(int(reader), 0)  # it lives
        with locked(tmp_path):
            pass
    finally:
        os.kill(int(reader), signal.SIGKILL)


def test_in_one_process_too(tmp_path):
    for path in (tmp_path, tmp_path / "log.jsonl"):  # a folder, and a file that is not there yet
        with locked(path):
            with pytest.raises(InUseError, match=f"{path} is in use by process {os.getpid()}"):
                locked(path).__enter__()
        with locked(path):
            pass
    assert not list(tmp_path.iterdir())


def test_a_file_system_without_locks(tmp_path, monkeypatch):
    def seize(file):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(lock_module, "_acquire", seize)
    with pytest.warns(UserWarning, match="cannot be locked .No locks available"), locked(tmp_path):
        pass


@pytest.mark.parametrize("place", ["checkpoints", "log"])
def test_two_trainings_in_one_place(tmp_path, place):
    """The second begins in the middle of the first, which goes on undisturbed."""
    refused = []

    def on_step(state):
        if state["step"] == 3:
            with pytest.raises(InUseError, match="is in use by process") as error:
                run(TINY.replace(epochs=1), **{place: tmp_path / place})
            refused.append(error)

    result = run(on_step=on_step, **{place: tmp_path / place})
    assert refused and outcome(result) == outcome(run())


@pytest.mark.skipif(os.name != "posix", reason="needs SIGINT for one process")
def test_two_commands_in_one_folder(tmp_path, capsys):
    """With the same configuration and with another one."""
    out = tmp_path / "run"
    argv = [*arguments(out), "epochs=1000"]
    argv[argv.index("--epochs") : argv.index("--epochs") + 2] = []
    first = subprocess.Popen(
        [sys.executable, "-m", "swinlib.training", *argv], stdout=subprocess.DEVNULL,
        preexec_fn=heed_interrupts,
    )  # fmt: skip
    try:
        wait_for(lambda: len(list(out.glob("checkpoints/*.json"))) > 0)
        for more in ([], ["label_smoothing=0.3"]):
            with pytest.raises(SystemExit) as ended:
                command.main([*argv, *more])
            assert ended.value.code == 1
            told = capsys.readouterr().err
            assert re.search(rf"{out} is in use by process {first.pid} on .*, since \d{{4}}-", told)
        names = {f.name for f in out.iterdir()}
        assert names == {".lock", "checkpoints", "log.jsonl", "log.jsonl.lock"}
    finally:
        first.send_signal(signal.SIGINT)
        assert first.wait() == 130
    assert {f.name for f in out.iterdir()} == {"checkpoints", "log.jsonl"}


@pytest.mark.skipif(os.name != "posix", reason="needs SIGINT for one process")
def test_an_interrupt_at_the_console(tmp_path):
    """It leaves an unfinished run, says how to go on, and the same command does."""
    out = tmp_path / "run"
    child = subprocess.Popen(
        [sys.executable, "-m", "swinlib.training", *arguments(out)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=heed_interrupts,
    )  # fmt: skip
    wait_for(lambda: list(out.glob("checkpoints/epoch-00001-*.json")))
    child.send_signal(signal.SIGINT)
    _, told = child.communicate()
    assert child.returncode == 130 and "Traceback" not in told
    assert "interrupted; the same command goes on from" in told
    assert not (out / "model.safetensors").exists()
    assert outcome(command.main(arguments(out))) == outcome(command.main(arguments(tmp_path / "x")))
