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
    group = std::min(4, window_bits);
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

// Call visit(row of the table) for each group of kGroup bits of the window at (y, x).
template <int kGroup, class Visit>
INLINE void for_each_group(const ConvShape& c, const Word* frame, int y, int x, Visit&& visit) {
  constexpr int kPerLoad = 56 / kGroup;
  constexpr Word kMask = (Word{1} << kGroup) - 1;
  std::size_t base = 0;
  std::size_t from = static_cast<std::size_t>(y * c.stride) * c.row_bits() + static_cast<std::size_t>(x) * c.stride * c.channels_in;
  for (int ky = 0; ky < c.kernel; ++ky, from += c.row_bits()) {
    std::size_t at = from;
    for (int g = 0, left = c.window_bits; g < c.groups; g += kPerLoad) {
      const int bits = std::min(left, kPerLoad * kGroup), count = std::min(kPerLoad, c.groups - g);
      Word word = extract(frame, at, bits);
      for (int k = 0; k < count; ++k, word >>= kGroup, base += std::size_t{1} << kGroup) visit(base + (word & kMask));
      left -= bits, at += bits;
    }
  }
}

// Call work<bits of a group>().
template <class Work>
INLINE void with_group(const ConvShape& c, Work&& work) {
  switch (c.group) {
    case 1: return work.template operator()<1>();
    case 2: return work.template operator()<2>();
    case 3: return work.template operator()<3>();
    case 4: return work.template operator()<4>();
    case 5: return work.template operator()<5>();
    default: return work.template operator()<6>();
  }
}

// Currents of all output positions from one padded frame: out[position][length], channels [first, first + kCount x 16).
template <int kCount>
void convolve(const ConvShape& c, const Word* frame, const float* table, const float* bias, std::size_t first, float* out) {
  constexpr std::size_t kWidth = kCount * kLanes;
  const float* rows = table + first * c.rows;
  const ConvShape shape = c;  // a copy that no store can be thought to change
  with_group(c, [&]<int kGroup>() {
    float* to = out + first;
    for (int y = 0; y < shape.height; ++y)
      for (int x = 0; x < shape.width; ++x, to += shape.length) {
        Lanes sum[kCount];
        for (int j = 0; j < kCount; ++j) sum[j] = load(bias + first + kLanes * j);
        for_each_group<kGroup>(shape, frame, y, x, [&](std::size_t row) {
          for (int j = 0; j < kCount; ++j) sum[j] = sum[j] + load(rows + row * kWidth + kLanes * j);
        });
        for (int j = 0; j < kCount; ++j) store(to + kLanes * j, sum[j]);
      }
  });
}

// Add each position's gradient to the rows of the patterns seen there.
template <int kCount>
void gather_patterns(const ConvShape& c, const Word* frame, const float* gradient, std::size_t first, float* table) {
  constexpr std::size_t kWidth = kCount * kLanes;
  float* rows = table + first * c.rows;
  const ConvShape shape = c;
  with_group(c, [&]<int kGroup>() {
    const float* from = gradient + first;
    for (int y = 0; y < shape.height; ++y)
      for (int x = 0; x < shape.width; ++x, from += shape.length) {
        Lanes g[kCount];
        std::uint32_t any = 0;
        for (int j = 0; j < kCount; ++j) g[j] = load(from + kLanes * j), any |= bits_of(different(g[j], zero()));
        if (!any) continue;
        for_each_group<kGroup>(shape, frame, y, x, [&](std::size_t row) {
          for (int j = 0; j < kCount; ++j) add_to(rows + row * kWidth + kLanes * j, g[j]);
        });
      }
  });
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

// Where channel `o` of a row stands in a table: [piece of up to 64 channels][row][channels of the piece].
INLINE std::size_t in_table(const ConvShape& c, std::size_t row, std::size_t o) {
  const std::size_t first = o / 64 * 64, width = std::min<std::size_t>(64, c.length - first);
  return first * c.rows + row * width + (o - first);
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
          if (p && bit < bits) sum = load(&table[in_table(c, base + rest, o)]) + load(&taps[(static_cast<std::size_t>(ky) * c.window_bits + first + bit) * c.length + o]);
          store(&table[in_table(c, base + p, o)], sum);
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
            if (p >> bit & 1) sum = sum + load(table + in_table(c, base + p, o));
          add_to(taps + (static_cast<std::size_t>(ky) * c.window_bits + g * c.group + bit) * c.length + o, sum);
        }
}

}  // namespace spikewise::SPIKEWISE_ISA
