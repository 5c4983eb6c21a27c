#include "threads.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
#endif
#if defined(__linux__)
#include <dlfcn.h>
#include <link.h>
#include <strings.h>
#endif

namespace spikewise {
namespace {

// Each thread begins with a share of the tasks that is the same whenever there are as many: what it left in its caches, of an image
// mostly, is met there again. Whoever is through with its own takes from the others'.
class Job {
 public:
  Job(const std::function<void(int)>& work, int tasks, int threads) : seats(threads - 1), work_(&work), shares_(std::min(threads, kShares)) {
    for (int i = 0; i < shares_; ++i) {
      share_[i].next.store(static_cast<int>(static_cast<std::int64_t>(tasks) * i / shares_), std::memory_order_relaxed);
      share_[i].end = static_cast<int>(static_cast<std::int64_t>(tasks) * (i + 1) / shares_);
    }
  }

  void run(int thread) {
    for (int i = 0; i < shares_; ++i) {
      Share& share = share_[(thread + i) % shares_];
      for (int task = share.next.fetch_add(1); task < share.end; task = share.next.fetch_add(1)) run_one(task);
    }
  }
  bool open() const {
    return std::any_of(share_, share_ + shares_, [](const Share& one) { return one.next.load(std::memory_order_relaxed) < one.end; });
  }
  void rethrow() const {
    if (error_) std::rethrow_exception(error_);
  }

  int seats;  // workers that may still join
  std::atomic<int> inside{0};

 private:
  static constexpr int kShares = 64;
  struct alignas(64) Share {
    std::atomic<int> next;
    int end;
  };

  void run_one(int task) {
    try {
      if (!failed_.load(std::memory_order_relaxed)) (*work_)(task);
    } catch (...) {
      const std::lock_guard lock(error_guard_);
      if (!failed_.exchange(true)) error_ = std::current_exception();
    }
  }

  const std::function<void(int)>* work_;
  int shares_;
  Share share_[kShares];
  std::atomic<bool> failed_{false};
  std::exception_ptr error_;
  std::mutex error_guard_;
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
    Job job(work, tasks, threads);
    int asleep = 0;
    {
      const std::lock_guard lock(guard_);
      while (workers_ < threads - 1 && begin(workers_ + 1)) ++workers_;
      jobs_.push_back(&job);
      offered_.fetch_add(1, std::memory_order_relaxed);
      asleep = asleep_;
    }
    for (int i = 0; i < std::min(threads - 1, asleep); ++i) wake_.notify_one();
    job.run(0);
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
    job.rethrow();
  }

 private:
  Job* open_job() {
    for (Job* job : jobs_)
      if (job->seats > 0 && job->open()) return job;
    return nullptr;
  }

  // Whether there is another worker: a process may have no more threads, and then those that it has do the work.
  bool begin(int number) {
    try {
      std::thread([this, number] { serve(number); }).detach();
      return true;
    } catch (const std::system_error&) {
      return false;
    }
  }

  void serve(int number) {
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
      job->run(number);
      lock.lock();
      ++job->seats;
      if (--job->inside == 0) done_.notify_all();
    }
  }

  std::mutex guard_;
  std::condition_variable wake_, done_;
  std::deque<Job*> jobs_;
  int workers_ = 0;
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

// PyTorch's own threads, where it runs on GNU OpenMP and they spin: after a parallel operation they look for the next one for a while,
// and take a processor each; a second pool would get what they leave. Where they sleep there is no such quarrel, and the pool is better:
// OpenMP ends an operation when every thread has come, even one that a busy machine keeps waiting and whose work others have done.
struct Gomp {
  void (*parallel)(void (*work)(void*), void* data, unsigned threads, unsigned flags) = nullptr;
  int (*thread_number)() = nullptr;

  explicit operator bool() const { return parallel && thread_number; }
};

Gomp find_gomp() {
  Gomp found;
#if defined(__linux__)
  const char* const policy = std::getenv("OMP_WAIT_POLICY");  // as OpenMP has read it when it was loaded
  if (policy && strcasecmp(policy, "passive") == 0) return found;
  dl_iterate_phdr(
      [](dl_phdr_info* library, std::size_t, void* out) {
        // Other libraries may have brought an OpenMP of their own; a look-up through PyTorch's finds the one it works with.
        if (!std::strstr(library->dlpi_name, "libtorch_cpu")) return 0;
        if (void* const handle = dlopen(library->dlpi_name, RTLD_LAZY | RTLD_NOLOAD)) {
          Gomp& gomp = *static_cast<Gomp*>(out);
          gomp.parallel = reinterpret_cast<decltype(gomp.parallel)>(dlsym(handle, "GOMP_parallel"));
          gomp.thread_number = reinterpret_cast<decltype(gomp.thread_number)>(dlsym(handle, "omp_get_thread_num"));
        }
        return 1;
      },
      &found);
#endif
  return found;
}

#if defined(__linux__)
const pid_t loaded_by = getpid();
#endif

// None in a child process: its OpenMP has lost its threads, and would wait for them for ever.
Gomp gomp() {
#if defined(__linux__)
  static const Gomp found = find_gomp();
  if (getpid() == loaded_by) return found;
#endif
  return {};
}

}  // namespace

void parallel(int tasks, int threads, const std::function<void(int)>& work) {
  if (threads <= 1 || tasks <= 1) {
    for (int task = 0; task < tasks; ++task) work(task);
    return;
  }
  if (const Gomp openmp = gomp()) {
    struct Both {
      Job job;
      int (*thread_number)();
    } both{{work, tasks, threads}, openmp.thread_number};
    // Always as many threads: OpenMP would end those it has too many.
    openmp.parallel([](void* data) { static_cast<Both*>(data)->job.run(static_cast<Both*>(data)->thread_number()); }, &both,
                    static_cast<unsigned>(threads), 0);
    both.job.rethrow();
    return;
  }
  pool().run(tasks, std::min(tasks, threads), work);
}

}  // namespace spikewise
