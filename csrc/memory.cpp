#include "memory.h"

#include <mutex>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace spikewise {
namespace {

// Large blocks are used again by the next batch: fresh pages cost more than the work done in them. What is kept and what is in use
// are together no more than was ever in use at once since the last release, or than so much beside what is in use.
constexpr std::size_t kLarge = 64 << 10, kAlwaysKept = 192 << 20;

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

struct Block {
  void* memory;
  std::size_t size;
};

// Never destroyed: threads may still run when the process ends.
struct Kept {
  std::mutex guard;
  std::vector<Block> blocks;  // the last given back last
  std::size_t bytes = 0, used = 0, most_used = 0;

  // One of just this size; null if there is none.
  void* find(std::size_t size) {
    for (std::size_t i = blocks.size(); i-- > 0;)
      if (blocks[i].size == size) {
        void* const found = blocks[i].memory;
        blocks.erase(blocks.begin() + static_cast<std::ptrdiff_t>(i)), bytes -= size;
        return found;
      }
    return nullptr;
  }
  // End the longest unused ones, as many as are too many.
  void limit() {
    const std::size_t most = std::max(most_used, used + kAlwaysKept);
    std::size_t ended = 0;
    for (; ended < blocks.size() && used + bytes > most; ++ended) std::free(blocks[ended].memory), bytes -= blocks[ended].size;
    blocks.erase(blocks.begin(), blocks.begin() + static_cast<std::ptrdiff_t>(ended));
  }
};

Kept& kept() {
  static Kept* const one = new Kept;
  return *one;
}

}  // namespace

void* take_memory(std::size_t size) {
  if (size >= kLarge) {
    Kept& k = kept();
    const std::lock_guard lock(k.guard);
    void* const found = k.find(size);
    k.used += size, k.most_used = std::max(k.most_used, k.used);
    if (found) return found;
    k.limit();
  }
  if (void* const block = fresh(size)) return block;
  release_memory();  // where the system refuses, what is kept for later goes first
  if (void* const block = fresh(size)) return block;
  if (size >= kLarge) {
    Kept& k = kept();
    const std::lock_guard lock(k.guard);
    k.used -= size;
  }
  throw std::bad_alloc();
}

void give_memory(void* block, std::size_t size) {
  if (size < kLarge) return std::free(block);
  Kept& k = kept();
  const std::lock_guard lock(k.guard);
  k.blocks.push_back({block, size});
  k.bytes += size, k.used -= size;
  k.limit();
}

void release_memory() {
  Kept& k = kept();
  const std::lock_guard lock(k.guard);
  for (const Block& block : k.blocks) std::free(block.memory);
  k.blocks.clear();
  k.bytes = 0, k.most_used = k.used;
}

}  // namespace spikewise
