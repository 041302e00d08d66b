// SPDX-License-Identifier: Apache-2.0
#include "pipeline/copy_bytes.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace quarrow {

std::uint64_t ByteCopier::copy(const FilePosition& from, const FilePosition& to,
                               std::uint64_t bytes, std::span<std::byte> buffer) {
  std::uint64_t done = to.file.is_staged() ? 0 : copy_in_kernel(from, to, bytes);
  while (done < bytes) {
    const std::uint64_t wanted = std::min<std::uint64_t>(bytes - done, buffer.size());
    const std::size_t got =
        from.file.read_at(buffer.data(), static_cast<std::size_t>(wanted), from.position + done);
    to.file.write_at(buffer.data(), got, to.position + done);
    done += got;
    if (got < wanted) break;
  }
  return done;
}

std::uint64_t ByteCopier::copy_in_kernel(const FilePosition& from, const FilePosition& to,
                                         std::uint64_t bytes) {
  std::uint64_t done = 0;
#ifdef __linux__
  while (done < bytes && in_kernel_.load(std::memory_order_relaxed)) {
    auto from_offset = static_cast<off_t>(from.position + done);
    auto to_offset = static_cast<off_t>(to.position + done);
    const ssize_t copied =
        ::copy_file_range(from.file.descriptor(), &from_offset, to.file.descriptor(), &to_offset,
                          static_cast<std::size_t>(bytes - done), 0);
    if (copied > 0) {
      done += static_cast<std::uint64_t>(copied);
    } else if (copied < 0 && errno != EINTR) {
      // Whatever the reason: reading and writing either work or report it.
      in_kernel_.store(false, std::memory_order_relaxed);
    } else if (copied == 0) {
      break;
    }
  }
#else
  static_cast<void>(from);
  static_cast<void>(to);
  static_cast<void>(bytes);
#endif
  return done;
}

}  // namespace quarrow
