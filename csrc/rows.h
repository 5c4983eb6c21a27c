// The one operation everything rests on: the sum of listed rows of a table.
//
// Forward, the table holds weights (a row an input: events) or the 16 partial sums of each group of four inputs (a row a
// pattern). Backward, it holds the 32 partial sums of five steps' output gradients, and each input lists what it saw.
#pragma once
#include <vector>

#include "signal.h"
#include "threads.h"

namespace spikewise::SPIKEWISE_ISA {

using Row = std::uint16_t;

// sum += table[row] for each listed row; a row is kCount x 16 floats. Always in the same order.
template <int kCount>
INLINE void sum_rows(const float* table, const Row* rows, std::size_t n, Lanes (&sum)[kCount]) {
  constexpr int kWays = kCount == 1 ? 4 : kCount == 2 ? 2 : 1;  // independent sums hide the latency of an addition
  constexpr std::size_t kWidth = kCount * kLanes;
  Lanes part[kWays][kCount];
  for (int w = 0; w < kWays; ++w)
    for (int j = 0; j < kCount; ++j) part[w][j] = w ? zero() : sum[j];
  std::size_t i = 0;
  for (; i + kWays <= n; i += kWays)
    for (int w = 0; w < kWays; ++w)
      for (int j = 0; j < kCount; ++j) part[w][j] = part[w][j] + load(table + rows[i + w] * kWidth + kLanes * j);
  for (; i < n; ++i)
    for (int j = 0; j < kCount; ++j) part[0][j] = part[0][j] + load(table + rows[i] * kWidth + kLanes * j);
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

// For each image, step and block of inputs: which rows to add. Blocks are small enough for a block's table to stay in L2.
struct InputRows {
  static constexpr std::size_t kBlockWords = 6, kBlockInputs = 64 * kBlockWords, kPatterns = 16;

  std::size_t blocks = 0;
  int steps = 0;
  std::vector<std::uint8_t> tabled;  // an image by patterns, or by events; decided by the image alone
  std::vector<std::size_t> start;    // [batch x steps x blocks + 1]
  Array<Row> rows;

  InputRows(const Signal& in, int threads) : blocks((in.words + kBlockWords - 1) / kBlockWords), steps(in.steps), tabled(in.batch) {
    const std::size_t frames = static_cast<std::size_t>(in.batch) * in.steps;
    start.resize(frames * blocks + 1);
    parallel(in.batch, threads, [&](int b) { count(in, b); });
    for (std::size_t i = 0, sum = 0; i < start.size(); ++i) sum += std::exchange(start[i], sum);
    rows = Array<Row>(start.back());
    parallel(in.batch, threads, [&](int b) { list(in, b); });
  }
  std::size_t place(int image, int step, std::size_t block) const {
    return (static_cast<std::size_t>(image) * steps + step) * blocks + block;
  }

 private:
  void count(const Signal& in, int b) {
    std::size_t events = 0, groups = 0;
    for (int t = 0; t < in.steps; ++t)
      for (std::size_t w = 0; w < in.words; ++w) {
        const Word word = in.frame(b, t)[w];
        events += std::popcount(word), groups += std::popcount(nonzero_groups(word));
      }
    tabled[b] = 2 * events > 3 * groups;
    for (int t = 0; t < in.steps; ++t)
      for (std::size_t w = 0; w < in.words; ++w) {
        const Word word = in.frame(b, t)[w];
        start[place(b, t, w / kBlockWords)] += std::popcount(tabled[b] ? nonzero_groups(word) : word);
      }
  }
  void list(const Signal& in, int b) {
    for (int t = 0; t < in.steps; ++t) {
      Row* to = &rows[start[place(b, t, 0)]];
      for (std::size_t w = 0; w < in.words; ++w) {
        const Word word = in.frame(b, t)[w];
        const std::size_t first = w % kBlockWords * 64;
        if (tabled[b]) {
          for (Word rest = nonzero_groups(word); rest; rest &= rest - 1) {
            const int bit = std::countr_zero(rest);
            *to++ = static_cast<Row>((first + bit) / 4 * kPatterns + (word >> bit & 15));
          }
        } else {
          for (Word rest = word; rest; rest &= rest - 1) *to++ = static_cast<Row>(first + std::countr_zero(rest));
        }
      }
    }
  }
};

}  // namespace spikewise::SPIKEWISE_ISA
