// Spikes as bits: feature f of a frame is bit f % 64 of word f / 64; the bits behind the last feature are zero.
#pragma once
#include <bit>
#include <cassert>
#include <cstdint>
#include <cstring>

#include "simd.h"

namespace spikewise::SPIKEWISE_ISA {

using Word = std::uint64_t;

// `count` <= kExtracted bits from bit `from` on. Reads up to 8 bytes behind the last bit, which every Array has as slack.
inline constexpr int kExtracted = 56;
INLINE Word extract(const Word* bits, std::size_t from, int count) {
  assert(count <= kExtracted);
  Word word;
  std::memcpy(&word, reinterpret_cast<const char*>(bits) + from / 8, 8);
  return word >> (from % 8) & ((Word{1} << count) - 1);
}

// Or `count` bits of `source` into zeroed bits of `target`.
inline void copy_bits(Word* target, std::size_t to, const Word* source, std::size_t from, std::size_t count) {
  while (count) {
    const int n = static_cast<int>(count < 32 ? count : 32);
    const Word piece = extract(source, from, n);
    const int shift = static_cast<int>(to % 64);
    target[to / 64] |= piece << shift;
    if (shift + n > 64) target[to / 64 + 1] |= piece >> (64 - shift);
    to += n, from += n, count -= n;
  }
}

// One float, 0 or 1, for each bit; writes up to 15 floats behind `count`.
inline void expand(const Word* bits, std::size_t count, float* out) {
  for (std::size_t f = 0; f < count; f += kLanes) store(out + f, ones(static_cast<std::uint32_t>(bits[f / 64] >> (f % 64)) & 0xffffu));
}

// One bit for each of `count` floats that is not zero.
inline void pack_nonzero(const float* in, std::size_t count, Word* out) {
  std::memset(out, 0, (count + 63) / 64 * sizeof(Word));
  for (std::size_t f = 0; f < count; ++f) out[f / 64] |= Word{in[f] != 0.0f} << (f % 64);
}

// Call visit(feature) for each set bit, in order.
template <class Visit>
INLINE void for_each_bit(const Word* bits, std::size_t words, Visit&& visit) {
  for (std::size_t w = 0; w < words; ++w)
    for (Word rest = bits[w]; rest; rest &= rest - 1) visit(w * 64 + static_cast<std::size_t>(std::countr_zero(rest)));
}

// Which groups of four bits have a bit set: bit 4g of the result.
INLINE Word nonzero_groups(Word w) {
  w |= w >> 1;
  w |= w >> 2;
  return w & 0x1111111111111111u;
}

}  // namespace spikewise::SPIKEWISE_ISA
