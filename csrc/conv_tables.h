// A convolution of spikes by tables. The bits of a window's row lie side by side ([x][channel]); they are cut into groups,
// and each group's pattern picks one row of partial sums. Backward, the output gradient is added to the row of the pattern
// seen, and the rows are folded into weights at the end.
#pragma once
#include "rows.h"
#include "stage.h"

namespace spikewise::SPIKEWISE_ISA {

// Sizes of a convolution whose input has been padded.
struct ConvShape {
  int channels_in, kernel, stride, padding, width_in, height_in;  // padding included in the last two
  int channels, width, height;
  int window_bits;  // of one row of a window
  int group, groups;  // bits in a group, groups in a row of a window
  std::size_t length;  // channels out, rounded up to whole vectors
  std::size_t rows;    // of the table

  explicit ConvShape(const StageSpec& s)
      : channels_in(s.in.c), kernel(s.kernel), stride(s.stride), padding(s.padding), width_in(s.in.w + 2 * s.padding),
        height_in(s.in.h + 2 * s.padding), channels(s.made.c), width(s.made.w), height(s.made.h), window_bits(kernel * channels_in),
        length(round_up(s.made.c, kLanes)) {
    constexpr std::size_t kRoom = 96 << 10;
    group = 4;
    for (int wider : {5, 6})
      if (table_rows(wider) * length * sizeof(float) <= kRoom && (window_bits + wider - 1) / wider < (window_bits + group - 1) / group) group = wider;
    groups = (window_bits + group - 1) / group;
    rows = table_rows(group);
  }
  std::size_t row_bits() const { return static_cast<std::size_t>(width_in) * channels_in; }
  std::size_t padded_words() const { return (row_bits() * height_in + 63) / 64; }
  std::size_t weights() const { return static_cast<std::size_t>(kernel) * window_bits; }  // of one output channel

 private:
  std::size_t table_rows(int bits) const { return static_cast<std::size_t>(kernel) * ((window_bits + bits - 1) / bits) << bits; }
};

// The frame of one step with its padding; `words` is scratch for it.
inline const Word* padded_frame(const ConvShape& c, const Word* frame, Word* words) {
  if (c.padding == 0) return frame;
  std::memset(words, 0, c.padded_words() * sizeof(Word));
  const std::size_t bits = static_cast<std::size_t>(c.width_in - 2 * c.padding) * c.channels_in;
  for (int y = 0; y + 2 * c.padding < c.height_in; ++y)
    copy_bits(words, (y + c.padding) * c.row_bits() + static_cast<std::size_t>(c.padding) * c.channels_in, frame, y * bits, bits);
  return words;
}

// Call visit(row of the table) for each group of the window at (y, x).
template <class Visit>
INLINE void for_each_group(const ConvShape& c, const Word* frame, int y, int x, Visit&& visit) {
  const int per_load = 56 / c.group;
  const Word mask = (Word{1} << c.group) - 1;
  std::size_t base = 0;
  for (int ky = 0; ky < c.kernel; ++ky) {
    std::size_t from = static_cast<std::size_t>(y * c.stride + ky) * c.row_bits() + static_cast<std::size_t>(x) * c.stride * c.channels_in;
    for (int g = 0, left = c.window_bits; g < c.groups; g += per_load) {
      const int bits = std::min(left, per_load * c.group);
      Word word = extract(frame, from, bits);
      for (int k = 0; k < per_load && g + k < c.groups; ++k, word >>= c.group, base += std::size_t{1} << c.group) visit(base + (word & mask));
      left -= bits, from += bits;
    }
  }
}

// Currents of all output positions from one padded frame: out[position][length], channels [first, first + kCount x 16).
template <int kCount>
void convolve(const ConvShape& c, const Word* frame, const float* table, const float* bias, std::size_t first, float* out) {
  float* to = out + first;
  for (int y = 0; y < c.height; ++y)
    for (int x = 0; x < c.width; ++x, to += c.length) {
      Lanes sum[kCount];
      for (int j = 0; j < kCount; ++j) sum[j] = load(bias + first + kLanes * j);
      for_each_group(c, frame, y, x, [&](std::size_t row) {
        for (int j = 0; j < kCount; ++j) sum[j] = sum[j] + load(table + row * c.length + first + kLanes * j);
      });
      for (int j = 0; j < kCount; ++j) store(to + kLanes * j, sum[j]);
    }
}

// Add each position's gradient to the rows of the patterns seen there.
template <int kCount>
void gather_patterns(const ConvShape& c, const Word* frame, const float* gradient, std::size_t first, float* table) {
  const float* from = gradient + first;
  for (int y = 0; y < c.height; ++y)
    for (int x = 0; x < c.width; ++x, from += c.length) {
      Lanes g[kCount];
      std::uint32_t any = 0;
      for (int j = 0; j < kCount; ++j) g[j] = load(from + kLanes * j), any |= bits_of(different(g[j], zero()));
      if (!any) continue;
      for_each_group(c, frame, y, x, [&](std::size_t row) {
        if (row & ((std::size_t{1} << c.group) - 1))
          for (int j = 0; j < kCount; ++j) add_to(table + row * c.length + first + kLanes * j, g[j]);
      });
    }
}

// Call work<1..4>(first channel) for every piece of up to 64 output channels.
template <class Work>
INLINE void for_each_channels(const ConvShape& c, Work&& work) {
  for (std::size_t first = 0; first < c.length; first += 64)
    with_lanes(static_cast<int>(std::min<std::size_t>(64, c.length - first)), [&]<int kCount>() { work.template operator()<kCount>(first); });
}

// Weights as [ky][kx][channel in][channel out], rounded up to `length`.
inline Array<float> taps(const StageSpec& s, const ConvShape& c, const float* weight) {
  Array<float> out(c.weights() * c.length, true);
  const int k = c.kernel;
  for (int o = 0; o < c.channels; ++o)
    for (int i = 0; i < c.channels_in; ++i)
      for (int y = 0; y < k; ++y)
        for (int x = 0; x < k; ++x) {
          const float w = weight[((static_cast<std::size_t>(o) * c.channels_in + i) * k + y) * k + x];
          if (!std::isfinite(w)) throw NotFinite{s.name};
          out[(static_cast<std::size_t>(y * k + x) * c.channels_in + i) * c.length + o] = w;
        }
  return out;
}

// Partial sums of every group of taps.
inline Array<float> conv_table(const ConvShape& c, const Array<float>& taps) {
  Array<float> table(c.rows * c.length);
  std::size_t base = 0;
  for (int ky = 0; ky < c.kernel; ++ky)
    for (int g = 0; g < c.groups; ++g, base += std::size_t{1} << c.group) {
      const int first = g * c.group, bits = std::min(c.group, c.window_bits - first);
      for (std::size_t p = 0; p < (std::size_t{1} << c.group); ++p)
        for (std::size_t o = 0; o < c.length; o += kLanes) {
          const std::size_t rest = p & (p - 1);
          const int bit = p ? std::countr_zero(p) : 0;
          Lanes sum = zero();
          if (p && bit < bits) sum = load(&table[(base + rest) * c.length + o]) + load(&taps[(static_cast<std::size_t>(ky) * c.window_bits + first + bit) * c.length + o]);
          store(&table[(base + p) * c.length + o], sum);
        }
    }
  return table;
}

// From the rows of patterns to taps: each tap's gradient is the sum of the rows whose pattern has its bit.
inline void fold(const ConvShape& c, const float* table, float* taps) {
  std::size_t base = 0;
  for (int ky = 0; ky < c.kernel; ++ky)
    for (int g = 0; g < c.groups; ++g, base += std::size_t{1} << c.group)
      for (int bit = 0; bit < c.group && g * c.group + bit < c.window_bits; ++bit)
        for (std::size_t o = 0; o < c.length; o += kLanes) {
          Lanes sum = zero();
          for (std::size_t p = 0; p < (std::size_t{1} << c.group); ++p)
            if (p >> bit & 1) sum = sum + load(table + (base + p) * c.length + o);
          add_to(taps + (static_cast<std::size_t>(ky) * c.window_bits + g * c.group + bit) * c.length + o, sum);
        }
}

}  // namespace spikewise::SPIKEWISE_ISA
