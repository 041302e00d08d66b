# SPDX-License-Identifier: Apache-2.0
"""The file that a job is writing, which need not have a name."""

import subprocess
import time
from contextlib import suppress
from pathlib import Path

from workload import HANG_SECONDS


def has_begun(job: subprocess.Popen[bytes], out: Path) -> bool:
    """Wait for the new file of a job, which need not have a name, or for the job's end."""
    deadline = time.monotonic() + HANG_SECONDS
    while not (temporaries(out.parent, job.pid) or has_unnamed_file(job.pid, out.parent)):
        if job.poll() is not None:
            return False
        assert time.monotonic() < deadline
        time.sleep(0.001)
    return True


def temporaries(folder: Path, pid: int) -> set[str]:
    """Return the names of the files that a process has not finished."""
    return {path.name for path in folder.glob(f".*.quarrow-{pid}-*.tmp")}


def has_unnamed_file(pid: int, folder: Path) -> bool:
    """Look among the descriptors of a process for a file of this folder without a name."""
    with suppress(OSError):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            target = str(descriptor.readlink())
            if target.startswith(f"{folder}/#") and target.endswith(" (deleted)"):
                return True
    return False
