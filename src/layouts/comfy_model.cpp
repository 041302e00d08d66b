// SPDX-License-Identifier: Apache-2.0
#include "quarrow/layouts/comfy_model.h"

#include <algorithm>
#include <array>
#include <string>

#include "layouts/comfy_names.h"

namespace quarrow {
namespace {

constexpr std::string_view kDiffusionPrefix = "model.diffusion_model.";
constexpr std::string_view kTransformer = ".transformer.";

// comfy/model_detection.py, unet_prefix_from_state_dict: the candidate of most names when more than
// five begin with it, else "model.".
std::string_view diffusion_prefix(const TensorTable& file) {
  constexpr std::array<std::string_view, 3> kCandidates = {kDiffusionPrefix, "model.model.",
                                                           "net."};
  constexpr std::size_t kFewNames = 5;
  std::array<std::size_t, kCandidates.size()> counts{};
  bool detector = false;
  bool tracker = false;
  for (const TensorEntry& tensor : file.entries()) {
    detector = detector || tensor.name.starts_with("detector.");
    tracker = tracker || tensor.name.starts_with("tracker.");
    for (std::size_t each = 0; each < kCandidates.size(); ++each) {
      if (tensor.name.starts_with(kCandidates[each])) ++counts[each];
    }
  }
  if (detector && tracker) return "";  // SAM 3
  const auto top = std::ranges::max_element(counts);
  if (*top <= kFewNames) return "model.";
  return kCandidates[static_cast<std::size_t>(top - counts.begin())];
}

// comfy/sd.py, detect_te_model: of T5 1.1 with 24 blocks the rows decide.
bool is_t5_xxl(const TensorTable& file) {
  constexpr std::uint64_t kRows = 10240;
  const TensorEntry* weight = file.find("encoder.block.23.layer.1.DenseReluDense.wi_1.weight");
  return weight != nullptr && !weight->shape.empty() && weight->shape[0] == kRows;
}

// A weight whose name or rows ComfyUI changes while its scale keeps them.
bool is_changed(std::string_view name) noexcept {
  // comfy/sd.py, load_text_encoder_state_dicts
  if (name == "lm_head.weight") return true;
  // comfy/supported_models.py, PixelDiTT2I.process_unet_state_dict
  return name.find("pixel_blocks.") != std::string_view::npos &&
         name.ends_with(".adaLN_modulation.0.weight");
}

// "t5xxl" of "text_encoders.t5xxl.transformer.encoder..."; empty when it is not one of `prefix`.
std::string_view encoder_name(std::string_view name, std::string_view prefix) noexcept {
  if (!name.starts_with(prefix)) return {};
  const std::size_t end = name.find(kTransformer, prefix.size());
  return end == std::string_view::npos ? std::string_view()
                                       : name.substr(prefix.size(), end - prefix.size());
}

}  // namespace

ComfyModel::ComfyModel(const TensorTable& file) {
  const std::string_view prefix = diffusion_prefix(file);
  // That prefix suffices: a model that is newer than the table is loaded the same way.
  const bool is_checkpoint =
      prefix == kDiffusionPrefix ||
      (!prefix.empty() && comfy::has_any(file, prefix, comfy::diffusion_models()));
  if (is_checkpoint) {
    add_parts(file, prefix);
  } else {
    find_kind(file);
  }
}

// comfy/sd.py, load_state_dict_guess_config: each part of a checkpoint has its own loader.
void ComfyModel::add_parts(const TensorTable& file, std::string_view prefix) {
  known_ = true;
  rest_ = StayReason::kComfyOther;
  parts_ = {{prefix, StayReason::kNone},
            {"first_stage_model.", StayReason::kComfyVae},
            {"vae.", StayReason::kComfyVae},
            {"pretransform.model.", StayReason::kComfyVae},
            {"cond_stage_model.", StayReason::kComfyTextEncoder},
            {"conditioner.embedders.", StayReason::kComfyTextEncoder},
            {"text_encoders.", StayReason::kComfyTextEncoder},
            {"text_encoder.", StayReason::kComfyTextEncoder},
            {"control_model.", StayReason::kComfyControl}};
  if (comfy::has_any(file, prefix, comfy::float_encoder_models())) return;
  for (const TensorEntry& tensor : file.entries()) {
    for (const std::string_view encoders : {"text_encoders.", "cond_stage_model."}) {
      const std::string_view name = encoder_name(tensor.name, encoders);
      if (std::ranges::count(comfy::large_encoder_names(), name) == 0) continue;
      const std::size_t length = encoders.size() + name.size() + kTransformer.size();
      const std::string_view part = tensor.name.substr(0, length);
      if (std::ranges::count(parts_, part, &Part::prefix) == 0) {
        parts_.push_back({part, StayReason::kNone});
      }
    }
  }
}

// Of a model alone in its file. A ControlNet has names of the model that it is for: it comes first.
void ComfyModel::find_kind(const TensorTable& file) {
  struct Kind {
    std::span<const comfy::Marker> markers;
    StayReason reason;
    std::string_view prefix = {};
  };
  const std::array kinds = {
      Kind{comfy::control_models(), StayReason::kComfyControl},
      Kind{comfy::control_models(), StayReason::kComfyControl, "control_model."},
      Kind{comfy::quantized_vaes(), StayReason::kNone},
      Kind{comfy::large_text_encoders(), StayReason::kNone},
      Kind{comfy::text_encoders(), StayReason::kComfyTextEncoder},
      Kind{comfy::diffusers_pixart(), StayReason::kComfyDiffusersNames},
      Kind{comfy::diffusion_models(), StayReason::kNone},
      Kind{comfy::diffusers_models(), StayReason::kComfyDiffusersNames},
      Kind{comfy::model_patches(), StayReason::kComfyOther},
      Kind{comfy::vision_models(), StayReason::kComfyOther},
      Kind{comfy::vaes(), StayReason::kComfyVae},
  };
  const auto* found = std::ranges::find_if(
      kinds, [&](const Kind& kind) { return comfy::has_any(file, kind.prefix, kind.markers); });
  if (found == kinds.end()) return;
  known_ = true;
  rest_ = found->reason;
  if (rest_ == StayReason::kComfyTextEncoder && is_t5_xxl(file)) {
    rest_ = StayReason::kNone;
    parts_ = {{"decoder.", StayReason::kComfyOther}};  // it is not loaded
  }
}

StayReason ComfyModel::misread_reason(std::string_view name) const noexcept {
  StayReason reason = rest_;
  std::size_t longest = 0;
  for (const Part& part : parts_) {
    if (part.prefix.size() <= longest || !name.starts_with(part.prefix)) continue;
    longest = part.prefix.size();
    reason = part.reason;
  }
  const bool changed = known_ && reason == StayReason::kNone && is_changed(name);
  return changed ? StayReason::kComfyChanged : reason;
}

}  // namespace quarrow
