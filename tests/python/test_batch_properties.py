# SPDX-License-Identifier: Apache-2.0
"""What holds for every mix of layers: on skip, the others are what they would be alone."""

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pyarrow as pa
import pytest
import quarrow as qr
from hypothesis import given
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

KINDS = ["good", "good", "good", "nan", "inf", "overflow", "list", "transposed", "empty", "large"]


def layer(kind: str, dtype: str, seed: int) -> Any:
    random = np.random.default_rng(seed)
    shape = {"large": (300, 500), "empty": (0, 7)}.get(kind, tuple(random.integers(2, 40, 2)))
    w: Any = random.normal(size=shape).astype(dtype)
    if kind in ("nan", "inf"):
        w.flat[seed % w.size] = np.nan if kind == "nan" else -np.inf
    if kind == "overflow":
        w = np.array([[3e38, -3e38]], np.float32)
    if kind == "list":
        return w.tolist()
    return w.T if kind == "transposed" else w


def layers() -> st.SearchStrategy[dict[str, Any]]:
    each = st.builds(
        layer,
        st.sampled_from(KINDS),
        st.sampled_from(["float16", "float32", "float64"]),
        st.integers(0, 50),
    )
    return st.lists(each, max_size=8).map(
        lambda several: {f"{i}.{len(several)}": w for i, w in enumerate(several)}
    )


def alone(name: str, w: Any, format_: str) -> Any:
    try:
        return qr.quantize(w, format_, name=name)
    except qr.QuarrowError as error:
        return error


@given(layers(), st.sampled_from([1, 2, 5]), st.sampled_from(["int8", "int4", "int8_rowwise"]))
def test_on_skip_the_others_are_what_they_are_alone(
    given_layers: dict[str, Any], threads: int, format_: str
) -> None:
    rules = [(r"^[13]\.", "int2"), (r"^4\.", "int8")]
    names: list[str] = []
    r = qr.quantize_batch(
        given_layers,
        format_,
        rules=rules,
        on_error="skip",
        threads=threads,
        progress=lambda _done, _total, name: names.append(name),
    )
    own = {"1": "int2", "3": "int2", "4": "int8"}
    single = {
        name: alone(name, w, own.get(name.split(".")[0], format_))
        for name, w in given_layers.items()
    }
    good = {name: q for name, q in single.items() if isinstance(q, qr.QuantizedTensor)}
    bad = {name: error for name, error in single.items() if name not in good}
    assert (list(r), dict(r)) == (list(good), good)
    assert (list(r.errors), r.errors) == (list(bad), bad)
    assert sorted(names) == sorted(given_layers)
    if bad:
        with pytest.raises(qr.QuarrowError) as failure:
            qr.quantize_batch(given_layers, format_, rules=rules, threads=threads)
        assert failure.value == next(iter(bad.values()))
    assert pa.table(r).num_rows == len(good)


@given(
    st.lists(
        arrays.arrays(
            np.float64,
            arrays.array_shapes(max_dims=3, max_side=6),
            elements=st.floats(-1e30, 1e30),
        ),
        max_size=3,
    ),
    st.sampled_from([8, 4, 2]),
)
def test_lists_give_what_arrays_do(values: list[NDArray[np.float64]], bits: int) -> None:
    lists = {str(i): each.tolist() for i, each in enumerate(values)}
    made = qr.legacy.quantize(lists, bit_width=bits)
    assert list(made) == list(lists)
    for each, found in zip(values, made.values(), strict=True):
        q = qr.quantize(each, f"int{bits}", group_size="tensor", packed=False)
        assert q.zero_points is not None
        assert found == {
            "codes": q.codes.ravel().tolist(),
            "scales": q.scales.ravel().tolist(),
            "zero_points": q.zero_points.ravel().tolist(),
            "shape": list(q.shape),
            "bit_width": bits,
        }
