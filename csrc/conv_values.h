// A convolution of numbers.
#pragma once
#include "conv_tables.h"

namespace spikewise::SPIKEWISE_ISA {

inline const float* padded_map(const ConvShape& c, const float* map, float* room) {
  if (!c.padded()) return map;
  std::fill(room, room + c.row_bits() * c.height_in, 0.0f);
  const std::size_t row = static_cast<std::size_t>(c.width_in - 2 * c.padding.w) * c.channels_in;
  for (int y = 0; y + 2 * c.padding.h < c.height_in; ++y)
    std::memcpy(room + (y + c.padding.h) * c.row_bits() + static_cast<std::size_t>(c.padding.w) * c.channels_in, map + y * row, sizeof(float) * row);
  return room;
}

INLINE const float* window_row(const ConvShape& c, const float* map, int y, int x, int ky) {
  return map + static_cast<std::size_t>(y * c.stride.h + ky) * c.row_bits() + static_cast<std::size_t>(x) * c.stride.w * c.channels_in;
}

template <int kCount>
void convolve_values(const ConvShape& c, const float* map, const float* taps, const float* bias, std::size_t first, float* out) {
  float* to = out + first;
  for (int y = 0; y < c.height; ++y)
    for (int x = 0; x < c.width; ++x, to += c.length) {
      Lanes sum[kCount];
      for (int j = 0; j < kCount; ++j) sum[j] = load(bias + first + kLanes * j);
      const float* tap = taps + first;
      for (int ky = 0; ky < c.kernel.h; ++ky) {
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
      for (int ky = 0; ky < c.kernel.h; ++ky) {
        const float* row = window_row(c, map, y, x, ky);
        for (int i = 0; i < c.window_bits; ++i, tap += c.length)
          for (int j = 0; j < kCount; ++j) store(tap + kLanes * j, fma(splat(row[i]), load(from + kLanes * j), load(tap + kLanes * j)));
      }
    }
}

}  // namespace spikewise::SPIKEWISE_ISA
