# SPDX-License-Identifier: Apache-2.0
"""A ComfyUI node that quantizes a diffusion model while it is loaded.

Copy this file into ComfyUI's folder ``custom_nodes`` and install quarrow into its Python. The node
"Load Diffusion Model (quantized)" takes a model as it was published, in 16 bits, maps its file,
and hands ComfyUI the state dict that a file in ``int8_rowwise`` would have: half the memory, no
second file, and the linear layers run in 8 bits where the processor can. It takes models in their
original names, as ComfyUI (0.27 and newer) loads them quantized; of others, diffusers' among them,
it says so.
"""

from typing import Any

import comfy.sd
import folder_paths
import quarrow
import torch

FOLDER = "diffusion_models"


class LoadQuantizedDiffusionModel:
    """Load a model, its linear weights in 8 bits."""

    CATEGORY = "loaders"
    FUNCTION = "load"
    RETURN_TYPES = ("MODEL",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802 (ComfyUI's name)
        """Describe the node's inputs."""
        return {
            "required": {
                "model_name": (folder_paths.get_filename_list(FOLDER),),
                "leave": ("STRING", {"default": "", "tooltip": "Layers to leave: a REGEX"}),
            }
        }

    def load(self, model_name: str, leave: str) -> tuple[Any]:
        """Return the model, as ComfyUI's own loader does."""
        path = folder_paths.get_full_path_or_raise(FOLDER, model_name)
        state_dict = quantized_state_dict(path, leave)
        model = comfy.sd.load_diffusion_model_state_dict(
            dict(state_dict), metadata=state_dict.metadata
        )
        if model is None:
            msg = f"{model_name}: ComfyUI does not know this model"
            raise RuntimeError(msg)
        return (model,)


def quantized_state_dict(path: str, leave: str = "") -> quarrow.StateDict:
    """Return the tensors of a file as ComfyUI's loader of int8_rowwise files would see them.

    Weights are read where the file lies in memory; nothing but the codes is new.
    """
    with quarrow.open(path, io="mmap") as checkpoint:
        tensors = {name: torch.from_dlpack(checkpoint[name]) for name in checkpoint}
        return quarrow.quantize_state_dict(
            tensors,
            "int8_rowwise",
            rules=[(leave, None)] if leave else None,
            metadata=checkpoint.metadata,
            runtime="comfyui",
        )


NODE_CLASS_MAPPINGS = {"LoadQuantizedDiffusionModel": LoadQuantizedDiffusionModel}
NODE_DISPLAY_NAME_MAPPINGS = {
    "LoadQuantizedDiffusionModel": "Load Diffusion Model (quantized)",
}
