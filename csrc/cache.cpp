#include "cache.h"

#include <iterator>
#include <list>
#include <mutex>

namespace spikewise {
namespace {

struct Entry {
  const void* plan;
  std::size_t stage;
  Fingerprint content;
  std::shared_ptr<const void> packed;
  std::size_t bytes;
};

constexpr std::size_t kMostKept = 256 << 20;
constexpr int kEach = 2;

// Never destroyed: threads may still run when the process ends.
struct Cache {
  std::mutex guard;
  std::list<Entry> entries;  // the last used first
  std::size_t bytes = 0;

  std::list<Entry>::iterator drop(std::list<Entry>::iterator at) {
    bytes -= at->bytes;
    return entries.erase(at);
  }
};

Cache& cache() {
  static Cache* const one = new Cache;
  return *one;
}

}  // namespace

std::shared_ptr<const void> find_packed(const void* plan, std::size_t stage, const Fingerprint& content) {
  Cache& c = cache();
  const std::lock_guard lock(c.guard);
  for (auto at = c.entries.begin(); at != c.entries.end(); ++at)
    if (at->plan == plan && at->stage == stage && at->content == content) {
      c.entries.splice(c.entries.begin(), c.entries, at);
      return at->packed;
    }
  return nullptr;
}

void keep_packed(const void* plan, std::size_t stage, const Fingerprint& content, std::shared_ptr<const void> packed, std::size_t bytes) {
  if (bytes > kMostKept) return;
  Cache& c = cache();
  const std::lock_guard lock(c.guard);
  c.entries.push_front({plan, stage, content, std::move(packed), bytes});
  c.bytes += bytes;
  int seen = 0;
  for (auto at = c.entries.begin(); at != c.entries.end();)
    at = at->plan == plan && at->stage == stage && ++seen > kEach ? c.drop(at) : std::next(at);
  while (c.bytes > kMostKept) c.drop(std::prev(c.entries.end()));
}

void forget_packed(const void* plan) {
  Cache& c = cache();
  const std::lock_guard lock(c.guard);
  for (auto at = c.entries.begin(); at != c.entries.end();) at = at->plan == plan ? c.drop(at) : std::next(at);
}

}  // namespace spikewise
