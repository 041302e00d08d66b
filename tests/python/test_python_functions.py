# SPDX-License-Identifier: Apache-2.0
"""Compiled functions look and complain as Python's own do."""

import copy
import inspect
import multiprocessing
import pickle
import pydoc
import sys
import threading
import typing
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import quarrow as qr
from quarrow import _core

W = np.linspace(-1, 1, 256, dtype=np.float32).reshape(2, 128)
# Any: some calls below are wrong on purpose.
Q: Any = qr.quantize(W, "int4")
BATCH: Any = qr.quantize_batch({"a": W}, "int4")

FUNCTIONS = [
    qr.quantize,
    qr.quantize_batch,
    qr.dequantize,
    qr.formats,
    qr.info,
    qr.metrics,
    qr.reset_metrics,
]


def compiled() -> Iterator[tuple[str, Any]]:
    """Give every function of the module, and the methods of its classes that are called by name."""
    for name, value in vars(_core).items():
        if isinstance(value, type):
            for member, method in vars(value).items():
                is_property = isinstance(method, property)
                if callable(method) and not member.startswith("__") and not is_property:
                    yield f"{name}.{member}", method
        elif callable(value):
            yield name, value


COMPILED = dict(compiled())


def test_there_are_some() -> None:
    assert {"quantize", "quantize_batch", "dequantize", "formats", "metrics"} <= set(COMPILED)
    assert {"QuantizedTensor.dequantize", "QuantizedTensor.error", "Format.replace"} <= set(
        COMPILED
    )


@pytest.mark.parametrize("name", COMPILED)
def test_each_has_a_signature_a_name_and_a_docstring(name: str) -> None:
    function = COMPILED[name]
    signature = inspect.signature(function)
    assert function.__module__ == "quarrow._core"
    assert (function.__name__, function.__qualname__) == (name.rpartition(".")[2], name)
    assert function.__doc__
    assert not function.__doc__.startswith(f"{function.__name__}(")
    assert inspect.isroutine(function)
    assert name in repr(function)
    first = next(iter(signature.parameters), "")
    assert (first == "self") == ("." in name)


def test_the_signature_says_what_may_be_passed() -> None:
    signature = inspect.signature(qr.quantize)
    assert list(signature.parameters)[:2] == ["w", "format"]
    name = signature.parameters["name"]
    assert (name.kind, name.default) == (inspect.Parameter.KEYWORD_ONLY, None)
    assert signature.parameters["nonfinite"].default == "raise"
    assert signature.return_annotation is qr.QuantizedTensor
    assert signature.bind(W, "int4", group_size=64).arguments["group_size"] == 64
    with pytest.raises(TypeError):
        signature.bind(W)


def test_the_annotations_are_types() -> None:
    hints = qr.quantize.__annotations__
    assert hints["copy"] is bool
    assert hints["format"] == str | qr.Format
    assert type(None) in typing.get_args(hints["threads"])


def test_methods_and_constructors_have_signatures() -> None:
    assert list(inspect.signature(Q.dequantize).parameters)[:2] == ["dtype", "out"]
    assert list(inspect.signature(qr.QuantizedTensor.error).parameters)[:2] == ["self", "w"]
    assert list(inspect.signature(qr.Format).parameters)[:2] == ["name", "group_size"]
    assert list(inspect.signature(qr.BatchResult).parameters) == ["tensors", "errors"]
    assert "codes" in inspect.signature(qr.QuantizedTensor).parameters


@pytest.mark.parametrize("function", FUNCTIONS)
def test_help_is_a_function_with_its_signature(function: Callable[..., Any]) -> None:
    text = pydoc.plain(pydoc.render_doc(function))
    name = function.__name__
    # Newer Pythons give each parameter a line.
    assert "".join(f"{name}{inspect.signature(function)}".split()) in "".join(text.split())
    assert (function.__doc__ or "").splitlines()[0] in text
    assert f" {name}(" in pydoc.plain(pydoc.render_doc(qr))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda f: f.quantize(),
            "quantize() missing 2 required positional arguments: 'w' and 'format'",
        ),
        (lambda f: f.quantize(W), "quantize() missing 1 required positional argument: 'format'"),
        (
            lambda f: f.quantize(format="int4"),
            "quantize() missing 1 required positional argument: 'w'",
        ),
        (
            lambda f: f.quantize(W, "int4", 3),
            "quantize() takes 2 positional arguments but 3 were given",
        ),
        (lambda f: f.quantize(W, "int4", w=W), "quantize() got multiple values for argument 'w'"),
        (
            lambda f: f.quantize_batch({}),
            "quantize_batch() missing 1 required positional argument: 'format'",
        ),
        (lambda f: f.dequantize(), "dequantize() missing 1 required positional argument: 'q'"),
        (
            lambda f: f.dequantize(Q, nonsense=1),
            "dequantize() got an unexpected keyword argument 'nonsense'",
        ),
        (lambda f: f.formats(3), "formats() takes 0 positional arguments but 1 was given"),
        (lambda f: f.info(x=3), "info() got an unexpected keyword argument 'x'"),
        (lambda f: f.metrics(1, 2), "metrics() takes 0 positional arguments but 2 were given"),
        (
            lambda f: Q.error(),
            "QuantizedTensor.error() missing 1 required positional argument: 'w'",
        ),
        (
            lambda f: Q.dequantize("float32", None, 3),
            "QuantizedTensor.dequantize() takes from 1 to 3 positional arguments but 4 were given",
        ),
        (
            lambda f: f.QuantizedTensor.copy(),
            "QuantizedTensor.copy() missing 1 required positional argument: 'self'",
        ),
        (lambda f: BATCH.get(), "BatchResult.get() missing 1 required positional argument: 'name'"),
        (lambda f: f.Format(), "Format.__init__() missing 1 required positional argument: 'name'"),
        (
            lambda f: f.Format("int4", 64),
            "Format.__init__() takes 2 positional arguments but 3 were given",
        ),
        (
            lambda f: f.Format("int4").replace(3),
            "Format.replace() takes 1 positional argument but 2 were given",
        ),
        (
            lambda f: f.BatchResult(),
            "BatchResult.__init__() missing 1 required positional argument: 'tensors'",
        ),
        (
            lambda f: f.QuantizedTensor(Q.codes, Q.scales),
            (
                "QuantizedTensor.__init__() missing 3 required positional arguments: "
                "'zero_points', 'format', and 'shape'"
            ),
        ),
    ],
)
def test_a_call_that_does_not_fit_is_refused_in_pythons_words(
    call: Callable[[Any], object], words: str
) -> None:
    with pytest.raises(TypeError) as caught:
        call(qr)
    assert str(caught.value) == words


def test_an_argument_of_a_wrong_type_is_named_without_a_dump() -> None:
    with pytest.raises(TypeError) as caught:
        qr.dequantize(W)  # type: ignore[arg-type]
    message = str(caught.value)
    assert message.startswith(
        "dequantize() got (ndarray), and takes (q: quarrow._core.QuantizedTensor"
    )
    assert "\n" not in message


def test_words_like_nanobinds_are_left_alone_where_they_come_from_a_caller() -> None:
    def progress(*_: object) -> None:
        msg = "quantize_batch(): incompatible function arguments. mine"
        raise TypeError(msg)

    with pytest.raises(TypeError, match="mine"):
        qr.quantize_batch({"a": np.ones((2, 4), "f")}, "int8", progress=progress)


def test_a_name_that_is_no_text_is_no_field() -> None:
    fields: dict[str, Any] = {"\ud800": 1}
    with pytest.raises(qr.UnsupportedFormatError, match="has no field"):
        qr.Format("int4", **fields)


def test_errors_of_a_callers_code_are_left_alone() -> None:
    def fail(done: int, total: int, name: str) -> None:
        msg = "quantize_batch(): incompatible, says the caller"
        raise TypeError(msg)

    with pytest.raises(TypeError, match="says the caller"):
        qr.quantize_batch({"a": W}, "int4", progress=fail)

    def call_wrongly(done: int, total: int, name: str) -> None:
        qr.quantize(W)  # type: ignore[call-arg]

    with pytest.raises(TypeError, match=r"^quantize\(\) missing 1 required"):
        qr.quantize_batch({"a": W}, "int4", progress=call_wrongly)


@pytest.mark.parametrize("function", [*FUNCTIONS, qr.Format.replace, qr.QuantizedTensor.dequantize])
def test_functions_are_pickled_and_copied_by_name(function: Any) -> None:
    for protocol in range(4, pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(function, protocol)) is function
    assert copy.copy(function) is function
    assert copy.deepcopy(function) is function
    assert weakref.ref(function)() is function
    assert hash(function) == hash(function)


def test_a_bound_method_is_pickled_with_its_tensor() -> None:
    restored = pickle.loads(pickle.dumps(Q.dequantize))
    assert np.array_equal(restored(), Q.dequantize())
    assert Q.dequantize.__self__ is Q


def test_another_process_takes_a_function() -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(qr.quantize, (W, "int4")) == Q


def test_as_a_class_attribute_a_function_is_not_bound() -> None:
    class Settings:
        quantize: Any = qr.quantize

    assert Settings().quantize is qr.quantize


def test_no_python_code_runs_in_a_call() -> None:
    frames = []
    sys.setprofile(lambda frame, event, _: frames.append(event) if event == "call" else None)
    try:
        qr.quantize(W, "int4")
        Q.dequantize()
    finally:
        sys.setprofile(None)
    assert frames == []


def test_refusals_leave_no_reference_behind() -> None:
    w = W.copy()
    for _ in range(3):
        with pytest.raises(TypeError):
            qr.quantize(w)  # type: ignore[call-arg]
    before = sys.getrefcount(w)
    for _ in range(100):
        with pytest.raises(TypeError):
            qr.quantize(w)  # type: ignore[call-arg]
    assert sys.getrefcount(w) == before


def test_several_threads_may_ask_at_once() -> None:
    messages: list[str] = []

    def ask() -> None:
        for _ in range(50):
            inspect.signature(qr.quantize_batch)
            try:
                qr.formats(1)  # type: ignore[call-arg]
            except TypeError as error:
                messages.append(str(error))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(messages) == {"formats() takes 0 positional arguments but 1 was given"}
    assert len(messages) == 200
