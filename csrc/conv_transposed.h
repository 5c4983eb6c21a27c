// Gradient of a convolution's inputs where most of its outputs take one: the transposed convolution, of numbers.
#pragma once
#include "conv_gradient.h"

namespace spikewise::SPIKEWISE_ISA {

// Weights of the transposed convolution: [ky][kx][channel out][channel in], turned by half.
inline Array<float> transposed_taps(const ConvShape& c, const ConvShape& t, const Array<float>& taps) {
  Array<float> out(t.weights() * t.length, true);
  const int last = c.kernel.h * c.kernel.w - 1;
  for (int at = 0; at <= last; ++at)
    for (int i = 0; i < c.channels_in; ++i)
      for (int o = 0; o < c.channels; ++o)
        out[(static_cast<std::size_t>(last - at) * c.channels + o) * t.length + i] =
            taps[(static_cast<std::size_t>(at) * c.channels_in + i) * c.length + o];
  return out;
}

// Whether more than half of a step's output gradients are numbers other than zero: then none is worth looking at by itself.
inline bool mostly_nonzero(const ConvShape& c, const GradientMap& g) {
  const std::size_t places = static_cast<std::size_t>(c.width) * c.height;
  std::size_t count = 0;
  for (std::size_t i = 0; i < places && 2 * count <= places * c.channels; ++i)
    for (int o = 0; o < c.channels; o += kLanes)
      count += std::popcount(bits_of(different(load(g.values + i * g.spacing + o), zero())) & bits_of(first_lanes(c.channels - o)));
  return 2 * count > places * c.channels;
}

// Gradient of the input map by the transposed convolution. `map` holds its padded input; `made` its output, where vectors end behind
// the last channel.
inline void back_by_transposed(const ConvShape& t, const GradientMap& g, const float* taps, const float* no_bias, float* map, float* made,
                               float* out) {
  const std::size_t row = t.row_bits(), channels = t.channels_in;
  std::fill(map, map + row * t.height_in, 0.0f);
  const int wide = t.width_in - 2 * t.padding.w;
  const float* from = g.values;
  for (int y = t.padding.h; y < t.height_in - t.padding.h; ++y, from += wide * g.spacing) {
    float* to = map + y * row + t.padding.w * channels;
    if (g.spacing == channels) std::memcpy(to, from, sizeof(float) * wide * channels);
    else
      for (int x = 0; x < wide; ++x) std::memcpy(to + x * channels, from + x * g.spacing, sizeof(float) * channels);
  }
  const bool close = t.length == static_cast<std::size_t>(t.channels);
  for_each_channels(t, [&]<int kCount>(std::size_t first) { convolve_values<kCount>(t, map, taps, no_bias, first, close ? out : made); });
  const std::size_t places = static_cast<std::size_t>(t.width) * t.height;
  for (std::size_t i = 0; i < places && !close; ++i) std::memcpy(out + i * t.channels, made + i * t.length, sizeof(float) * t.channels);
}

}  // namespace spikewise::SPIKEWISE_ISA
