// Aligned arrays with slack behind them, so that a vector may be read or written across the end.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

namespace spikewise {

// `size` bytes, aligned to 64; large blocks are kept for the next taker of the same size.
void* take_memory(std::size_t size);
void give_memory(void* block, std::size_t size);
// End all blocks that are kept.
void release_memory();

inline std::size_t round_up(std::size_t n, std::size_t unit) { return (n + unit - 1) / unit * unit; }

template <class T>
class Array {
 public:
  static constexpr std::size_t kSlack = 256;

  Array() = default;
  explicit Array(std::size_t count, bool zero = false) : count_(count) {
    if (count == 0) return;
    const std::size_t size = allocated();
    data_ = static_cast<T*>(take_memory(size));
    if (zero) std::memset(static_cast<void*>(data_), 0, size);
    else std::memset(reinterpret_cast<char*>(data_) + count * sizeof(T), 0, size - count * sizeof(T));
  }
  Array(Array&& other) noexcept : data_(std::exchange(other.data_, nullptr)), count_(std::exchange(other.count_, 0)) {}
  Array& operator=(Array&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(count_, other.count_);
    return *this;
  }
  ~Array() {
    if (data_) give_memory(data_, allocated());
  }

  T* data() { return data_; }
  const T* data() const { return data_; }
  T& operator[](std::size_t i) { return data_[i]; }
  const T& operator[](std::size_t i) const { return data_[i]; }
  std::size_t size() const { return count_; }
  std::size_t bytes() const { return count_ * sizeof(T); }
  explicit operator bool() const { return data_ != nullptr; }
  void zero() { std::memset(static_cast<void*>(data_), 0, count_ * sizeof(T)); }

 private:
  std::size_t allocated() const { return round_up(count_ * sizeof(T) + kSlack, 64); }

  T* data_ = nullptr;
  std::size_t count_ = 0;
};

}  // namespace spikewise
