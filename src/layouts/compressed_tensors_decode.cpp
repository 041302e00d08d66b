// SPDX-License-Identifier: Apache-2.0
//
// The layers that a quantization_config describes: that of the file's metadata, as ours are, or of
// the config.json beside it, as everybody else's. Targets may name layers one by one. Those that
// are classes or expressions speak of a model that is not here: a layer belongs to the one group
// whose format its entries have the sizes of.
#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/checked_math.h"
#include "layouts/compressed_tensors.h"
#include "layouts/compressed_tensors_group.h"
#include "layouts/description.h"
#include "layouts/layer_names.h"
#include "layouts/model_config.h"
#include "quarrow/core/status.h"

namespace quarrow::compressed_tensors {
namespace {

std::optional<std::string_view> find_metadata(const TensorTable& file, std::string_view wanted) {
  if (!file.metadata()) return std::nullopt;
  for (const auto& [key, value] : *file.metadata()) {
    if (key == wanted && value.is_text()) return value.text();
  }
  return std::nullopt;
}

constexpr std::string_view kUnclear =
    "compressed-tensors, in a way that its quantization_config does not tell";
constexpr std::string_view kNoConfig =
    "compressed-tensors, without a quantization_config in the metadata or in a config.json beside "
    "it";
constexpr std::string_view kUnknown = "compressed-tensors, in a format that is not known here";
constexpr std::string_view kOrdered = "compressed-tensors with activation ordering (g_idx)";

// What lies beside a layer for its activations, and zero points that are all zero.
constexpr std::array<std::string_view, 6> kOthers = {".input_scale",        ".input_zero_point",
                                                     ".input_global_scale", ".output_scale",
                                                     ".output_zero_point",  ".weight_zero_point"};

class Decoder {
 public:
  Decoder(const Checkpoint& file, StoredLayers& layers) : file_(file), layers_(layers) {}

  void run() {
    if (const auto text = find_metadata(file_.tensors, kConfig)) {
      if (const auto ours = find_metadata(file_.tensors, kOurs)) {
        before_ = parse(kOurs, *ours);
      }
      return add_layers(parse(kConfig, *text));
    }
    if (!has_codes()) return;
    std::optional<ModelConfig> config = read_model_config(file_);
    if (!config) {
      for (const std::string_view layer : codes_left()) layers_.leave(layer, kNoConfig);
      return;
    }
    config_path_ = config->path;
    const std::size_t before = layers_.size();
    add_layers(config->quantization);
    if (layers_.size() != before) layers_.set_config_file(config_path_);
  }

 private:
  JsonValue parse(std::string_view key, std::string_view text) const {
    // Each layer is named at most twice, once with its shape.
    constexpr std::size_t kValuesOfLayer = 16;
    std::optional<JsonValue> value =
        parse_description(text, 1024 + kValuesOfLayer * file_.tensors.size());
    if (!value || !value->is_object()) {
      fail_config("'" + std::string(key) + "' is no JSON object");
    }
    return *std::move(value);
  }

  // Whether any tensor may be codes that a config.json describes.
  bool has_codes() const {
    return std::ranges::any_of(file_.tensors.entries(), [&](const TensorEntry& entry) {
      if (entry.name.ends_with(kPacked)) return true;
      return entry.dtype == ElementType::kI8 && entry.name.ends_with(kWeightSuffix) &&
             has_entry(file_.tensors, layer_of(entry.name), kScale);
    });
  }

  // The layers with packed codes that were not added, in the order of the file.
  std::vector<std::string_view> codes_left() const {
    std::vector<std::string_view> left;
    for (const TensorEntry& entry : file_.tensors.entries()) {
      if (!entry.name.ends_with(kPacked)) continue;
      const std::string_view layer = entry.name.substr(0, entry.name.size() - kPacked.size());
      if (!done_.contains(layer)) left.push_back(layer);
    }
    return left;
  }

  void add_layers(const JsonValue& config) {
    const std::string* method = text_member(config, "quant_method");
    if (method == nullptr || *method != "compressed-tensors") return;
    const JsonValue* groups = config.member("config_groups");
    if (groups == nullptr || !groups->is_object()) fail_config("'config_groups' is no object");
    const std::string* format = text_member(config, "format");
    std::vector<Group> by_class;
    for (const auto& [name, group] : groups->members()) {
      const Group decoded = add_group(group, format == nullptr ? "" : *format);
      if (decoded.by_class && decoded.storage != nullptr) by_class.push_back(decoded);
    }
    add_by_class(by_class);
    for (const std::string_view layer : codes_left()) {
      if (!is_ordered(layer)) layers_.leave(layer, by_class.empty() ? kUnknown : kUnclear);
    }
  }

  // Adds the layers that it names.
  Group add_group(const JsonValue& group, const std::string& format) {
    const JsonValue* targets = group.member("targets");
    if (targets == nullptr || !targets->is_array()) fail_config("a group has no list 'targets'");
    const std::string* own_format = text_member(group, "format");
    Group decoded =
        read_group(group, own_format == nullptr ? format : *own_format, config_source());
    for (const JsonValue& target : targets->items()) {
      const std::string* layer = target.text();
      if (layer == nullptr) fail_config("a target is no string");
      const bool is_added = decoded.storage != nullptr && add_layer(*layer, decoded);
      // Names of classes have no dots.
      const bool is_class = layer->starts_with("re:") || layer->find('.') == std::string::npos;
      decoded.by_class = decoded.by_class || (!is_added && is_class);
    }
    return decoded;
  }

  // The layers that only the classes of a model can tell apart, by the sizes of their entries.
  void add_by_class(const std::vector<Group>& groups) {
    if (groups.empty()) return;
    for (const TensorEntry& entry : file_.tensors.entries()) {
      const bool is_packed = entry.name.ends_with(kPacked);
      if (!is_packed && !entry.name.ends_with(kWeightSuffix)) continue;
      const std::string layer(
          entry.name.substr(0, entry.name.size() - (is_packed ? kPacked : kWeightSuffix).size()));
      // What describes itself is ComfyUI's.
      if (done_.contains(layer) || has_entry(file_.tensors, layer, ".comfy_quant")) continue;
      const Group* fitting = nullptr;
      bool is_clear = true;
      for (const Group& group : groups) {
        if (group.packed != is_packed || !fits(layer, group)) continue;
        is_clear = fitting == nullptr || fitting->format == group.format;
        if (!is_clear) break;
        fitting = &group;
      }
      if (fitting != nullptr && is_clear) add_layer(layer, *fitting);
    }
  }

  // Groups of columns in another order than that of the row.
  bool is_ordered(std::string_view layer) const {
    return has_entry(file_.tensors, layer, ".weight_g_idx");
  }

  const TensorEntry* find(const std::string& layer, std::string_view suffix) const {
    return file_.tensors.find(layer + std::string(suffix));
  }

  // Its entries, of which those that are not there are null.
  StoredLayer entries_of(const std::string& layer, const Group& group) const {
    StoredLayer stored;
    stored.parts[Role::kCodes] = find(layer, group.packed ? kPacked : kWeightSuffix);
    stored.parts[Role::kScales] = find(layer, kScale);
    if (group.packed) stored.description = find(layer, kShape);
    if (!group.format.symmetric) stored.parts[Role::kZeroPoints] = find(layer, kZeroPoint);
    stored.format = group.format;
    stored.storage = group.storage;
    return stored;
  }

  // Whether the entries are those of a layer of this format. No word about what is wrong.
  bool fits(const std::string& layer, const Group& group) const {
    try {
      const StoredLayer stored = entries_of(layer, group);
      if (stored.codes() == nullptr || is_ordered(layer)) return false;
      // Else a symmetric format would fit what is not.
      if (group.packed && group.format.symmetric && find(layer, kZeroPoint) != nullptr) {
        return false;
      }
      check_complete(stored, layer, group);
      const std::array<std::uint64_t, 2> matrix = matrix_of(stored, group);
      check_sizes(stored, matrix[0], matrix[1], group.packed);
      return true;
    } catch (const CheckpointFault& fault) {
      if (fault.rule == FileRule::kShrank || fault.rule == FileRule::kChanged) throw;
      return false;
    }
  }

  // False when the file has no codes of that layer, or they are not decoded.
  bool add_layer(const std::string& layer, const Group& group) {
    StoredLayer stored = entries_of(layer, group);
    if (stored.codes() == nullptr) return false;
    if (!group.packed && stored.codes()->dtype != ElementType::kI8) return false;
    if (is_ordered(layer)) {
      layers_.leave(keep(layer, layers_.memory()), kOrdered);
      return false;
    }
    check_complete(stored, layer, group);
    stored.name = joined(layer, kWeightSuffix, layers_.memory());
    stored.format.scale_dtype = *float_dtype(stored.scales()->dtype);
    const std::array<std::uint64_t, 2> matrix = matrix_of(stored, group);
    check_sizes(stored, matrix[0], matrix[1], group.packed);
    read_before(stored, matrix);
    // Asymmetric ones are parts of it.
    const auto others = std::span(kOthers).first(kOthers.size() - (group.format.symmetric ? 0 : 1));
    stored.others = present(file_.tensors, layer, others, layers_.memory());
    done_.insert(std::string(layer));
    layers_.add(stored);
    return true;
  }

  void check_complete(const StoredLayer& stored, const std::string& layer,
                      const Group& group) const {
    require(stored, stored.scales(), layer, kScale);
    if (group.packed) require(stored, stored.description, layer, kShape);
    if (!group.format.symmetric)
      require(stored, stored.parts[Role::kZeroPoints], layer, kZeroPoint);
    const std::optional<DType> scale_dtype = float_dtype(stored.scales()->dtype);
    if (!scale_dtype || *scale_dtype == DType::kF64) {
      throw_layer_fault(FileRule::kLayerDType, file_, stored.scales(),
                        "it must be F32, F16 or BF16");
    }
  }

  void require(const StoredLayer& stored, const TensorEntry* part, const std::string& layer,
               std::string_view suffix) const {
    if (part != nullptr) return;
    throw_layer_fault(FileRule::kLayerIncomplete, file_, stored.codes(),
                      layer + std::string(suffix));
  }

  // Rows and columns.
  std::array<std::uint64_t, 2> matrix_of(const StoredLayer& stored, const Group& group) const {
    if (group.packed) return read_matrix(stored);
    if (stored.codes()->shape.size() != 2) {
      throw_layer_fault(FileRule::kLayerShape, file_, stored.codes(),
                        "it must have two dimensions");
    }
    return {stored.codes()->shape[0], stored.codes()->shape[1]};
  }

  std::array<std::uint64_t, 2> read_matrix(const StoredLayer& stored) const {
    const TensorEntry& entry = *stored.description;
    check_entry(file_, entry, ElementType::kI64, {2});
    std::array<std::uint8_t, 16> buffer = {};
    const auto* bytes =
        reinterpret_cast<const std::uint8_t*>(file_.read(entry, 0, buffer.size(), buffer.data()));
    std::array<std::uint64_t, 2> matrix = {};
    for (std::size_t index = buffer.size(); index-- > 0;) {
      matrix[index / 8] = matrix[index / 8] << 8 | bytes[index];
    }
    return matrix;
  }

  void check_sizes(const StoredLayer& stored, std::uint64_t rows, std::uint64_t cols,
                   bool packed) const {
    const Format& format = stored.format;
    const auto bits = static_cast<std::uint64_t>(format.spec->bits);
    if (packed) {
      check_entry(file_, *stored.codes(), ElementType::kI32, {rows, words(cols, bits)});
    } else {
      check_entry(file_, *stored.codes(), ElementType::kI8, {rows, cols});
    }
    const bool grouped = format.group_size.kind == GroupSize::Kind::kColumns;
    if (grouped && cols % format.group_size.columns != 0) {
      throw_layer_fault(FileRule::kLayerShape, file_, stored.codes(),
                        "a row of " + std::to_string(cols) + " codes is not made of groups of " +
                            std::to_string(format.group_size.columns));
    }
    if (format.group_size.kind == GroupSize::Kind::kTensor) {
      // [] or [1].
      if (stored.scales()->shape.empty()) return;
      return check_entry(file_, *stored.scales(), stored.scales()->dtype, {1});
    }
    const std::uint64_t groups = grouped ? cols / format.group_size.columns : 1;
    check_entry(file_, *stored.scales(), stored.scales()->dtype, {rows, groups});
    if (stored.parts[Role::kZeroPoints] == nullptr) return;
    check_entry(file_, *stored.parts[Role::kZeroPoints], ElementType::kI32,
                {words(rows, bits), groups});
  }

  // What the tensor was: a matrix in the dtype of the scales, unless the file says otherwise.
  void read_before(StoredLayer& stored, const std::array<std::uint64_t, 2>& matrix) {
    stored.dtype = stored.scales()->dtype;
    stored.shape = keep(matrix, layers_.memory());
    if (const JsonValue* before = before_.member(stored.name)) {
      const std::string* name = text_member(*before, "dtype");
      const auto dtype = name == nullptr ? std::nullopt : element_type_from_name(*name);
      if (!dtype || !float_dtype(*dtype)) fail_config("a dtype in 'quarrow.layers' is no float");
      stored.dtype = *dtype;
      if (const JsonValue* shape = before->member("shape")) {
        stored.shape = shape_before(stored, matrix, *shape);
      }
    }
    bool partial_byte = false;
    if (!tensor_bytes(stored.dtype, stored.shape, partial_byte)) {
      throw_layer_fault(FileRule::kLayerShape, file_, stored.codes(),
                        "its values overflow 63 bits");
    }
  }

  std::span<const std::uint64_t> shape_before(const StoredLayer& stored,
                                              const std::array<std::uint64_t, 2>& matrix,
                                              const JsonValue& list) {
    std::vector<std::uint64_t> shape;
    std::optional<std::uint64_t> cols = 1;
    const std::vector<JsonValue>& dimensions = list.items();
    bool fits = dimensions.size() >= 2;
    for (std::size_t axis = 0; fits && axis < dimensions.size(); ++axis) {
      const std::uint64_t* dimension = dimensions[axis].whole();
      fits = dimension != nullptr;
      if (!fits) break;
      shape.push_back(*dimension);
      if (axis > 0) cols = checked_product(*cols, shape.back());
      fits = cols.has_value();
    }
    if (!fits || shape[0] != matrix[0] || *cols != matrix[1]) {
      throw_layer_fault(FileRule::kLayerShape, file_, stored.codes(),
                        "its shape in 'quarrow.layers' has not as many rows and columns");
    }
    return keep(shape, layers_.memory());
  }

  const std::string& config_source() const noexcept {
    return config_path_.empty() ? file_.path : config_path_;
  }
  [[noreturn]] void fail_config(std::string detail) const {
    throw_config_fault(config_source(), std::move(detail));
  }

  const Checkpoint& file_;
  StoredLayers& layers_;
  JsonValue before_;
  std::string config_path_;                  // empty: the metadata describes the layers
  std::set<std::string, std::less<>> done_;  // layers that were added
};

}  // namespace

void decode(const Checkpoint& file, StoredLayers& layers) { Decoder(file, layers).run(); }

}  // namespace quarrow::compressed_tensors
