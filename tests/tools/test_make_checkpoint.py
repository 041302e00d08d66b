# SPDX-License-Identifier: Apache-2.0
"""The synthetic checkpoints are the same bytes on every machine."""

import hashlib
import json
from pathlib import Path

import pytest
from make_checkpoint import main
from safetensors import safe_open

MANIFESTS = Path(__file__).parents[1] / "support" / "manifests"


def test_the_lora_has_its_published_checksum(tmp_path: Path) -> None:
    out = tmp_path / "lora.safetensors"
    main([str(MANIFESTS / "sd15_lora_kohya_r16.json"), str(out)])
    assert hashlib.sha256(out.read_bytes()).hexdigest()[:16] == "bd4d7b5619a22007"


@pytest.mark.parametrize("dtype", ["F8_E4M3", "F16", "BF16", "F32", "F64"])
def test_bytes_do_not_depend_on_threads_or_shards(tmp_path: Path, dtype: str) -> None:
    base = [str(MANIFESTS / "sd15_controlnet.json"), "--max-bytes", "4M", "--dtype", dtype]
    one, four, sharded = (tmp_path / name for name in ("one", "four", "sharded"))
    main([base[0], str(one), *base[1:], "--threads", "1"])
    main([base[0], str(four), *base[1:], "--threads", "4"])
    main([base[0], str(sharded), *base[1:], "--shards", "2"])
    assert one.read_bytes() == four.read_bytes()
    index = json.loads((tmp_path / "sharded.safetensors.index.json").read_text())
    assert sorted(set(index["weight_map"].values())) == [
        "sharded-00001-of-00002.safetensors",
        "sharded-00002-of-00002.safetensors",
    ]
    data = b"".join(data_of(tmp_path / name) for name in sorted(set(index["weight_map"].values())))
    assert data == data_of(one)


def data_of(path: Path) -> bytes:
    whole = path.read_bytes()
    return whole[8 + int.from_bytes(whole[:8], "little") :]


def test_safetensors_reads_what_the_manifest_says(tmp_path: Path) -> None:
    manifest = json.loads((MANIFESTS / "sd15_lora_kohya_r16.json").read_text())
    out = tmp_path / "lora.safetensors"
    main([str(MANIFESTS / "sd15_lora_kohya_r16.json"), str(out), "--limit-tensors", "9"])
    with safe_open(out, framework="numpy") as file:
        assert file.metadata() == manifest["metadata"]
        stored = [[name, list(file.get_tensor(name).shape)] for name in file.offset_keys()]
    assert stored == [[name, shape] for name, _, shape in manifest["tensors"][:9]]
