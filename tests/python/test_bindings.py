# SPDX-License-Identifier: Apache-2.0
"""The boundary itself: memory, references, the lock, signals, fork."""

import gc
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import quarrow as qr
from numpy.typing import NDArray
from workload import HANG_SECONDS


def weights(*shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(5).normal(size=shape).astype(np.float32)


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG_SECONDS,
    )


def resident_bytes() -> int:
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * resource.getpagesize()


def quantize_read(w: NDArray[np.float32]) -> None:
    q = qr.quantize(w, "int4")
    assert q.codes is not None
    assert q.scales is not None
    assert q.zero_points is not None


def refuse(w: NDArray[np.float32]) -> None:
    with pytest.raises(qr.InvalidInputError):
        qr.quantize(w.T, "int4", name="x")


def find_nan(w: NDArray[np.float32]) -> None:
    damaged = w.copy()
    damaged[-1, -1] = np.nan
    with pytest.raises(qr.NonFiniteError):
        qr.quantize(damaged, "int4", name="x")


def restore(w: NDArray[np.float32]) -> None:
    q = qr.quantize(w, "int8", scale_dtype="float16")
    assert q.scales is not None
    assert q.dequantize("float16") is not None
    assert q.error(w) is not None
    assert q.copy() == q


CALLS = [quantize_read, refuse, find_nan, restore]


@pytest.mark.memory
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("call", CALLS)
def test_no_memory_is_left_behind(call: Callable[[NDArray[np.float32]], None]) -> None:
    w = weights(256, 1024)
    for _ in range(20):
        call(w)
    gc.collect()
    before = resident_bytes()
    for _ in range(200):
        call(w)
    gc.collect()
    # One leaked result of 128 KB in each call would be 25 MB.
    assert resident_bytes() - before < 8 << 20


@pytest.mark.parametrize("call", CALLS)
def test_no_reference_is_left_behind(call: Callable[[NDArray[np.float32]], None]) -> None:
    w = weights(4, 256)
    call(w)
    gc.collect()
    references = sys.getrefcount(w)
    objects = len(gc.get_objects())
    for _ in range(100):
        call(w)
    gc.collect()
    assert sys.getrefcount(w) == references
    assert len(gc.get_objects()) - objects < 50


def test_none_and_defaults_keep_their_references() -> None:
    w = weights(2, 4)
    before = sys.getrefcount(None)
    for _ in range(2000):
        qr.quantize(w, "int8", name=None, out=None, threads=None)
    assert abs(sys.getrefcount(None) - before) < 500


def test_the_arrays_die_with_the_last_reader() -> None:
    q = qr.quantize(weights(4, 256), "int4")
    codes = q.codes
    del q
    assert sys.getrefcount(codes) == 2


def test_the_lock_is_released() -> None:
    """Another thread advances while one call is in the engine."""
    # Stochastic: most of a second, so that the other thread gets a CPU on any machine.
    w = np.broadcast_to(weights(1, 4096), (1 << 16, 4096))
    ticks = 0
    stop = threading.Event()

    def tick() -> None:
        nonlocal ticks
        while not stop.is_set():
            ticks += 1
            time.sleep(1e-4)

    interval = sys.getswitchinterval()
    thread = threading.Thread(target=tick)
    thread.start()
    try:
        # Nobody is made to give the lock up within this test: a tick means that it was released.
        sys.setswitchinterval(1000)
        before = ticks
        qr.quantize(w, "int4", rounding="stochastic", threads=1)
        after = ticks
    finally:
        sys.setswitchinterval(interval)
        stop.set()
        thread.join()
    assert after > before


def test_many_threads_at_once_get_their_own_results() -> None:
    inputs = [weights(64, 512) * (i + 1) for i in range(8)]
    expected = [qr.quantize(w, "int4") for w in inputs]
    failures: list[int] = []

    def work(i: int) -> None:
        for _ in range(30):
            q = qr.quantize(inputs[i], "int4", threads=2)
            if q != expected[i] or q.codes is not q.codes:
                failures.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(inputs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_many_threads_read_one_result() -> None:
    q = qr.quantize(weights(64, 512), "int4")
    seen: list[int] = []
    threads = [threading.Thread(target=lambda: seen.append(id(q.codes))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(seen) == {id(q.codes)}


@pytest.mark.parametrize("threads", [1, 2])
def test_ctrl_c_stops_a_call_half_way(threads: int) -> None:
    """What the call had not reached is still as it was; how soon it stopped is only printed."""
    code = f"""
import os, signal, threading, time
import numpy as np, quarrow as qr
rows = 1 << 18
w = np.broadcast_to(np.random.default_rng(0).normal(size=4096).astype("f"), (rows, 4096))
out = np.ones((rows, 2048), "B"), np.ones((rows, 32), "f"), np.ones((rows, 32), "B")
sent = 0.0
inside = False
def send():
    global sent
    while not inside:
        time.sleep(0.001)
    time.sleep(0.2)
    sent = time.perf_counter()
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=send).start()
try:
    while True:
        out[1][-1, -1] = -1
        inside = True
        # Stochastic: a second or more, so that no signal comes within the last 50 ms.
        qr.quantize(w, "int4", rounding="stochastic", threads={threads}, out=out)
        inside = False
except KeyboardInterrupt:
    milliseconds = round(1000 * (time.perf_counter() - sent))
print(inside, out[1][-1, -1])
print(qr.quantize(np.ones((1, 4), "f"), "int8").codes.tolist())
print(f"stopped after {{milliseconds}} ms")
"""
    result = run_python(code)
    assert result.returncode == 0, result.stderr
    half_way, again, reaction = result.stdout.splitlines()
    assert half_way == "True -1.0"
    assert again == "[[255, 255, 255, 255]]"
    print(reaction)


def test_an_exception_of_a_signal_handler_stops_the_call() -> None:
    code = """
import signal
import numpy as np, quarrow as qr
class Stop(Exception): pass
def handler(*_): raise Stop("by the handler")
signal.signal(signal.SIGALRM, handler)
w = np.broadcast_to(np.ones(4096, "f"), (1 << 18, 4096))
try:
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    while True:
        qr.quantize(w, "int2")
except Stop as error:
    print(error)
"""
    assert run_python(code).stdout == "by the handler\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_works_and_completes() -> None:
    w = weights(512, 2048)
    expected = qr.quantize(w, "int4", threads=2)
    child = os.fork()
    if child == 0:
        same = qr.quantize(w, "int4", threads=2) == expected
        os._exit(0 if same else 1)
    deadline = time.monotonic() + HANG_SECONDS
    while (done := os.waitpid(child, os.WNOHANG)) == (0, 0):
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            pytest.fail("the child hangs")
        time.sleep(0.01)
    assert os.waitstatus_to_exitcode(done[1]) == 0
    assert qr.quantize(w, "int4", threads=2) == expected


@pytest.mark.parametrize("threads", [1, 2])
def test_a_caller_who_flushes_denormals_gets_the_same_bytes(threads: int) -> None:
    """The mode is set by the start of a library built with -ffast-math, as some still are."""
    import ctypes
    import platform

    if platform.machine() != "x86_64" or sys.platform != "linux":
        pytest.skip("sets the x86 control word")
    tiny = np.float32(2.0**-149)
    # The scale is 2**-126: the denormals above half of it have the code 1, and 0 once flushed.
    w = np.linspace(0, 2.0**-125, 512 * 1024, dtype=np.float64).astype(np.float32)
    w = w.reshape(512, 1024)
    plain = [qr.quantize(w, name, threads=threads) for name in ("int8", "int4", "int8_rowwise")]
    restored = [q.dequantize(threads=threads) for q in plain]
    libm = ctypes.CDLL("libm.so.6")
    # x86-64 glibc's fenv_t: 28 bytes of x87 state, then MXCSR. 0x8040: FTZ and DAZ.
    saved = (ctypes.c_uint32 * 8)()
    assert libm.fegetenv(saved) == 0
    flushing = (ctypes.c_uint32 * 8)(*saved)
    flushing[7] |= 0x8040
    assert libm.fesetenv(flushing) == 0
    try:
        flushed = float(np.add(tiny, tiny)) == 0
        again = [qr.quantize(w, name, threads=threads) for name in ("int8", "int4", "int8_rowwise")]
        restored_again = [q.dequantize(threads=threads) for q in again]
        still = (ctypes.c_uint32 * 8)()
        libm.fegetenv(still)
    finally:
        libm.fesetenv(saved)
    assert flushed, "the mode was not set"
    # The six lowest bits are sticky exception flags, not the mode.
    assert still[7] >> 6 == flushing[7] >> 6, "the caller's mode was not given back"
    assert again == plain
    for a, b in zip(restored, restored_again, strict=True):
        np.testing.assert_array_equal(a.view(np.uint32), b.view(np.uint32))


@pytest.mark.memory
@pytest.mark.parametrize(
    "call",
    [
        'qr.quantize(w, "int8")',
        '[made.max() for made in qr.quantize_state_dict({"a.weight": w}, "int8_rowwise").values()]',
    ],
)
def test_fresh_results_of_a_large_call_use_huge_pages(call: str) -> None:
    setting = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    if not setting.exists() or "[never]" in setting.read_text(encoding="ascii"):
        pytest.skip("this kernel gives no huge pages")
    code = f"""
import resource
import numpy as np, quarrow as qr
w = np.ones((8192, 4096), np.float32)
qr.quantize(w[:8], "int8")
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
q = {call}
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    # 32 MB are 8192 small pages, or 16 huge ones.
    assert int(run_python(code).stdout) < 4000


@pytest.mark.parametrize("imports", ["duckdb, quarrow", "quarrow, duckdb"])
def test_another_nanobind_module_leaves_our_errors_alone(imports: str) -> None:
    """duckdb's module is made with nanobind too, and has its own word for lack of memory."""
    code = f"""
import {imports}
import numpy as np, quarrow as qr
try:
    qr.quantize(np.broadcast_to(np.zeros(128, np.float32), (2**40, 128)), "int4")
except Exception as error:
    print(type(error).__name__)
"""
    assert run_python(code).stdout == "MemoryError\n"
