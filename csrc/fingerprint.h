// Fingerprints of weights, at the speed of memory.
#pragma once
#include <cstring>
#include <vector>

#include "cache.h"
#include "simd.h"
#include "threads.h"

namespace spikewise::SPIKEWISE_ISA {

constexpr std::uint64_t kOdd = 0x9E3779B97F4A7C15u;

// Two sums of eight lanes each: of the words themselves, so that no change of one word is missed, and of products of
// their halves under a key that changes with the place, so that words that trade places are seen.
inline Fingerprint fingerprint_piece(const float* data, std::size_t count) {
  std::uint64_t plain[8] = {}, mixed[8] = {}, key[8];
  for (std::uint64_t i = 0; i < 8; ++i) key[i] = kOdd * (2 * i + 1);
  auto add = [&](const std::uint64_t* words) {
    for (int i = 0; i < 8; ++i) {
      const std::uint64_t word = words[i] ^ key[i];
      plain[i] += words[i];
      mixed[i] += (word & 0xffffffffu) * (word >> 32);
      key[i] += kOdd;
    }
  };
  std::uint64_t words[8];
  std::size_t at = 0;
  for (; at + 16 <= count; at += 16) {
    std::memcpy(words, data + at, sizeof words);
    add(words);
  }
  std::memset(words, 0, sizeof words);
  if (at < count) std::memcpy(words, data + at, (count - at) * sizeof(float));
  words[7] ^= count;
  add(words);
  Fingerprint out;
  for (int i = 0; i < 8; ++i) out[i] = plain[i], out[8 + i] = mixed[i];
  return out;
}

// Of an array, in pieces that several threads read; continues `before`.
inline Fingerprint fingerprint(Fingerprint before, const float* data, std::size_t count, int threads) {
  constexpr std::size_t kPiece = 64 << 10;
  const int pieces = static_cast<int>((count + kPiece - 1) / kPiece);
  std::vector<Fingerprint> parts(pieces);
  parallel(pieces, threads, [&](int i) { parts[i] = fingerprint_piece(data + i * kPiece, std::min(kPiece, count - i * kPiece)); });
  for (const Fingerprint& part : parts)
    for (std::size_t i = 0; i < part.size(); ++i) before[i] = before[i] * kOdd + part[i];
  return before;
}

}  // namespace spikewise::SPIKEWISE_ISA
