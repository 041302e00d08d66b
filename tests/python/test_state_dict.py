# SPDX-License-Identifier: Apache-2.0
"""State dicts hold what files would hold."""

import copy
import pickle
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import quarrow as qr
from quarrow import _core
from safetensors.numpy import load_file, save_file

VARIANTS: list[tuple[str, dict[str, Any]]] = [
    ("int8_rowwise", {}),
    ("int8", {"symmetric": True, "scale_dtype": "float16"}),
    ("int4", {"group_size": 16}),
    ("int2", {"group_size": 16, "scale_dtype": "float16"}),
]


def tensors() -> dict[str, Any]:
    random = np.random.default_rng(2)
    return {
        "a.weight": random.normal(size=(40, 64)).astype("f4"),
        "b.weight": random.normal(size=(33, 16, 3)).astype("f4"),
        "a.bias": np.ones(40, "f4"),
        "norm.weight": np.ones((40, 64), "f4"),
        "ids": np.arange(3),
    }


@pytest.mark.parametrize("dtype", [None, "float16"])
@pytest.mark.parametrize(("format_", "fields"), VARIANTS)
def test_it_is_what_the_file_holds(
    format_: str, fields: dict[str, Any], dtype: str | None, tmp_path: Path
) -> None:
    save_file(tensors(), tmp_path / "in", {"format": "pt"})
    rules = [("norm", format_)]
    qr.quantize_file(tmp_path / "in", tmp_path / "q", format_, rules=rules, dtype=dtype, **fields)
    with qr.open(tmp_path / "in") as checkpoint:
        source = {name: np.asarray(checkpoint[name]) for name in checkpoint}
    quantized = qr.quantize_state_dict(
        source, format_, rules=rules, metadata={"format": "pt"}, dtype=dtype, **fields
    )
    with qr.open(tmp_path / "q") as checkpoint:
        assert quantized.metadata == checkpoint.metadata
    restored = qr.dequantize_state_dict(quantized)
    qr.dequantize_file(tmp_path / "q", tmp_path / "r")
    for state_dict, path in ((quantized, tmp_path / "q"), (restored, tmp_path / "r")):
        expected = load_file(path)
        assert set(state_dict) == set(expected)
        for name, value in expected.items():
            np.testing.assert_array_equal(state_dict[name], value, strict=True)
    assert restored.metadata == {"format": "pt"}
    assert restored["ids"] is source["ids"]
    if dtype is None:
        assert quantized["a.bias"] is source["a.bias"]


def test_results_own_their_memory() -> None:
    source = tensors()
    quantized = qr.quantize_state_dict(source, "int8_rowwise")
    before = quantized["a.weight"].copy()
    source["a.weight"][:] = 0
    del source
    np.testing.assert_array_equal(quantized["a.weight"], before)
    quantized["a.weight"][:] = 1
    quantized["a.weight_scale"][:] = 2
    assert set(quantized["a.weight"].ravel()) == {1}


def test_new_arrays_lie_on_cache_lines_of_their_own() -> None:
    source = tensors() | {"odd.weight": np.ones((3, 5), "f2")}
    for made in (
        quantized := qr.quantize_state_dict(source, "int8_rowwise", rules=[("odd", "int8")]),
        qr.dequantize_state_dict(quantized),
    ):
        new = [value for name, value in made.items() if source.get(name) is not value]
        assert len(new) > 1
        lines = [value.__array_interface__["data"][0] / 64 for value in new]
        assert lines == sorted({float(int(line)) for line in lines})
        assert all(value.flags.writeable for value in new)


def test_tensors_without_elements_are_made_too() -> None:
    converted = qr.quantize_state_dict({"a": np.zeros((0, 4), "f4")}, "int8", dtype="float16")
    assert (converted["a"].shape, converted["a"].dtype) == ((0, 4), np.float16)
    last = {"a.weight": np.ones((64, 128), "f"), "b": np.zeros((2, 0), "f4")}
    converted = qr.quantize_state_dict(last, "int8", dtype="float16")
    assert converted["b"].shape == (2, 0)


def test_memory_of_a_job_is_handed_out_once() -> None:
    w = np.ones((64, 128), "f")
    opened = _core.OpenCheckpoint([("a.weight", w)], {}, lambda *_: None)
    job = _core.FileJob(opened)
    job.plan([_core.Format("int8")], b"", dtype=None, max_shard_bytes=0, runtime=None)
    with pytest.raises(ValueError, match="not the plan's memory"):
        job.run_in_memory(saturate=False, threads=1, skip_faults=False, progress=None)
    job.plan(
        [_core.Format("int8")], b"", dtype=None, max_shard_bytes=0, runtime=None, in_memory=True
    )
    made: dict[str, object] = {}
    with pytest.raises(qr.InvalidInputError, match="comes first"):
        job.take_entries(False, made)
    job.run_in_memory(saturate=False, threads=1, skip_faults=False, progress=None)
    job.take_entries(False, made)
    assert made.keys() > {"a.weight_packed", "a.weight_scale"}
    with pytest.raises(qr.InvalidInputError, match="comes first"):
        job.take_entries(False, made)


def test_arrays_in_another_order_are_copied() -> None:
    w = np.asfortranarray(tensors()["a.weight"])
    one = qr.quantize_state_dict({"a.weight": w, "b.weight": w.T[::-1]}, "int8_rowwise")
    two = qr.quantize_state_dict({"a.weight": w.copy("C")}, "int8_rowwise")
    np.testing.assert_array_equal(one["a.weight"], two["a.weight"])


def test_errors_are_typed_and_can_be_skipped() -> None:
    source = tensors()
    source["a.weight"][1, 2] = np.nan
    with pytest.raises(qr.NonFiniteError) as caught:
        qr.quantize_state_dict(source, "int8_rowwise")
    assert (caught.value.name, caught.value.index) == ("a.weight", 66)
    skipped = qr.quantize_state_dict(source, "int4", group_size=16, on_error="skip")
    assert skipped["a.weight"] is source["a.weight"]
    assert list(skipped.errors.values()) == [caught.value]
    assert "b.weight_packed" in skipped
    source["a.bias"][0] = 1e30
    with pytest.raises(qr.InvalidInputError, match="beyond the new dtype") as overflow:
        qr.quantize_state_dict(source, "int4", group_size=16, on_error="skip", dtype="float16")
    assert overflow.value.name == "a.bias"


OTHERS = {
    "a.quant_type": "nf4",
    "a.absmax": 3,
    "a.none": None,
    "a._extra_state": {"step": 1},
    "a.bytes": b"x",
    "a.size": (3,),
    "a.list": [1.0],
    "a.scalar": np.float32(1),
    "a.class": np.ndarray,
}


@pytest.mark.parametrize("options", [{}, {"on_error": "skip"}, {"rules": [("extra", None)]}])
def test_what_is_no_tensor_is_passed_on(options: dict[str, Any]) -> None:
    others: dict[str, Any] = {"first": object(), **OTHERS}
    quantized = qr.quantize_state_dict(others | tensors(), "int8_rowwise", **options)
    expected = qr.quantize_state_dict(tensors(), "int8_rowwise")
    assert list(quantized) == [*expected, *others]
    assert all(quantized[name] is value for name, value in others.items())
    restored = qr.dequantize_state_dict(quantized)
    assert all(restored[name] is value for name, value in others.items())
    np.testing.assert_array_equal(
        restored["a.weight"], qr.dequantize_state_dict(expected)["a.weight"]
    )


@pytest.mark.parametrize(("name", "value"), OTHERS.items(), ids=OTHERS.keys())
@pytest.mark.parametrize("call", [qr.quantize_state_dict, qr.dequantize_state_dict])
def test_strict_refuses_what_is_no_tensor(call: Any, name: str, value: Any) -> None:
    fields = {"format": "int8_rowwise"} if call is qr.quantize_state_dict else {}
    with pytest.raises(
        qr.InvalidInputError, match=f"^layer '{name}': got .*strict=False"
    ) as caught:
        call({**tensors(), name: value}, strict=True, **fields)
    assert caught.value.name == name
    assert "a.weight" in call(tensors(), strict=True, **fields)
    with pytest.raises(qr.InvalidInputError, match="strict must be True or False"):
        call(tensors(), strict=1, **fields)


def test_what_is_passed_on_replaces_no_entry() -> None:
    with pytest.raises(qr.InvalidInputError, match=r"layer 'a.weight_scale': an entry .* rename"):
        qr.quantize_state_dict({**tensors(), "a.weight_scale": None}, "int8_rowwise")


class Arrow:
    """An array of another library."""

    def __arrow_c_array__(self, requested_schema: object = None) -> object:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("state_dict", "message"),
    [
        ([1], "must map names"),
        ({3: np.ones(2)}, "must be a str"),
        ({"\ud800": np.ones(2)}, "must be a str"),
        ({"a": {"w": np.ones(2)}}, r"layer 'a': got a dict of tensors; pass state_dict\['a'\]"),
        ({"a": memoryview(b"x").cast("c")}, "layer 'a'.*memoryview"),
        ({"a": Arrow()}, "layer 'a'.*Arrow"),
        ({"a": np.array(["x"])}, "layer 'a'.*U1"),
        ({"a": np.ones(2, ">f4")}, "layer 'a'.*>f4"),
        ({"a": np.ones(2, object)}, "layer 'a'.*object"),
    ],
)
def test_what_is_no_state_dict(state_dict: Any, message: str) -> None:
    with pytest.raises(qr.InvalidInputError, match=message):
        qr.quantize_state_dict(state_dict, "int8")
    with pytest.raises(qr.InvalidInputError, match=message):
        qr.dequantize_state_dict(state_dict)


def test_metadata_must_be_texts() -> None:
    for metadata in ({"a": 1}, {"a": "\udc80"}, [("a", "b")], 3):
        with pytest.raises(qr.InvalidInputError, match="strings"):
            qr.quantize_state_dict({}, "int8", metadata=metadata)  # type: ignore[arg-type]
    empty = qr.quantize_state_dict({}, "int8", metadata={"a": "1"})
    assert (dict(empty), empty.metadata) == ({}, {"a": "1"})


def test_layers_that_do_not_fit_are_damaged() -> None:
    quantized = qr.quantize_state_dict(tensors(), "int8_rowwise")
    del quantized["a.weight_scale"]
    with pytest.raises(qr.CheckpointError) as caught:
        qr.dequantize_state_dict(quantized)
    assert caught.value.rule == "layer_incomplete"


def test_progress_reaches_the_end() -> None:
    calls: list[tuple[int, int]] = []
    qr.quantize_state_dict(
        tensors(), "int8", progress=lambda done, total, _: calls.append((done, total))
    )
    assert calls[-1] == (calls[-1][1], sum(value.nbytes for value in tensors().values()))


def test_skipped_layers_of_a_file_stay(tmp_path: Path) -> None:
    source = tensors()
    source["a.weight"][:, 2] = np.inf
    save_file(source, tmp_path / "in")
    report = qr.quantize_file(tmp_path / "in", tmp_path / "out", "int8_rowwise", on_error="skip")
    assert list(report.errors) == ["a.weight"]
    (layer,) = [each for each in report.layers if each.name == "a.weight"]
    assert layer.action == "kept"
    assert "40 values are NaN or Inf" in str(layer.reason)
    np.testing.assert_array_equal(load_file(tmp_path / "out")["a.weight"], source["a.weight"])
    # Ranges of whole tensors are found in a pass of their own.
    report = qr.quantize_file(
        tmp_path / "in", tmp_path / "out", "int8", group_size="row", on_error="skip"
    )
    assert list(report.errors) == ["a.weight"]
    with pytest.raises(qr.InvalidInputError, match="on_error"):
        qr.quantize_file(tmp_path / "in", tmp_path / "out", "int8", on_error="ignore")


def test_a_report_says_what_became_of_each_tensor(caplog: pytest.LogCaptureFixture) -> None:
    # Of an adapter half of the factors have rows that no group of 128 fills.
    lora = {
        f"unet.{i}.lora_{way}.weight": np.ones(shape, "f2")
        for i in range(4)
        for way, shape in (("down", (16, 768)), ("up", (768, 16)))
    }
    quantized = qr.quantize_state_dict(lora, "int4")
    report = quantized.report
    assert report is not None
    assert [layer.name for layer in report.layers] == list(lora)
    assert [layer.action for layer in report.layers] == ["quantized", "kept"] * 4
    assert {layer.reason for layer in report.layers if layer.action == "kept"} == {
        (
            "the rows do not divide into whole groups, and compressed-tensors has no short ones; "
            "choose a group_size that divides their length, or 'row'"
        )
    }
    assert report.bytes_in == sum(value.nbytes for value in lora.values())
    assert any("4 tensors" in text and "choose a group_size" in text for text in report.warnings)
    assert quantized.warnings == report.warnings
    assert all(text in caplog.text for text in report.warnings)
    assert "8 tensors" in repr(report)
    assert qr.StateDict().report is None


def test_a_report_keeps_no_array_alive() -> None:
    import weakref

    source = {"a.weight": np.ones((64, 128), "f")}
    alive = weakref.ref(source["a.weight"])
    report = qr.quantize_state_dict(source, "int4").report
    source.clear()
    assert alive() is None
    assert report is not None
    assert report.layers[0].name == "a.weight"


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda made: pickle.loads(pickle.dumps(made))])
def test_a_report_is_copied_with_its_layers(copied: Any) -> None:
    report = qr.quantize_state_dict(tensors(), "int8_rowwise").report
    assert report is not None
    assert copied(report).layers == list(report.layers)


def test_errors_and_rules_are_in_the_report() -> None:
    bad = np.ones((64, 128), "f")
    bad[0, 0] = np.nan
    source = {"a.weight": bad, "b.weight": np.ones((64, 128), "f"), "c.weight": bad}
    quantized = qr.quantize_state_dict(
        source, "int4", on_error="skip", rules=[("b", "int8"), ("c", None)]
    )
    report = quantized.report
    assert report is not None
    assert [layer.action for layer in report.layers] == ["kept", "quantized", "kept"]
    assert report.layers[1].format == "int8"
    assert "NaN" in str(report.layers[0].reason)
    assert report.layers[2].reason == "left by the rule 'c'"
    assert list(report.errors) == ["a.weight"]
    restored = qr.dequantize_state_dict(quantized).report
    assert restored is not None
    assert [layer.action for layer in restored.layers] == ["kept", "restored", "kept"]


@pytest.mark.parametrize("io", ["read", "mmap"])
def test_values_of_a_checkpoint_are_taken(io: str, tmp_path: Path) -> None:
    source = {name: value for name, value in tensors().items() if name != "ids"}
    source["half.weight"] = source["a.weight"].astype(ml_dtypes.bfloat16)
    save_file(source, tmp_path / "in")
    expected = qr.quantize_state_dict(source, "int8")
    with qr.open(tmp_path / "in", io=io) as checkpoint:
        quantized = qr.quantize_state_dict(checkpoint, "int8")
        again = qr.quantize_state_dict(dict(checkpoint), "int8")
        assert quantized["a.bias"].name == "a.bias"
        assert qr.dequantize_state_dict(checkpoint)["a.bias"].name == "a.bias"
    assert set(quantized) == set(again) == set(expected)
    for name, value in expected.items():
        if name.endswith(("_packed", "_scale")):
            np.testing.assert_array_equal(quantized[name], value, strict=True)


def test_quantized_tensors_stay_and_are_restored(tmp_path: Path) -> None:
    save_file(tensors(), tmp_path / "in")
    qr.quantize_file(tmp_path / "in", tmp_path / "q", "int8")
    with qr.open(tmp_path / "q") as checkpoint:
        values = dict(checkpoint)
        again = qr.quantize_state_dict(values, "int4")
        assert again["a.weight"] is values["a.weight"]
        restored = qr.dequantize_state_dict(values)
        np.testing.assert_array_equal(
            restored["a.weight"], values["a.weight"].dequantize(), strict=True
        )
        assert "nothing was restored" not in " ".join(restored.warnings)
        half = qr.dequantize_state_dict(values, dtype="float16")
        assert half["a.weight"].dtype == half["a.bias"].dtype == np.float16
        with pytest.raises(qr.InvalidInputError, match="strict"):
            qr.quantize_state_dict({"x": "text"}, "int4", strict=True)


def test_like_gives_kind_and_dtype_of_all_floats() -> None:
    entries = qr.quantize_state_dict(tensors(), "int8")
    restored = qr.dequantize_state_dict(entries, like=np.zeros(1, "f2"))
    expected = qr.dequantize_state_dict(entries, dtype="float16")
    assert set(restored) == set(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(restored[name], value, strict=True)
    assert restored["ids"] is entries["ids"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"like": np.zeros(1), "dtype": None}, "like is of float64"),
        ({"like": np.zeros(1, "f"), "dtype": "float16"}, "like says the dtype too"),
        ({"like": 3}, "like must be a numpy array"),
        ({"like": np.zeros(1, "i8")}, "like is of int64"),
    ],
)
def test_like_of_a_state_dict_must_be_an_array(options: dict[str, Any], message: str) -> None:
    with pytest.raises(qr.InvalidInputError, match=message):
        qr.dequantize_state_dict(tensors(), **options)


class OnAnotherDevice:
    """A tensor of a library, in the memory of a device."""

    dtype = np.dtype("f")

    def __dlpack_device__(self) -> tuple[int, int]:
        return (2, 0)

    def __array__(self, *_: object, **__: object) -> Any:
        raise AssertionError


def test_tensors_of_other_devices_are_not_moved() -> None:
    with pytest.raises(qr.InvalidInputError, match=r"layer 'a'.*not on the CPU"):
        qr.quantize_state_dict({"a": OnAnotherDevice()}, "int8")
