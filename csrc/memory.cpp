#include "memory.h"

#include <map>
#include <mutex>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace spikewise {
namespace {

// Large blocks are used again by the next batch: fresh pages cost more than the work done in them.
constexpr std::size_t kLarge = 64 << 10, kMostKept = 192 << 20;

// Huge pages for what is longer: rows of maps lie a page apart, and every step of a neuron would miss the translation buffer.
constexpr std::size_t kHugePage = 2 << 20;

void* fresh(std::size_t size) {
#if defined(__linux__)
  if (size >= 2 * kHugePage) {
    void* block = std::aligned_alloc(kHugePage, round_up(size, kHugePage));
    if (block) madvise(block, size / kHugePage * kHugePage, MADV_HUGEPAGE);  // a wish: without it all works the same
    return block;
  }
#endif
  return std::aligned_alloc(64, size);
}

std::mutex guard;
std::multimap<std::size_t, void*> kept;
std::size_t kept_bytes = 0;

}  // namespace

void* take_memory(std::size_t size) {
  if (size >= kLarge) {
    const std::lock_guard lock(guard);
    const auto found = kept.find(size);
    if (found != kept.end()) {
      void* block = found->second;
      kept.erase(found);
      kept_bytes -= size;
      return block;
    }
  }
  void* block = fresh(size);
  if (!block) throw std::bad_alloc();
  return block;
}

void give_memory(void* block, std::size_t size) {
  if (size >= kLarge) {
    const std::lock_guard lock(guard);
    while (kept_bytes + size > kMostKept && !kept.empty()) {
      kept_bytes -= kept.begin()->first;
      std::free(kept.begin()->second);
      kept.erase(kept.begin());
    }
    if (size <= kMostKept) {
      kept.emplace(size, block);
      kept_bytes += size;
      return;
    }
  }
  std::free(block);
}

}  // namespace spikewise
