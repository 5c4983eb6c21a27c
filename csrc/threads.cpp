#include "threads.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
#endif
#if defined(__linux__)
#include <dlfcn.h>
#include <link.h>
#endif

namespace spikewise {
namespace {

struct Job {
  const std::function<void(int)>* work;
  int tasks;
  int seats;  // workers that may still join
  std::atomic<int> next{0};
  std::atomic<int> inside{0};
  std::atomic<bool> failed{false};
  std::exception_ptr error;
  std::mutex error_guard;

  void run() {
    for (int task = next.fetch_add(1); task < tasks; task = next.fetch_add(1)) {
      try {
        if (!failed.load(std::memory_order_relaxed)) (*work)(task);
      } catch (...) {
        const std::lock_guard lock(error_guard);
        if (!failed.exchange(true)) error = std::current_exception();
      }
    }
  }
};

// Wait a moment for `done` without going to sleep: the sections of a pass follow each other within microseconds, and waking a
// thread takes tens of them.
template <class Done>
bool soon(const Done& done) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point end = Clock::now() + std::chrono::microseconds(30);
  do {
    for (int i = 0; i < 16; ++i) {
      if (done()) return true;
#if defined(__x86_64__)
      __builtin_ia32_pause();
#else
      std::this_thread::yield();
#endif
    }
  } while (Clock::now() < end);
  return false;
}

class Pool {
 public:
  void run(int tasks, int threads, const std::function<void(int)>& work) {
    Job job{.work = &work, .tasks = tasks, .seats = threads - 1};
    int asleep = 0;
    {
      const std::lock_guard lock(guard_);
      while (static_cast<int>(workers_) < threads - 1) {
        std::thread([this] { serve(); }).detach();
        ++workers_;
      }
      jobs_.push_back(&job);
      offered_.fetch_add(1, std::memory_order_relaxed);
      asleep = asleep_;
    }
    for (int i = 0; i < std::min(threads - 1, asleep); ++i) wake_.notify_one();
    job.run();
    auto all_left = [&] { return job.inside.load() == 0; };
    std::unique_lock lock(guard_);
    std::erase(jobs_, &job);
    if (!all_left()) {
      lock.unlock();
      if (!soon(all_left)) {
        lock.lock();
        done_.wait(lock, all_left);
        lock.unlock();
      }
    } else lock.unlock();
    if (job.error) std::rethrow_exception(job.error);
  }

 private:
  Job* open_job() {
    for (Job* job : jobs_)
      if (job->seats > 0 && job->next.load(std::memory_order_relaxed) < job->tasks) return job;
    return nullptr;
  }

  void serve() {
    std::unique_lock lock(guard_);
    for (;;) {
      Job* job = open_job();
      if (!job) {
        const unsigned seen = offered_.load(std::memory_order_relaxed);
        lock.unlock();
        soon([&] { return offered_.load(std::memory_order_relaxed) != seen; });
        lock.lock();
        ++asleep_;
        wake_.wait(lock, [&] { return (job = open_job()) != nullptr; });
        --asleep_;
      }
      --job->seats;
      ++job->inside;
      lock.unlock();
      job->run();
      lock.lock();
      ++job->seats;
      if (--job->inside == 0) done_.notify_all();
    }
  }

  std::mutex guard_;
  std::condition_variable wake_, done_;
  std::deque<Job*> jobs_;
  std::size_t workers_ = 0;
  int asleep_ = 0;                    // workers that only a notice wakes
  std::atomic<unsigned> offered_{0};  // jobs so far
};

// The threads of a pool do not survive a fork, so a child process gets a pool of its own. A pool is never destroyed: its
// threads wait in it until the process ends.
Pool& pool() {
  static std::mutex guard;
  static Pool* current = nullptr;
  const std::lock_guard lock(guard);
#if defined(__unix__) || defined(__APPLE__)
  static pid_t owner = 0;
  if (owner != getpid()) {
    owner = getpid();
    current = nullptr;
  }
#endif
  if (!current) current = new Pool;
  return *current;
}

// PyTorch's own threads, where it runs on GNU OpenMP. After a parallel operation they look for the next one for a while, and
// take a processor each; a second pool would get what they leave. One pool has no such quarrel.
using GompParallel = void (*)(void (*work)(void*), void* data, unsigned threads, unsigned flags);

GompParallel find_gomp() {
#if defined(__linux__)
  GompParallel found = nullptr;
  dl_iterate_phdr(
      [](dl_phdr_info* library, std::size_t, void* out) {
        // Other libraries may have brought an OpenMP of their own; a look-up through PyTorch's finds the one it works with.
        if (!std::strstr(library->dlpi_name, "libtorch_cpu")) return 0;
        void* const handle = dlopen(library->dlpi_name, RTLD_LAZY | RTLD_NOLOAD);
        *static_cast<GompParallel*>(out) = handle ? reinterpret_cast<GompParallel>(dlsym(handle, "GOMP_parallel")) : nullptr;
        return 1;
      },
      &found);
  return found;
#else
  return nullptr;
#endif
}

#if defined(__linux__)
const pid_t loaded_by = getpid();
#endif

// Null in a child process: its OpenMP has lost its threads, and would wait for them for ever.
GompParallel gomp() {
#if defined(__linux__)
  static const GompParallel found = find_gomp();
  return getpid() == loaded_by ? found : nullptr;
#else
  return nullptr;
#endif
}

}  // namespace

void parallel(int tasks, int threads, const std::function<void(int)>& work) {
  if (threads <= 1 || tasks <= 1) {
    for (int task = 0; task < tasks; ++task) work(task);
    return;
  }
  if (const GompParallel run = gomp()) {
    Job job{.work = &work, .tasks = tasks, .seats = 0};
    // Always as many threads: OpenMP would end those it has too many.
    run([](void* data) { static_cast<Job*>(data)->run(); }, &job, static_cast<unsigned>(threads), 0);
    if (job.error) std::rethrow_exception(job.error);
    return;
  }
  pool().run(tasks, std::min(tasks, threads), work);
}

}  // namespace spikewise
