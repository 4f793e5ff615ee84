"""Signals in a process of its own: one line, the right status, and when it ends."""

import signal
import subprocess
import sys

import pytest

from tests.commands import ROOT

# Each scenario says "ready" when the signal may come; nothing heavy is imported.
BEFORE = """
import hashlib, sys, time
from experiments import interrupts

interrupts.watch()

def ready():
    print("ready", flush=True)

def long_call():  # one call into C: a handler of Python's would wait until it is back
    hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)
"""
MEASURING = """
interrupts.doing("measuring initial")
with interrupts.tidying(lambda: print("tidied", flush=True)):
    ready()
    long_call()
"""
TRAINING = """
interrupts.doing("training online tanh-5")
with interrupts.saving_first() as asked_to_stop:
    ready()
    while not asked_to_stop():
        time.sleep(0.01)
    print("saved", flush=True)
    interrupts.stop("at 40 000 of 160 000 updates", of="online tanh-5")
"""
STUCK = """
interrupts.doing("training online tanh-5")
with interrupts.saving_first():
    ready()
    long_call()
"""
LAST_CHUNK = """
interrupts.doing("training online tanh-5")
with interrupts.saving_first() as asked_to_stop:
    ready()
    while not asked_to_stop():
        time.sleep(0.01)
print("went on", flush=True)
"""
FINISHED = """
interrupts.ignore()
ready()
time.sleep(0.5)
print("ended", flush=True)
"""


def scenario(code: str, *signals: int) -> tuple[int, list[str], str]:
    """(exit status, lines on stderr, the rest of stdout) of ``code`` under ``signals``."""
    process = subprocess.Popen(
        [sys.executable, "-c", BEFORE + code],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    for number, signum in enumerate(signals):
        if number:
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.3)
        process.send_signal(signum)
    output, errors = process.communicate(timeout=60)
    return process.returncode, errors.splitlines(), output


@pytest.mark.parametrize(("signum", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_long_call_at_once(signum, status):
    line = "stopped while measuring initial; the same command goes on"
    assert scenario(MEASURING, signum) == (status, [line], "tidied\n")


@pytest.mark.parametrize(("signum", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_training_saves_first(signum, status):
    line = "online tanh-5: stopped at 40 000 of 160 000 updates; the same command goes on"
    assert scenario(TRAINING, signum) == (status, [line], "saved\n")


def test_a_second_signal_ends_training_at_once():
    line = "stopped at once while training online tanh-5; the same command goes on"
    assert scenario(STUCK, signal.SIGINT, signal.SIGINT) == (130, [line], "")


def test_a_signal_after_the_last_look_is_obeyed_too():
    line = "stopped after training online tanh-5; the same command goes on"
    assert scenario(LAST_CHUNK, signal.SIGTERM) == (143, [line], "")


def test_what_is_finished_ends_as_finished():
    assert scenario(FINISHED, signal.SIGINT) == (0, [], "ended\n")
