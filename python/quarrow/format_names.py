# SPDX-License-Identifier: Apache-2.0
"""What to say of a format's name that is not known."""

import difflib
import re
from collections.abc import Iterable

_LONGEST_TYPED = 64
# Below it a suggestion is a guess: int5 and int8 are this alike, int16 and int8 are not.
_CLOSE = 0.7

# What other programs have and people ask for. The first that matches a whole name counts; names are
# compared in small letters, with underscores for hyphens and spaces.
_NOT_YET = tuple(
    (re.compile(pattern), family)
    for pattern, family in (
        (r"(i?q|tq)[1-8](_.*)?", "that type of GGUF"),
        (r"((fp|f|float)_?8_?)?(e4m3|e5m2)_?fnuz|((fp|f|float)_?8_?)?e8m0.*", "that kind of FP8"),
        (r"mx.*", "MX"),
        (r"nv_?fp_?4.*", "NVFP4"),
        (r"(fp|f|float)_?4.*|e2m1.*", "FP4"),
        (r"(fp|f|float)_?6(?!4).*|e2m3.*|e3m2.*", "FP6"),
        (r"nf_?4.*|bnb.*|bitsandbytes.*", "NF4"),
        (r"gptq.*", "GPTQ"),
        (r"awq.*", "AWQ"),
        (r"hqq.*", "HQQ"),
        (r"exl[23].*", "EXL"),
        (r"svdq.*|nunchaku.*", "SVDQuant"),
        (r"int8_convrot.*|convrot.*", "int8_convrot"),
    )
)
# What others call the formats that there are.
_SAME = tuple(
    (re.compile(pattern), name)
    for pattern, name in (
        (r"((fp|f|float)_?8_?)?e4m3_?(fn(_fast)?)?", "fp8_e4m3"),
        (r"(scaled_?)?(fp|f|float)_?8(_?scaled)?", "fp8_e4m3"),
        (r"((fp|f|float)_?8_?)?e5m2", "fp8_e5m2"),
        (r"gguf.*|ggml.*|q8", "q8_0"),
        (r"q5", "q5_0"),
        (r"q4", "q4_0"),
    )
)
_FLOATS = re.compile(r"(float|fp|f)_?(16|32|64)|half|bfloat_?16|bf_?16")


def unknown_format(name: str, known: Iterable[str]) -> str:
    """Return what stands after ``unknown format 'NAME'``: a near name, or why it is none.

    Parameters
    ----------
    name : str
        What somebody asked for, of any length.
    known : iterable of str
        The names of the formats that there are.
    """
    # A name that nobody typed by hand is not worth comparing whole.
    typed = re.sub(r"[-\s]+", "_", name[:_LONGEST_TYPED].strip().lower())
    names = list(known)
    listed = ", ".join(names)
    same = [name for pattern, name in _SAME if pattern.fullmatch(typed)]
    if not same and typed not in names:
        for pattern, family in _NOT_YET:
            if pattern.fullmatch(typed):
                return f": {family} is not supported yet; supported are {listed}"
    if _FLOATS.fullmatch(typed):
        return f": that is a type of floats, and nothing to quantize to; supported are {listed}"
    near = same or difflib.get_close_matches(typed, names, n=1, cutoff=_CLOSE)
    if near:
        return f"; did you mean '{near[0]}'? Known formats: {listed}"
    return f"; known formats: {listed}"
