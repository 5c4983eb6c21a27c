// The one operation everything rests on: the sum of listed rows of a table.
//
// Forward, the table holds weights (a row an input: events) or the 16 partial sums of each group of four inputs (a row a
// pattern). Backward, it holds the 32 partial sums of five steps' output gradients, and each input lists what it saw.
#pragma once
#include <span>
#include <vector>

#include "signal.h"
#include "threads.h"

namespace spikewise::SPIKEWISE_ISA {

using Row = std::uint16_t;

#if defined(__AVX2__) && !defined(__AVX512F__)
// For each choice of eight lanes, the chosen ones, close together; the rest is lane 0.
struct ChosenLanes {
  alignas(64) std::uint8_t of[256][8] = {};
  constexpr ChosenLanes() {
    for (int wanted = 0; wanted < 256; ++wanted)
      for (int lane = 0, n = 0; lane < 8; ++lane)
        if (wanted >> lane & 1) of[wanted][n++] = static_cast<std::uint8_t>(lane);
  }
};
inline constexpr ChosenLanes kChosenLanes;
INLINE __m128i chosen_lanes(unsigned wanted) { return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(kChosenLanes.of[wanted])); }
INLINE __m256i close_order(unsigned wanted) { return _mm256_cvtepu8_epi32(chosen_lanes(wanted)); }

// Write the rows whose bit is set, close together; where the next one goes. What stands in the eight places is lost.
INLINE Row* append(Row* to, __m128i rows, unsigned wanted) {
  const __m128i lanes = chosen_lanes(wanted), low = _mm_add_epi8(lanes, lanes);
  const __m128i order = _mm_add_epi8(_mm_unpacklo_epi8(low, low), _mm_set1_epi16(0x0100));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm_shuffle_epi8(rows, order));
  return to + std::popcount(wanted);
}
#endif
#if defined(__AVX512F__)
// Write the values whose bit is set, close together; where the next one goes.
INLINE Row* append(Row* to, __m512i values, __mmask16 wanted) {
  const unsigned n = static_cast<unsigned>(std::popcount(static_cast<unsigned>(wanted)));
  const __m256i close = _mm512_cvtepi32_epi16(_mm512_maskz_compress_epi32(wanted, values));
  _mm256_mask_storeu_epi16(to, static_cast<__mmask16>((1u << n) - 1), close);  // no further: the next place may be another thread's
  return to + n;
}
INLINE __m512i counting(int first, int step) {
  const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  return _mm512_add_epi32(_mm512_mullo_epi32(lane, _mm512_set1_epi32(step)), _mm512_set1_epi32(first));
}
#endif

// Append the rows first + k for which the bit of word k is set; up to eight places behind are written, too.
constexpr int kPlaces = 16;
INLINE Row* append_places(Row* to, int first, const Word (&words)[kPlaces], int bit) {
#if defined(__AVX512F__)
  const __m512i one = _mm512_set1_epi64(static_cast<long long>(Word{1} << bit));
  const unsigned low = _mm512_test_epi64_mask(_mm512_load_si512(words), one), high = _mm512_test_epi64_mask(_mm512_load_si512(words + 8), one);
  return append(to, counting(first, 1), static_cast<__mmask16>(low | high << 8));
#elif defined(__AVX2__)
  const __m128i to_sign = _mm_cvtsi32_si128(63 - bit), lane = _mm_setr_epi16(0, 1, 2, 3, 4, 5, 6, 7);
  auto wanted = [&](int k) {
    const __m256i four = _mm256_load_si256(reinterpret_cast<const __m256i*>(words + k));
    return static_cast<unsigned>(_mm256_movemask_pd(_mm256_castsi256_pd(_mm256_sll_epi64(four, to_sign))));
  };
  for (int k = 0; k < kPlaces; k += 8)
    to = append(to, _mm_add_epi16(lane, _mm_set1_epi16(static_cast<short>(first + k))), wanted(k) | wanted(k + 4) << 4);
  return to;
#else
  for (int k = 0; k < kPlaces; ++k) *to = static_cast<Row>(first + k), to += words[k] >> bit & 1;
  return to;
#endif
}

// sum += table[row] for each listed row, or -= ; a row is kCount x 16 floats. Always in the same order.
template <int kCount, bool kMinus = false>
INLINE void sum_rows(const float* table, const Row* rows, std::size_t n, Lanes (&sum)[kCount]) {
  constexpr int kWays = kCount == 1 ? 4 : kCount == 2 ? 2 : 1;  // independent sums hide the latency of an addition
  constexpr std::size_t kWidth = kCount * kLanes;
  auto with = [](Lanes a, Lanes b) { return kMinus ? a - b : a + b; };
  Lanes part[kWays][kCount];
  for (int w = 0; w < kWays; ++w)
    for (int j = 0; j < kCount; ++j) part[w][j] = w ? zero() : sum[j];
  std::size_t i = 0;
  for (; i + kWays <= n; i += kWays)
    for (int w = 0; w < kWays; ++w)
      for (int j = 0; j < kCount; ++j) part[w][j] = with(part[w][j], load(table + rows[i + w] * kWidth + kLanes * j));
  for (; i < n; ++i)
    for (int j = 0; j < kCount; ++j) part[0][j] = with(part[0][j], load(table + rows[i] * kWidth + kLanes * j));
  for (int j = 0; j < kCount; ++j) {
    sum[j] = part[0][j];
    for (int w = 1; w < kWays; ++w) sum[j] = sum[j] + part[w][j];
  }
}

// table[p] = sum of source rows whose bit is set in p, for p < 2^bits; source rows are `stride` floats apart.
template <int kCount>
INLINE void tabulate(const float* source, std::size_t stride, int bits, float* table) {
  constexpr std::size_t kWidth = kCount * kLanes;
  for (int j = 0; j < kCount; ++j) store(table + kLanes * j, zero());
  for (int bit = 0; bit < bits; ++bit) {
    const std::size_t half = std::size_t{1} << bit;
    for (int j = 0; j < kCount; ++j) {
      const Lanes row = load(source + bit * stride + kLanes * j);
      for (std::size_t p = 0; p < half; ++p) store(table + (half + p) * kWidth + kLanes * j, load(table + p * kWidth + kLanes * j) + row);
    }
  }
}

// Which of 64 inputs are on at more than half of the steps: their counts stand in bit planes.
inline Word usual_word(const Signal& in, int image, std::size_t w) {
  constexpr int kPlanes = 32;
  const unsigned half = static_cast<unsigned>(in.steps + 1) / 2;
  Word plane[kPlanes] = {}, more = 0, equal = ~Word{0};
  for (int t = 0; t < in.steps; ++t) {
    Word carry = in.frame(image, t)[w];
    for (int k = 0; carry && k < kPlanes; ++k) {
      const Word both = plane[k] & carry;
      plane[k] ^= carry, carry = both;
    }
  }
  for (int k = std::bit_width(static_cast<unsigned>(in.steps)) - 1; k >= 0; --k) {
    if (half >> k & 1) equal &= plane[k];
    else more |= equal & plane[k], equal &= ~plane[k];
  }
  return more;
}

// The usual inputs of an image, as bits: on a bright image, what a step adds to them and what it lacks is much less than all
// of its spikes. None where that would not save a quarter of all places. `usual` is zero before.
inline void find_usual(const Signal& in, int image, Word* usual) {
  const std::size_t count = in.words * in.steps, quarter = static_cast<std::size_t>(in.steps) * in.features / 4;
  std::size_t events = 0, apart = 0;
  for (std::size_t i = 0; i < count; ++i) events += std::popcount(in.frame(image, 0)[i]);
  if (events < quarter) return;
  for (std::size_t w = 0; w < in.words; ++w) usual[w] = usual_word(in, image, w);
  for (std::size_t i = 0; i < count; ++i) apart += std::popcount(in.frame(image, 0)[i] ^ usual[i % in.words]);
  if (events < apart + quarter) std::fill(usual, usual + in.words, Word{0});
}

// How what an image's spikes are beside the usual inputs is listed: one by one, or as patterns of four inputs.
enum class Way : std::uint8_t { events, patterns };

// For each image, step and block of inputs: which rows to add to the sum of the image's usual inputs, and which to take
// away. The rows of the usual inputs stand behind the last step. Blocks are small enough for a block's table to stay in L2.
struct InputRows {
  static constexpr std::size_t kBlockWords = 6, kBlockInputs = 64 * kBlockWords, kPatterns = 16;

  std::size_t words, blocks;
  int steps = 0;
  std::vector<Way> way;            // of each image, decided by the image alone
  Array<Word> usual, seen;         // [image][words]: the inputs that are on at most steps, and at any
  std::vector<std::size_t> start;  // [blocks x batch x (steps + 1) x (added, taken away) + 1], as they are read
  Array<Row> rows;

  InputRows(const Signal& in, int threads)
      : words(in.words), blocks((in.words + kBlockWords - 1) / kBlockWords), steps(in.steps), way(in.batch), usual(in.batch * in.words, true),
        seen(in.batch * in.words, true) {
    start.resize(static_cast<std::size_t>(in.batch) * (in.steps + 1) * blocks * 2 + 1);
    parallel(in.batch, threads, [&](int b) { decide(in, b); });
    for (std::size_t i = 0, sum = 0; i < start.size(); ++i) sum += std::exchange(start[i], sum);
    rows = Array<Row>(start.back());
    parallel(in.batch, threads, [&](int b) { list(in, b); });
  }
  std::size_t words_of(std::size_t block) const { return std::min(kBlockWords, words - block * kBlockWords); }
  // Bit 4g: the inputs 4g to 4g + 3 of word w of a block spike in some of the images [first, last) whose patterns are listed.
  Word tabled_groups(int first, int last, std::size_t block, std::size_t w) const {
    Word any = 0;
    for (int b = first; b < last; ++b)
      if (way[b] == Way::patterns) any |= seen[b * words + block * kBlockWords + w];
    return nonzero_groups(any);
  }
  // Where the rows to add begin; those to take away begin at the next place.
  std::size_t place(int image, int step, std::size_t block) const { return ((block * way.size() + image) * (steps + 1) + step) * 2; }

 private:
  // Bits to add and to take away in word w.
  std::pair<Word, Word> bits(const Signal& in, int b, int t, std::size_t w) const {
    const Word base = usual[b * in.words + w];
    if (t == steps) return {base, 0};
    const Word now = in.frame(b, t)[w];
    return {now & ~base, base & ~now};
  }
  // Choose the image's way and count the rows it lists, at their places.
  void decide(const Signal& in, int b) {
    const Counts plain = count(in, b);
    Word* const own = &usual[b * in.words];
    if (4 * plain.events >= static_cast<std::size_t>(in.steps) * in.features) find_usual(in, b, own);
    Counts counts = plain;
    if (std::any_of(own, own + in.words, [](Word word) { return word != 0; })) counts = count(in, b);
    way[b] = 2 * counts.events > 3 * counts.groups ? Way::patterns : Way::events;
    const bool tabled = way[b] == Way::patterns;
    settle(b, [tabled](std::size_t events, std::size_t groups) { return tabled ? groups : events; });
  }

  struct Counts {
    std::size_t events = 0, groups = 0;
  };
  // Events (the low sixteen bits) and groups at each place of an image, beside its usual inputs.
  Counts count(const Signal& in, int b) {
    Counts sum;
    Word* const any = &seen[b * in.words];
    for (int t = 0; t <= steps; ++t)
      for (std::size_t block = 0; block < blocks; ++block) {
        Counts added, taken;
        for (std::size_t w = block * kBlockWords; w < std::min(in.words, (block + 1) * kBlockWords); ++w) {
          const auto [more, less] = bits(in, b, t, w);
          if (!(more | less)) continue;
          any[w] |= more;
          added.events += std::popcount(more), added.groups += std::popcount(nonzero_groups(more));
          taken.events += std::popcount(less), taken.groups += std::popcount(nonzero_groups(less));
        }
        std::size_t* at = &start[place(b, t, block)];
        at[0] = added.events | added.groups << 16, at[1] = taken.events | taken.groups << 16;
        sum.events += added.events + taken.events, sum.groups += added.groups + taken.groups;
      }
    return sum;
  }
  // Replace what `count` wrote by the rows that are listed.
  template <class Rows>
  void settle(int b, const Rows& rows_of) {
    for (int t = 0; t <= steps; ++t)
      for (std::size_t block = 0; block < blocks; ++block)
        for (std::size_t *at = &start[place(b, t, block)], *end = at + 2; at < end; ++at) *at = rows_of(*at & 0xffffu, *at >> 16);
  }
  void list(const Signal& in, int b) {
    const bool tabled = way[b] == Way::patterns;
    Row added[kMostListed], taken[kMostListed];  // the places behind these lists may be another thread's
    for (int t = 0; t <= steps; ++t)
      for (std::size_t block = 0; block < blocks; ++block) {
        Row *more = added, *less = taken;
        for (std::size_t w = block * kBlockWords; w < std::min(in.words, (block + 1) * kBlockWords); ++w) {
          const auto words = bits(in, b, t, w);
          if (!(words.first | words.second)) continue;
          const std::size_t first = w % kBlockWords * 64;
          more = list_word(words.first, first, tabled, more), less = list_word(words.second, first, tabled, less);
        }
        const std::size_t at = place(b, t, block);
        std::copy(added, more, rows.data() + start[at]);
        std::copy(taken, less, rows.data() + start[at + 1]);
      }
  }
  static constexpr std::size_t kMostListed = kBlockInputs + kLanes;  // `append` writes behind the last

  static Row* list_word(Word word, std::size_t first, bool by_groups, Row* to) {
    if (by_groups) return list_groups(word, first / 4 * kPatterns, to);
#if defined(__AVX512F__)
    for (int i = 0; i < 64; i += 16) to = append(to, counting(static_cast<int>(first) + i, 1), static_cast<__mmask16>(word >> i));
#else
    for (Word rest = word; rest; rest &= rest - 1) *to++ = static_cast<Row>(first + std::countr_zero(rest));
#endif
    return to;
  }
  // The rows of the groups of four that hold a bit; the first group's table begins at row `first`.
  static Row* list_groups(Word word, std::size_t first, Row* to) {
#if defined(__AVX512F__)
    const Word nibble = 0x0f0f0f0f0f0f0f0fu;
    const __m128i low = _mm_cvtsi64_si128(static_cast<long long>(word & nibble)),
                  high = _mm_cvtsi64_si128(static_cast<long long>(word >> 4 & nibble));
    const __m128i patterns = _mm_unpacklo_epi8(low, high);
    const __m512i row = _mm512_add_epi32(_mm512_cvtepu8_epi32(patterns), counting(static_cast<int>(first), kPatterns));
    return append(to, row, _mm_test_epi8_mask(patterns, patterns));
#elif defined(__AVX2__)
    const Word nibble = 0x0f0f0f0f0f0f0f0fu;
    const __m128i low = _mm_cvtsi64_si128(static_cast<long long>(word & nibble)),
                  high = _mm_cvtsi64_si128(static_cast<long long>(word >> 4 & nibble));
    const __m128i patterns = _mm_unpacklo_epi8(low, high);
    const unsigned empty = static_cast<unsigned>(_mm_movemask_epi8(_mm_cmpeq_epi8(patterns, _mm_setzero_si128())));
    const __m128i row = _mm_add_epi16(_mm_setr_epi16(0, 16, 32, 48, 64, 80, 96, 112), _mm_set1_epi16(static_cast<short>(first)));
    to = append(to, _mm_add_epi16(row, _mm_cvtepu8_epi16(patterns)), ~empty & 0xff);
    const __m128i later = _mm_add_epi16(row, _mm_set1_epi16(8 * kPatterns));
    return append(to, _mm_add_epi16(later, _mm_cvtepu8_epi16(_mm_srli_si128(patterns, 8))), ~empty >> 8 & 0xff);
#else
    for (Word rest = nonzero_groups(word); rest; rest &= rest - 1) {
      const int bit = std::countr_zero(rest);
      *to++ = static_cast<Row>(first + bit / 4 * kPatterns + (word >> bit & 15));
    }
    return to;
#endif
  }
};

}  // namespace spikewise::SPIKEWISE_ISA
