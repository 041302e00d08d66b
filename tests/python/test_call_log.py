# SPDX-License-Identifier: Apache-2.0
"""What the logger "quarrow" says of calls: a record for each, and why one is slow."""

import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import quarrow as qr
from numpy.typing import NDArray
from quarrow import call_log
from quarrow.isa_names import readable_isa
from safetensors.numpy import save_file

FORMAT = "int8_rowwise"
# Elements of float32 from which on a call is logged.
LOGGED_FROM = 64 * 1024 // 4

Logged = Callable[[], list[logging.LogRecord]]

# Starts a fresh process, since each warning comes once. "--" tells the stages of a test apart.
PROLOGUE = """
import logging, sys
import numpy as np
import quarrow as qr
logging.basicConfig(stream=sys.stdout, format="%(message)s")
w = np.random.default_rng(0).normal(size=(1024, 512)).astype(np.float32)
"""


def warnings_of(code: str, **environment: str) -> list[str]:
    """Run `code` in a fresh interpreter; give the lines that it logged or printed."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("QUARROW_")}
    result = subprocess.run(
        [sys.executable, "-c", PROLOGUE + code],
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    return result.stdout.splitlines()


def large() -> NDArray[np.float32]:
    return np.ones((1, LOGGED_FROM), np.float32)


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Logged:
    """Listen, and give the debug records since the last time."""
    caplog.set_level(logging.DEBUG, "quarrow")

    def records() -> list[logging.LogRecord]:
        found = [each for each in caplog.records if each.levelno == logging.DEBUG]
        caplog.clear()
        return found

    return records


def test_a_call_is_one_record(logged: Logged) -> None:
    q = qr.quantize(large(), "int8", name="to_q", threads=1)
    (record,) = logged()
    assert record.name == "quarrow"
    facts = {
        "entry": "quantize",
        "layers": 1,
        "bytes_in": 64 * 1024,
        "seconds": q.stats.total_seconds,
        "threads": 1,
        "isa": qr.info()["isa"],
        "layer": "to_q",
    }
    assert {name: record.__dict__[name] for name in facts} == facts
    message = record.getMessage()
    assert message.startswith("quantize 'to_q': 1 layer, 65536 bytes in ")
    assert message.endswith(f" s, threads=1, isa={facts['isa']}")


def test_small_calls_leave_no_record(logged: Logged) -> None:
    small = large()[:, 1:]
    qr.quantize(small, "int8").dequantize()
    qr.quantize_batch({"a": small}, "int8")
    qr.legacy.quantize({"a": [1.0, 2.0]})
    qr.quantize_state_dict({"a.weight": small}, FORMAT)
    assert logged() == []


def test_every_entry_point_leaves_one_record(logged: Logged, tmp_path: Path) -> None:
    w = np.ones((4, LOGGED_FROM), np.float32)

    def entries() -> list[tuple[Any, ...]]:
        names = ("entry", "layers", "bytes_in", "layer", "isa")
        return [tuple(each.__dict__[name] for name in names) for each in logged()]

    isa = qr.info()["isa"]
    q = qr.quantize(w, "int8", name="x")
    assert entries() == [("quantize", 1, w.nbytes, "x", isa)]
    q.dequantize()
    assert entries() == [("dequantize", 1, q.nbytes, "x", isa)]
    qr.quantize_batch({"a": w, "b": w}, "int8")
    assert entries() == [("quantize_batch", 2, 2 * w.nbytes, None, isa)]
    qr.legacy.quantize({"a": w.tolist(), "b": w.tolist()})
    assert entries() == [("legacy.quantize", 2, 4 * w.nbytes, None, isa)]
    state_dict = qr.quantize_state_dict({"a.weight": w}, FORMAT)
    assert entries() == [("quantize_state_dict", 1, w.nbytes, None, isa)]
    stored = sum(each.nbytes for each in state_dict.values())
    qr.dequantize_state_dict(state_dict)
    assert entries() == [("dequantize_state_dict", 1, stored, None, isa)]
    # Files whatever their size, and plans, for which the core does nothing.
    save_file({"a": np.ones(3)}, tmp_path / "in")
    qr.quantize_file(tmp_path / "in", tmp_path / "out", FORMAT)
    assert entries() == [("quantize_file", 0, 0, None, isa)]
    qr.quantize_file(tmp_path / "in", tmp_path / "out", FORMAT, dry_run=True)
    assert entries() == [("quantize_file", 0, 0, None, None)]
    qr.dequantize_file(tmp_path / "in", tmp_path / "back")
    assert entries() == [("dequantize_file", 0, 0, None, isa)]


def test_calls_that_raise_leave_no_record(logged: Logged) -> None:
    with pytest.raises(qr.NonFiniteError):
        qr.quantize(large() * np.nan, "int8")
    with pytest.raises(qr.InvalidInputError):
        qr.quantize_state_dict({"a.weight": large()}, FORMAT, on_error="never")
    assert logged() == []


def test_nothing_is_made_when_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        pytest.fail("a record was made")

    monkeypatch.setattr(call_log, "finished", never)
    assert not logging.getLogger("quarrow").isEnabledFor(logging.DEBUG)
    qr.quantize(large(), "int8")


@pytest.mark.parametrize(
    ("handlers", "made"),
    [
        ("", 0),
        ("logging.root.addHandler(logging.StreamHandler(sys.stdout))", 1),
        ("logging.getLogger('quarrow').addHandler(logging.StreamHandler(sys.stdout))", 1),
        ("logging.getLogger('quarrow').handlers.clear()", 1),
    ],
    ids=["none", "of the root", "of the logger", "the last resort"],
)
def test_a_warning_is_a_record_where_somebody_sees_it(handlers: str, made: int) -> None:
    code = f"""
import logging, sys
import numpy as np
import quarrow as qr
made = []
logging.setLogRecordFactory(lambda *a, **k: made.append(a) or logging.LogRecord(*a, **k))
{handlers}
qr.quantize_state_dict({{"a.weight": np.ones((64, 64), "f4")}}, "int8_rowwise", runtime="none")
print("records", len(made))
"""
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    lines = (result.stdout + result.stderr).splitlines()
    assert f"records {made}" in lines
    assert sum("held nothing back" in line for line in lines) == made


def test_every_way_to_say_who_listens_counts(logged: Logged) -> None:
    child, parent = logging.getLogger("quarrow"), logging.getLogger()
    assert (child.level, parent.level) == (logging.DEBUG, logging.WARNING)
    for levels, disabled, expected in (
        ((logging.DEBUG, logging.WARNING), False, 1),
        ((logging.NOTSET, logging.DEBUG), False, 1),
        ((logging.INFO, logging.DEBUG), False, 0),
        ((logging.NOTSET, logging.WARNING), False, 0),
        ((logging.DEBUG, logging.DEBUG), True, 0),
    ):
        child.setLevel(levels[0])
        parent.setLevel(levels[1])
        logging.disable(logging.CRITICAL if disabled else logging.NOTSET)
        try:
            qr.quantize(large(), "int8")
        finally:
            logging.disable(logging.NOTSET)
            parent.setLevel(logging.WARNING)
        assert len(logged()) == expected


def test_an_exception_of_a_handler_is_passed_on_after_the_call_was_counted(
    logged: Logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        msg = "the disk of the log is full"
        raise OSError(msg)

    monkeypatch.setattr(call_log, "finished", fail)
    qr.reset_metrics()
    with pytest.raises(OSError, match="the disk of the log is full"):
        qr.quantize(large(), "int8")
    assert qr.metrics()["quantize"].calls == 1
    assert qr.metrics()["quantize"].errors == 0
    assert logged() == []


def test_a_copy_is_a_warning_once() -> None:
    code = """
qr.quantize(w[:4].T, "int8", copy=True)    # small
qr.legacy.quantize({"a": w[:40].tolist()})
print("--")
qr.quantize(w.T, "int8", copy=True)
qr.reset_metrics()
qr.quantize(w.T, "int8", copy=True)
qr.quantize_batch({"a": w.T}, "int8", copy=True)
"""
    first, warning = warnings_of(code)
    assert first == "--"
    assert warning == (
        f"quantize copied {1024 * 512 * 4} bytes before it could read them; pass arrays on the "
        "CPU in this machine's byte order, contiguous within their rows; without copy=True the "
        "error names what is wrong"
    )


def test_a_copy_in_a_state_dict_has_its_own_remedy() -> None:
    (warning,) = warnings_of("qr.quantize_state_dict({'a.weight': w.T}, 'int8_rowwise')")
    assert warning.startswith("quantize_state_dict copied 2097152 bytes")
    assert warning.endswith("pass tensors that lie in C order")


@pytest.mark.parametrize("call", ["quantize(w, 'int8'", "quantize_batch({'a': w}, 'int8'"])
def test_more_threads_than_cpus_are_a_warning_once(call: str) -> None:
    cpus = qr.info()["cpus"]
    code = f"""
qr.{call}, threads={cpus})
qr.quantize(w[:40], "int8", threads=1024)    # one thread does it
print("--")
qr.{call}, threads=1000)
qr.reset_metrics()
qr.{call}, threads=1001)
"""
    first, warning = warnings_of(code)
    assert first == "--"
    assert warning == (
        f"1,000 threads were asked for, and this process may use {cpus} CPUs; leave threads= and "
        f"QUARROW_NUM_THREADS out, or ask for at most {cpus}"
    )


def test_more_threads_than_cpus_are_seen_in_the_environment_too() -> None:
    (warning,) = warnings_of("qr.quantize(w, 'int8')", QUARROW_NUM_THREADS="900")
    assert warning.startswith("900 threads were asked for")


def test_the_scalar_target_is_a_warning_once() -> None:
    isas = qr.info()["runnable_isas"]
    best, scalar = isas[0], isas[-1]
    if scalar != "EMU128" or best == scalar:
        pytest.skip(f"the scalar target is not one of several here: {isas}")
    code = "qr.quantize(w[:4], 'int8'); print('--')\n" + "qr.quantize(w, 'int8')\n" * 2
    first, warning = warnings_of(code, QUARROW_FORCE_ISA=scalar)
    assert first == "--"
    assert warning == (
        f"the scalar target {scalar} is in use, without vector instructions; unset "
        f"QUARROW_FORCE_ISA, this machine can run {readable_isa(best)}"
    )
    assert warnings_of(code, QUARROW_FORCE_ISA=best) == ["--"]


def test_who_has_the_scalar_target_only_is_told_why(caplog: pytest.LogCaptureFixture) -> None:
    call_log.warn_of_scalar_target("EMU128", "EMU128")
    assert "a virtual machine may hide them" in caplog.text
    assert "QUARROW_FORCE_ISA" not in caplog.text


def test_a_throughput_far_below_the_usual_one_is_a_warning_once() -> None:
    # Exporting the array takes eight times as long as the slowest call before.
    code = """
import time

class Slow:
    def __init__(self, array):
        self.array = array
    def __dlpack_device__(self):
        return self.array.__dlpack_device__()
    def __dlpack__(self, **options):
        time.sleep(delay)
        return self.array.__dlpack__(**options)

delay = 8 * max(qr.quantize(w, "int8").stats.total_seconds for _ in range(15))
qr.quantize(Slow(w), "int8")           # the sixteenth: too few before it
qr.quantize(Slow(w), "int4")           # another format
qr.quantize(Slow(w[:511]), "int8")     # too small to tell
qr.quantize_batch({"a": Slow(w)}, "int8")
print("--")
qr.quantize(Slow(w), "int8")
qr.reset_metrics()
qr.quantize(Slow(w), "int8")
"""
    first, warning = warnings_of(code)
    assert first == "--"
    assert warning.startswith("quantize to int8 ran at ")
    assert "less than a quarter of the" in warning
    assert "look for other work on these CPUs" in warning
