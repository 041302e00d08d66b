# SPDX-License-Identifier: Apache-2.0
"""Format: a value with checked fields."""

import copy
import pickle

import numpy as np
import pytest
import quarrow as qr
from quarrow.format_names import unknown_format

KNOWN = ", ".join(each.name for each in qr.formats())

DEFAULTS: dict[str, dict[str, object]] = {
    "int8": {"group_size": "row", "symmetric": False, "scale_dtype": "float32"},
    "int4": {"group_size": 128, "symmetric": False, "scale_dtype": "float32", "packed": True},
    "int2": {"group_size": 128, "symmetric": False, "scale_dtype": "float32", "packed": True},
    "int8_rowwise": {"group_size": "row", "symmetric": True, "packed": False},
    "fp8_e4m3": {"scaled": True},
    "fp8_e5m2": {"scaled": True},
}

VARIANTS = [
    qr.Format("int4"),
    qr.Format("int4", group_size=64, symmetric=True, scale_dtype="float16", packed=False),
    qr.Format("int8", group_size="tensor", rounding="stochastic", seed=2**64 - 1),
    qr.Format("int8_rowwise"),
    qr.Format("fp8_e4m3"),
    qr.Format("fp8_e5m2", scaled=False),
]


@pytest.mark.parametrize("name", DEFAULTS)
def test_defaults(name: str) -> None:
    made = qr.Format(name)
    for field, value in DEFAULTS[name].items():
        assert getattr(made, field) == value
    assert made.name == name
    integers = "symmetric" in DEFAULTS[name]
    assert (made.rounding, made.seed) == (("nearest", 0) if integers else (None, None))


def test_the_list_describes_every_format() -> None:
    described = {each.name: each for each in qr.formats()}
    assert list(described)[:5] == ["int8", "int4", "int2", "int8_rowwise", "fp8_e4m3"]
    for name, each in described.items():
        assert each.defaults == qr.Format(name)
        assert each.bits == each.defaults.bits
        assert each.summary
        assert set(each.fields) == set(each.defaults.fields())
    assert described["int8_rowwise"].fields == ()
    assert "group_size" in described["int4"].fields


@pytest.mark.parametrize("made", VARIANTS, ids=repr)
def test_pickle_copy_and_repr_give_the_same_value(made: qr.Format) -> None:
    restored = [
        pickle.loads(pickle.dumps(made)),
        copy.copy(made),
        copy.deepcopy(made),
        eval(repr(made), {"Format": qr.Format}),
    ]
    for each in restored:
        assert each == made
        assert hash(each) == hash(made)
    assert "\n" not in repr(made)


def test_each_field_counts_for_equality() -> None:
    base = qr.Format("int4")
    others = [
        qr.Format("int2"),
        base.replace(group_size=64),
        base.replace(group_size="row"),
        base.replace(symmetric=True),
        base.replace(scale_dtype="bfloat16"),
        base.replace(packed=False),
        base.replace(rounding="stochastic"),
        base.replace(seed=1),
    ]
    assert len({base, *others}) == len(others) + 1
    assert base == qr.Format("int4", group_size=128)
    assert base != "int4"


def test_replace_leaves_the_rest_and_the_original() -> None:
    base = qr.Format("int4", symmetric=True)
    changed = base.replace(group_size=32)
    assert (changed.group_size, changed.symmetric) == (32, True)
    assert base.group_size == 128


def test_a_format_argument_takes_fields_beside_it() -> None:
    w = np.ones((2, 64), np.float32)
    q = qr.quantize(w, qr.Format("int4", symmetric=True), group_size=32)
    assert q.format == qr.Format("int4", group_size=32, symmetric=True)


def test_numpy_integers_and_dtypes_are_values_too() -> None:
    made = qr.Format("int4", group_size=np.int64(32), scale_dtype=np.dtype(np.float16))  # type: ignore[arg-type]
    assert made == qr.Format("int4", group_size=32, scale_dtype="float16")


@pytest.mark.parametrize("name", ["int8_rowise", "INT8_ROWWISE", "int8-rowwise", "int8rowwise"])
def test_a_name_that_is_close_is_offered(name: str) -> None:
    with pytest.raises(qr.UnsupportedFormatError) as caught:
        qr.Format(name)
    assert str(caught.value) == (
        f"unknown format '{name}'; did you mean 'int8_rowwise'? Known formats: {KNOWN}"
    )


@pytest.mark.parametrize("name", ["", "x", "four bits", "int16", "w8a8", "\u00e9" * 1_000_000])
def test_a_name_that_is_close_to_none_gets_no_guess(name: str) -> None:
    with pytest.raises(qr.UnsupportedFormatError) as caught:
        qr.quantize(np.ones(4, np.float32), name)
    assert str(caught.value).endswith(f"; known formats: {KNOWN}")
    assert "did you mean" not in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("family", "names"),
    [
        ("that type of GGUF", ["q8_1", "q4_K_M", "iq4_nl", "tq1_0"]),
        ("that kind of FP8", ["float8_e4m3fnuz", "e8m0"]),
        ("MX", ["mxfp4", "mxfp8", "mxint8"]),
        ("NVFP4", ["nvfp4", "NV-FP4"]),
        ("NF4", ["nf4", "bnb-4bit"]),
        ("FP4", ["fp4", "fp4_e2m1"]),
        ("GPTQ", ["gptq"]),
        ("AWQ", ["awq"]),
    ],
)
def test_what_people_ask_for_is_said_to_be_missing(family: str, names: list[str]) -> None:
    for name in names:
        for call in (qr.Format, lambda name: qr.quantize(np.ones(4, np.float32), name)):
            with pytest.raises(qr.UnsupportedFormatError) as caught:
                call(name)
            assert str(caught.value) == (
                f"unknown format '{name}': {family} is not supported yet; supported are {KNOWN}"
            )


@pytest.mark.parametrize(
    ("meant", "names"),
    [
        ("fp8_e4m3", ["fp8", "FP8-E4M3FN", "float8_e4m3fn", "e4m3", "float8"]),
        ("fp8_e5m2", ["float8_e5m2", "e5m2", "FP8 E5M2"]),
        ("q8_0", ["gguf", "GGUF", "ggml", "q8"]),
    ],
)
def test_other_names_of_a_format_lead_to_it(meant: str, names: list[str]) -> None:
    for name in names:
        with pytest.raises(qr.UnsupportedFormatError, match=f"did you mean '{meant}'"):
            qr.Format(name)


@pytest.mark.parametrize("name", ["float16", "fp16", "bf16", "bfloat16", "float64", "half"])
def test_a_type_of_floats_is_said_to_be_one(name: str) -> None:
    with pytest.raises(qr.UnsupportedFormatError, match="that is a type of floats, and nothing to"):
        qr.Format(name)


def test_no_format_that_there_is_is_said_to_be_missing() -> None:
    for each in qr.formats():
        assert "did you mean" in unknown_format(each.name, [each.name])


@pytest.mark.parametrize("name", [None, 4, b"int4", ["int4"], "", "\ud800"])
def test_what_is_not_a_format_is_refused(name: object) -> None:
    with pytest.raises(qr.UnsupportedFormatError):
        qr.quantize(np.ones(4, np.float32), name)  # type: ignore[arg-type]


def test_unknown_fields_are_refused() -> None:
    with pytest.raises(qr.UnsupportedFormatError, match="no field 'symmetric'; it has no fields"):
        qr.Format("int8_rowwise", symmetric=True)
    with pytest.raises(qr.UnsupportedFormatError, match=r"no field 'grp_size'.*group_size"):
        qr.Format("int4", grp_size=3)  # type: ignore[call-arg]
    with pytest.raises(qr.UnsupportedFormatError, match="no field 'thread'"):
        qr.quantize(np.ones(4, np.float32), "int4", thread=3)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("group_size", 0),
        ("group_size", -1),
        ("group_size", True),
        ("group_size", 64.0),
        ("group_size", "column"),
        ("group_size", 2**70),
        ("group_size", -(2**70)),
        ("symmetric", 1),
        ("symmetric", "yes"),
        ("scale_dtype", "float64"),
        ("scale_dtype", "int8"),
        ("scale_dtype", 3),
        ("packed", 0),
        ("rounding", "up"),
        ("rounding", True),
        ("seed", -1),
        ("seed", 2**64),
        ("seed", True),
        ("seed", "1"),
    ],
)
def test_values_that_a_field_cannot_take(field: str, value: object) -> None:
    with pytest.raises(qr.InvalidInputError, match=f"^{field} must be .* not "):
        qr.Format("int4", **{field: value})  # type: ignore[arg-type]
    with pytest.raises(qr.InvalidInputError, match=f"^{field} must be .* not "):
        qr.quantize(np.ones(4, np.float32), "int4", **{field: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("state", [(), ("int4",), ("int4", 5), ("int4", {}, 1)])
def test_a_crooked_pickle_is_refused(state: tuple[object, ...]) -> None:
    with pytest.raises(qr.InvalidInputError, match="state of a Format"):
        qr.Format.__new__(qr.Format).__setstate__(state)  # type: ignore[arg-type]
