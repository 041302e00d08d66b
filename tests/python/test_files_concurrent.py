# SPDX-License-Identifier: Apache-2.0
"""Jobs of several threads, processes and containers in one folder, and readers beside them."""

import hashlib
import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import quarrow as qr
from safetensors.numpy import save_file
from workload import HANG_SECONDS

FORMATS = ("int8_rowwise", "int8", "int4", "int2")
PROCESSES = 4
THREADS = 8
ROUNDS = 6
LAYERS = 6
SHARD_BYTES = 40_000  # two shards and more of every format, of some as many as of others

# Every thread writes a destination of its own, which must work, and one that all of them write.
JOBS = """
import sys
from concurrent.futures import ThreadPoolExecutor
import quarrow as qr
source, folder, name, threads, rounds, shard_bytes, *formats = sys.argv[1:]
shards = {"max_shard_size": int(shard_bytes)} if int(shard_bytes) else {}
def run(thread):
    format = formats[thread % len(formats)]
    for number in range(int(rounds)):
        own = f"{folder}/{name}-{thread}-{number}.safetensors"
        qr.quantize_file(source, own, format, sync=False, threads=1, **shards)
        try:
            shared = f"{folder}/shared.safetensors"
            qr.quantize_file(source, shared, format, sync=False, threads=1, **shards)
        except qr.InvalidInputError as error:
            assert "is being written by another job" in str(error), error
with ThreadPoolExecutor(int(threads)) as pool:
    list(pool.map(run, range(int(threads))))
"""

# A text file that is to replace what a job still writes.
WAITER = """
import signal, sys, threading
import quarrow as qr
from quarrow import _core
source, destination = sys.argv[1:]
writes, may_end = threading.Event(), threading.Event()
def progress(*_):
    writes.set()
    may_end.wait()
def stop(*_):
    raise KeyboardInterrupt
job = threading.Thread(
    target=qr.quantize_file, args=(source, destination, "int8"), kwargs={"progress": progress}
)
job.start()
writes.wait()
signal.signal(signal.SIGALRM, stop)
signal.setitimer(signal.ITIMER_REAL, 0.2)
try:
    _core.write_file(destination.encode(), b"text")
except KeyboardInterrupt:
    print("stopped")
may_end.set()
job.join()
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "in.safetensors"
    random = np.random.default_rng(0)
    layers = {f"{i}.weight": random.standard_normal((256, 256)) for i in range(LAYERS)}
    save_file({name: w.astype(np.float16) for name, w in layers.items()}, path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "folder"
    path.mkdir()
    return path


def begin(
    source: Path, folder: Path, name: str, shard_bytes: int = 0, inside: tuple[str, ...] = ()
) -> "subprocess.Popen[str]":
    arguments = [source, folder, name, THREADS, ROUNDS, shard_bytes, *FORMATS]
    command = [*inside, sys.executable, "-c", JOBS, *map(str, arguments)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def while_running(jobs: "list[subprocess.Popen[str]]") -> Iterator[None]:
    """Yield until all jobs are done, then once more; require that none has failed."""
    while any(job.poll() is None for job in jobs):
        yield
    errors = [job.communicate(timeout=HANG_SECONDS)[1] for job in jobs]
    assert [(job.returncode, text) for job, text in zip(jobs, errors, strict=True)] == [
        (0, "")
    ] * len(jobs)
    yield


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def whole_files(source: Path, folder: Path) -> dict[str, str]:
    """Return the digests of what a job alone writes."""
    digests = {}
    for name in FORMATS:
        qr.quantize_file(source, folder / "alone", name, sync=False)
        digests[digest(folder / "alone")] = name
    return digests


def own_names() -> set[str]:
    return {
        f"{process}-{thread}-{number}.safetensors"
        for process in range(PROCESSES)
        for thread in range(THREADS)
        for number in range(ROUNDS)
    }


def test_a_reader_meets_whole_files_alone(source: Path, folder: Path, tmp_path: Path) -> None:
    digests = whole_files(source, tmp_path)
    looks: Counter[str] = Counter()
    jobs = [begin(source, folder, str(process)) for process in range(PROCESSES)]
    for _ in while_running(jobs):
        try:
            found = digest(folder / "shared.safetensors")
        except FileNotFoundError:
            continue
        looks[digests[found]] += 1
    print(f"{sum(looks.values())} looks at one destination")
    assert looks
    assert {path.name for path in folder.iterdir()} == own_names() | {"shared.safetensors"}
    assert {digest(path) for path in folder.iterdir()} <= digests.keys()


def expected_sums(source: Path, tmp_path: Path) -> dict[str, list[int]]:
    """Return, for each format, the sums of the codes of all layers."""
    sums = {}
    for name in FORMATS:
        qr.quantize_file(source, tmp_path / "alone", name, sync=False)
        sums[name] = sums_of(tmp_path / "alone")
    return sums


def sums_of(path: Path) -> list[int]:
    with qr.open(path) as checkpoint:
        layers = [checkpoint[f"{index}.weight"] for index in range(LAYERS)]
        quantized = [layer for layer in layers if isinstance(layer, qr.QuantizedTensor)]
        assert len(quantized) == LAYERS
        return [int(layer.codes.astype(np.int64).sum()) for layer in quantized]


def test_a_reader_meets_whole_sets_alone(source: Path, folder: Path, tmp_path: Path) -> None:
    expected = expected_sums(source, tmp_path)
    index = folder / "shared.safetensors.index.json"
    looks: Counter[str] = Counter()
    jobs = [begin(source, folder, str(process), SHARD_BYTES) for process in range(PROCESSES)]
    for _ in while_running(jobs):
        try:
            found = sums_of(index)
        except FileNotFoundError:
            looks["no index"] += 1
        except qr.CheckpointError as error:
            if error.rule != "changed":
                raise
            looks["another set came"] += 1
        else:
            looks["a set"] += 1
            assert found in expected.values()
    print(f"looks at one index: {dict(looks)}")
    assert looks["a set"]
    listed = set()
    for path in folder.glob("*.index.json"):
        listed |= {path.name, *json.loads(path.read_text())["weight_map"].values()}
        assert sums_of(path) in expected.values()
    # Shards of sets that had another number of files stay beside the last one.
    left = {path.name for path in folder.iterdir()} - listed
    assert all(name.startswith("shared-0") for name in left), left


def pid_namespace() -> tuple[str, ...]:
    """Return the words before a command that make it process 1 of a container of its own."""
    unshare = shutil.which("unshare")
    if unshare is None:
        pytest.skip("PID namespaces need the command unshare")
    for way in (("--pid", "--fork"), ("--user", "--map-root-user", "--pid", "--fork")):
        tried = subprocess.run(
            [unshare, *way, sys.executable, "-c", "import os; assert os.getpid() == 1"],
            capture_output=True,
            text=True,
            check=False,
        )
        if tried.returncode == 0:
            return (unshare, *way)
    pytest.skip(f"no PID namespaces here: {tried.stderr.strip()}")


def test_containers_that_share_a_folder_leave_each_other_alone(
    source: Path, folder: Path, tmp_path: Path
) -> None:
    inside = pid_namespace()
    digests = whole_files(source, tmp_path)
    jobs = [begin(source, folder, str(process), inside=inside) for process in range(PROCESSES)]
    for _ in while_running(jobs):
        pass
    assert {path.name for path in folder.iterdir()} == own_names() | {"shared.safetensors"}
    assert {digest(path) for path in folder.iterdir()} <= digests.keys()


def test_a_signal_ends_the_wait_for_a_destination(source: Path, folder: Path) -> None:
    destination = folder / "out.safetensors"
    result = subprocess.run(
        [sys.executable, "-c", WAITER, source, destination],
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )
    assert (result.stdout, result.stderr) == ("stopped\n", "")
    assert len(qr.open(destination)) == LAYERS
