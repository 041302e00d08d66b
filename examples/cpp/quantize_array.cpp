// SPDX-License-Identifier: Apache-2.0
#include <quarrow/quantize/quantized_layers.h>

#include <cstdint>
#include <cstdio>
#include <vector>

int main() {
  const std::vector<std::int64_t> shape{512, 1024};
  std::vector<float> values(512 * 1024);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 97) - 48.0F;

  quarrow::Format format = quarrow::default_format(*quarrow::find_format("int4"));
  format.group_size = quarrow::GroupSize::of(64);
  const quarrow::TensorView weights =
      quarrow::matrix_view(values.data(), quarrow::DType::kF32, shape);

  const quarrow::QuantizedLayers made = quarrow::quantize_layer({weights, format, "to_q"});
  if (!made.ok()) {
    const std::string_view reason = quarrow::name_of(made.status.code);
    std::fprintf(stderr, "not quantized: %s\n", reason.data());
    return 1;
  }
  std::printf("%zu bytes of codes, %zu scales, %zu zero points\n", made.codes(0).size(),
              made.scales(0).size(), made.zero_points(0).size());

  quarrow::ErrorSums error;
  const std::vector<quarrow::QuantizedView> stored = made.views();
  quarrow::measure_error(made.plan, {&weights, 1}, stored, {&error, 1}, {});
  std::printf("largest error %.2f\n", error.max_abs);
}
