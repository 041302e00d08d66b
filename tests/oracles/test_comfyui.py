# SPDX-License-Identifier: Apache-2.0
"""What ComfyUI's own loaders make of our files: int8_rowwise, fp8_e4m3 and fp8_e5m2.

For each kind of file the weights that ComfyUI ends up with are those of the float file, within the
error of eight bits. Where we hold layers back a file that holds nothing back is loaded too: it must
be misread, or the rule is out of date.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import comfyui_host
import pytest
import quarrow as qr
import torch
from checkpoints import make_checkpoint
from safetensors.torch import save_file

comfy: Any = None

MANIFESTS = Path(__file__).parents[1] / "support" / "manifests"
Tensors = dict[str, torch.Tensor]
# The mapping has names of Flux 2 and of LyCORIS too.
OTHER_SPELLINGS = re.compile(r"linear_(in|out)\.|to_qkv_mlp|^single.*attn\.to_out")

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module", autouse=True)
def _comfyui() -> Iterator[None]:
    global comfy
    with comfyui_host.imported() as comfy:
        yield


def random_tensors(shapes: Mapping[str, tuple[int, ...]]) -> Tensors:
    generator = torch.Generator().manual_seed(1)
    return {
        name: torch.randn(shape, generator=generator).mul(0.02).half()
        for name, shape in shapes.items()
    }


def narrow(shape: list[int]) -> tuple[int, ...]:
    """A manifest's shape with 256 channels instead of 3,072; ComfyUI asks the shapes for them."""
    inputs = {4096: 96, 768: 48}  # of T5 and of CLIP
    channels = 3072
    return tuple(
        size // channels * 256 if size % channels == 0 else inputs.get(size, size) for size in shape
    )


def flux(prefix: str = "") -> Tensors:
    manifest = json.loads((MANIFESTS / "flux_transformer_original.json").read_text())
    block = ("double_blocks.0.", "single_blocks.0.")
    shapes = {
        prefix + name: narrow(shape)
        for name, _, shape in manifest["tensors"]
        if "_blocks." not in name or name.startswith(block)
    }
    return random_tensors(shapes)


def flux_of_diffusers() -> Tensors:
    config = {"depth": 1, "depth_single_blocks": 1, "hidden_size": 256}
    mapping = comfy.utils.flux_to_diffusers(config)
    original = {name.replace("_norm.scale", "_norm.weight"): t for name, t in flux().items()}
    tensors = {}
    for name, target in mapping.items():
        into = target if isinstance(target, str) else target[0]
        if into not in original or OTHER_SPELLINGS.search(name):
            continue
        rows = original[into]
        if not isinstance(target, str) and target[1] is not None:
            _, begin, length = target[1]
            rows = rows[begin : begin + length]
        tensors[name] = rows.clone()
    return tensors


def clip_l() -> Tensors:
    linear = {"self_attn.q_proj": (768, 768), "self_attn.k_proj": (768, 768)}
    linear |= {"self_attn.v_proj": (768, 768), "self_attn.out_proj": (768, 768)}
    linear |= {"mlp.fc1": (3072, 768), "mlp.fc2": (768, 3072)}
    shapes: dict[str, tuple[int, ...]] = {
        "text_model.embeddings.token_embedding.weight": (49408, 768),
        "text_model.embeddings.position_embedding.weight": (77, 768),
        "text_model.final_layer_norm.weight": (768,),
        "text_model.final_layer_norm.bias": (768,),
    }
    for index in range(12):
        layer = f"text_model.encoder.layers.{index}."
        for name, shape in linear.items():
            shapes[f"{layer}{name}.weight"] = shape
            shapes[f"{layer}{name}.bias"] = shape[:1]
        for name in ("layer_norm1", "layer_norm2"):
            shapes[f"{layer}{name}.weight"] = shapes[f"{layer}{name}.bias"] = (768,)
    return random_tensors(shapes)


def diffusion_model(path: Path) -> torch.nn.Module:
    return comfy.sd.load_diffusion_model(str(path)).model.diffusion_model


def checkpoint_model(path: Path) -> torch.nn.Module:
    options = {"output_vae": False, "output_clip": False}
    model, *_ = comfy.sd.load_checkpoint_guess_config(str(path), **options)
    return model.model.diffusion_model


def control_model(path: Path) -> torch.nn.Module:
    return comfy.controlnet.load_controlnet(str(path)).control_model


def text_encoder(path: Path) -> torch.nn.Module:
    kind = comfy.sd.CLIPType.STABLE_DIFFUSION
    return comfy.sd.load_clip([str(path)], clip_type=kind).cond_stage_model


def is_quantized(tensor: torch.Tensor) -> bool:
    return type(tensor).__name__ == "QuantizedTensor"


def values(tensor: Any) -> torch.Tensor:
    return (tensor.dequantize() if is_quantized(tensor) else tensor).float()


# The largest error beside the largest value; and of a plain cast, half of the least number.
TOLERANCE = {"int8_rowwise": 0.02, "fp8_e4m3": 1 / 16, "fp8_e5m2": 1 / 8}
LEAST = {"fp8_e4m3": 2.0**-10, "fp8_e5m2": 2.0**-17}


def misread(
    expected: torch.nn.Module,
    loaded: torch.nn.Module,
    format_: str = "int8_rowwise",
    least: float = 0.0,
) -> list[str]:
    """Return the parameters that are not those of the float file."""
    others = dict(loaded.named_parameters())
    wrong = []
    for name, parameter in expected.named_parameters():
        if name.endswith(("text_projection.weight", "logit_scale")):
            continue  # in no file here, so filled at random
        before, after = values(parameter), values(others[name])
        bound = TOLERANCE[format_] * before.abs().max() + least
        if not (before - after).abs().max() <= bound:
            wrong.append(name)
    return wrong


Loader = Callable[[Path], torch.nn.Module]

LOADED: dict[str, tuple[Callable[[], Tensors], Loader]] = {
    "Flux": (flux, diffusion_model),
    "Flux in a checkpoint": (lambda: flux("model.diffusion_model."), checkpoint_model),
}


@pytest.mark.parametrize("format_", TOLERANCE)
@pytest.mark.parametrize("kind", LOADED)
def test_diffusion_models_are_loaded_quantized(tmp_path: Path, kind: str, format_: str) -> None:
    make, load = LOADED[kind]
    source, quantized = tmp_path / "model.safetensors", tmp_path / "small.safetensors"
    save_file(make(), source)
    report = qr.quantize_file(source, quantized, format_, runtime="comfyui")
    assert report.warnings == []
    model = load(quantized)
    assert misread(load(source), model, format_) == []
    names = {layer.name for layer in report.layers if layer.action == "quantized"}
    assert len(names) == 13
    assert sum(map(is_quantized, model.parameters())) == len(names)


def sd15_control(manifest: str) -> Callable[[Path], Path]:
    return lambda folder: make_checkpoint(manifest, folder / "model.safetensors")


def written(make: Callable[[], Tensors]) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        save_file(make(), folder / "model.safetensors")
        return folder / "model.safetensors"

    return write


HELD_BACK: dict[str, tuple[Callable[[Path], Path], Loader]] = {
    "ControlNet of diffusers": (sd15_control("sd15_controlnet"), control_model),
    "ControlNet": (sd15_control("sd15_controlnet_original"), control_model),
    "Flux of diffusers": (written(flux_of_diffusers), diffusion_model),
    "CLIP-L": (written(clip_l), text_encoder),
}


@pytest.mark.parametrize("format_", ["fp8_e4m3", "fp8_e5m2"])
@pytest.mark.parametrize("kind", [*LOADED, *HELD_BACK])
def test_plain_casts_are_loaded_everywhere(tmp_path: Path, kind: str, format_: str) -> None:
    ways = {name: (written(make), load) for name, (make, load) in LOADED.items()} | HELD_BACK
    make, load = ways[kind]
    source, cast = make(tmp_path), tmp_path / "cast.safetensors"
    report = qr.quantize_file(source, cast, format_, scaled=False, runtime="comfyui")
    assert report.warnings == []
    assert any(layer.action == "quantized" for layer in report.layers)
    assert misread(load(source), load(cast), format_, LEAST[format_]) == []


@pytest.mark.parametrize("kind", HELD_BACK)
def test_what_would_be_misread_is_held_back(tmp_path: Path, kind: str) -> None:
    make, load = HELD_BACK[kind]
    source = make(tmp_path)
    copied, noise = tmp_path / "copy.safetensors", tmp_path / "noise.safetensors"
    with pytest.raises(qr.InvalidInputError, match="nothing can be quantized"):
        qr.quantize_file(source, copied, "int8_rowwise", runtime="comfyui")
    report = qr.quantize_file(source, copied, "int8_rowwise", sync=False)
    assert report.warnings == [report.refusal]
    expected = load(source)
    assert misread(expected, load(copied)) == []
    qr.quantize_file(source, noise, "int8_rowwise", runtime="none", sync=False)
    try:
        loaded = load(noise)
    except RuntimeError:
        return  # refused by ComfyUI, which is as well
    assert misread(expected, loaded)


def test_a_large_t5_is_loaded_quantized(tmp_path: Path) -> None:
    # ComfyUI's own class with fewer and narrower layers: T5-XXL has 4.7 billion parameters.
    config = {"num_layers": 1, "d_model": 64, "d_kv": 16, "num_heads": 4, "d_ff": 128}
    config["vocab_size"] = 256

    def make(quantization: dict[str, bool] | None) -> torch.nn.Module:
        options = {"t5xxl_model_config": config, "t5xxl_quantization_metadata": quantization}
        return comfy.text_encoders.sd3_clip.T5XXLModel(dtype=torch.float32, model_options=options)

    shapes = {name: tuple(p.shape) for name, p in make(None).transformer.named_parameters()}
    tensors = random_tensors(shapes)
    # What tells ComfyUI that it is T5-XXL.
    marker = "encoder.block.23.layer.1.DenseReluDense.wi_1.weight"
    tensors[marker] = torch.zeros(10240, 1).half()
    assert comfy.sd.detect_te_model(tensors) == comfy.sd.TEModel.T5_XXL
    small = dict(qr.quantize_state_dict(tensors, "int8_rowwise", runtime="comfyui"))
    found = comfy.sd.t5xxl_detect([small])["t5_quantization_metadata"]
    loaded, expected = make(found), make(None)
    loaded.load_sd(small)
    expected.load_sd(tensors)
    assert misread(expected.transformer, loaded.transformer) == []
    assert sum(map(is_quantized, loaded.parameters())) == 7


def test_the_manifest_of_flux_has_the_names_that_comfyui_renames_to() -> None:
    manifest = json.loads((MANIFESTS / "flux_transformer_original.json").read_text())
    shapes = {name: shape for name, _, shape in manifest["tensors"]}
    config = {"depth": 19, "depth_single_blocks": 38, "hidden_size": 3072}
    rows: dict[str, int] = {}
    for target in comfy.utils.flux_to_diffusers(config).values():
        name, length = target, 0
        if not isinstance(target, str):
            name = target[0]
            length = target[1][2] if target[1] is not None else 0
        name = name.replace("_norm.weight", "_norm.scale")
        if name in shapes:
            rows[name] = max(rows.get(name, 0), length and target[1][1] + length)
    assert set(rows) == set(shapes)
    for name, count in rows.items():
        assert count in (0, shapes[name][0]), name
