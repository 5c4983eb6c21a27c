// Gradient of a convolution's inputs, from those outputs whose gradient is not zero.
#pragma once
#include "conv_gradient.h"

namespace spikewise::SPIKEWISE_ISA {

// Whether the windows of a pool are two places high and two wide, one convolution's step apart.
inline bool are_squares(const ConvShape& c, const GradientPlaces& places) {
  const std::vector<int>& at = places.offset;
  return c.stride.h == 1 && c.stride.w == 1 && at.size() == 4 && at[1] == 1 && at[2] == c.width && at[3] == c.width + 1;
}

// Weights as [channel out][ky][kx and channel in], among zeros: as many on the left as lie between the places of a line of `squares`.
struct TapsByOutput {
  bool squares;
  std::size_t before, width;  // zeros on the left; numbers of a map's row that a window's places reach
  std::size_t row, per_output;
  Array<float> values;

  TapsByOutput(const ConvShape& c, const Array<float>& taps, bool squares)
      : squares(squares), before(squares ? c.channels_in : 0), width(c.window_bits + before), row(before + round_up(width, kLanes)),
        per_output(row * c.kernel.h), values(per_output * c.channels, true) {
    for (int o = 0; o < c.channels; ++o)
      for (int ky = 0; ky < c.kernel.h; ++ky)
        for (int i = 0; i < c.window_bits; ++i)
          values[o * per_output + ky * row + before + i] = taps[(static_cast<std::size_t>(ky) * c.window_bits + i) * c.length + o];
  }
  // Where an output's weights begin for the map's row that its window's first place reaches first.
  int start(int place) const { return static_cast<int>(place % 2 ? 0 : before) - place / 2 * static_cast<int>(row); }
};

// Numbers that are not zero, and where the weights of each begin; with room for a vector more.
struct Listed {
  float* value;
  std::int32_t* start;
  int count = 0;

  // Those of sixteen numbers whose bit is set; the weights of the first begin at `first`, `apart` from the next.
  INLINE void add(Lanes v, std::uint32_t wanted, int first, int apart) {
#if defined(__AVX512F__)
    const __mmask16 mask = static_cast<__mmask16>(wanted);
    _mm512_storeu_ps(value + count, _mm512_maskz_compress_ps(mask, v.x));
    _mm512_storeu_si512(start + count, _mm512_maskz_compress_epi32(mask, counting(first, apart)));
    count += std::popcount(wanted);
#elif defined(__AVX2__)
    for (int half = 0; half < 2; ++half) {
      const unsigned mask = wanted >> 8 * half & 0xff;
      const __m256i order = close_order(mask);
      _mm256_storeu_ps(value + count, _mm256_permutevar8x32_ps((__m256)v.x[half], order));
      const __m256i from = _mm256_add_epi32(_mm256_mullo_epi32(order, _mm256_set1_epi32(apart)), _mm256_set1_epi32(first + 8 * half * apart));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(start + count), from);
      count += std::popcount(mask);
    }
#else
    float all[kLanes];
    store(all, v);
    for (; wanted; wanted &= wanted - 1, ++count) {
      const int at = std::countr_zero(wanted);
      value[count] = all[at], start[count] = first + at * apart;
    }
#endif
  }
};

// How many rows of kCount vectors are summed at once: as many as there are registers for beside the numbers they take.
template <int kCount>
constexpr int kRowsAtOnce = std::clamp((kRegisterLanes - 1) / kCount, 1, 5);

// Add the numbers [first, last) of a list, each times its weights, to kRows rows of a map, kCount vectors of each.
template <int kRows, int kCount>
INLINE void add_weighted(const Listed& g, int first, int last, const float* weights, std::size_t row, float* to, std::size_t stride) {
  Lanes sum[kRows][kCount];
  for (int r = 0; r < kRows; ++r)
    for (int j = 0; j < kCount; ++j) sum[r][j] = load(to + r * stride + kLanes * j);
  for (int i = first; i < last; ++i) {
    const Lanes value = splat(g.value[i]);
    const float* own = weights + g.start[i];
    for (int r = 0; r < kRows; ++r)
      for (int j = 0; j < kCount; ++j) sum[r][j] = fma(value, load(own + r * row + kLanes * j), sum[r][j]);
  }
  for (int r = 0; r < kRows; ++r)
    for (int j = 0; j < kCount; ++j) store(to + r * stride + kLanes * j, sum[r][j]);
}

// The same for `left` rows, kRows at once and then what is left.
template <int kRows, int kCount>
INLINE void add_rows_weighted(const Listed& g, const float* weights, std::size_t row, int left, float* to, std::size_t stride) {
  for (; left >= kRows; left -= kRows, weights += kRows * row, to += kRows * stride)
    add_weighted<kRows, kCount>(g, 0, g.count, weights, row, to, stride);
  if constexpr (kRows > 1)
    if (left) add_rows_weighted<kRows - 1, kCount>(g, weights, row, left, to, stride);
}

// Gradient of the input map; `room` holds the padded map and four vectors more. Of squares the four places are added together: the map's
// row that only the upper two reach, the rows that all do, and the last, which only the lower two reach.
inline void back_through_conv(const ConvShape& c, const GradientPlaces& places, const GradientMap& g, const TapsByOutput& taps, float* room,
                              float* out) {
  const std::size_t stride = c.row_bits();
  std::fill(room, room + stride * c.height_in + 64, 0.0f);
  const int choices = g.chosen ? static_cast<int>(places.offset.size()) : 1, together = taps.squares ? choices : 1;
  const int apart = static_cast<int>(taps.per_output), kernel = c.kernel.h;
  Listed listed{scratch(Room::listed_values, together * c.length + kLanes), scratch<std::int32_t>(Room::listed_starts, together * c.length + kLanes)};
  for (std::size_t i = 0; i < places.base.size(); ++i)
    for (int k = 0; k < choices; k += together) {
      listed.count = 0;
      int upper = 0;
      for (int q = 0; q < together; ++q) {
        const int start = taps.squares ? taps.start(q) : 0;
        for (int o = 0; o < c.channels; o += kLanes) {
          const Lanes v = load(g.values + i * g.spacing + o);
          std::uint32_t wanted = bits_of(different(v, zero())) & bits_of(first_lanes(c.channels - o));
          if (g.chosen) wanted &= equal_bytes(g.chosen + i * g.spacing + o, static_cast<std::uint8_t>(k + q));
          listed.add(v, wanted, start + o * apart, apart);
        }
        if (q == 1) upper = listed.count;
      }
      if (!listed.count) continue;
      const int place = places.base[i] + (g.chosen ? places.offset[k] : 0), y = place / c.width, x = place % c.width;
      float* to = room + static_cast<std::size_t>(y * c.stride.h) * stride + static_cast<std::size_t>(x) * c.stride.w * c.channels_in;
      for (std::size_t from = 0; from < taps.width; from += 64)
        with_lanes(static_cast<int>(std::min<std::size_t>(64, taps.width - from)), [&]<int kCount>() {
          const float* weights = taps.values.data() + from;
          if (!taps.squares) return add_rows_weighted<kRowsAtOnce<kCount>, kCount>(listed, weights, taps.row, kernel, to + from, stride);
          add_weighted<1, kCount>(listed, 0, upper, weights, taps.row, to + from, stride);
          add_rows_weighted<kRowsAtOnce<kCount>, kCount>(listed, weights + taps.row, taps.row, kernel - 1, to + from + stride, stride);
          add_weighted<1, kCount>(listed, upper, listed.count, weights + kernel * taps.row, taps.row, to + from + kernel * stride, stride);
        });
    }
  const std::size_t width = static_cast<std::size_t>(c.width_in - 2 * c.padding.w) * c.channels_in;
  for (int y = 0; y + 2 * c.padding.h < c.height_in; ++y)
    std::memcpy(out + y * width, room + (y + c.padding.h) * stride + static_cast<std::size_t>(c.padding.w) * c.channels_in, sizeof(float) * width);
}

}  // namespace spikewise::SPIKEWISE_ISA
