// SPDX-License-Identifier: Apache-2.0
//
// What a file job meets on its caller's side: polls, progress, an executor at its worst.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "quarrow/core/executor.h"
#include "quarrow/pipeline/file_job.h"

namespace quarrow {

class CountingPoll : public Poll {
 public:
  explicit CountingPoll(std::function<bool()> answer) : answer_(std::move(answer)) {}
  bool keep_going() noexcept override { return answer_(); }

 private:
  std::function<bool()> answer_;
};

class RecordedProgress : public FileProgress {
 public:
  struct Call {
    std::uint64_t done;
    std::uint64_t total;
    std::string name;
  };
  bool advanced(std::uint64_t done, std::uint64_t total, std::string_view name) noexcept override {
    calls.push_back({done, total, std::string(name)});
    return calls.size() < stop_at;
  }
  std::vector<Call> calls;
  std::size_t stop_at = std::numeric_limits<std::size_t>::max();
};

// What an executor may do, made certain: of two tiles that run at a time the later one ends first,
// and it polls once more after it was told to stop.
class UnluckyExecutor final : public Executor {
 public:
  std::string_view name() const noexcept override { return "unlucky"; }
  bool run(std::size_t count, std::size_t, Body body, Poll* poll) override {
    for (std::size_t index = 0; index < count; index += 2) {
      if (index + 1 < count) body(index + 1, 1);
      body(index, 0);
      if (poll != nullptr && !poll->keep_going()) return poll->keep_going();
    }
    return true;
  }
};

}  // namespace quarrow
