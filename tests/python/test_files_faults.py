# SPDX-License-Identifier: Apache-2.0
"""What goes wrong around a file job: the old file or the new one, and nothing beside it."""

import errno
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import quarrow as qr
from checkpoints import write_zeros
from new_files import has_begun, temporaries
from safetensors.numpy import save_file
from workload import HANG_SECONDS, KILLS

FORMAT = "int8_rowwise"
OLD = b"the old file"

QUANTIZE = """
import sys, quarrow as qr
qr.quantize_file(sys.argv[1], sys.argv[2], "int8_rowwise", sync=False)
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "in.safetensors"
    random = np.random.default_rng(0)
    save_file({"a.weight": random.standard_normal((600, 500)).astype(np.float32)}, path)
    return path


@pytest.fixture
def huge(tmp_path: Path) -> Path:
    """Write 6 GB of zeros that take no disk: a job on it takes long enough to be interrupted."""
    rows = 3 << 14
    return write_zeros(
        tmp_path / "huge.safetensors", {"h.weight": ("F32", (rows, 1 << 15), rows << 17)}
    )


@pytest.fixture
def no_space_folder(tmp_path: Path) -> Iterator[Path]:
    """Mount a file system of 256 KB, which only root may."""
    folder = tmp_path / "full"
    folder.mkdir()
    mount = shutil.which("mount")
    if mount is None or os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root and mount")
    mounted = subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], check=False, capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip(f"mount failed: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


# ---- refused by quarrow


def test_the_source_as_destination(source: Path, tmp_path: Path) -> None:
    (tmp_path / "hard").hardlink_to(source)
    (tmp_path / "soft").symlink_to("in.safetensors")
    (tmp_path / "folder").mkdir()
    before = source.read_bytes()
    around = tmp_path / "folder" / ".." / "in.safetensors"
    for destination in (source, tmp_path / "hard", tmp_path / "soft", around):
        with pytest.raises(qr.InvalidInputError, match="is the source itself"):
            qr.quantize_file(source, destination, FORMAT)
    assert source.read_bytes() == before
    assert (tmp_path / "soft").is_symlink()


def test_a_folder_or_a_pipe_as_destination(source: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(qr.InvalidInputError, match="is a folder"):
        qr.quantize_file(source, tmp_path, FORMAT)
    with pytest.raises(qr.InvalidInputError, match="is a folder"):
        qr.quantize_file(source, f"{tmp_path}/absent/", FORMAT)
    with pytest.raises(qr.InvalidInputError, match="a pipe"):
        qr.quantize_file(source, tmp_path / "pipe", FORMAT)
    assert (tmp_path / "pipe").is_fifo()


@pytest.mark.parametrize("path", ["a\0b", 3, None, "\ud800"])
def test_what_is_not_a_path(path: object, source: Path, tmp_path: Path) -> None:
    with pytest.raises(qr.InvalidInputError, match="source must be a path"):
        qr.quantize_file(path, tmp_path / "out", FORMAT)  # type: ignore[arg-type]
    with pytest.raises(qr.InvalidInputError, match="destination must be a path"):
        qr.quantize_file(source, path, FORMAT)  # type: ignore[arg-type]


def test_other_arguments(source: Path, tmp_path: Path) -> None:
    with pytest.raises(qr.InvalidInputError, match="nonfinite"):
        qr.quantize_file(source, tmp_path / "out", FORMAT, nonfinite="ignore")
    with pytest.raises(qr.InvalidInputError, match="progress"):
        qr.quantize_file(source, tmp_path / "out", FORMAT, progress=3)  # type: ignore[arg-type]
    with pytest.raises(qr.InvalidInputError, match="threads"):
        qr.quantize_file(source, tmp_path / "out", FORMAT, threads=0)
    assert names(tmp_path) == {"in.safetensors"}


def test_non_finite_values(tmp_path: Path) -> None:
    weight = np.ones((300, 500), np.float32)
    weight[2, 7], weight[299, 0] = -np.inf, np.nan
    bad = np.full((2, 2), np.nan, np.float32)
    ones = np.ones((2, 2), np.float32)
    path = tmp_path / "in"
    save_file({"a.weight": ones, "b.weight": weight, "c.weight": bad}, path)
    for threads in (1, 2, 4):
        with pytest.raises(qr.NonFiniteError) as caught:
            qr.quantize_file(path, tmp_path / "out", FORMAT, threads=threads)
        error = caught.value
        assert (error.name, error.index, error.count, error.kind) == ("b.weight", 1007, 2, "-Inf")
        with pytest.raises(qr.NonFiniteError) as in_memory:
            qr.quantize(weight, FORMAT, name="b.weight")
        assert error == in_memory.value
        assert names(tmp_path) == {"in"}
    qr.quantize_file(path, tmp_path / "out", FORMAT, nonfinite="saturate")


# ---- refused by the operating system


def test_missing_files_and_folders(source: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        qr.quantize_file(tmp_path / "absent", tmp_path / "out", FORMAT)
    assert caught.value.errno == errno.ENOENT
    assert caught.value.filename == str(tmp_path / "absent")
    with pytest.raises(FileNotFoundError) as caught:
        qr.quantize_file(source, tmp_path / "absent" / "out", FORMAT)
    assert caught.value.filename == str(tmp_path / "absent" / "out")
    with pytest.raises(NotADirectoryError):
        qr.quantize_file(source, source / "out", FORMAT)


def test_files_and_folders_that_must_not_be_touched(source: Path, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o555)
    (tmp_path / "unreadable").touch(mode=0)
    source.chmod(0o644)
    tmp_path.chmod(0o755)
    # Root may touch everything, so there the job runs as nobody.
    script = """
import os, sys
import quarrow as qr
if os.geteuid() == 0:
    os.seteuid(65534)
for source, destination in (("unreadable", "out"), ("in.safetensors", "locked/out")):
    try:
        qr.quantize_file(source, destination, "int8_rowwise")
    except PermissionError as error:
        print(error.filename)
"""
    result = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert result.stdout.split() == ["unreadable", "locked/out"]
    assert names(tmp_path) == {"in.safetensors", "locked", "unreadable"}


def test_a_full_disk(source: Path, no_space_folder: Path) -> None:
    out = no_space_folder / "out"
    out.write_bytes(OLD)
    with pytest.raises(OSError, match="No space left") as caught:
        qr.quantize_file(source, out, FORMAT)
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(out))
    assert out.read_bytes() == OLD
    assert names(no_space_folder) == {"out"}


def test_a_file_size_limit(source: Path, tmp_path: Path) -> None:
    # The same way as a full disk, for those who may not mount one.
    out = tmp_path / "out"
    out.write_bytes(OLD)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            qr.quantize_file(source, out, FORMAT)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert (caught.value.errno, caught.value.filename) == (errno.EFBIG, str(out))
    assert out.read_bytes() == OLD
    assert names(tmp_path) == {"in.safetensors", "out"}


# ---- changed on the way


def test_a_source_that_is_cut_while_it_is_read(huge: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_bytes(OLD)

    def cut(_done: int, _total: int, _name: str) -> None:
        os.truncate(huge, 1 << 20)

    with pytest.raises(qr.CheckpointError) as caught:
        qr.quantize_file(huge, out, FORMAT, progress=cut, sync=False)
    assert caught.value.rule == "shrank"
    assert "run the job again" in str(caught.value)
    assert caught.value.name == "h.weight"
    assert out.read_bytes() == OLD
    assert names(tmp_path) == {"huge.safetensors", "out"}


@pytest.mark.slow
def test_a_source_that_is_written_to_while_it_is_read(tmp_path: Path) -> None:
    # Two gigabytes, so that no machine is through before the first progress, 50 ms after the start.
    rows = 1 << 14
    source = write_zeros(
        tmp_path / "in.safetensors", {"w.weight": ("F32", (rows, 1 << 15), rows << 17)}
    )

    def write(_done: int, _total: int, _name: str) -> None:
        with source.open("r+b") as file:
            file.seek(-4, os.SEEK_END)
            file.write(b"\0\0\0\0")

    with pytest.raises(qr.CheckpointError) as caught:
        qr.quantize_file(source, tmp_path / "out", FORMAT, progress=write, sync=False, threads=1)
    assert caught.value.rule == "changed"
    assert "run the job again" in str(caught.value)
    assert names(tmp_path) == {"in.safetensors"}


# ---- signals


def started(source: Path, out: Path, script: str = QUANTIZE) -> subprocess.Popen[bytes]:
    """Start a job and wait until it has its new file."""
    job = subprocess.Popen([sys.executable, "-c", script, source, out], stderr=subprocess.PIPE)
    assert has_begun(job, out), job.communicate()
    return job


def test_ctrl_c_half_way(huge: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_bytes(OLD)
    script = """
import signal, sys, time
import quarrow as qr
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    qr.quantize_file(sys.argv[1], sys.argv[2], "int8_rowwise")
except KeyboardInterrupt:
    sys.exit(77)
"""
    job = started(huge, out, script)
    job.send_signal(signal.SIGINT)
    _, errors = job.communicate(timeout=HANG_SECONDS)
    assert (job.returncode, errors) == (77, b"")
    assert out.read_bytes() == OLD
    assert names(tmp_path) == {"huge.safetensors", "out"}


DEQUANTIZE = """
import sys, quarrow as qr
qr.dequantize_file(sys.argv[1], sys.argv[2], sync=False)
"""


def layers(path: Path) -> Path:
    random = np.random.default_rng(0)
    arrays = {
        f"{index}.weight": random.standard_normal((1000, 1000), np.float32) for index in range(30)
    }
    save_file(arrays, path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("script", [QUANTIZE, DEQUANTIZE])
def test_kill_at_random_moments(script: str, tmp_path: Path) -> None:
    source = layers(tmp_path / "in.safetensors")
    if script == DEQUANTIZE:
        qr.quantize_file(source, tmp_path / "quantized", FORMAT, sync=False)
        source = tmp_path / "quantized"
    random = np.random.default_rng(0)
    folder = tmp_path / "folder"
    folder.mkdir()
    out = folder / "out"
    reference = tmp_path / "reference"
    subprocess.run([sys.executable, "-c", script, source, reference], check=True)
    new = reference.read_bytes()
    killed_half_way = 0
    kills = KILLS // 2
    attempt = 0
    # On a fast machine more jobs are through before they are killed: there more are.
    while attempt < kills or (killed_half_way < kills // 4 and attempt < 4 * kills):
        attempt += 1
        out.write_bytes(OLD)
        job = subprocess.Popen([sys.executable, "-c", script, source, out])
        # A job may be through before it is looked at again, but not fail.
        assert has_begun(job, out) or job.returncode == 0
        time.sleep(random.uniform(0, 0.05))
        job.kill()
        job.communicate()
        found = out.read_bytes()
        assert found in (OLD, new), attempt
        assert names(folder) - {"out"} <= temporaries(folder, job.pid)
        killed_half_way += found == OLD
    print(f"{killed_half_way} of {attempt} kills half way")
    assert killed_half_way >= kills // 4
    subprocess.run([sys.executable, "-c", script, source, out], check=True)
    assert names(folder) == {"out"}
    assert out.read_bytes() == new


SHARDS = """
import sys
import quarrow as qr
for name in ("int8_rowwise", "int8") * 50:
    qr.quantize_file(sys.argv[1], sys.argv[2], name, sync=False, max_shard_size="7MB")
"""


@pytest.mark.slow
def test_an_index_always_finds_its_shards(tmp_path: Path) -> None:
    """Killed while one checkpoint in several files replaces another of the same names."""
    source = layers(tmp_path / "in.safetensors")
    out = tmp_path / "folder" / "out.safetensors"
    out.parent.mkdir()
    random = np.random.default_rng(1)
    complete = 0
    for _ in range(KILLS // 2):
        job = subprocess.Popen([sys.executable, "-c", SHARDS, source, out])
        while not (found := any(out.parent.iterdir())) and job.poll() is None:
            time.sleep(0.01)
        assert found
        time.sleep(random.uniform(0, 0.5))
        job.kill()
        job.communicate()
        index = out.with_name("out.safetensors.index.json")
        if not index.exists():
            continue
        complete += 1
        with qr.open(index) as checkpoint:
            formats = {checkpoint.info(name).format for name in checkpoint}
            assert len(checkpoint) == 30
        assert len(formats) == 1
    print(f"{complete} of {KILLS // 2} kills left an index")
    report = qr.quantize_file(source, out, FORMAT, sync=False, max_shard_size="7MB")
    assert names(out.parent) == {Path(file).name for file in report.files}


def test_the_temporary_of_a_living_process_stays(source: Path, tmp_path: Path) -> None:
    alive = tmp_path / f".other.quarrow-{os.getppid()}.tmp"
    alive.touch()
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (tmp_path / f".other.quarrow-{gone.pid}.tmp").touch()
    (tmp_path / f".other.quarrow-{gone.pid}.tmp.txt").touch()
    qr.quantize_file(source, tmp_path / "out", FORMAT, sync=False)
    expected = {"in.safetensors", "out", alive.name, f".other.quarrow-{gone.pid}.tmp.txt"}
    assert names(tmp_path) == expected


def test_permissions(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    before = os.umask(0o027)
    try:
        qr.quantize_file(source, out, FORMAT)
    finally:
        os.umask(before)
    assert out.stat().st_mode & 0o777 == 0o640
    for mode in (0o604, 0o600):
        out.chmod(mode)
        qr.quantize_file(source, out, FORMAT)
        assert out.stat().st_mode & 0o777 == mode


def test_a_link_is_replaced_and_its_target_stays(source: Path, tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(OLD)
    (tmp_path / "out").symlink_to("blob")
    qr.quantize_file(source, tmp_path / "out", FORMAT)
    assert (tmp_path / "blob").read_bytes() == OLD
    assert not (tmp_path / "out").is_symlink()
