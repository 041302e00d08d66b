// SPDX-License-Identifier: Apache-2.0
//
// The layers that a file's quantization_config names one by one, as ours do. Targets that are
// classes or expressions name layers of a model that is not here: such files are left alone.
#include <array>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/checked_math.h"
#include "layouts/compressed_tensors.h"
#include "layouts/description.h"
#include "layouts/layer_names.h"
#include "quarrow/core/status.h"

namespace quarrow::compressed_tensors {
namespace {

const std::string_view* find_metadata(const TensorTable& file, std::string_view wanted) {
  if (!file.metadata()) return nullptr;
  for (const auto& [key, value] : *file.metadata()) {
    if (key == wanted) return &value;
  }
  return nullptr;
}

const Layout* layout_of_bits(std::uint64_t bits) {
  for (const Layout& layout : layouts()) {
    const bool ours = layout.scheme == &kCompressedTensorsScheme;
    if (ours && static_cast<std::uint64_t>(find_format(layout.format)->bits) == bits)
      return &layout;
  }
  return nullptr;
}

// A group of the configuration. The layout is null when the engine does not know the format.
struct Group {
  const Layout* layout = nullptr;
  Format format;
};

class Decoder {
 public:
  Decoder(const Checkpoint& file, StoredLayers& layers) : file_(file), layers_(layers) {}

  void run() {
    const std::string_view* text = find_metadata(file_.tensors, kConfig);
    if (text == nullptr) return;
    const JsonValue config = parse(kConfig, *text);
    const std::string* method = text_member(config, "quant_method");
    const std::string* format = text_member(config, "format");
    if (method == nullptr || *method != "compressed-tensors") return;
    if (format == nullptr || *format != "pack-quantized") return;
    if (const std::string_view* ours = find_metadata(file_.tensors, kOurs)) {
      before_ = parse(kOurs, *ours);
    }
    const JsonValue* groups = config.member("config_groups");
    if (groups == nullptr || !groups->is_object()) fail_config("'config_groups' is no object");
    for (const auto& [name, group] : groups->members()) add_group(group);
    // Layers that are left alone still need their configuration.
    if (!all_known_) return;
    layers_.add_key(kConfig);
    layers_.add_key(kOurs);
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

  void add_group(const JsonValue& group) {
    const JsonValue* targets = group.member("targets");
    if (targets == nullptr || !targets->is_array()) fail_config("a group has no list 'targets'");
    const Group decoded = decode_group(group);
    for (const JsonValue& target : targets->items()) {
      const std::string* layer = target.text();
      if (layer == nullptr) fail_config("a target is no string");
      if (decoded.layout == nullptr || !add_layer(*layer, decoded)) all_known_ = false;
    }
  }

  Group decode_group(const JsonValue& group) const {
    const JsonValue* weights = group.member("weights");
    if (weights == nullptr || !weights->is_object()) fail_config("a group has no 'weights'");
    const JsonValue* bits = weights->member("num_bits");
    if (bits == nullptr || (bits->whole() == nullptr && bits->negative() == nullptr)) {
      fail_config("'num_bits' is no integer");
    }
    const JsonValue* symmetric = weights->member("symmetric");
    if (symmetric != nullptr && symmetric->boolean() == nullptr) {
      fail_config("'symmetric' is no boolean");
    }
    const std::string* type = text_member(*weights, "type");
    const std::string* strategy = text_member(*weights, "strategy");
    const Layout* layout = bits->whole() == nullptr ? nullptr : layout_of_bits(*bits->whole());
    if (layout == nullptr || (type != nullptr && *type != "int") || strategy == nullptr) return {};
    Format format = default_format(*find_format(layout->format));
    format.symmetric = symmetric == nullptr || *symmetric->boolean();
    if (*strategy == "group") {
      const JsonValue* size = weights->member("group_size");
      if (size == nullptr || size->whole() == nullptr || *size->whole() == 0 ||
          *size->whole() > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
        fail_config("'group_size' is no positive integer");
      }
      format.group_size = GroupSize::of(*size->whole());
    } else if (*strategy == "channel") {
      format.group_size = GroupSize::row();
    } else {
      return {};
    }
    return {layout, format};
  }

  // False when the file has no codes of that layer.
  bool add_layer(const std::string& layer, const Group& group) {
    const auto find = [&](std::string_view suffix) {
      return file_.tensors.find(layer + std::string(suffix));
    };
    StoredLayer stored;
    stored.codes = find(kPacked);
    if (stored.codes == nullptr) return false;
    stored.scales = find(kScale);
    stored.description = find(kShape);
    if (!group.format.symmetric) stored.zero_points = find(kZeroPoint);
    require(stored, stored.scales, layer, kScale);
    require(stored, stored.description, layer, kShape);
    if (!group.format.symmetric) require(stored, stored.zero_points, layer, kZeroPoint);

    const std::optional<DType> scale_dtype = float_dtype(stored.scales->dtype);
    if (!scale_dtype || *scale_dtype == DType::kF64) {
      throw_layer_fault(FileRule::kLayerDType, file_, stored.scales, "it must be F32, F16 or BF16");
    }
    stored.name = joined(layer, kWeightSuffix, layers_.memory());
    stored.format = group.format;
    stored.format.scale_dtype = *scale_dtype;
    stored.storage = &group.layout->storage;
    const std::array<std::uint64_t, 2> matrix = read_matrix(stored);
    check_sizes(stored, matrix[0], matrix[1]);
    read_before(stored, matrix);
    layers_.add(stored);
    return true;
  }

  void require(const StoredLayer& stored, const TensorEntry* part, const std::string& layer,
               std::string_view suffix) const {
    if (part != nullptr) return;
    throw_layer_fault(FileRule::kLayerIncomplete, file_, stored.codes, layer + std::string(suffix));
  }

  std::array<std::uint64_t, 2> read_matrix(const StoredLayer& stored) const {
    const TensorEntry& entry = *stored.description;
    check_entry(file_, entry, StoredDType::kI64, {2});
    std::array<std::uint8_t, 16> buffer = {};
    const auto* bytes =
        reinterpret_cast<const std::uint8_t*>(file_.read(entry, 0, buffer.size(), buffer.data()));
    std::array<std::uint64_t, 2> matrix = {};
    for (std::size_t index = buffer.size(); index-- > 0;) {
      matrix[index / 8] = matrix[index / 8] << 8 | bytes[index];
    }
    return matrix;
  }

  void check_sizes(const StoredLayer& stored, std::uint64_t rows, std::uint64_t cols) const {
    const Format& format = stored.format;
    const auto bits = static_cast<std::uint64_t>(format.spec->bits);
    check_entry(file_, *stored.codes, StoredDType::kI32, {rows, words(cols, bits)});
    if (format.group_size.kind == GroupSize::Kind::kColumns &&
        cols % format.group_size.columns != 0) {
      throw_layer_fault(FileRule::kLayerShape, file_, stored.codes,
                        "a row of " + std::to_string(cols) + " codes is not made of groups of " +
                            std::to_string(format.group_size.columns));
    }
    const std::uint64_t groups =
        format.group_size.kind == GroupSize::Kind::kColumns ? cols / format.group_size.columns : 1;
    check_entry(file_, *stored.scales, stored.scales->dtype, {rows, groups});
    if (stored.zero_points == nullptr) return;
    check_entry(file_, *stored.zero_points, StoredDType::kI32, {words(rows, bits), groups});
  }

  // What the tensor was: a matrix in the dtype of the scales, unless the file says otherwise.
  void read_before(StoredLayer& stored, const std::array<std::uint64_t, 2>& matrix) {
    stored.dtype = stored.scales->dtype;
    stored.shape = keep(matrix, layers_.memory());
    if (const JsonValue* before = before_.member(stored.name)) {
      const std::string* name = text_member(*before, "dtype");
      const auto dtype = name == nullptr ? std::nullopt : stored_dtype_from_name(*name);
      if (!dtype || !float_dtype(*dtype)) fail_config("a dtype in 'quarrow.layers' is no float");
      stored.dtype = *dtype;
      if (const JsonValue* shape = before->member("shape")) {
        stored.shape = shape_before(stored, matrix, *shape);
      }
    }
    bool partial_byte = false;
    if (!tensor_bytes(stored.dtype, stored.shape, partial_byte)) {
      throw_layer_fault(FileRule::kLayerShape, file_, stored.codes, "its values overflow 63 bits");
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
      throw_layer_fault(FileRule::kLayerShape, file_, stored.codes,
                        "its shape in 'quarrow.layers' has not as many rows and columns");
    }
    return keep(shape, layers_.memory());
  }

  [[noreturn]] void fail_config(std::string detail) const {
    throw_layer_fault(FileRule::kLayerDescription, file_, nullptr, std::move(detail));
  }

  const Checkpoint& file_;
  StoredLayers& layers_;
  JsonValue before_;
  bool all_known_ = true;
};

}  // namespace

void decode(const Checkpoint& file, StoredLayers& layers) { Decoder(file, layers).run(); }

}  // namespace quarrow::compressed_tensors
