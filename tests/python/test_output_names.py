# SPDX-License-Identifier: Apache-2.0
"""What the files of a new checkpoint are called: as one file, as an index, as another format."""

from pathlib import Path

import numpy as np
import pytest
import quarrow as qr
from safetensors.numpy import save_file

FORMAT = "int8_rowwise"
WEIGHTS = {f"l{i}.weight": np.ones((40, 64), "f2") for i in range(5)}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Write a checkpoint that two files of 6,000 bytes do not hold."""
    save_file(WEIGHTS, tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.parametrize(
    ("name", "shards", "index"),
    [
        ("new.safetensors.index.json", "new", "new.safetensors.index.json"),
        ("new.index.json", "new", "new.index.json"),
        (
            "diffusion_pytorch_model.safetensors.index.fp16.json",
            "diffusion_pytorch_model.fp16",
            "diffusion_pytorch_model.safetensors.index.fp16.json",
        ),
    ],
)
@pytest.mark.parametrize("size", [None, 6_000])
def test_a_destination_that_is_an_index_becomes_one(
    model: Path, name: str, shards: str, index: str, size: int | None, tmp_path: Path
) -> None:
    out = tmp_path / "new"
    out.mkdir()
    report = qr.quantize_file(model, out / name, FORMAT, max_shard_size=size, sync=False)
    count = len(report.files) - 1
    assert (count > 1) == (size is not None)
    assert [Path(file).name for file in report.files] == [
        *(f"{shards}-{number:05}-of-{count:05}.safetensors" for number in range(1, count + 1)),
        index,
    ]
    assert sorted(out.iterdir()) == sorted(map(Path, report.files))
    with qr.open(out / index) as checkpoint:
        assert set(checkpoint) == set(WEIGHTS)


@pytest.mark.parametrize("name", ["x.ggml", "x.PT", "x.json", "x.safetensors.json"])
@pytest.mark.parametrize("size", [None, 6_000])
def test_a_name_of_another_format_is_refused(
    model: Path, name: str, size: int | None, tmp_path: Path
) -> None:
    before = sorted(tmp_path.iterdir())
    for dry_run in (True, False):
        with pytest.raises(qr.InvalidInputError, match=r"another format; name it \.safetensors"):
            qr.quantize_file(model, tmp_path / name, FORMAT, max_shard_size=size, dry_run=dry_run)
    with pytest.raises(qr.InvalidInputError, match="says another format"):
        qr.dequantize_file(model, tmp_path / name)
    assert sorted(tmp_path.iterdir()) == before
