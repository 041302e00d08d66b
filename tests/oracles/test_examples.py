# SPDX-License-Identifier: Apache-2.0
"""The examples for ComfyUI and diffusers do what they say."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import quarrow as qr
import torch
from checkpoints import make_checkpoint
from comfy_kitchen.tensor.base import QuantizedTensor
from comfy_kitchen.tensor.int8 import TensorWiseINT8Layout
from safetensors.torch import load_file

EXAMPLES = Path(__file__).parents[2] / "examples"


def load_example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Host:
    """Those two modules of ComfyUI that a loader node meets."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.loaded: dict[str, torch.Tensor] = {}
        self.metadata: dict[str, str] | None = None

    def get_filename_list(self, _kind: str) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())

    def get_full_path_or_raise(self, _kind: str, name: str) -> str:
        return str(self.folder / name)

    def load_diffusion_model_state_dict(
        self,
        sd: dict[str, torch.Tensor],
        model_options: dict[str, Any] | None = None,
        metadata: dict[str, str] | None = None,
    ) -> object:
        assert not model_options
        self.loaded, self.metadata = sd, metadata
        return "a model"


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    part = r"^(img_in|double_blocks\.0\.img_attn)"
    make_checkpoint("flux_transformer_original", tmp_path / "model.safetensors", "--match", part)
    host = Host(tmp_path)
    sd = SimpleNamespace(load_diffusion_model_state_dict=host.load_diffusion_model_state_dict)
    monkeypatch.setitem(sys.modules, "comfy", SimpleNamespace(sd=sd))
    monkeypatch.setitem(sys.modules, "comfy.sd", sd)
    monkeypatch.setitem(sys.modules, "folder_paths", host)
    return host


def test_the_node_hands_comfyui_what_a_file_would_have(host: Host) -> None:
    module = load_example("comfyui_node")
    ((name, node_class),) = module.NODE_CLASS_MAPPINGS.items()
    assert set(module.NODE_DISPLAY_NAME_MAPPINGS) == {name}
    inputs = node_class.INPUT_TYPES()["required"]
    assert inputs["model_name"] == (["model.safetensors"],)
    node = node_class()
    assert getattr(node, node_class.FUNCTION)("model.safetensors", leave="") == ("a model",)

    qr.quantize_file(host.folder / "model.safetensors", host.folder / "q", "int8_rowwise")
    expected = load_file(host.folder / "q")
    assert set(host.loaded) == set(expected)
    for key, tensor in expected.items():
        assert host.loaded[key].dtype == tensor.dtype
        assert torch.equal(host.loaded[key], tensor), key
    with qr.open(host.folder / "q") as checkpoint:
        assert host.metadata == checkpoint.metadata

    # As ComfyUI's linear layers hold and use them.
    source = load_file(host.folder / "model.safetensors")
    ending = ".comfy_quant"
    layers = [key.removesuffix(ending) for key in host.loaded if key.endswith(ending)]
    assert layers
    for layer in layers:
        weight = source[f"{layer}.weight"]
        params = TensorWiseINT8Layout.Params(
            scale=host.loaded[f"{layer}.weight_scale"],
            orig_dtype=weight.dtype,
            orig_shape=tuple(weight.shape),
        )
        held = QuantizedTensor(host.loaded[f"{layer}.weight"], "TensorWiseINT8Layout", params)
        x = torch.randn(3, weight.shape[1], dtype=torch.float32)
        error = (x @ held.dequantize().float().T - x @ weight.float().T).norm()
        assert error < 0.05 * (x @ weight.float().T).norm()


def test_the_node_leaves_what_it_is_told_to(host: Host) -> None:
    module = load_example("comfyui_node")
    node = module.LoadQuantizedDiffusionModel()
    node.load("model.safetensors", leave=".")
    source = load_file(host.folder / "model.safetensors")
    assert set(host.loaded) == set(source)
    assert all(torch.equal(host.loaded[key], tensor) for key, tensor in source.items())


def test_the_node_says_what_comfyui_does_not_load_quantized(host: Host) -> None:
    part = r"^down_blocks\.0\.attentions\.0"
    make_checkpoint("sd15_unet", host.folder / "unet.safetensors", "--match", part)
    node = load_example("comfyui_node").LoadQuantizedDiffusionModel()
    with pytest.raises(qr.InvalidInputError, match="in diffusers' names"):
        node.load("unet.safetensors", leave="")


def test_a_restored_unet_runs_forward() -> None:
    module = load_example("diffusers_component")
    torch.manual_seed(1)
    unet = module.diffusers.UNet2DConditionModel(**module.TINY_UNET).eval().half().float()
    sample, text = torch.randn(2, 4, 16, 16), torch.randn(2, 5, 32)
    cases: list[tuple[str, dict[str, Any], float]] = [
        ("int8", {}, 0.02),
        ("int4", {"group_size": 32}, 0.3),
    ]
    for format_, fields, limit in cases:
        packed = module.pack(unet, format_, **fields)
        assert module.size_of(packed) < module.size_of(unet.state_dict()) / 2
        other = module.diffusers.UNet2DConditionModel(**module.TINY_UNET).eval()
        restored = module.unpack(other, packed)
        for name, parameter in restored.state_dict().items():
            before = unet.state_dict()[name]
            layer = name.removesuffix(".weight")
            if f"{layer}.weight_packed" in packed:
                q = qr.quantize(before, format_, **fields)
                expected = torch.from_numpy(q.dequantize("float32"))
                assert torch.equal(parameter, expected), name
            else:
                assert torch.equal(parameter, before), name
        with torch.no_grad():
            before, after = (net(sample, 3, text).sample for net in (unet, restored))
        assert (after - before).norm() < limit * before.norm()


def test_the_diffusers_example_runs_as_a_program() -> None:
    result = subprocess.run(
        [sys.executable, EXAMPLES / "diffusers_component.py"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "packed" in result.stdout
    assert "of its norm" in result.stdout
