// SPDX-License-Identifier: Apache-2.0
#include <cerrno>
#include <exception>
#include <utility>

#include "quarrow/arrow/layer_export.h"

namespace quarrow {
namespace {

// One consumer's way through the rows.
struct RowStream {
  std::shared_ptr<const std::vector<ResultRow>> rows;
  std::size_t next = 0;
  bool empty_told = false;
  std::string error;

  static RowStream& of(ArrowArrayStream* stream) {
    return *static_cast<RowStream*>(stream->private_data);
  }

  template <typename Job>
  static int run(ArrowArrayStream* stream, Job job) noexcept {
    try {
      job(of(stream));
      return 0;
    } catch (const std::exception& error) {
      of(stream).error = error.what();
      return ENOMEM;
    }
  }
};

int stream_schema(ArrowArrayStream* stream, ArrowSchema* out) {
  return RowStream::run(stream, [out](RowStream&) { export_schema(out); });
}

int stream_next(ArrowArrayStream* stream, ArrowArray* out) {
  return RowStream::run(stream, [out](RowStream& own) {
    *out = {};
    const auto left = std::span(*own.rows).subspan(own.next);
    // No rows are one empty batch: some consumers take a stream without any for a broken one.
    if (left.empty() && (own.empty_told || !own.rows->empty())) return;
    own.empty_told = true;
    const std::size_t count = rows_of_one_array(left);
    export_rows(left.first(count), out);
    own.next += count;
  });
}

const char* stream_error(ArrowArrayStream* stream) {
  const std::string& error = RowStream::of(stream).error;
  return error.empty() ? nullptr : error.c_str();
}

void release_stream(ArrowArrayStream* stream) {
  delete static_cast<RowStream*>(stream->private_data);
  stream->release = nullptr;
}

}  // namespace

void export_stream(std::shared_ptr<const std::vector<ResultRow>> rows, ArrowArrayStream* out) {
  auto own = std::make_unique<RowStream>();
  own->rows = std::move(rows);
  *out = {.get_schema = stream_schema,
          .get_next = stream_next,
          .get_last_error = stream_error,
          .release = release_stream,
          .private_data = own.release()};
}

}  // namespace quarrow
