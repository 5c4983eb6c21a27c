// Random bytes by counter: Philox4x32-10 (Salmon et al., SC 2011), laid out as `spikewise.randomness.random_bytes`.
#pragma once
#include <cstdint>
#include <cstring>

#include "simd.h"

namespace spikewise::SPIKEWISE_ISA {

struct PhiloxKey {
  std::uint32_t seed, stream;
  std::uint32_t step, index, epoch;  // the counter, but for the block
};

constexpr std::uint32_t kMultiply0 = 0xD2511F53u, kMultiply1 = 0xCD9E8D57u;
constexpr std::uint32_t kKeyStep0 = 0x9E3779B9u, kKeyStep1 = 0xBB67AE85u;
constexpr int kRounds = 10;
#if defined(__AVX512F__)
constexpr int kBlocks = 16;  // blocks made at once: one a lane
#else
constexpr int kBlocks = 8;
#endif
constexpr int kBytes = 16 * kBlocks;

#if defined(__AVX2__)

// One word of each block made at once.
#if defined(__AVX512F__)
using BlockWords = __m512i;
INLINE BlockWords words(std::uint32_t a) { return _mm512_set1_epi32(static_cast<int>(a)); }
INLINE BlockWords words_from(std::uint32_t a) {
  return _mm512_add_epi32(_mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15), words(a));
}
INLINE BlockWords exclusive_or(BlockWords a, BlockWords b, BlockWords c) { return _mm512_ternarylogic_epi32(a, b, c, 0x96); }
INLINE void high_low(BlockWords c, BlockWords multiplier, BlockWords& high, BlockWords& low) {
  const __m512i even = _mm512_mul_epu32(c, multiplier), odd = _mm512_mul_epu32(_mm512_srli_epi64(c, 32), multiplier);
  low = _mm512_mask_blend_epi32(0xAAAA, even, _mm512_slli_epi64(odd, 32));
  high = _mm512_mask_blend_epi32(0xAAAA, _mm512_srli_epi64(even, 32), odd);
}
// Block r of every four, from its words.
INLINE void interleave(BlockWords c0, BlockWords c1, BlockWords c2, BlockWords c3, BlockWords (&rows)[4]) {
  const __m512i a = _mm512_unpacklo_epi32(c0, c1), b = _mm512_unpackhi_epi32(c0, c1), c = _mm512_unpacklo_epi32(c2, c3),
                d = _mm512_unpackhi_epi32(c2, c3);
  rows[0] = _mm512_unpacklo_epi64(a, c), rows[1] = _mm512_unpackhi_epi64(a, c);
  rows[2] = _mm512_unpacklo_epi64(b, d), rows[3] = _mm512_unpackhi_epi64(b, d);
}
#else
using BlockWords = __m256i;
INLINE BlockWords words(std::uint32_t a) { return _mm256_set1_epi32(static_cast<int>(a)); }
INLINE BlockWords words_from(std::uint32_t a) { return _mm256_add_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), words(a)); }
INLINE BlockWords exclusive_or(BlockWords a, BlockWords b, BlockWords c) { return _mm256_xor_si256(_mm256_xor_si256(a, b), c); }
INLINE void high_low(BlockWords c, BlockWords multiplier, BlockWords& high, BlockWords& low) {
  const __m256i even = _mm256_mul_epu32(c, multiplier), odd = _mm256_mul_epu32(_mm256_srli_epi64(c, 32), multiplier);
  low = _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xAA);
  high = _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xAA);
}
// Block r of every four, from its words.
INLINE void interleave(BlockWords c0, BlockWords c1, BlockWords c2, BlockWords c3, BlockWords (&rows)[4]) {
  const __m256i a = _mm256_unpacklo_epi32(c0, c1), b = _mm256_unpackhi_epi32(c0, c1), c = _mm256_unpacklo_epi32(c2, c3),
                d = _mm256_unpackhi_epi32(c2, c3);
  rows[0] = _mm256_unpacklo_epi64(a, c), rows[1] = _mm256_unpackhi_epi64(a, c);
  rows[2] = _mm256_unpacklo_epi64(b, d), rows[3] = _mm256_unpackhi_epi64(b, d);
}
#endif

// The bytes of blocks first .. first + kBlocks - 1.
inline void random_bytes(const PhiloxKey& key, std::uint32_t first, std::uint8_t* out) {
  BlockWords c0 = words_from(first), c1 = words(key.step), c2 = words(key.index), c3 = words(key.epoch);
  const BlockWords m0 = words(kMultiply0), m1 = words(kMultiply1);
  std::uint32_t k0 = key.seed, k1 = key.stream;
  for (int round = 0; round < kRounds; ++round, k0 += kKeyStep0, k1 += kKeyStep1) {
    BlockWords high0, low0, high1, low1;
    high_low(c0, m0, high0, low0);
    high_low(c2, m1, high1, low1);
    c0 = exclusive_or(high1, c1, words(k0)), c2 = exclusive_or(high0, c3, words(k1));
    c1 = low1, c3 = low0;
  }
  BlockWords rows[4];
  interleave(c0, c1, c2, c3, rows);
  for (int r = 0; r < 4; ++r)
    for (std::size_t quarter = 0; quarter < sizeof(BlockWords) / 16; ++quarter)
      std::memcpy(out + 16 * (4 * quarter + r), reinterpret_cast<const char*>(&rows[r]) + 16 * quarter, 16);
}

#else

// The bytes of blocks first .. first + kBlocks - 1.
inline void random_bytes(const PhiloxKey& key, std::uint32_t first, std::uint8_t* out) {
  std::uint32_t c0[kBlocks], c1[kBlocks], c2[kBlocks], c3[kBlocks];
  for (int i = 0; i < kBlocks; ++i) c0[i] = first + i, c1[i] = key.step, c2[i] = key.index, c3[i] = key.epoch;
  std::uint32_t k0 = key.seed, k1 = key.stream;
  for (int round = 0; round < kRounds; ++round, k0 += kKeyStep0, k1 += kKeyStep1) {
    for (int i = 0; i < kBlocks; ++i) {
      const std::uint64_t p0 = std::uint64_t{c0[i]} * kMultiply0, p1 = std::uint64_t{c2[i]} * kMultiply1;
      c0[i] = static_cast<std::uint32_t>(p1 >> 32) ^ c1[i] ^ k0;
      c2[i] = static_cast<std::uint32_t>(p0 >> 32) ^ c3[i] ^ k1;
      c1[i] = static_cast<std::uint32_t>(p1);
      c3[i] = static_cast<std::uint32_t>(p0);
    }
  }
  for (int i = 0; i < kBlocks; ++i) {
    const std::uint32_t words[4] = {c0[i], c1[i], c2[i], c3[i]};
    for (int w = 0; w < 4; ++w)
      for (int b = 0; b < 4; ++b) out[16 * i + 4 * w + b] = static_cast<std::uint8_t>(words[w] >> (8 * b));
  }
}

#endif

}  // namespace spikewise::SPIKEWISE_ISA
