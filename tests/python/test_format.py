# SPDX-License-Identifier: Apache-2.0
"""Format: a value with checked fields."""

import copy
import pickle

import numpy as np
import pytest
import quarrow as qr

DEFAULTS = {
    "int8": {"group_size": "row", "symmetric": False, "scale_dtype": "float32"},
    "int4": {"group_size": 128, "symmetric": False, "scale_dtype": "float32", "packed": True},
    "int2": {"group_size": 128, "symmetric": False, "scale_dtype": "float32", "packed": True},
    "int8_rowwise": {"group_size": "row", "symmetric": True, "packed": False},
}

VARIANTS = [
    qr.Format("int4"),
    qr.Format("int4", group_size=64, symmetric=True, scale_dtype="float16", packed=False),
    qr.Format("int8", group_size="tensor", rounding="stochastic", seed=2**64 - 1),
    qr.Format("int8_rowwise"),
]


@pytest.mark.parametrize("name", DEFAULTS)
def test_defaults(name: str) -> None:
    made = qr.Format(name)
    for field, value in DEFAULTS[name].items():
        assert getattr(made, field) == value
    assert made.name == name
    assert made.rounding == "nearest"
    assert made.seed == 0


def test_the_list_describes_every_format() -> None:
    described = {each.name: each for each in qr.formats()}
    assert list(described) == ["int8", "int4", "int2", "int8_rowwise"]
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


def test_unknown_name_offers_the_nearest() -> None:
    with pytest.raises(qr.UnsupportedFormatError, match=r"'int8_rowise'.*did you mean 'int8_roww"):
        qr.Format("int8_rowise")
    with pytest.raises(qr.UnsupportedFormatError, match=r"'int5'"):
        qr.quantize(np.ones(4, np.float32), "int5")
    with pytest.raises(qr.UnsupportedFormatError, match=r"did you mean"):
        qr.Format("\u00e9" * 1_000_000)


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
