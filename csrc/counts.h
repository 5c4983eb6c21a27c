// What each feature of a signal sent, over steps and images: spikes from the bits, 64 features at a time.
#pragma once
#include <array>
#include <cmath>

#include "signal.h"
#include "threads.h"

namespace spikewise::SPIKEWISE_ISA {

// The eight bits of each byte as eight bytes.
inline const std::array<Word, 256>& spread_bytes() {
  static const std::array<Word, 256> spread = [] {
    std::array<Word, 256> out{};
    for (int byte = 0; byte < 256; ++byte)
      for (int bit = 0; bit < 8; ++bit) out[byte] |= static_cast<Word>(byte >> bit & 1) << (8 * bit);
    return out;
  }();
  return spread;
}

// Of 64 features, those in word `word` of every frame.
inline void count_spikes(const Signal& s, std::size_t word, std::array<std::uint64_t, 64>& counts) {
  const std::array<Word, 256>& spread = spread_bytes();
  const std::size_t frames = static_cast<std::size_t>(s.batch) * s.steps;
  constexpr std::size_t kMost = 255;  // that a byte can count
  for (std::size_t from = 0; from < frames; from += kMost) {
    Word sums[8] = {};
    for (std::size_t i = from; i < std::min(from + kMost, frames); ++i) {
      const Word bits = s.bits[i * s.words + word];
      for (int k = 0; k < 8; ++k) sums[k] += spread[bits >> (8 * k) & 255];
    }
    for (int f = 0; f < 64; ++f) counts[f] += sums[f / 8] >> (8 * (f % 8)) & 255;
  }
}

// Of `count` features from `first` on: numbers that are not zero, or with a `quantum` spikes of that size.
inline void count_values(const Signal& s, std::size_t first, std::size_t count, float quantum, std::array<std::uint64_t, 64>& counts) {
  const std::size_t frames = static_cast<std::size_t>(s.batch) * s.steps;
  for (std::size_t i = 0; i < frames; ++i) {
    const float* row = &s.values[i * s.length + first];
    if (quantum == 0.0f)
      for (std::size_t f = 0; f < count; ++f) counts[f] += row[f] != 0.0f;
    else
      for (std::size_t f = 0; f < count; ++f) counts[f] += static_cast<std::uint64_t>(std::nearbyint(std::abs(row[f] / quantum)));
  }
}

inline void count_events(const Signal& s, float quantum, int threads, float* out) {
  const std::size_t features = s.features;
  parallel(static_cast<int>((features + 63) / 64), threads, [&](int piece) {
    const std::size_t first = 64 * static_cast<std::size_t>(piece), count = std::min<std::size_t>(64, features - first);
    std::array<std::uint64_t, 64> counts{};
    if (s.spikes) count_spikes(s, piece, counts);
    else count_values(s, first, count, quantum, counts);
    for (std::size_t f = 0; f < count; ++f) out[first + f] = static_cast<float>(counts[f]);
  });
}

}  // namespace spikewise::SPIKEWISE_ISA
