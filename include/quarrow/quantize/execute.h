// SPDX-License-Identifier: Apache-2.0
//
// Does what a plan says. Nothing here allocates output: the caller passes memory of the sizes that
// the plan names, which overlaps nothing that is read. quantize_layers() does both in one call.
//
// A job whose call makes no sense returns a status of those that say so (status.h), and has done
// nothing then. What memory cannot be had for is std::bad_alloc.
#pragma once

#include <cstdint>
#include <span>

#include "quarrow/core/context.h"
#include "quarrow/core/status.h"
#include "quarrow/core/tensor_view.h"
#include "quarrow/quantize/plan.h"

namespace quarrow {

// The parts of one layer, borrowed: PartSpec::bytes() of each that its encoding has, at an address
// that suits the elements. Null are those that it does not have; one without bytes may be null.
using QuantizedSpan = PerRole<std::byte*>;
using QuantizedView = PerRole<const std::byte*>;

QuantizedView view_of(const QuantizedSpan& parts) noexcept;

enum class NonFinitePolicy : std::uint8_t {
  kRaise,     // report the layer; its outputs are unspecified
  kSaturate,  // Inf, and f64 beyond f32, take the end codes, NaN the code of 0; ranges come from
              // the values that are finite in f32
};

// Told of each layer once, from any thread, when its last tile is done.
class LayerProgress {
 public:
  virtual ~LayerProgress() = default;
  virtual void finished(std::size_t layer) noexcept = 0;
};

// Quantizes every layer. statuses, one for each layer, says what became of it: kOk, kNonFinite,
// kBeyondF32, kRangeOverflow, or for all layers kCancelled when the poll stopped the job, or why it
// did not begin. A failing layer does not disturb the others. Returns the first status that is not
// ok, in the order of the layers. `progress` may be null; layers that fail are told of too.
Status quantize(const Plan& plan, std::span<const TensorView> inputs,
                std::span<const QuantizedSpan> outputs, NonFinitePolicy policy,
                const Context& context, std::span<Status> statuses,
                LayerProgress* progress = nullptr);

// Writes every layer's values to `outputs`, contiguous matrices of f32, f16 or bf16 (rows x cols of
// the layer, dtype as given), rounded to nearest even from code - zero point times scale in f32.
struct DequantizedSpan {
  void* data = nullptr;
  DType dtype = DType::kF32;
};
Status dequantize(const Plan& plan, std::span<const QuantizedView> inputs,
                  std::span<const DequantizedSpan> outputs, const Context& context);

// Sums over the elements, in f64, from which every error figure follows. Non-finite originals are
// left out.
struct ErrorSums {
  double max_abs = 0;
  double squared_error = 0;
  double squared_original = 0;
  double squared_restored = 0;
  double product = 0;
  std::uint64_t count = 0;

  void add(const ErrorSums& other) noexcept;
  double rmse() const noexcept;
  double sqnr_db() const noexcept;  // +Inf without error, NaN without signal
  double cosine() const noexcept;   // 1 when both are zero
};

// A job of so many input bytes stays on its calling thread.
inline constexpr std::uint64_t kSerialBytes = 2 * kTileBytes;

// How many of the threads offered a job of this plan may use.
std::size_t threads_for(const Plan& plan, std::size_t offered) noexcept;

// Compares stored layers with their originals. Sums are made per tile and added in tile order: the
// same bits for any number of threads.
Status measure_error(const Plan& plan, std::span<const TensorView> originals,
                     std::span<const QuantizedView> stored, std::span<ErrorSums> errors,
                     const Context& context);

}  // namespace quarrow
