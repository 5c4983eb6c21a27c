#include "threads.h"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
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

class Pool {
 public:
  void run(int tasks, int threads, const std::function<void(int)>& work) {
    Job job{.work = &work, .tasks = tasks, .seats = threads - 1};
    {
      const std::lock_guard lock(guard_);
      while (static_cast<int>(workers_) < threads - 1) {
        std::thread([this] { serve(); }).detach();
        ++workers_;
      }
      jobs_.push_back(&job);
    }
    for (int i = 0; i < threads - 1; ++i) wake_.notify_one();
    job.run();
    std::unique_lock lock(guard_);
    std::erase(jobs_, &job);
    done_.wait(lock, [&] { return job.inside.load() == 0; });
    lock.unlock();
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
      Job* job = nullptr;
      wake_.wait(lock, [&] { return (job = open_job()) != nullptr; });
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

}  // namespace

void parallel(int tasks, int threads, const std::function<void(int)>& work) {
  if (threads > tasks) threads = tasks;
  if (threads <= 1) {
    for (int task = 0; task < tasks; ++task) work(task);
    return;
  }
  pool().run(tasks, threads, work);
}

}  // namespace spikewise
