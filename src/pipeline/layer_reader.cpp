// SPDX-License-Identifier: Apache-2.0
#include "pipeline/layer_reader.h"

#include "layouts/packing.h"
#include "pipeline/layer_writer.h"

namespace quarrow {

const std::byte* LayerReader::part(const PartSpec& part, const Tile& tile,
                                   std::byte* buffer) const {
  const PartStorage& storage = stored_.storage->parts[part.role];
  const TensorEntry& entry = *stored_.parts[part.role];
  if (storage.packing != nullptr) {
    storage.packing->read(layer_, part, tile, file_, entry, buffer);
    return buffer;
  }
  const PartSlice slice = slice_of(part, tile);
  if (slice.bytes() == 0) return buffer;
  const std::uint64_t offset = stored_offset(part, slice, tile, storage, entry.dtype);
  const std::uint64_t bytes =
      (slice.rows - 1) * stored_row_bytes(part, slice, storage) + slice.row_bytes;
  if (!float_dtype(part.type)) return file_.read(entry, offset, bytes, buffer);
  // Narrow ones come to lie in the upper half, and are widened from the first one on.
  const std::uint64_t stored_bytes = bytes_as(part, entry.dtype, bytes);
  const std::byte* stored =
      file_.read(entry, offset, stored_bytes, buffer + (bytes - stored_bytes));
  shared_kernels(target_).to_f32(stored, *float_dtype(entry.dtype), bytes / sizeof(float),
                                 reinterpret_cast<float*>(buffer));
  return buffer;
}

PerRole<PartInput> LayerReader::parts(const Tile& tile, TileMemory& memory) const {
  PerRole<PartInput> found;
  for (const PartSpec& spec : layer_.encoding.parts()) {
    const PartSlice slice = slice_of(spec, tile);
    found[spec.role] = {
        part(spec, tile, memory.room(spec, tile)),
        spec.row_stride(stored_row_bytes(spec, slice, stored_.storage->parts[spec.role]))};
  }
  return found;
}

}  // namespace quarrow
