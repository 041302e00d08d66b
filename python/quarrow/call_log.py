# SPDX-License-Identifier: Apache-2.0
"""What the logger "quarrow" says of calls.

The compiled part decides when: a DEBUG record for each call when somebody listens, a WARNING at
most once per cause and process.
"""

import logging
from collections.abc import Iterable

from quarrow.counts import counted
from quarrow.isa_names import readable_isa

_logger = logging.getLogger("quarrow")
_silence = logging.NullHandler()


def stay_silent() -> None:
    """Print nothing where the program has set up no logging."""
    _logger.addHandler(_silence)


def warn(warnings: Iterable[str]) -> None:
    """Log warnings. Where nobody would see them no record is made: it takes a tenth of a job."""
    if _is_heard():
        for warning in warnings:
            _logger.warning("%s", warning)


def _is_heard() -> bool:
    """Whether a program has set up handlers, be it by removing the one that keeps silent."""
    return bool(logging.root.handlers) or _logger.handlers != [_silence]


def finished(
    entry: str,
    layers: int,
    bytes_in: int,
    seconds: float,
    threads: int,
    isa: str | None,
    layer: str | None,
) -> None:
    """Log a call. Its facts are attributes of the record too; ``layer`` is its only one's name."""
    _logger.debug(
        "%s%s: %s, %d bytes in %.6f s, threads=%d, isa=%s",
        entry,
        "" if layer is None else f" {layer!r}",
        counted(layers, "layer"),
        bytes_in,
        seconds,
        threads,
        isa,
        extra={
            "entry": entry,
            "layers": layers,
            "bytes_in": bytes_in,
            "seconds": seconds,
            "threads": threads,
            "isa": isa,
            "layer": layer,
        },
    )


def warn_of_copy(entry: str, copied: int) -> None:
    """Warn that input could not be read where it lies."""
    if entry.endswith("state_dict"):
        remedy = "pass tensors that lie in C order"
    else:
        remedy = (
            "pass arrays on the CPU in this machine's byte order, contiguous within their rows; "
            "without copy=True the error names what is wrong"
        )
    _logger.warning("%s copied %d bytes before it could read them; %s", entry, copied, remedy)


def warn_of_threads(threads: int, cpus: int) -> None:
    """Warn of more threads than there are CPUs for."""
    _logger.warning(
        "%s were asked for, and this process may use %s; leave threads= and QUARROW_NUM_THREADS "
        "out, or ask for at most %d",
        counted(threads, "thread"),
        counted(cpus, "CPU"),
        cpus,
    )


def warn_of_scalar_target(isa: str, best: str) -> None:
    """Warn that no vector instructions are used, and say who can change that."""
    if isa == best:
        remedy = (
            "this CPU shows none that this build knows; a virtual machine may hide them (let it "
            "have the CPU model of its host), or build quarrow for this CPU"
        )
    else:
        remedy = f"unset QUARROW_FORCE_ISA, this machine can run {readable_isa(best)}"
    _logger.warning("the scalar target %s is in use, without vector instructions; %s", isa, remedy)


def warn_of_throughput(entry: str, format: str, throughput: float, median: float) -> None:
    """Warn of a call that took far longer than those before it."""
    _logger.warning(
        "%s to %s ran at %.4g MB/s, less than a quarter of the %.4g MB/s that is usual in this "
        "process; look for other work on these CPUs, for memory that is swapped or mapped from a "
        "slow disk, and for fewer threads than before",
        entry,
        format,
        throughput / 1e6,
        median / 1e6,
    )
