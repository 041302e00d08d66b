// SPDX-License-Identifier: Apache-2.0
#include "arrow_capsules.h"

#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>

#include <cerrno>
#include <optional>
#include <string>
#include <utility>

#include "errors.h"
#include "interpreter_lock.h"

namespace nb = nanobind;

namespace quarrow::python {
namespace {

template <typename Struct>
constexpr const char* kCapsuleName = nullptr;
template <>
constexpr const char* kCapsuleName<ArrowSchema> = "arrow_schema";
template <>
constexpr const char* kCapsuleName<ArrowArray> = "arrow_array";
template <>
constexpr const char* kCapsuleName<ArrowArrayStream> = "arrow_array_stream";

// A capsule over what `fill` writes.
template <typename Struct, typename Fill>
nb::object make_capsule(Fill fill) {
  auto held = std::make_unique<ArrowOwner<Struct>>();
  fill(held->get());
  nb::object capsule =
      nb::steal(PyCapsule_New(held->get(), kCapsuleName<Struct>, [](PyObject* object) noexcept {
        // The struct is the owner's first and only member.
        delete static_cast<ArrowOwner<Struct>*>(PyCapsule_GetPointer(object, kCapsuleName<Struct>));
      }));
  if (!capsule.is_valid()) {
    throw nb::python_error();
  }
  static_cast<void>(held.release());
  return capsule;
}

template <typename Struct>
ArrowOwner<Struct> take(nb::handle capsule) {
  const char* const name = kCapsuleName<Struct>;
  if (PyCapsule_IsValid(capsule.ptr(), name) == 0) {
    raise_invalid_input(std::string("expected a capsule named '") + name + "', not " +
                        short_repr(capsule));
  }
  auto& held = *static_cast<Struct*>(PyCapsule_GetPointer(capsule.ptr(), name));
  if (held.release == nullptr) {
    raise_invalid_input(std::string("the capsule '") + name +
                        "' has been used before; ask its producer for a new one");
  }
  return ArrowOwner<Struct>(held);
}

// References that any thread may drop. At the interpreter's end they are left to the system.
std::shared_ptr<const void> keep(nb::object object) {
  return {new nb::object(std::move(object)), [](const nb::object* held) {
            if (const LockedFromAnywhere locked; locked) {
              delete held;
            }
          }};
}

// "quarrow.exceptions.NonFiniteError: layer 'x': ...", whatever the exception's own code does.
std::string text_of(const nb::python_error& error) {
  try {
    return utf8_of(nb::type_name(error.type())) + ": " + utf8_of(nb::str(error.value()));
  } catch (const std::exception&) {
    return "an exception that cannot be shown";
  }
}

// One consumer's way through batches that are made when it asks for them.
struct PulledStream {
  std::shared_ptr<const void> kept;
  nb::handle next;
  ResultRows rows;
  std::size_t given = 0;
  std::string error;

  static PulledStream& of(ArrowArrayStream* stream) {
    return *static_cast<PulledStream*>(stream->private_data);
  }

  // False at the end.
  bool fill(ArrowArray* out) {
    *out = {};
    while (rows == nullptr || given == rows->size()) {
      const nb::object made = next();
      if (made.is_none()) {
        return false;
      }
      rows = nb::cast<const ArrowRows&>(made).rows();
      given = 0;
      if (rows->empty()) {
        export_rows({}, out);
        return true;
      }
    }
    const auto left = std::span(*rows).subspan(given);
    const std::size_t count = rows_of_one_array(left);
    export_rows(left.first(count), out);
    given += count;
    return true;
  }
};

int pulled_schema(ArrowArrayStream* stream, ArrowSchema* out) {
  try {
    export_schema(out);
    return 0;
  } catch (const std::bad_alloc&) {
    PulledStream::of(stream).error = "out of memory";
    return ENOMEM;
  }
}

int pulled_next(ArrowArrayStream* stream, ArrowArray* out) {
  PulledStream& own = PulledStream::of(stream);
  const LockedFromAnywhere locked;
  try {
    if (!locked) {
      own.error = "the Python interpreter has ended";
      return EIO;
    }
    try {
      own.fill(out);
      return 0;
    } catch (const nb::python_error& error) {
      own.error = text_of(error);
      return error.matches(PyExc_MemoryError) ? ENOMEM : EINVAL;
    }
  } catch (const std::bad_alloc&) {
    // Of the job, or of the words about its failure; these here are so few that they need none.
    own.error = "out of memory";
    return ENOMEM;
  }
}

const char* pulled_error(ArrowArrayStream* stream) {
  const std::string& error = PulledStream::of(stream).error;
  return error.empty() ? nullptr : error.c_str();
}

void release_pulled(ArrowArrayStream* stream) {
  delete static_cast<PulledStream*>(stream->private_data);
  stream->release = nullptr;
}

}  // namespace

nb::object schema_capsule() {
  return make_capsule<ArrowSchema>([](ArrowSchema* out) { export_schema(out); });
}

nb::tuple array_capsules(const ResultRows& rows) {
  return nb::make_tuple(schema_capsule(), make_capsule<ArrowArray>(
                                              [&](ArrowArray* out) { export_rows(*rows, out); }));
}

nb::object stream_capsule(const ResultRows& rows) {
  return make_capsule<ArrowArrayStream>([&](ArrowArrayStream* out) { export_stream(rows, out); });
}

nb::object stream_capsule(nb::handle next) {
  return make_capsule<ArrowArrayStream>([&](ArrowArrayStream* out) {
    *out = {.get_schema = pulled_schema,
            .get_next = pulled_next,
            .get_last_error = pulled_error,
            .release = release_pulled,
            .private_data = new PulledStream{
                .kept = keep(nb::borrow(next)), .next = next, .rows = {}, .given = 0, .error = {}}};
  });
}

ArrowOwner<ArrowSchema> take_schema(nb::handle capsule) { return take<ArrowSchema>(capsule); }
ArrowOwner<ArrowArray> take_array(nb::handle capsule) { return take<ArrowArray>(capsule); }
ArrowOwner<ArrowArrayStream> take_stream(nb::handle capsule) {
  return take<ArrowArrayStream>(capsule);
}

ResultRow row_of(const QuantizedTensor& tensor) {
  std::optional<std::string> name;
  if (!tensor.name().is_none()) {
    name = utf8_of(tensor.name());
  }
  std::shared_ptr<const void> memory = tensor.owned_memory();
  if (nb::object arrays = tensor.callers_arrays(); !arrays.is_none()) {
    memory = std::make_shared<std::pair<std::shared_ptr<const void>, std::shared_ptr<const void>>>(
        keep(std::move(arrays)), std::move(memory));
  }
  return {.name = std::move(name),
          .layer = tensor.layer(),
          .shape = tensor.shape(),
          .stored = tensor.stored(),
          .memory = std::move(memory)};
}

std::vector<ResultRow> result_rows(LayerBatch& batch, const QuantizedLayers& made) {
  const nb::dict index = batch.index();
  std::vector<ResultRow> rows;
  rows.reserve(index.size());
  for (const auto [name, at] : index) {
    const auto layer = nb::cast<std::size_t>(at);
    rows.push_back({.name = utf8_of(name),
                    .layer = made.plan.layers[layer],
                    .shape = std::move(batch.shape(layer)),
                    .stored = view_of(made.memory.spans()[layer]),
                    .memory = made.memory.owner(layer)});
  }
  return rows;
}

}  // namespace quarrow::python
