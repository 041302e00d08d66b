# SPDX-License-Identifier: Apache-2.0
"""os.fork() in the middle of a call: the child gets an error, the parent its result."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
import quarrow as qr
from safetensors.numpy import save_file

WAIT_SECONDS = 60
T = TypeVar("T")


@pytest.fixture
def w() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((1024, 1024)).astype(np.float32)


class Fork:
    """A callback that forks when it is called first, and returns in both processes."""

    def __init__(self) -> None:
        self.child: int | None = None

    def __call__(self, *_: object) -> None:
        if self.child is None:
            self.child = os.fork()
            if self.child == 0:
                # A child that hangs is killed, which its parent sees.
                signal.alarm(WAIT_SECONDS)

    def run(self, call: Callable[[], T], *, may_complete: bool = False) -> T:
        """Make a call in both processes, end the child, and check that it got its error.

        With `may_complete`, where the last callbacks come when the work is done, it may return too.
        """
        error: BaseException | None = None
        try:
            result = call()
        except BaseException as raised:  # noqa: BLE001 (the child must not run the rest of pytest)
            error = raised
        if self.child == 0:
            typed = isinstance(error, qr.QuarrowError) and "was forked" in str(error)
            # What the child does next must work: it is a process of its own.
            again = qr.quantize(np.ones((64, 1024), np.float32), "int8", threads=2)
            fine = typed or (may_complete and error is None)
            os._exit(0 if fine and again.codes.shape == (64, 1024) else 1)
        assert self.child is not None, "nothing called back"
        _, status = os.waitpid(self.child, 0)
        assert status == 0
        if error is not None:
            raise error
        return result


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_a_batch_that_forks_in_its_progress(w: np.ndarray, threads: int) -> None:
    layers = {str(i): w for i in range(48)}
    fork = Fork()
    made = fork.run(
        lambda: qr.quantize_batch(layers, "int4", threads=threads, progress=fork),
        may_complete=True,
    )
    expected = qr.quantize(w, "int4")
    assert all(each.codes.tobytes() == expected.codes.tobytes() for each in made.values())


def quantize_file(source: Path, out: Path, progress: Callable[..., object]) -> None:
    qr.quantize_file(source, out, "int4", threads=2, progress=progress, sync=True)


def dequantize_file(source: Path, out: Path, progress: Callable[..., object]) -> None:
    qr.dequantize_file(source, out, threads=2, progress=progress, sync=True)


# A job of eight layers tells of each at least once.
@pytest.mark.parametrize("forked_call", range(1, 9, 2))
@pytest.mark.parametrize("job", [quantize_file, dequantize_file])
def test_a_file_job_that_forks_in_its_progress(
    w: np.ndarray, tmp_path: Path, job: Callable[..., None], forked_call: int
) -> None:
    source = tmp_path / "in.safetensors"
    save_file({f"{i}.weight": w for i in range(8)}, source)
    if job is dequantize_file:
        quantized = tmp_path / "quantized.safetensors"
        qr.quantize_file(source, quantized, "int4", sync=False)
        source.unlink()
        source = quantized.rename(source)
    job(source, tmp_path / "expected", lambda *_: None)
    fork = Fork()
    calls = 0

    def later(*_: object) -> None:
        nonlocal calls
        calls += 1
        if calls == forked_call:
            fork()

    out = tmp_path / "out.safetensors"
    fork.run(lambda: job(source, out, later))
    assert out.read_bytes() == (tmp_path / "expected").read_bytes()
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        "expected",
        "in.safetensors",
        "out.safetensors",
    ]


def test_a_signal_handler_that_forks(w: np.ndarray) -> None:
    layers = {str(i): w for i in range(48)}
    fork = Fork()

    def told(*_: object) -> None:
        if fork.child is None:
            signal.raise_signal(signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, fork)
    try:
        made = fork.run(
            lambda: qr.quantize_batch(layers, "int4", threads=2, progress=told), may_complete=True
        )
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert len(made) == len(layers)


@pytest.mark.parametrize("raised", [SystemExit, KeyboardInterrupt, ZeroDivisionError])
def test_what_the_child_raises_is_passed_on(w: np.ndarray, raised: type[BaseException]) -> None:
    child: int | None = None

    def fork_and_raise(*_: object) -> None:
        nonlocal child
        if child is None:
            child = os.fork()
            if child == 0:
                signal.alarm(WAIT_SECONDS)
                raise raised

    error: BaseException | None = None
    # Stochastic, and so large: long enough for a callback before the work is done.
    layers = {str(i): w for i in range(64)}
    try:
        qr.quantize_batch(layers, "int4", rounding="stochastic", threads=2, progress=fork_and_raise)
    except BaseException as passed:  # noqa: BLE001 (the child must not run the rest of pytest)
        error = passed
    if child == 0:
        os._exit(0 if type(error) is raised else 1)
    assert child is not None
    assert error is None
    assert os.waitpid(child, 0)[1] == 0
    assert sys.exc_info() == (None, None, None)
