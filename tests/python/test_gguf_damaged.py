# SPDX-License-Identifier: Apache-2.0
"""GGUF files that are damaged or hostile: the typed error, and its words.

Each rule of the reader has its own test in tests/cpp/containers; here is what Python makes of them.
"""

import pickle
import re
import struct
from pathlib import Path

import gguf_bytes as raw
import numpy as np
import pytest
import quarrow as qr

REMEDY = re.compile("again|newer|convert it|download|can be read")
CORPUS = Path(__file__).parents[2] / "fuzz" / "corpus" / "gguf"


def error_of(path: Path) -> qr.CheckpointError:
    with pytest.raises(qr.CheckpointError) as caught:
        qr.open(path)
    error = caught.value
    assert str(error).startswith(f"{str(path)!r}: ")
    assert error.file == str(path)
    assert REMEDY.search(str(error))
    assert pickle.loads(pickle.dumps(error)) == error
    return error


@pytest.mark.parametrize("name", sorted(path.name for path in CORPUS.iterdir()))
def test_the_corpus_of_the_fuzzer(name: str, tmp_path: Path) -> None:
    path, out = tmp_path / "model.gguf", tmp_path / "out.gguf"
    path.write_bytes((CORPUS / name).read_bytes())
    rule = name.split("-", maxsplit=1)[0]
    if rule in ("valid", "tensor_dimensions"):
        with qr.open(path) as checkpoint:
            facts = {each: checkpoint.info(each)[1:4] for each in checkpoint}
        qr.dequantize_file(path, out, sync=False)
        with qr.open(out) as copy:
            # Layers of other programs are restored.
            assert set(copy) == set(facts)
            assert copy.metadata.keys() <= qr.open(path).metadata.keys()
        return
    assert error_of(path).rule == rule
    with pytest.raises(qr.CheckpointError):
        qr.dequantize_file(path, out)
    with pytest.raises(qr.CheckpointError):
        qr.quantize_file(path, tmp_path / "out", "int8")
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_names_the_tensor_and_the_place(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(raw.gguf([], [raw.tensor("l\n", [33], 8, 0)], bytes(68)))
    error = error_of(path)
    assert (error.rule, error.name) == ("partial_block", "l\n")
    assert "layer 'l\\n': a row of Q8_0 is not a whole number of its blocks" in str(error)
    assert error.position is not None
    assert f"(at byte {error.position})" in str(error)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (raw.gguf(version=1), "GGUF of version 1, and 2 and 3 can be read"),
        (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "big-endian processors"),
        (raw.gguf(counts=(2**60, 0)), "more tensors than the rest of the file can hold"),
    ],
)
def test_words(content: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    assert words in str(error_of(path))


def test_truncation_at_every_byte(tmp_path: Path) -> None:
    whole = raw.gguf(
        [raw.key("a", raw.TEXT, "text"), raw.key("b", raw.LIST, raw.items(raw.TEXT, ["x", "y"]))],
        [raw.tensor("a.weight", [3, 2], 0, 0), raw.tensor("b", [32], 8, 32)],
        bytes(32 + 34),
    )
    path = tmp_path / "model.gguf"
    for length in range(4, len(whole)):
        path.write_bytes(whole[:length])
        error_of(path)
    path.write_bytes(whole)
    assert len(qr.open(path)) == 2


def test_random_damage_never_ends_the_process(tmp_path: Path) -> None:
    whole = np.frombuffer(
        raw.gguf(
            [raw.key("general.architecture", raw.TEXT, "flux"), raw.key("n", raw.U32, 7)],
            [raw.tensor("a.weight", [3, 4], 0, 0), raw.tensor("b", [32], 8, 64)],
            bytes(64 + 34),
        ),
        np.uint8,
    )
    path = tmp_path / "model.gguf"
    random = np.random.default_rng(1)
    refused = 0
    for _ in range(500):
        damaged = whole.copy()
        places = random.integers(4, 160, random.integers(1, 4))
        damaged[places] = random.integers(0, 256, places.size)
        path.write_bytes(damaged.tobytes())
        try:
            qr.dequantize_file(path, tmp_path / "out.gguf", sync=False)
        except qr.CheckpointError:
            refused += 1
    assert refused > 250


def test_names_that_would_steer_a_terminal_are_harmless(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    name = "../\x1b[31m\u202e<b>%s{}"
    keys, tensors = [raw.key(name, raw.TEXT, name)], [raw.tensor(name, [1], 0, 0)]
    path.write_bytes(raw.gguf(keys, tensors, b"1234"))
    with qr.open(path) as checkpoint:
        assert list(checkpoint) == [name]
        assert checkpoint.metadata == {name: name}
