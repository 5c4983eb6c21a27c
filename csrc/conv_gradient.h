// Gradients of a convolution. Behind max pooling only one place of each window takes a gradient, for each channel its own:
// `GradientMap` says which, and neither the weights' nor the inputs' gradient looks at the others.
#pragma once
#include "conv_values.h"

namespace spikewise::SPIKEWISE_ISA {

// The gradient of a convolution's outputs at one step: value [position][channel] belongs to the output at
// base[position] + offset[chosen]; without `chosen`, to base[position].
struct GradientMap {
  const float* values;
  std::size_t spacing;
  const std::uint8_t* chosen;  // as `values`, channels apart
};

struct GradientPlaces {
  std::vector<int> base, offset;

  GradientPlaces(const PoolShape& p) {
    for (int y = 0; y < p.height; ++y)
      for (int x = 0; x < p.width; ++x) base.push_back(y * p.stride.h * p.width_in + x * p.stride.w);
    for (int k = 0; k < p.count(); ++k) offset.push_back(k / p.size.w * p.width_in + k % p.size.w);
  }
};

// The bits of each window, tap after tap, in whole words: [output position][words].
inline std::size_t window_words(const ConvShape& c) { return (c.weights() + 63) / 64; }

inline void window_bits(const ConvShape& c, const Word* frame, Word* out) {
  const std::size_t words = window_words(c), step = static_cast<std::size_t>(c.stride.w) * c.channels_in;
  if (words == 1 && c.row_bits() <= kExtracted) {
    std::memset(out, 0, sizeof(Word) * c.width * c.height);
    const Word mask = (Word{1} << c.window_bits) - 1;
    const int width = c.width;
    for (int y = 0; y < c.height; ++y, out += width)
      for (int ky = 0; ky < c.kernel.h; ++ky) {
        const Word row = extract(frame, (y * c.stride.h + ky) * c.row_bits(), static_cast<int>(c.row_bits()));
        const int shift = ky * c.window_bits;
        for (int x = 0; x < width; ++x) out[x] |= (row >> (x * step) & mask) << shift;
      }
    return;
  }
  for (int y = 0; y < c.height; ++y)
    for (int x = 0; x < c.width; ++x) {
      Word word = 0;
      int filled = 0;
      for (int ky = 0; ky < c.kernel.h; ++ky)
        for (int done = 0; done < c.window_bits; done += kExtracted) {
          const int count = std::min(kExtracted, c.window_bits - done);
          const Word piece = extract(frame, (y * c.stride.h + ky) * c.row_bits() + x * step + done, count);
          word |= piece << filled, filled += count;
          if (filled < 64) continue;
          *out++ = word, filled -= 64, word = piece >> (count - filled);
        }
      if (filled) *out++ = word;
    }
}

// Channels whose gradients are summed at once: sums that wait for each other's last addition only.
template <int kTaps>
constexpr int kChannelsAtOnce = std::clamp(kRegisterLanes / 2 / kTaps, 1, 4);

// Add to `sums` [channel][taps, whole vectors] the gradient of taps [from, from + kTaps x 16), of channels [o, o + kChannels). Half a
// word behind the last window is read.
template <int kTaps, int kChannels, bool kChosen>
INLINE void gather_channels(const ConvShape& c, const GradientPlaces& places, const char* masks, const GradientMap& g, int o, float* sums) {
  const std::size_t stride = round_up(c.weights(), kLanes), bytes = window_words(c) * sizeof(Word), spacing = g.spacing;
  const int *base = places.base.data(), *offset = places.offset.data(), *const end = base + places.base.size();
  Lanes sum[kChannels][kTaps];
  for (int q = 0; q < kChannels; ++q)
    for (int j = 0; j < kTaps; ++j) sum[q][j] = load(sums + q * stride + kLanes * j);
  const float* value = g.values + o;
  const std::uint8_t* chosen = kChosen ? g.chosen + o : nullptr;
  for (; base != end; ++base, value += spacing) {
    for (int q = 0; q < kChannels; ++q) {
      const char* mask = masks + static_cast<std::size_t>(*base + (kChosen ? offset[chosen[q]] : 0)) * bytes;
      const Lanes one = splat(value[q]);
      for (int j = 0; j < kTaps; ++j) {
        std::uint32_t bits;
        std::memcpy(&bits, mask + 2 * j, sizeof bits);
        sum[q][j] = add_where(sum[q][j], bits, one);
      }
    }
    if constexpr (kChosen) chosen += spacing;
  }
  for (int q = 0; q < kChannels; ++q)
    for (int j = 0; j < kTaps; ++j) store(sums + q * stride + kLanes * j, sum[q][j]);
}

template <int kTaps, bool kChosen>
void gather(const ConvShape& c, const GradientPlaces& places, const Word* windows, const GradientMap& g, std::size_t from, float* sums) {
  constexpr int kAtOnce = kChannelsAtOnce<kTaps>;
  const std::size_t stride = round_up(c.weights(), kLanes);
  const char* masks = reinterpret_cast<const char*>(windows) + from / 8;
  int o = 0;
  for (; o + kAtOnce <= c.channels; o += kAtOnce) gather_channels<kTaps, kAtOnce, kChosen>(c, places, masks, g, o, sums + o * stride + from);
  for (; o < c.channels; ++o) gather_channels<kTaps, 1, kChosen>(c, places, masks, g, o, sums + o * stride + from);
}

template <bool kChosen>
void gather_all(const ConvShape& c, const GradientPlaces& places, const Word* windows, const GradientMap& g, float* sums) {
  const std::size_t taps = round_up(c.weights(), kLanes);
  for (std::size_t from = 0; from < taps; from += 8 * kLanes) {
    switch (std::min<std::size_t>(8, (taps - from) / kLanes)) {
      case 1: gather<1, kChosen>(c, places, windows, g, from, sums); break;
      case 2: gather<2, kChosen>(c, places, windows, g, from, sums); break;
      case 3: gather<3, kChosen>(c, places, windows, g, from, sums); break;
      case 4: gather<4, kChosen>(c, places, windows, g, from, sums); break;
      case 5: gather<5, kChosen>(c, places, windows, g, from, sums); break;
      case 6: gather<6, kChosen>(c, places, windows, g, from, sums); break;
      case 7: gather<7, kChosen>(c, places, windows, g, from, sums); break;
      default: gather<8, kChosen>(c, places, windows, g, from, sums); break;
    }
  }
}

// Weights as [channel out][ky][kx and channel in], the last rounded up to whole vectors.
inline Array<float> taps_by_output(const ConvShape& c, const Array<float>& taps) {
  const std::size_t row = round_up(c.window_bits, kLanes);
  Array<float> out(c.channels * c.kernel.h * row, true);
  for (int o = 0; o < c.channels; ++o)
    for (int ky = 0; ky < c.kernel.h; ++ky)
      for (int i = 0; i < c.window_bits; ++i)
        out[(static_cast<std::size_t>(o) * c.kernel.h + ky) * row + i] = taps[(static_cast<std::size_t>(ky) * c.window_bits + i) * c.length + o];
  return out;
}

// Numbers that are not zero, and the channel of each; with room for a vector more.
struct Listed {
  float* value;
  std::int32_t* channel;
  int count = 0;

  INLINE void add(Lanes v, int first, std::uint32_t wanted) {
#if defined(__AVX512F__)
    const __mmask16 mask = static_cast<__mmask16>(wanted);
    _mm512_storeu_ps(value + count, _mm512_maskz_compress_ps(mask, v.x));
    _mm512_storeu_si512(channel + count, _mm512_maskz_compress_epi32(mask, counting(first, 1)));
    count += std::popcount(wanted);
#elif defined(__AVX2__)
    for (int half = 0; half < 2; ++half) {
      const unsigned mask = wanted >> 8 * half & 0xff;
      const __m256i order = close_order(mask);
      _mm256_storeu_ps(value + count, _mm256_permutevar8x32_ps((__m256)v.x[half], order));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(channel + count), _mm256_add_epi32(order, _mm256_set1_epi32(first + 8 * half)));
      count += std::popcount(mask);
    }
#else
    float all[kLanes];
    store(all, v);
    for (; wanted; wanted &= wanted - 1, ++count) {
      const int at = std::countr_zero(wanted);
      value[count] = all[at], channel[count] = first + at;
    }
#endif
  }
};

// How many rows of kCount vectors are summed at once: as many as there are registers for beside the numbers they take.
template <int kCount>
constexpr int kRowsAtOnce = std::clamp(kRegisterLanes * 3 / 4 / kCount, 1, 5);

// Add the listed numbers, each times its channel's weights, to kRows rows of a map, kCount vectors of each.
template <int kRows, int kCount>
INLINE void add_weighted(const Listed& g, const float* weights, std::size_t per_channel, std::size_t row, float* to, std::size_t stride) {
  Lanes sum[kRows][kCount];
  for (int r = 0; r < kRows; ++r)
    for (int j = 0; j < kCount; ++j) sum[r][j] = load(to + r * stride + kLanes * j);
  for (int i = 0; i < g.count; ++i) {
    const Lanes value = splat(g.value[i]);
    const float* own = weights + static_cast<std::size_t>(g.channel[i]) * per_channel;
    for (int r = 0; r < kRows; ++r)
      for (int j = 0; j < kCount; ++j) sum[r][j] = fma(value, load(own + r * row + kLanes * j), sum[r][j]);
  }
  for (int r = 0; r < kRows; ++r)
    for (int j = 0; j < kCount; ++j) store(to + r * stride + kLanes * j, sum[r][j]);
}

// The same for all rows of a kernel, kRows at once and then what is left.
template <int kRows, int kCount>
INLINE void add_kernel_rows(const Listed& g, const float* weights, std::size_t per_channel, std::size_t row, int left, float* to,
                            std::size_t stride) {
  for (; left >= kRows; left -= kRows, weights += kRows * row, to += kRows * stride)
    add_weighted<kRows, kCount>(g, weights, per_channel, row, to, stride);
  if constexpr (kRows > 1)
    if (left) add_kernel_rows<kRows - 1, kCount>(g, weights, per_channel, row, left, to, stride);
}

// Gradient of the input map; `room` holds the padded map and four vectors more.
inline void back_through_conv(const ConvShape& c, const GradientPlaces& places, const GradientMap& g, const Array<float>& by_output, float* room,
                              float* out) {
  const std::size_t row = round_up(c.window_bits, kLanes), per_output = row * c.kernel.h, stride = c.row_bits();
  std::fill(room, room + stride * c.height_in + 64, 0.0f);
  Listed listed{scratch(Room::listed_values, c.length + kLanes), scratch<std::int32_t>(Room::listed_channels, c.length + kLanes)};
  const int choices = g.chosen ? static_cast<int>(places.offset.size()) : 1;
  for (std::size_t i = 0; i < places.base.size(); ++i)
    for (int k = 0; k < choices; ++k) {
      listed.count = 0;
      for (int o = 0; o < c.channels; o += kLanes) {
        const Lanes v = load(g.values + i * g.spacing + o);
        std::uint32_t wanted = bits_of(different(v, zero())) & bits_of(first_lanes(c.channels - o));
        if (g.chosen) wanted &= ~bits_of(different(from_bytes(g.chosen + i * g.spacing + o), splat(static_cast<float>(k))));
        listed.add(v, o, wanted);
      }
      const int place = places.base[i] + (g.chosen ? places.offset[k] : 0), y = place / c.width, x = place % c.width;
      float* to = room + static_cast<std::size_t>(y * c.stride.h) * stride + static_cast<std::size_t>(x) * c.stride.w * c.channels_in;
      for (std::size_t from = 0; listed.count && from < row; from += 64)
        with_lanes(static_cast<int>(std::min<std::size_t>(64, row - from)), [&]<int kCount>() {
          add_kernel_rows<kRowsAtOnce<kCount>, kCount>(listed, by_output.data() + from, per_output, row, c.kernel.h, to + from, stride);
        });
    }
  const std::size_t width = static_cast<std::size_t>(c.width_in - 2 * c.padding.w) * c.channels_in;
  for (int y = 0; y + 2 * c.padding.h < c.height_in; ++y)
    std::memcpy(out + y * width, room + (y + c.padding.h) * stride + static_cast<std::size_t>(c.padding.w) * c.channels_in, sizeof(float) * width);
}

}  // namespace spikewise::SPIKEWISE_ISA
