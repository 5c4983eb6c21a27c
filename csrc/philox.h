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

#if defined(__AVX512F__)

INLINE void high_low(__m512i c, __m512i multiplier, __m512i& high, __m512i& low) {
  const __m512i even = _mm512_mul_epu32(c, multiplier);
  const __m512i odd = _mm512_mul_epu32(_mm512_srli_epi64(c, 32), multiplier);
  low = _mm512_mask_blend_epi32(0xAAAA, even, _mm512_slli_epi64(odd, 32));
  high = _mm512_mask_blend_epi32(0xAAAA, _mm512_srli_epi64(even, 32), odd);
}

// The bytes of blocks first .. first + kBlocks - 1.
inline void random_bytes(const PhiloxKey& key, std::uint32_t first, std::uint8_t* out) {
  const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  __m512i c0 = _mm512_add_epi32(lane, _mm512_set1_epi32(static_cast<int>(first)));
  __m512i c1 = _mm512_set1_epi32(static_cast<int>(key.step));
  __m512i c2 = _mm512_set1_epi32(static_cast<int>(key.index));
  __m512i c3 = _mm512_set1_epi32(static_cast<int>(key.epoch));
  const __m512i m0 = _mm512_set1_epi32(static_cast<int>(kMultiply0)), m1 = _mm512_set1_epi32(static_cast<int>(kMultiply1));
  std::uint32_t k0 = key.seed, k1 = key.stream;
  for (int round = 0; round < kRounds; ++round) {
    __m512i high0, low0, high1, low1;
    high_low(c0, m0, high0, low0);
    high_low(c2, m1, high1, low1);
    c0 = _mm512_xor_si512(_mm512_xor_si512(high1, c1), _mm512_set1_epi32(static_cast<int>(k0)));
    c2 = _mm512_xor_si512(_mm512_xor_si512(high0, c3), _mm512_set1_epi32(static_cast<int>(k1)));
    c1 = low1;
    c3 = low0;
    k0 += kKeyStep0;
    k1 += kKeyStep1;
  }
  // Lanes hold one block each; a block's four words belong side by side.
  const __m512i a = _mm512_unpacklo_epi32(c0, c1), b = _mm512_unpackhi_epi32(c0, c1);
  const __m512i c = _mm512_unpacklo_epi32(c2, c3), d = _mm512_unpackhi_epi32(c2, c3);
  const __m512i rows[4] = {_mm512_unpacklo_epi64(a, c), _mm512_unpackhi_epi64(a, c), _mm512_unpacklo_epi64(b, d), _mm512_unpackhi_epi64(b, d)};
  for (int r = 0; r < 4; ++r) {
    auto at = [&](int quarter) { return reinterpret_cast<__m128i*>(out + 16 * (4 * quarter + r)); };
    _mm_storeu_si128(at(0), _mm512_extracti32x4_epi32(rows[r], 0));
    _mm_storeu_si128(at(1), _mm512_extracti32x4_epi32(rows[r], 1));
    _mm_storeu_si128(at(2), _mm512_extracti32x4_epi32(rows[r], 2));
    _mm_storeu_si128(at(3), _mm512_extracti32x4_epi32(rows[r], 3));
  }
}

#elif defined(__AVX2__)

INLINE void high_low(__m256i c, __m256i multiplier, __m256i& high, __m256i& low) {
  const __m256i even = _mm256_mul_epu32(c, multiplier);
  const __m256i odd = _mm256_mul_epu32(_mm256_srli_epi64(c, 32), multiplier);
  low = _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xAA);
  high = _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xAA);
}

// The bytes of blocks first .. first + kBlocks - 1.
inline void random_bytes(const PhiloxKey& key, std::uint32_t first, std::uint8_t* out) {
  __m256i c0 = _mm256_add_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_set1_epi32(static_cast<int>(first)));
  __m256i c1 = _mm256_set1_epi32(static_cast<int>(key.step));
  __m256i c2 = _mm256_set1_epi32(static_cast<int>(key.index));
  __m256i c3 = _mm256_set1_epi32(static_cast<int>(key.epoch));
  const __m256i m0 = _mm256_set1_epi32(static_cast<int>(kMultiply0)), m1 = _mm256_set1_epi32(static_cast<int>(kMultiply1));
  std::uint32_t k0 = key.seed, k1 = key.stream;
  for (int round = 0; round < kRounds; ++round) {
    __m256i high0, low0, high1, low1;
    high_low(c0, m0, high0, low0);
    high_low(c2, m1, high1, low1);
    c0 = _mm256_xor_si256(_mm256_xor_si256(high1, c1), _mm256_set1_epi32(static_cast<int>(k0)));
    c2 = _mm256_xor_si256(_mm256_xor_si256(high0, c3), _mm256_set1_epi32(static_cast<int>(k1)));
    c1 = low1;
    c3 = low0;
    k0 += kKeyStep0;
    k1 += kKeyStep1;
  }
  // Lanes hold one block each; a block's four words belong side by side.
  const __m256i a = _mm256_unpacklo_epi32(c0, c1), b = _mm256_unpackhi_epi32(c0, c1);
  const __m256i c = _mm256_unpacklo_epi32(c2, c3), d = _mm256_unpackhi_epi32(c2, c3);
  const __m256i rows[4] = {_mm256_unpacklo_epi64(a, c), _mm256_unpackhi_epi64(a, c), _mm256_unpacklo_epi64(b, d), _mm256_unpackhi_epi64(b, d)};
  for (int r = 0; r < 4; ++r) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + 16 * r), _mm256_castsi256_si128(rows[r]));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + 16 * (4 + r)), _mm256_extracti128_si256(rows[r], 1));
  }
}

#else

// The bytes of blocks first .. first + kBlocks - 1.
inline void random_bytes(const PhiloxKey& key, std::uint32_t first, std::uint8_t* out) {
  std::uint32_t c0[kBlocks], c1[kBlocks], c2[kBlocks], c3[kBlocks];
  for (int i = 0; i < kBlocks; ++i) c0[i] = first + i, c1[i] = key.step, c2[i] = key.index, c3[i] = key.epoch;
  std::uint32_t k0 = key.seed, k1 = key.stream;
  for (int round = 0; round < kRounds; ++round) {
    for (int i = 0; i < kBlocks; ++i) {
      const std::uint64_t p0 = std::uint64_t{c0[i]} * kMultiply0, p1 = std::uint64_t{c2[i]} * kMultiply1;
      c0[i] = static_cast<std::uint32_t>(p1 >> 32) ^ c1[i] ^ k0;
      c2[i] = static_cast<std::uint32_t>(p0 >> 32) ^ c3[i] ^ k1;
      c1[i] = static_cast<std::uint32_t>(p1);
      c3[i] = static_cast<std::uint32_t>(p0);
    }
    k0 += kKeyStep0;
    k1 += kKeyStep1;
  }
  for (int i = 0; i < kBlocks; ++i) {
    const std::uint32_t words[4] = {c0[i], c1[i], c2[i], c3[i]};
    for (int w = 0; w < 4; ++w)
      for (int b = 0; b < 4; ++b) out[16 * i + 4 * w + b] = static_cast<std::uint8_t>(words[w] >> (8 * b));
  }
}

#endif

}  // namespace spikewise::SPIKEWISE_ISA
