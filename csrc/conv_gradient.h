// Gradient of a convolution's weights where its inputs are spikes. Behind max pooling only one place of each window takes a gradient, for
// each channel its own: `GradientMap` says which, and neither the weights' nor the inputs' gradient looks at the others.
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
    for (int y = 0; y < c.height; ++y, out += width) {
      // What the windows of the line above have in common with these moves up by as many rows as they are apart.
      const int known = y ? std::max(0, c.kernel.h - c.stride.h) : 0, gone = (c.kernel.h - known) * c.window_bits;
      for (int x = 0; known && x < width; ++x) out[x] = out[x - width] >> gone;
      for (int ky = known; ky < c.kernel.h; ++ky) {
        const Word row = extract(frame, (y * c.stride.h + ky) * c.row_bits(), static_cast<int>(c.row_bits()));
        const int shift = ky * c.window_bits;
        for (int x = 0; x < width; ++x) out[x] |= (row >> (x * step) & mask) << shift;
      }
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

// Where a mask takes several instructions and each window's bits meet several channels, the bits are spread out first, as ones and
// zeros, for as many outputs as stay in the first-level cache. A product with one is exact, so the sums are the same.
struct SpreadWindows {
#if defined(__AVX2__) && !defined(__AVX512F__)
  static constexpr bool kMasksAreDear = true;
#else
  static constexpr bool kMasksAreDear = false;
#endif
  static constexpr int kMostTaps = 4;                               // vectors at once
  static constexpr std::size_t kRoom = (28 << 10) / sizeof(float);  // numbers

  const ConvShape& c;
  const GradientPlaces& places;

  bool pays() const {
    const std::size_t taps = std::min<std::size_t>(kMostTaps * kLanes, round_up(c.weights(), kLanes));
    return kMasksAreDear && positions(0, 1) * taps <= kRoom && places.base.size() * c.channels >= 3 * static_cast<std::size_t>(c.width) * c.height;
  }

  template <bool kChosen>
  void gather(const Word* windows, const GradientMap& g, float* sums) const {
    float* spread = scratch(Room::spread_windows, kRoom);
    for (std::size_t from = 0; from < c.weights(); from += kMostTaps * kLanes)
      with_lanes(static_cast<int>(std::min<std::size_t>(kMostTaps * kLanes, c.weights() - from)), [&]<int kTaps>() {
        const char* bits = reinterpret_cast<const char*>(windows) + from / 8;
        for (std::size_t first = 0, last = 1; first < places.base.size(); first = last) {
          while (last < places.base.size() && positions(first, last + 1) * kTaps * kLanes <= kRoom) ++last;
          write<kTaps>(bits, first, last, spread);
          add_outputs<kTaps, kChosen>(spread, g, first, last, sums + from);
        }
      });
  }

 private:
  // Those that the outputs [first, last) may have chosen.
  std::size_t positions(std::size_t first, std::size_t last) const {
    return static_cast<std::size_t>(places.base[last - 1] - places.base[first] + places.offset.back() + 1);
  }

  template <int kTaps>
  void write(const char* bits, std::size_t first, std::size_t last, float* to) const {
    const std::size_t bytes = window_words(c) * sizeof(Word);
    bits += static_cast<std::size_t>(places.base[first]) * bytes;
    for (const float* end = to + positions(first, last) * kTaps * kLanes; to < end; bits += bytes)
      for (int j = 0; j < kTaps; ++j, to += kLanes) {
        std::uint16_t own;
        std::memcpy(&own, bits + 2 * j, sizeof own);
        store(to, ones(own));
      }
  }

  template <int kTaps, bool kChosen>
  void add_outputs(const float* spread, const GradientMap& g, std::size_t first, std::size_t last, float* sums) const {
    constexpr int kAtOnce = std::clamp(kRegisterLanes * 3 / 4 / kTaps, 1, 3);
    const std::size_t stride = round_up(c.weights(), kLanes);
    int o = 0;
    for (; o + kAtOnce <= c.channels; o += kAtOnce) add_channels<kTaps, kAtOnce, kChosen>(spread, g, first, last, o, sums + o * stride);
    for (; o < c.channels; ++o) add_channels<kTaps, 1, kChosen>(spread, g, first, last, o, sums + o * stride);
  }

  template <int kTaps, int kChannels, bool kChosen>
  INLINE void add_channels(const float* spread, const GradientMap& g, std::size_t first, std::size_t last, int o, float* sums) const {
    const std::size_t stride = round_up(c.weights(), kLanes);
    Lanes sum[kChannels][kTaps];
    for (int q = 0; q < kChannels; ++q)
      for (int j = 0; j < kTaps; ++j) sum[q][j] = load(sums + q * stride + kLanes * j);
    const int *base = places.base.data() + first, *offset = places.offset.data(), *const end = places.base.data() + last, start = *base;
    const float* value = g.values + first * g.spacing + o;
    const std::uint8_t* chosen = kChosen ? g.chosen + first * g.spacing + o : nullptr;
    for (; base != end; ++base, value += g.spacing) {
      for (int q = 0; q < kChannels; ++q) {
        const float* at = spread + static_cast<std::size_t>(*base - start + (kChosen ? offset[chosen[q]] : 0)) * kTaps * kLanes;
        const Lanes one = splat(value[q]);
        for (int j = 0; j < kTaps; ++j) sum[q][j] = fma(one, load(at + kLanes * j), sum[q][j]);
      }
      if constexpr (kChosen) chosen += g.spacing;
    }
    for (int q = 0; q < kChannels; ++q)
      for (int j = 0; j < kTaps; ++j) store(sums + q * stride + kLanes * j, sum[q][j]);
  }
};

template <bool kChosen>
void gather_all(const ConvShape& c, const GradientPlaces& places, const Word* windows, const GradientMap& g, float* sums) {
  if (const SpreadWindows spread{c, places}; spread.pays()) return spread.gather<kChosen>(windows, g, sums);
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

}  // namespace spikewise::SPIKEWISE_ISA
