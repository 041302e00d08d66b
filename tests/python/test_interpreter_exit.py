# SPDX-License-Identifier: Apache-2.0
"""The interpreter ends while calls run in daemon threads: quietly, whatever they are doing."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

# Daemon threads that make calls until the end; the main thread ends in the middle of one.
PROGRAM = """
import pathlib, sys, threading
import numpy as np, quarrow as qr

kind, threads, source = sys.argv[1], int(sys.argv[2]), sys.argv[3]
w = np.random.default_rng(0).standard_normal((2048, 2048)).astype(np.float32)
layers = {str(i): w for i in range(4)}
quantized = qr.quantize(w, "int4")
running = threading.Semaphore(0)

class Lazy:
    # Python code that a call runs: the lock changes hands inside of it.
    def __array__(self, dtype=None, copy=None):
        sum(range(20_000))
        return w

def busy(*progress):
    sum(range(20_000))

def out():
    folder = pathlib.Path(f"{source}.{threading.get_ident()}")
    folder.mkdir(exist_ok=True)
    return folder / "out"

calls = {
    "quantize": lambda: qr.quantize(w, "int4", threads=2),
    "array": lambda: qr.quantize(Lazy(), "int4", copy=True),
    "small": lambda: qr.quantize(w[:2, :64], "int8"),
    "batch": lambda: qr.quantize_batch(layers, "int4", progress=busy),
    "dequantize": lambda: qr.dequantize(quantized, threads=2),
    "file": lambda: qr.quantize_file(source, out(), "int4", threads=2, sync=False),
    "file_progress": lambda: qr.quantize_file(source, out(), "int4", progress=busy, sync=False),
    "read": lambda: [qr.open(source)[name] for name in qr.open(source)],
    "state_dict": lambda: qr.quantize_state_dict(layers, "int8_rowwise"),
}

def run():
    calls[kind]()
    running.release()
    while True:
        calls[kind]()

for _ in range(threads):
    threading.Thread(target=run, daemon=True).start()
for _ in range(threads):
    running.acquire()
"""

# No streams of pyarrow: its own calls in a daemon thread abort at the end, without quarrow too.
KINDS = (
    "quantize",
    "array",
    "small",
    "batch",
    "dequantize",
    "file",
    "file_progress",
    "read",
    "state_dict",
)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exit") / "model.safetensors"
    rng = np.random.default_rng(0)
    save_file({f"{i}.weight": rng.standard_normal((512, 512), np.float32) for i in range(8)}, path)
    return path


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_calls_in_daemon_threads_do_not_disturb_the_end(
    kind: str, threads: int, source: Path
) -> None:
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, kind, str(threads), source],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")


# Calls of the thread that ends the interpreter, while it does and another thread calls too.
LATE_CALL = """
import builtins, os, threading
import numpy as np, quarrow as qr

w = np.ones((256, 1024), np.float32)
called = threading.Event()

def call():
    while True:
        qr.quantize(w, "int4", threads=2)
        called.set()

class Last:
    def __init__(self):
        self.held = w, qr.quantize, qr.quantize(w, "int8"), os.write

    def __del__(self):
        values, quantize, expected, write = self.held
        write(1, b"equal" if quantize(values, "int8", threads=2) == expected else b"different")

threading.Thread(target=call, daemon=True).start()
called.wait()
# The frames of the other thread keep what is global here.
builtins.last = Last()
"""


def test_the_thread_that_ends_the_interpreter_may_still_call() -> None:
    result = subprocess.run(
        [sys.executable, "-c", LATE_CALL],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "equal", "")


# Arrow's consumers may let go of what they were lent on any thread. `lent` makes an array over
# memory of Python's, and returns its capsule, its release function and that one's argument.
LENT = """
import builtins, ctypes, os, sys, threading, time
import numpy as np, quarrow as qr

get_pointer = ctypes.pythonapi.PyCapsule_GetPointer
get_pointer.restype, get_pointer.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)

class Noted(np.ndarray):
    write = os.write

    def __del__(self):
        self.write(1, b"freed ")

def lent():
    q = qr.quantize(np.ones((2, 2)), "int8")
    codes = q.codes.view(Noted)
    held = qr.QuantizedTensor(codes, q.scales, q.zero_points, q.format, q.shape)
    _, capsule = held.__arrow_c_array__()
    address = get_pointer(capsule, b"arrow_array")
    return capsule, (ctypes.c_void_p * 10).from_address(address)[8], address
"""
RELEASED_AT_THE_END = (
    LENT
    + """
class Last:
    def __init__(self):
        self.lent, self.c, self.write = lent(), ctypes, os.write
        self.library = ctypes.CDLL(None)
        self.another = sys.argv[1] == "another"

    def __del__(self):
        _, release, argument = self.lent
        if self.another:
            thread = self.c.c_ulong()
            create, join = self.library.pthread_create, self.library.pthread_join
            create(self.c.byref(thread), None, self.c.c_void_p(release), self.c.c_void_p(argument))
            join(thread, None)
        else:
            self.c.CFUNCTYPE(None, self.c.c_void_p)(release)(argument)
        self.write(1, b"end")

builtins.last = Last()
"""
)


@pytest.mark.parametrize(("thread", "printed"), [("the last", "freed end"), ("another", "end")])
def test_what_is_released_when_the_interpreter_has_ended(thread: str, printed: str) -> None:
    result = subprocess.run(
        [sys.executable, "-c", RELEASED_AT_THE_END, thread],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, printed, "")


ENDED_ON_THE_WAY = (
    LENT
    + """
# Nobody has the lock but this thread, until it ends or lets go.
sys.setswitchinterval(100)
builtins.lent = [lent() for _ in range(20)]
create, thread = ctypes.PyDLL(None).pthread_create, ctypes.c_ulong()
for _, release, argument in builtins.lent:
    create(ctypes.byref(thread), None, ctypes.c_void_p(release), ctypes.c_void_p(argument))
until = time.monotonic() + 0.2
while time.monotonic() < until:
    pass
"""
)


def test_the_end_waits_for_threads_that_ask_for_the_lock() -> None:
    result = subprocess.run(
        [sys.executable, "-c", ENDED_ON_THE_WAY],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "freed " * 20, "")


FORKED_ON_THE_WAY = (
    LENT
    + """
import signal

sys.setswitchinterval(100)
calls = threading.Event()

def release():
    _, function, argument = lent()
    release = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(function)
    calls.set()
    # Without the lock from here on, which it asks for.
    release(argument)

thread = threading.Thread(target=release)
thread.start()
calls.wait()
until = time.monotonic() + 0.2
while time.monotonic() < until:
    pass
child = os.fork()
if child == 0:
    signal.alarm(20)
    sys.exit(7)
thread.join()
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
)


def test_a_child_forked_while_a_thread_asks_for_the_lock_ends() -> None:
    result = subprocess.run(
        # From 3.12 on CPython warns of what this test is about.
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKED_ON_THE_WAY],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "freed 7\n", "")


SUBINTERPRETER = """
import sys
import numpy as np

if sys.version_info >= (3, 13):
    import _interpreters as interpreters
else:
    import _xxsubinterpreters as interpreters

def said(other, code):
    # Run it there; return what it raised.
    if sys.version_info >= (3, 13):
        return interpreters.exec(other, code).formatted
    try:
        interpreters.run_string(other, code)
    except interpreters.RunFailedError as error:
        return str(error)
    return "nothing"

first = sys.argv[2] == "main first"
if first:
    import quarrow as qr
other = interpreters.create()
# From 3.12 on CPython itself refuses, in words of its own.
print("subinterpreter" in said(other, sys.argv[1]))
interpreters.destroy(other)
import quarrow as qr

w = np.ones((4, 8), np.float32)
print(qr.quantize(w, qr.Format("int8")) == qr.quantize_batch({"a": w}, "int8")["a"])
print(repr(qr.Format("int8"))[:13])
"""


@pytest.mark.parametrize("order", ["main first", "main last"])
@pytest.mark.parametrize("statement", ["import quarrow", "import quarrow._core"])
def test_a_subinterpreter_is_refused_and_the_main_one_unharmed(statement: str, order: str) -> None:
    result = subprocess.run(
        [sys.executable, "-c", SUBINTERPRETER, statement, order],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == "True\nTrue\nFormat('int8'\n"
