// A convolution of numbers, and the gradient of a convolution's input. The latter walks over the output gradients that
// are not zero: behind max pooling three of four are.
#pragma once
#include "conv_tables.h"

namespace spikewise::SPIKEWISE_ISA {

inline const float* padded_map(const ConvShape& c, const float* map, float* room) {
  if (c.padding == 0) return map;
  std::fill(room, room + c.row_bits() * c.height_in, 0.0f);
  const std::size_t row = static_cast<std::size_t>(c.width_in - 2 * c.padding) * c.channels_in;
  for (int y = 0; y + 2 * c.padding < c.height_in; ++y)
    std::memcpy(room + (y + c.padding) * c.row_bits() + static_cast<std::size_t>(c.padding) * c.channels_in, map + y * row, sizeof(float) * row);
  return room;
}

INLINE const float* window_row(const ConvShape& c, const float* map, int y, int x, int ky) {
  return map + static_cast<std::size_t>(y * c.stride + ky) * c.row_bits() + static_cast<std::size_t>(x) * c.stride * c.channels_in;
}

template <int kCount>
void convolve_values(const ConvShape& c, const float* map, const float* taps, const float* bias, std::size_t first, float* out) {
  float* to = out + first;
  for (int y = 0; y < c.height; ++y)
    for (int x = 0; x < c.width; ++x, to += c.length) {
      Lanes sum[kCount];
      for (int j = 0; j < kCount; ++j) sum[j] = load(bias + first + kLanes * j);
      const float* tap = taps + first;
      for (int ky = 0; ky < c.kernel; ++ky) {
        const float* row = window_row(c, map, y, x, ky);
        for (int i = 0; i < c.window_bits; ++i, tap += c.length)
          for (int j = 0; j < kCount; ++j) sum[j] = fma(splat(row[i]), load(tap + kLanes * j), sum[j]);
      }
      for (int j = 0; j < kCount; ++j) store(to + kLanes * j, sum[j]);
    }
}

// taps += input x gradient, over all positions.
template <int kCount>
void gather_values(const ConvShape& c, const float* map, const float* gradient, std::size_t first, float* taps) {
  for (int y = 0; y < c.height; ++y)
    for (int x = 0; x < c.width; ++x) {
      const float* from = gradient + (static_cast<std::size_t>(y) * c.width + x) * c.length + first;
      float* tap = taps + first;
      for (int ky = 0; ky < c.kernel; ++ky) {
        const float* row = window_row(c, map, y, x, ky);
        for (int i = 0; i < c.window_bits; ++i, tap += c.length)
          for (int j = 0; j < kCount; ++j) store(tap + kLanes * j, fma(splat(row[i]), load(from + kLanes * j), load(tap + kLanes * j)));
      }
    }
}

// Weights as [channel out][ky][kx and channel in], the last rounded up to whole vectors.
inline Array<float> taps_by_output(const ConvShape& c, const Array<float>& taps) {
  const std::size_t row = round_up(c.window_bits, kLanes);
  Array<float> out(c.channels * c.kernel * row, true);
  for (int o = 0; o < c.channels; ++o)
    for (int ky = 0; ky < c.kernel; ++ky)
      for (int i = 0; i < c.window_bits; ++i)
        out[(static_cast<std::size_t>(o) * c.kernel + ky) * row + i] = taps[(static_cast<std::size_t>(ky) * c.window_bits + i) * c.length + o];
  return out;
}

// Gradient of the input map, from that of the outputs [position][length]; `room` holds the padded map and a vector more.
inline void back_through_conv(const ConvShape& c, const float* gradient, const Array<float>& by_output, float* room, float* out) {
  const std::size_t row = round_up(c.window_bits, kLanes), per_output = row * c.kernel;
  std::fill(room, room + c.row_bits() * c.height_in + 64, 0.0f);
  std::vector<float> value(c.length);
  std::vector<const float*> weights(c.length);
  for (int y = 0; y < c.height; ++y)
    for (int x = 0; x < c.width; ++x, gradient += c.length) {
      int count = 0;
      for (std::size_t o = 0; o < c.length; o += kLanes)
        for (std::uint32_t rest = bits_of(different(load(gradient + o), zero())); rest; rest &= rest - 1, ++count) {
          const std::size_t at = o + std::countr_zero(rest);
          value[count] = gradient[at], weights[count] = &by_output[at * per_output];
        }
      for (int ky = 0; count && ky < c.kernel; ++ky) {
        float* to = room + static_cast<std::size_t>(y * c.stride + ky) * c.row_bits() + static_cast<std::size_t>(x) * c.stride * c.channels_in;
        for (std::size_t from = 0; from < row; from += 64)
          with_lanes(static_cast<int>(std::min<std::size_t>(64, row - from)), [&]<int kCount>() {
            Lanes sum[kCount];
            for (int j = 0; j < kCount; ++j) sum[j] = load(to + from + kLanes * j);
            for (int i = 0; i < count; ++i) {
              const Lanes g = splat(value[i]);
              for (int j = 0; j < kCount; ++j) sum[j] = fma(g, load(weights[i] + ky * row + from + kLanes * j), sum[j]);
            }
            for (int j = 0; j < kCount; ++j) store(to + from + kLanes * j, sum[j]);
          });
      }
    }
  const std::size_t width = static_cast<std::size_t>(c.width_in - 2 * c.padding) * c.channels_in;
  for (int y = 0; y + 2 * c.padding < c.height_in; ++y)
    std::memcpy(out + y * width, room + (y + c.padding) * c.row_bits() + static_cast<std::size_t>(c.padding) * c.channels_in, sizeof(float) * width);
}

}  // namespace spikewise::SPIKEWISE_ISA
