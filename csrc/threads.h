// A small pool of threads. Any number of callers may use it at once; the caller always works too.
#pragma once
#include <functional>

namespace spikewise {

// Run work(task) for task = 0 .. tasks - 1 on up to `threads` threads. The first exception is rethrown.
void parallel(int tasks, int threads, const std::function<void(int)>& work);

}  // namespace spikewise
