# SPDX-License-Identifier: Apache-2.0
"""The manifest of Flux in its original names, against diffusers' own converter."""

import json
from pathlib import Path

import torch
from diffusers import FluxTransformer2DModel
from diffusers.loaders.single_file_utils import convert_flux_transformer_checkpoint_to_diffusers

MANIFESTS = Path(__file__).parents[1] / "support" / "manifests"


def test_flux_in_original_names_is_diffusers_model() -> None:
    manifest = json.loads((MANIFESTS / "flux_transformer_original.json").read_text())
    with torch.device("meta"):
        original = {
            name: torch.empty(shape, dtype=torch.bfloat16) for name, _, shape in manifest["tensors"]
        }
        model = FluxTransformer2DModel(guidance_embeds=True)
    converted = convert_flux_transformer_checkpoint_to_diffusers(original)
    assert original == {}  # every tensor was asked for
    shapes = {name: tuple(tensor.shape) for name, tensor in converted.items()}
    assert shapes == {name: tuple(p.shape) for name, p in model.state_dict().items()}
