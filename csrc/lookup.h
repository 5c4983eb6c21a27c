// Spikes times a matrix, where spikes are not rare: tables that stay in registers.
//
// A row is a step of an image, and a lane. Four bits of a row pick one of the 16 partial sums of an output's four weights;
// one permutation does so for sixteen rows at once. Only AVX-512 has a permutation that wide.
#pragma once
#include <span>
#include <vector>

#include "rows.h"

namespace spikewise::SPIKEWISE_ISA {

constexpr int kLookupOutputs = 8, kBlockLanes = 32, kWordBits = 32, kChunkWords = 6, kChunkBits = kChunkWords * kWordBits;
constexpr std::size_t kLookupTables = kChunkBits / 4 * kLookupOutputs * kLanes;  // floats of a chunk's tables

// Bits of many rows, as the lookups read them: 32 lanes are a block; 192 bits of each, 48 groups of four, are a chunk. The
// tables of a chunk and eight outputs fit into the first-level cache.
struct LaneBits {
  std::size_t lanes = 0, blocks = 0, chunks = 0;
  Array<std::uint32_t> words;         // [chunk][block][word][lane]
  std::vector<std::uint64_t> active;  // [chunk][block]: the groups at which some lane has a bit

  LaneBits() = default;
  LaneBits(std::size_t lanes, std::size_t bits)
      : lanes(lanes), blocks((lanes + kBlockLanes - 1) / kBlockLanes), chunks((bits + kChunkBits - 1) / kChunkBits),
        words(blocks * chunks * kChunkWords * kBlockLanes, true), active(blocks * chunks) {}

  // The 32 lanes of word `word` of a chunk.
  std::uint32_t* at(std::size_t chunk, std::size_t block, std::size_t word) {
    return &words[((chunk * blocks + block) * kChunkWords + word) * kBlockLanes];
  }
  const std::uint32_t* at(std::size_t chunk, std::size_t block) const { return &words[(chunk * blocks + block) * kChunkWords * kBlockLanes]; }
  std::uint64_t active_at(std::size_t chunk, std::size_t block) const { return active[chunk * blocks + block]; }
  // The groups of a chunk at which any block has a bit.
  std::uint64_t wanted(std::size_t chunk) const {
    std::uint64_t any = 0;
    for (std::size_t block = 0; block < blocks; ++block) any |= active_at(chunk, block);
    return any;
  }
  // To be called once the words of a chunk's block stand.
  void note_active(std::size_t chunk, std::size_t block) {
    std::uint64_t groups = 0;
    for (int word = 0; word < kChunkWords; ++word) {
      std::uint32_t any = 0;
      for (int lane = 0; lane < kBlockLanes; ++lane) any |= at(chunk, block, word)[lane];
      for (Word rest = nonzero_groups(any); rest; rest &= rest - 1) groups |= std::uint64_t{1} << (word * 8 + std::countr_zero(rest) / 4);
    }
    active[chunk * blocks + block] = groups;
  }
};

// The bits of a signal's rows: a lane is a step of one of `images`, in order.
inline LaneBits bits_of_rows(const Signal& in, std::span<const int> images) {
  LaneBits out(images.size() * in.steps, in.features);
  std::size_t lane = 0;
  for (int b : images)
    for (int t = 0; t < in.steps; ++t, ++lane)
      for (std::size_t w = 0; w < 2 * in.words; ++w) {
        const std::size_t chunk = w / kChunkWords;
        if (chunk >= out.chunks) break;  // half of a frame's last word may be padding
        out.at(chunk, lane / kBlockLanes, w % kChunkWords)[lane % kBlockLanes] =
            static_cast<std::uint32_t>(in.frame(b, t)[w / 2] >> (w % 2 * kWordBits));
      }
  for (std::size_t chunk = 0; chunk < out.chunks; ++chunk)
    for (std::size_t block = 0; block < out.blocks; ++block) out.note_active(chunk, block);
  return out;
}

#if defined(__AVX512F__)

// The weights of eight outputs, `count` each.
struct LookupWeights {
  const float* of[kLookupOutputs];
  std::size_t count;
};

// Fetch part `part` of `parts` of the weights of the chunk that begins at input `first`.
INLINE void fetch_weights(const LookupWeights& weights, std::size_t first, std::size_t part, std::size_t parts) {
  const std::size_t last = std::min(first + kChunkBits, weights.count);
  for (std::size_t j = kLookupOutputs * part / parts; j < kLookupOutputs * (part + 1) / parts; ++j)
    for (std::size_t at = first; at < last; at += kLanes) __builtin_prefetch(weights.of[j] + at);
}

// tables[group][output][p] = sum of the group's weights whose bit is set in p, for the `wanted` groups of the chunk that
// begins at input `first`. Weights behind the last are zero.
inline void tabulate_groups(const LookupWeights& weights, std::size_t first, std::uint64_t wanted, float* tables) {
  for (; wanted; wanted &= wanted - 1) {
    const std::size_t group = std::countr_zero(wanted), at = first + 4 * group;
    const __mmask8 given = static_cast<__mmask8>((1u << std::min<std::size_t>(4, weights.count - at)) - 1);
    for (int j = 0; j < kLookupOutputs; ++j) {
      const float* from = weights.of[j] + at;
      const __m512 four = _mm512_broadcast_f32x4(given == 15 ? _mm_loadu_ps(from) : _mm_maskz_loadu_ps(given, from));
      const __m512 low = _mm512_add_ps(_mm512_maskz_permute_ps(0xaaaa, four, 0x00), _mm512_maskz_permute_ps(0xcccc, four, 0x55));
      const __m512 high = _mm512_add_ps(_mm512_maskz_permute_ps(0xf0f0, four, 0xaa), _mm512_maskz_permute_ps(0xff00, four, 0xff));
      _mm512_store_ps(tables + (group * kLookupOutputs + j) * kLanes, _mm512_add_ps(low, high));
    }
  }
}

// sums[output][lane] += what the bits of a block's lanes pick from the tables of a chunk, group after group.
__attribute__((noinline)) inline void look_up(const std::uint32_t* words, std::uint64_t active, const float* tables, float* sums,
                                              std::size_t stride) {
  constexpr int kHalves = kBlockLanes / kLanes;
  __m512 sum[kLookupOutputs][kHalves];
  for (int j = 0; j < kLookupOutputs; ++j)
    for (int h = 0; h < kHalves; ++h) sum[j][h] = _mm512_loadu_ps(sums + j * stride + h * kLanes);
  // Half of the additions go to the units for fused multiplication, which would be idle: 1 x + sum is the same sum.
  __m512 one = _mm512_set1_ps(1.0f);
  asm("" : "+v"(one));
  for (; active; active &= active - 1) {
    const unsigned group = static_cast<unsigned>(std::countr_zero(active));
    const std::uint32_t* word = words + group / 8 * kBlockLanes;
    const __m128i shift = _mm_cvtsi32_si128(static_cast<int>(group % 8 * 4));
    __m512i pattern[kHalves];
    for (int h = 0; h < kHalves; ++h) pattern[h] = _mm512_srl_epi32(_mm512_load_si512(word + h * kLanes), shift);
    const float* table = tables + group * kLookupOutputs * kLanes;
    for (int j = 0; j < kLookupOutputs; ++j) {
      const __m512 own = _mm512_load_ps(table + j * kLanes);
      for (int h = 0; h < kHalves; ++h) {
        const __m512 picked = _mm512_permutexvar_ps(pattern[h], own);
        sum[j][h] = (j + h) % 2 ? _mm512_fmadd_ps(picked, one, sum[j][h]) : _mm512_add_ps(picked, sum[j][h]);
      }
    }
  }
  for (int j = 0; j < kLookupOutputs; ++j)
    for (int h = 0; h < kHalves; ++h) _mm512_storeu_ps(sums + j * stride + h * kLanes, sum[j][h]);
}

#endif

}  // namespace spikewise::SPIKEWISE_ISA
