# SPDX-License-Identifier: Apache-2.0
"""Numbers in words."""

import numpy as np
import pytest
import quarrow as qr
from quarrow.counts import counted, verb


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 tensors"), (1, "1 tensor"), (2, "2 tensors"), (1234567, "1,234,567 tensors")],
)
def test_a_count_goes_with_its_noun(count: int, text: str) -> None:
    assert counted(count, "tensor") == text


def test_a_noun_may_have_a_plural_of_its_own() -> None:
    assert [counted(n, "matrix", "matrices") for n in (1, 2)] == ["1 matrix", "2 matrices"]


def test_a_verb_goes_with_the_count() -> None:
    assert [verb(n, "is", "are") for n in (0, 1, 2)] == ["are", "is", "are"]


@pytest.mark.parametrize(
    ("count", "words"),
    [(1, "3.4028235e+38); divide"), (2, "as is 1 more; divide"), (4, "as are 3 more; divide")],
)
def test_values_beyond_float32_are_counted_in_words(count: int, words: str) -> None:
    w = np.zeros((2, 8))
    w.ravel()[:count] = 1e300
    with pytest.raises(qr.InvalidInputError) as caught:
        qr.quantize(w, "int8")
    assert words in str(caught.value)
