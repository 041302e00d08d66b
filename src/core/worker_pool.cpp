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

// The threads that a caller wakes, and each worker that has come to its job. A caller with many
// would be busy with their system calls for as long as the job takes.
constexpr std::size_t kWakesEach = 2;

// Looks for `condition` for a while; false when it did not come true.
template <typename Condition>
bool watch_for(WorkerPool::Now now, Condition condition) noexcept {
  constexpr int kLooks = 64;
  const auto until = now() + WorkerPool::kAwake;
  do {
    for (int look = 0; look < kLooks; ++look) {
      if (condition()) return true;
#ifdef __SSE2__
      _mm_pause();
#endif
    }
    // Whoever is waited for may need this very CPU.
    std::this_thread::yield();
  } while (now() < until);
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

void WorkerPool::run(TileLoop& loop, std::size_t wanted) noexcept {
  Job job{.loop = loop, .wanted = std::min(wanted, most_)};
  if (job.wanted == 0) {
    loop.lead();
    return;
  }
  if (!offer(job) && lead_until_waking_pays(job)) wake_for(job);
  loop.lead();
  if (!loop.left_behind()) withdraw(job);
}

bool WorkerPool::offer(Job& job) noexcept {
  const Clock::time_point now = now_();
  const std::lock_guard lock(mutex_);
  if (now - last_ended_ > kAwake) stretch_began_ = now;
  job.follows_many = now - stretch_began_ >= kWorthWaking;
  (first_ == nullptr ? first_ : last_->next) = &job;
  last_ = &job;
  open_ += job.wanted;
  offers_.fetch_add(1, std::memory_order_release);
  return started_ - busy_ - asleep_ >= open_;
}

// The tiles tell how long the rest will take. Their bytes do not: formats, instruction sets and
// what is done with the bytes differ tenfold.
bool WorkerPool::lead_until_waking_pays(Job& job) noexcept {
  if (job.follows_many) return true;
  TileLoop& loop = job.loop;
  // After a pause the first finds nothing in the caches, and takes up to twice as long as others.
  if (!loop.lead(1)) return false;
  // Tiles may be so small that asking for the time after each would cost as much as they do.
  for (Clock::rep tiles = 1;; tiles *= 2) {
    const Clock::time_point began = now_();
    // In a child that the poll forked there is nobody to wake.
    if (!loop.lead(static_cast<std::size_t>(tiles)) || loop.left_behind()) return false;
    const Clock::duration tile = (now_() - began) / tiles;
    // The caller takes the next one itself.
    if (tile * loop.left() >= kWorthWaking + tile) return true;
  }
}

void WorkerPool::wake_for(Job& job) noexcept {
  const std::lock_guard lock(mutex_);
  job.wakes = true;
  wake_some();
}

void WorkerPool::wake_some() noexcept {
  const std::size_t idle = started_ - busy_;
  if (idle < open_) start_threads(open_ - idle);
  const std::size_t awake = started_ - busy_ - asleep_;
  const std::size_t missing = open_ - std::min(open_, awake);
  for (std::size_t i = 0; i < std::min({missing, asleep_, kWakesEach}); ++i) offered_.notify_one();
}

void WorkerPool::start_threads(std::size_t count) noexcept {
  count = std::min(count, most_ - started_);
  if (count == 0) return;
  const SignalsBlocked in_new_threads;
  try {
    for (; count > 0; --count) {
      std::thread([this] { serve(); }).detach();
      ++started_;
    }
  } catch (const std::exception&) {
    // No memory or no more threads for this process; the next job asks again.
  }
}

std::size_t WorkerPool::asleep() noexcept {
  const std::lock_guard lock(mutex_);
  return asleep_;
}

void WorkerPool::withdraw(Job& job) noexcept {
  const Clock::time_point now = now_();
  {
    const std::lock_guard lock(mutex_);
    if (job.taken < job.wanted) unlink(job);
    open_ -= job.wanted - job.taken;
    last_ended_ = now;
  }
  const auto left = [&job] { return job.running.load(std::memory_order_acquire) == 0; };
  if (watch_for(now_, left)) return;
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
  ++busy_;
  job->running.fetch_add(1, std::memory_order_relaxed);
  if (job->taken == job->wanted) unlink(*job);
  if (job->wakes) wake_some();
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
  const auto offered = [&] { return offers_.load(std::memory_order_acquire) != seen; };
  if (watch_for(now_, offered)) return;
  std::unique_lock lock(mutex_);
  ++asleep_;
  // Whoever is woken too late for a job stays awake for the next one.
  offered_.wait(lock, offered);
  --asleep_;
}

}  // namespace quarrow
