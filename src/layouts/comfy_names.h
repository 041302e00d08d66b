// SPDX-License-Identifier: Apache-2.0
//
// The tensor names by which ComfyUI tells models apart: a table for each of its loaders.
#pragma once

#include <span>
#include <string_view>

#include "quarrow/containers/tensor_table.h"

namespace quarrow::comfy {

// A model has all of these; an empty name is always there, and one that ends in a dot is there when
// any name begins so.
struct Marker {
  std::string_view name;
  std::string_view also = {};
  std::string_view and_also = {};
};

// Whether the file has a model of the table, its names after `prefix`.
bool has_any(const TensorTable& file, std::string_view prefix, std::span<const Marker> table);

// Diffusion models in their original names, and those whose checkpoints hold a text encoder that
// ComfyUI loads in floats whatever it is.
std::span<const Marker> diffusion_models() noexcept;
std::span<const Marker> float_encoder_models() noexcept;

// ControlNets in any spelling, T2I adapters; and what is loaded as a patch for a model.
std::span<const Marker> control_models() noexcept;
std::span<const Marker> model_patches() noexcept;

// Models in diffusers' names: those that ComfyUI renames, and those that it does not know. PixArt
// is by itself: its names have a marker of LTX among them.
std::span<const Marker> diffusers_models() noexcept;
std::span<const Marker> diffusers_pixart() noexcept;

// Text encoders that are loaded quantized; and all others, CLIP first of all.
std::span<const Marker> large_text_encoders() noexcept;
std::span<const Marker> text_encoders() noexcept;

std::span<const Marker> quantized_vaes() noexcept;
std::span<const Marker> vaes() noexcept;

std::span<const Marker> vision_models() noexcept;

// What text encoders are called in checkpoints that hold them beside the diffusion model, when they
// are loaded quantized: "t5xxl" of "text_encoders.t5xxl.transformer.".
std::span<const std::string_view> large_encoder_names() noexcept;

}  // namespace quarrow::comfy
