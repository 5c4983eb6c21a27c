// Sixteen floats at a time. One type for every instruction set: AVX-512 holds it in one register, AVX2 in two, others in
// four (SSE2, NEON) through the compiler's vector extension. Multiplication and addition round separately, as PyTorch's do;
// only `fma` fuses.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

#define INLINE inline __attribute__((always_inline))

namespace spikewise::SPIKEWISE_ISA {

constexpr int kLanes = 16;
#if defined(__AVX512F__)
constexpr int kRegisterLanes = 32;  // vectors of sixteen that the registers hold
#elif defined(__AVX2__)
constexpr int kRegisterLanes = 8;
#else
constexpr int kRegisterLanes = 4;
#endif

#if defined(__AVX512F__)

struct Lanes {
  __m512 x;
};
using Mask = __mmask16;

INLINE Lanes load(const float* p) { return {_mm512_loadu_ps(p)}; }
INLINE void store(float* p, Lanes a) { _mm512_storeu_ps(p, a.x); }
INLINE Lanes splat(float a) { return {_mm512_set1_ps(a)}; }
INLINE Lanes operator+(Lanes a, Lanes b) { return {_mm512_add_ps(a.x, b.x)}; }
INLINE Lanes operator-(Lanes a, Lanes b) { return {_mm512_sub_ps(a.x, b.x)}; }
INLINE Lanes operator*(Lanes a, Lanes b) { return {_mm512_mul_ps(a.x, b.x)}; }
INLINE Lanes operator/(Lanes a, Lanes b) { return {_mm512_div_ps(a.x, b.x)}; }
INLINE Lanes fma(Lanes a, Lanes b, Lanes c) { return {_mm512_fmadd_ps(a.x, b.x, c.x)}; }
INLINE Lanes absolute(Lanes a) { return {_mm512_abs_ps(a.x)}; }
INLINE Lanes larger(Lanes a, Lanes b) { return {_mm512_max_ps(a.x, b.x)}; }
INLINE Mask greater(Lanes a, Lanes b) { return _mm512_cmp_ps_mask(a.x, b.x, _CMP_GT_OQ); }
INLINE Mask different(Lanes a, Lanes b) { return _mm512_cmp_ps_mask(a.x, b.x, _CMP_NEQ_UQ); }
INLINE Lanes where(Mask m, Lanes a) { return {_mm512_maskz_mov_ps(m, a.x)}; }
INLINE Lanes where(Mask m, Lanes a, Lanes b) { return {_mm512_mask_mov_ps(b.x, m, a.x)}; }
INLINE std::uint32_t bits_of(Mask m) { return m; }
// a, plus b in the lanes whose bit of the lower sixteen is set. A test of the bits spread over a vector is sooner a mask than a number
// that goes there from a general register.
INLINE Lanes add_where(Lanes a, std::uint32_t bits, Lanes b) {
  const __m512i own = _mm512_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768);
  return {_mm512_mask_add_ps(a.x, _mm512_test_epi32_mask(_mm512_set1_epi32(static_cast<int>(bits)), own), a.x, b.x)};
}
INLINE Lanes ones(std::uint32_t bits) { return {_mm512_maskz_mov_ps(static_cast<__mmask16>(bits), _mm512_set1_ps(1.0f))}; }
INLINE Lanes from_bytes(const std::uint8_t* p) {
  return {_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))))};
}
INLINE void to_bytes(std::uint8_t* p, Lanes a) { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(_mm512_cvttps_epi32(a.x))); }

#else

#if defined(__AVX2__)
constexpr int kParts = 2;
typedef float Part __attribute__((vector_size(32)));
typedef std::int32_t IntPart __attribute__((vector_size(32)));
#else
constexpr int kParts = 4;
typedef float Part __attribute__((vector_size(16)));
typedef std::int32_t IntPart __attribute__((vector_size(16)));
#endif
constexpr int kPartLanes = kLanes / kParts;

struct Lanes {
  Part x[kParts];
};
struct Mask {
  IntPart x[kParts];
};

#define EACH for (int i = 0; i < kParts; ++i)
// Part by part: GCC copies a whole struct of parts through the stack in pieces of 16 bytes, which no wider load can follow.
INLINE Lanes load(const float* p) {
  Lanes r;
  EACH std::memcpy(&r.x[i], p + i * kPartLanes, sizeof(Part));
  return r;
}
INLINE void store(float* p, Lanes a) { EACH std::memcpy(p + i * kPartLanes, &a.x[i], sizeof(Part)); }
INLINE Lanes splat(float a) {
  Lanes r;
  EACH r.x[i] = a - Part{};
  return r;
}
INLINE Lanes operator+(Lanes a, Lanes b) {
  EACH a.x[i] += b.x[i];
  return a;
}
INLINE Lanes operator-(Lanes a, Lanes b) {
  EACH a.x[i] -= b.x[i];
  return a;
}
INLINE Lanes operator*(Lanes a, Lanes b) {
  EACH a.x[i] *= b.x[i];
  return a;
}
INLINE Lanes operator/(Lanes a, Lanes b) {
  EACH a.x[i] /= b.x[i];
  return a;
}
INLINE Mask greater(Lanes a, Lanes b) {
  Mask m;
  EACH m.x[i] = a.x[i] > b.x[i];
  return m;
}
INLINE Mask different(Lanes a, Lanes b) {
  Mask m;
  EACH m.x[i] = a.x[i] != b.x[i];
  return m;
}
INLINE Lanes where(Mask m, Lanes a) {
  EACH a.x[i] = (Part)((IntPart)a.x[i] & m.x[i]);
  return a;
}
INLINE Lanes where(Mask m, Lanes a, Lanes b) {
  EACH a.x[i] = (Part)(((IntPart)a.x[i] & m.x[i]) | ((IntPart)b.x[i] & ~m.x[i]));
  return a;
}
INLINE Lanes larger(Lanes a, Lanes b) {
  EACH a.x[i] = a.x[i] > b.x[i] ? a.x[i] : b.x[i];  // one instruction, where a mask would take three
  return a;
}
INLINE Lanes absolute(Lanes a) {
  EACH a.x[i] = (Part)((IntPart)a.x[i] & 0x7fffffff);
  return a;
}
#if defined(__AVX2__)
INLINE Lanes fma(Lanes a, Lanes b, Lanes c) {
  EACH c.x[i] = (Part)_mm256_fmadd_ps((__m256)a.x[i], (__m256)b.x[i], (__m256)c.x[i]);
  return c;
}
INLINE std::uint32_t bits_of(Mask m) {
  return static_cast<std::uint32_t>(_mm256_movemask_ps((__m256)m.x[0])) | static_cast<std::uint32_t>(_mm256_movemask_ps((__m256)m.x[1])) << 8;
}
// For each byte, its bits as eight masks.
struct BitMasks {
  alignas(64) std::int32_t of[256][8] = {};
  constexpr BitMasks() {
    for (int byte = 0; byte < 256; ++byte)
      for (int bit = 0; bit < 8; ++bit) of[byte][bit] = -(byte >> bit & 1);
  }
};
inline constexpr BitMasks kBitMasks;
INLINE IntPart mask_of(std::uint32_t bits, int part) {
  return (IntPart)_mm256_load_si256(reinterpret_cast<const __m256i*>(kBitMasks.of[bits >> 8 * part & 0xff]));
}
INLINE Lanes ones(std::uint32_t bits) {
  Lanes r = splat(1.0f);
  EACH r.x[i] = (Part)((IntPart)r.x[i] & mask_of(bits, i));
  return r;
}
// a, plus b in the lanes whose bit of the lower sixteen is set.
INLINE Lanes add_where(Lanes a, std::uint32_t bits, Lanes b) {
  EACH a.x[i] += (Part)((IntPart)b.x[i] & mask_of(bits, i));
  return a;
}
INLINE Lanes from_bytes(const std::uint8_t* p) {
  Lanes r;
  EACH r.x[i] = (Part)_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p + 8 * i))));
  return r;
}
INLINE void to_bytes(std::uint8_t* p, Lanes a) {
  const __m256i words = _mm256_packus_epi32(_mm256_cvttps_epi32((__m256)a.x[0]), _mm256_cvttps_epi32((__m256)a.x[1]));
  const __m256i ordered = _mm256_permute4x64_epi64(words, 0xd8);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm_packus_epi16(_mm256_castsi256_si128(ordered), _mm256_extracti128_si256(ordered, 1)));
}
#else
INLINE Lanes fma(Lanes a, Lanes b, Lanes c) { return a * b + c; }
INLINE std::uint32_t bits_of(Mask m) {
  std::uint32_t r = 0;
  for (int i = 0; i < kLanes; ++i) r |= (m.x[i / kPartLanes][i % kPartLanes] & 1u) << i;
  return r;
}
INLINE Lanes ones(std::uint32_t bits) {
  Lanes r;
  for (int i = 0; i < kLanes; ++i) r.x[i / kPartLanes][i % kPartLanes] = static_cast<float>(bits >> i & 1u);
  return r;
}
INLINE Lanes from_bytes(const std::uint8_t* p) {
  Lanes r;
  for (int i = 0; i < kLanes; ++i) r.x[i / kPartLanes][i % kPartLanes] = static_cast<float>(p[i]);
  return r;
}
// a, plus b in the lanes whose bit of the lower sixteen is set.
INLINE Lanes add_where(Lanes a, std::uint32_t bits, Lanes b) {
  alignas(64) static constexpr std::int32_t kBit[kLanes] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768};
  IntPart bit[kParts];
  std::memcpy(bit, kBit, sizeof bit);
  for (int i = 0; i < kParts; ++i) a.x[i] += (Part)((IntPart)b.x[i] & ((bit[i] & (static_cast<std::int32_t>(bits) - IntPart{})) != 0));
  return a;
}
INLINE void to_bytes(std::uint8_t* p, Lanes a) {
  for (int i = 0; i < kLanes; ++i) p[i] = static_cast<std::uint8_t>(a.x[i / kPartLanes][i % kPartLanes]);
}
#endif
#undef EACH

#endif

// Which of sixteen bytes are `value`, as bits.
INLINE std::uint32_t equal_bytes(const std::uint8_t* p, std::uint8_t value) {
#if defined(__AVX2__)
  const __m128i all = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return static_cast<std::uint32_t>(_mm_movemask_epi8(_mm_cmpeq_epi8(all, _mm_set1_epi8(static_cast<char>(value)))));
#else
  std::uint32_t r = 0;
  for (int i = 0; i < kLanes; ++i) r |= static_cast<std::uint32_t>(p[i] == value) << i;
  return r;
#endif
}

INLINE Lanes zero() { return splat(0.0f); }

// Vectors that a product's kernel takes of each row at once, so that there are registers for several rows.
constexpr int kColumnsAtOnce = kRegisterLanes / 4 < 1 ? 1 : kRegisterLanes / 4 > 4 ? 4 : kRegisterLanes / 4;

// to[i][o] = from[o][i] for a square of sixteen.
INLINE void transpose(const float* from, std::size_t from_stride, float* to, std::size_t to_stride) {
#if defined(__AVX512F__)
  __m512 a[16], b[16];
  for (int i = 0; i < 16; ++i) a[i] = _mm512_loadu_ps(from + i * from_stride);
  for (int i = 0; i < 16; i += 2) b[i] = _mm512_unpacklo_ps(a[i], a[i + 1]), b[i + 1] = _mm512_unpackhi_ps(a[i], a[i + 1]);
  for (int i = 0; i < 16; i += 4)
    for (int k = 0; k < 2; ++k) {
      const __m512d low = _mm512_castps_pd(b[i + k]), high = _mm512_castps_pd(b[i + k + 2]);
      a[i + 2 * k] = _mm512_castpd_ps(_mm512_unpacklo_pd(low, high)), a[i + 2 * k + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(low, high));
    }
  // a[4g + k]: quarter q holds, of inputs 4q + k, the outputs 4g .. 4g + 3.
  for (int k = 0; k < 4; ++k) {
    const __m512 even01 = _mm512_shuffle_f32x4(a[k], a[4 + k], 0x88), odd01 = _mm512_shuffle_f32x4(a[k], a[4 + k], 0xdd);
    const __m512 even23 = _mm512_shuffle_f32x4(a[8 + k], a[12 + k], 0x88), odd23 = _mm512_shuffle_f32x4(a[8 + k], a[12 + k], 0xdd);
    _mm512_storeu_ps(to + k * to_stride, _mm512_shuffle_f32x4(even01, even23, 0x88));
    _mm512_storeu_ps(to + (4 + k) * to_stride, _mm512_shuffle_f32x4(odd01, odd23, 0x88));
    _mm512_storeu_ps(to + (8 + k) * to_stride, _mm512_shuffle_f32x4(even01, even23, 0xdd));
    _mm512_storeu_ps(to + (12 + k) * to_stride, _mm512_shuffle_f32x4(odd01, odd23, 0xdd));
  }
#elif defined(__AVX2__)
  for (int square = 0; square < 4; ++square) {
    const float* source = from + square / 2 * 8 * from_stride + square % 2 * 8;
    float* target = to + square % 2 * 8 * to_stride + square / 2 * 8;
    __m256 a[8], b[8];
    for (int i = 0; i < 8; ++i) a[i] = _mm256_loadu_ps(source + i * from_stride);
    for (int i = 0; i < 8; i += 2) b[i] = _mm256_unpacklo_ps(a[i], a[i + 1]), b[i + 1] = _mm256_unpackhi_ps(a[i], a[i + 1]);
    // a[4g + k]: half h holds, of inputs 4h + k, the outputs 4g .. 4g + 3.
    for (int i = 0; i < 8; i += 4)
      for (int k = 0; k < 2; ++k) {
        a[i + 2 * k] = _mm256_shuffle_ps(b[i + k], b[i + k + 2], 0x44);
        a[i + 2 * k + 1] = _mm256_shuffle_ps(b[i + k], b[i + k + 2], 0xee);
      }
    for (int k = 0; k < 4; ++k) {
      _mm256_storeu_ps(target + k * to_stride, _mm256_permute2f128_ps(a[k], a[4 + k], 0x20));
      _mm256_storeu_ps(target + (4 + k) * to_stride, _mm256_permute2f128_ps(a[k], a[4 + k], 0x31));
    }
  }
#else
  for (int o = 0; o < kLanes; ++o)
    for (int i = 0; i < kLanes; ++i) to[i * to_stride + o] = from[o * from_stride + i];
#endif
}
INLINE void add_to(float* p, Lanes a) { store(p, load(p) + a); }

// The first `n` lanes, for any n.
INLINE Mask first_lanes(int n) {
  alignas(64) static constexpr float kNumber[kLanes] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  return greater(splat(static_cast<float>(n)), load(kNumber));
}

}  // namespace spikewise::SPIKEWISE_ISA
