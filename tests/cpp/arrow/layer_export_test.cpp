// SPDX-License-Identifier: Apache-2.0
#include "quarrow/arrow/layer_export.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <string>
#include <vector>

namespace quarrow {
namespace {

// Rows that lie side by side in one block, as the engine leaves them.
class Rows {
 public:
  explicit Rows(std::initializer_list<const char*> formats) : memory_(std::make_shared<int>()) {
    std::vector<LayerRequest> requests;
    for (const char* name : formats) {
      Format format = default_format(*find_format(name));
      requests.push_back(
          {.view = {.dtype = DType::kF32, .rows = 2, .cols = 6}, .format = format, .name = ""});
    }
    const Plan plan = plan_layers(requests);
    PerRole<std::byte*> next;
    for (std::size_t i = 0; i < kRoles; ++i) next.items[i] = parts_.items[i].data();
    for (const LayerPlan& layer : plan.layers) {
      ResultRow row{.name = "layer " + std::to_string(rows_.size()),
                    .layer = layer,
                    .shape = {2, 6},
                    .stored = {},
                    .memory = memory_};
      for (const PartSpec& part : layer.encoding.parts()) {
        row.stored[part.role] = next[part.role];
        next[part.role] += part.bytes();
      }
      rows_.push_back(row);
    }
  }

  std::vector<ResultRow>& rows() { return rows_; }
  std::weak_ptr<const void> forget() {
    std::weak_ptr<const void> memory = memory_;
    memory_.reset();
    rows_.clear();
    return memory;
  }
  const void* codes() const { return parts_[Role::kCodes].data(); }

 private:
  std::shared_ptr<const void> memory_;
  PerRole<std::array<std::byte, 1000>> parts_;
  std::vector<ResultRow> rows_;
};

TEST(LayerExport, CodesAreThoseOfTheEngine) {
  Rows rows{"int4", "int8_rowwise", "int8"};
  ArrowOwner<ArrowArray> array;
  export_rows(rows.rows(), array.get());
  ASSERT_EQ(array->n_children, 11);
  EXPECT_EQ(array->length, 3);
  const ArrowArray& codes = *array->children[1];
  EXPECT_EQ(codes.buffers[2], rows.codes());
  std::int64_t offsets[4];
  std::memcpy(offsets, codes.buffers[1], sizeof offsets);
  EXPECT_EQ(offsets[1], 6);
  EXPECT_EQ(offsets[2], 6 + 12);
  EXPECT_EQ(offsets[3], 6 + 12 + 12);
  const ArrowArray& zero_points = *array->children[3];
  EXPECT_EQ(zero_points.null_count, 1);
  EXPECT_EQ(static_cast<const std::uint8_t*>(zero_points.buffers[0])[0], 0b101);
}

TEST(LayerExport, MemoryLivesAsLongAsAChildThatWasMovedOut) {
  Rows rows{"int4", "int4"};
  ArrowOwner<ArrowArray> array;
  export_rows(rows.rows(), array.get());
  const std::weak_ptr<const void> memory = rows.forget();
  {
    const ArrowOwner<ArrowArray> codes(*array->children[1]);
    const ArrowOwner<ArrowArray> item(*array->children[2]->children[0]);
    array.reset();
    EXPECT_FALSE(memory.expired());
  }
  EXPECT_TRUE(memory.expired());
}

TEST(LayerExport, MemoryLivesAsLongAsAStream) {
  Rows rows{"int4", "int4"};
  auto shared = std::make_shared<const std::vector<ResultRow>>(rows.rows());
  ArrowOwner<ArrowArrayStream> stream;
  export_stream(shared, stream.get());
  shared.reset();
  const std::weak_ptr<const void> memory = rows.forget();
  ArrowOwner<ArrowSchema> schema;
  ASSERT_EQ(stream->get_schema(stream.get(), schema.get()), 0);
  EXPECT_STREQ(schema->children[2]->children[0]->format, "f");
  ArrowOwner<ArrowArray> array;
  ASSERT_EQ(stream->get_next(stream.get(), array.get()), 0);
  EXPECT_EQ(array->length, 2);
  ArrowOwner<ArrowArray> end;
  ASSERT_EQ(stream->get_next(stream.get(), end.get()), 0);
  EXPECT_FALSE(end);
  stream.reset();
  EXPECT_FALSE(memory.expired());
  array.reset();
  EXPECT_TRUE(memory.expired());
}

TEST(LayerExport, AnArrayEndsWhereTheMemoryDoes) {
  Rows rows{"int4", "int8_rowwise", "int4", "int8"};
  EXPECT_EQ(rows_of_one_array(rows.rows()), 4U);
  ++rows.rows()[2].stored[Role::kCodes];
  EXPECT_EQ(rows_of_one_array(rows.rows()), 2U);
  --rows.rows()[2].stored[Role::kCodes];
  ++rows.rows()[3].stored[Role::kScales];
  EXPECT_EQ(rows_of_one_array(rows.rows()), 3U);
  --rows.rows()[3].stored[Role::kScales];
  // Zero points are compared with those of the last row that has any.
  ++rows.rows()[2].stored[Role::kZeroPoints];
  EXPECT_EQ(rows_of_one_array(rows.rows()), 2U);
  --rows.rows()[2].stored[Role::kZeroPoints];
  rows.rows()[1].memory = std::make_shared<int>();
  EXPECT_EQ(rows_of_one_array(rows.rows()), 1U);
}

}  // namespace
}  // namespace quarrow
