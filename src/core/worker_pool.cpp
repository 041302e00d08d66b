// SPDX-License-Identifier: Apache-2.0
#include "core/worker_pool.h"

#ifdef __SSE2__
#include <immintrin.h>
#endif
#include <pthread.h>
#include <signal.h>
#ifdef __linux__
#include <sched.h>
#include <unistd.h>
#endif

#include <algorithm>
#include <chrono>
#include <exception>
#include <thread>

namespace quarrow {
namespace {

// Calls follow each other within microseconds; to wake a thread that sleeps takes tens of them.
constexpr auto kAwake = std::chrono::microseconds(100);

// Looks for `condition` for a while; false when it did not come true.
template <typename Condition>
bool watch_for(Condition condition) noexcept {
  constexpr int kLooks = 64;
  const auto until = std::chrono::steady_clock::now() + kAwake;
  do {
    for (int look = 0; look < kLooks; ++look) {
      if (condition()) return true;
#ifdef __SSE2__
      _mm_pause();
#endif
    }
    // Whoever is waited for may need this very CPU.
    std::this_thread::yield();
  } while (std::chrono::steady_clock::now() < until);
  return false;
}

// A thread starts with the signal mask of whoever starts it. Signals to the process are for threads
// of the program; those of a fault reach the thread that made it, unless it blocks them, which ends
// the process without a word.
class SignalsBlocked {
 public:
  SignalsBlocked() noexcept {
    sigset_t blocked;
    sigfillset(&blocked);
    for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP}) sigdelset(&blocked, fault);
    pthread_sigmask(SIG_SETMASK, &blocked, &saved_);
  }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &saved_, nullptr); }

 private:
  sigset_t saved_{};
};

// And with its CPUs: of a caller that is bound to one of them, whom the pool outlives.
void run_on_cpus_of_process() noexcept {
#ifdef __linux__
  cpu_set_t mask;
  if (::sched_getaffinity(::getpid(), sizeof(mask), &mask) == 0) {
    ::sched_setaffinity(0, sizeof(mask), &mask);
  }
#endif
}

}  // namespace

void WorkerPool::offer(Job& job) noexcept {
  const std::lock_guard lock(mutex_);
  (first_ == nullptr ? first_ : last_->next) = &job;
  last_ = &job;
  open_ += job.wanted;
  offers_.fetch_add(1, std::memory_order_release);
  const std::size_t idle = started_ - busy_;
  if (idle < open_) start_threads(open_ - idle);
  const std::size_t awake = started_ - busy_ - asleep_;
  const std::size_t wakened = std::min(asleep_, open_ - std::min(open_, awake));
  for (std::size_t i = 0; i < wakened; ++i) offered_.notify_one();
}

void WorkerPool::start_threads(std::size_t count) noexcept {
  const SignalsBlocked in_new_threads;
  try {
    for (; count > 0 && started_ < most_; --count) {
      std::thread([this] { serve(); }).detach();
      ++started_;
    }
  } catch (const std::exception&) {
    // No memory or no more threads for this process; the next job asks again.
  }
}

void WorkerPool::withdraw(Job& job) noexcept {
  {
    const std::lock_guard lock(mutex_);
    if (job.taken < job.wanted) unlink(job);
    open_ -= job.wanted - job.taken;
  }
  const auto left = [&job] { return job.running.load(std::memory_order_acquire) == 0; };
  if (watch_for(left)) return;
  std::unique_lock lock(mutex_);
  job.caller_sleeps = true;
  left_.wait(lock, left);
}

void WorkerPool::unlink(Job& job) noexcept {
  Job* before = nullptr;
  Job* each = first_;
  for (; each != &job; each = each->next) before = each;
  (before == nullptr ? first_ : before->next) = job.next;
  if (last_ == &job) last_ = before;
}

WorkerPool::Job* WorkerPool::take() noexcept {
  Job* const job = first_;
  if (job == nullptr) return nullptr;
  ++job->taken;
  --open_;
  job->running.fetch_add(1, std::memory_order_relaxed);
  if (job->taken == job->wanted) unlink(*job);
  return job;
}

void WorkerPool::serve() noexcept {
  run_on_cpus_of_process();
  for (;;) {
    std::unique_lock lock(mutex_);
    Job* const job = take();
    if (job == nullptr) {
      const std::uint64_t seen = offers_.load(std::memory_order_relaxed);
      lock.unlock();
      wait_for_offer(seen);
      continue;
    }
    const std::size_t worker = job->taken;
    ++busy_;
    lock.unlock();
    job->loop.work(worker);
    lock.lock();
    --busy_;
    const bool sleeps = job->caller_sleeps;
    // The job is gone as soon as its caller sees this.
    job->running.fetch_sub(1, std::memory_order_release);
    lock.unlock();
    if (sleeps) left_.notify_all();
  }
}

void WorkerPool::wait_for_offer(std::uint64_t seen) noexcept {
  if (watch_for([&] { return offers_.load(std::memory_order_acquire) != seen; })) return;
  std::unique_lock lock(mutex_);
  ++asleep_;
  offered_.wait(lock, [this] { return first_ != nullptr; });
  --asleep_;
}

}  // namespace quarrow
