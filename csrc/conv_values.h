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

// The convolution at kPlaces places side by side.
template <int kCount, int kPlaces>
INLINE void convolve_places(const ConvShape& c, const float* map, const float* taps, const float* bias, int y, int x, float* to) {
  Lanes sum[kPlaces][kCount];
  for (int q = 0; q < kPlaces; ++q)
    for (int j = 0; j < kCount; ++j) sum[q][j] = load(bias + kLanes * j);
  const std::size_t along = static_cast<std::size_t>(c.stride.w) * c.channels_in;
  for (int ky = 0; ky < c.kernel.h; ++ky) {
    const float* row = window_row(c, map, y, x, ky);
    for (int i = 0; i < c.window_bits; ++i, taps += c.length)
      for (int j = 0; j < kCount; ++j) {
        const Lanes tap = load(taps + kLanes * j);
        for (int q = 0; q < kPlaces; ++q) sum[q][j] = fma(splat(row[q * along + i]), tap, sum[q][j]);
      }
  }
  for (int q = 0; q < kPlaces; ++q)
    for (int j = 0; j < kCount; ++j) store(to + q * c.length + kLanes * j, sum[q][j]);
}

// Places of kCount vectors that wait for each other's last product only: more than of sums of tables, since a product takes longer.
template <int kCount>
constexpr int kProductsAtOnce = std::clamp(kRegisterLanes * 3 / 4 / kCount, 1, kCount == 1 ? 8 : 4);

// The convolution at the places of a row from x on: kPlaces at once, then what is left.
template <int kCount, int kPlaces>
INLINE void convolve_places_of(const ConvShape& c, const float* map, const float* taps, const float* bias, int y, int x, float* to) {
  for (; x + kPlaces <= c.width; x += kPlaces, to += kPlaces * c.length) convolve_places<kCount, kPlaces>(c, map, taps, bias, y, x, to);
  if constexpr (kPlaces > 1)
    if (x < c.width) convolve_places_of<kCount, kPlaces / 2>(c, map, taps, bias, y, x, to);
}

template <int kCount>
void convolve_values(const ConvShape& c, const float* map, const float* taps, const float* bias, std::size_t first, float* out) {
  if constexpr (kCount > kColumnsAtOnce) {
    convolve_values<kColumnsAtOnce>(c, map, taps, bias, first, out);
    return convolve_values<kCount - kColumnsAtOnce>(c, map, taps, bias, first + kColumnsAtOnce * kLanes, out);
  }
  float* to = out + first;
  for (int y = 0; y < c.height; ++y, to += c.width * c.length)
    convolve_places_of<kCount, kProductsAtOnce<kCount>>(c, map, taps + first, bias + first, y, 0, to);
}

// taps += input x gradient, at kPlaces places side by side, one after the other.
template <int kCount, int kPlaces>
INLINE void gather_places(const ConvShape& c, const float* map, const float* gradient, int y, int x, float* taps) {
  Lanes from[kPlaces][kCount];
  for (int q = 0; q < kPlaces; ++q)
    for (int j = 0; j < kCount; ++j) from[q][j] = load(gradient + q * c.length + kLanes * j);
  const std::size_t along = static_cast<std::size_t>(c.stride.w) * c.channels_in;
  for (int ky = 0; ky < c.kernel.h; ++ky) {
    const float* row = window_row(c, map, y, x, ky);
    for (int i = 0; i < c.window_bits; ++i, taps += c.length)
      for (int j = 0; j < kCount; ++j) {
        Lanes sum = load(taps + kLanes * j);
        for (int q = 0; q < kPlaces; ++q) sum = fma(splat(row[q * along + i]), from[q][j], sum);
        store(taps + kLanes * j, sum);
      }
  }
}

// The same over all positions.
template <int kCount>
void gather_values(const ConvShape& c, const float* map, const float* gradient, std::size_t first, float* taps) {
  if constexpr (kCount > kColumnsAtOnce) {
    gather_values<kColumnsAtOnce>(c, map, gradient, first, taps);
    return gather_values<kCount - kColumnsAtOnce>(c, map, gradient, first + kColumnsAtOnce * kLanes, taps);
  }
  constexpr int kPlaces = kPlacesAtOnce<kCount>;
  const float* from = gradient + first;
  for (int y = 0; y < c.height; ++y) {
    int x = 0;
    for (; x + kPlaces <= c.width; x += kPlaces, from += kPlaces * c.length) gather_places<kCount, kPlaces>(c, map, from, y, x, taps + first);
    for (; x < c.width; ++x, from += c.length) gather_places<kCount, 1>(c, map, from, y, x, taps + first);
  }
}

}  // namespace spikewise::SPIKEWISE_ISA
