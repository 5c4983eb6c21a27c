// Images become spikes as bits, or a current; the same bits as `spikewise.encoders`, whatever the batch or thread.
#pragma once
#include <vector>

#include "philox.h"
#include "plan.h"
#include "signal.h"
#include "threads.h"

namespace spikewise::SPIKEWISE_ISA {

// Position in [c][h][w] of each feature counted as [h][w][c]; empty where the two are the same.
inline std::vector<int> channels_first(const Shape& s) {
  std::vector<int> order;
  if (s.c == 1 || s.h * s.w == 1) return order;
  for (int p = 0; p < s.h * s.w; ++p)
    for (int c = 0; c < s.c; ++c) order.push_back(c * s.h * s.w + p);
  return order;
}

// A random byte below p + [p >= 128] is a spike: at most p for the bright half, at most p - 1 for the others.
INLINE Word rate_word(const std::uint8_t* random, const std::uint8_t* pixels) {
#if defined(__AVX512BW__)
  const __m512i r = _mm512_loadu_si512(random), p = _mm512_loadu_si512(pixels);
  const __mmask64 bright = _mm512_movepi8_mask(p);
  return _mm512_cmplt_epu8_mask(r, p) | (_mm512_cmpeq_epu8_mask(r, p) & bright);
#elif defined(__AVX2__)
  auto half = [&](int from) {
    const __m256i r = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(random + from));
    const __m256i p = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(pixels + from));
    const __m256i equal = _mm256_cmpeq_epi8(r, p), at_most = _mm256_cmpeq_epi8(_mm256_min_epu8(r, p), r);
    // Equal is at most, too: it counts where the pixel's first bit is set, and there alone.
    return static_cast<std::uint32_t>(_mm256_movemask_epi8(_mm256_andnot_si256(_mm256_andnot_si256(p, equal), at_most)));
  };
  return half(0) | Word{half(32)} << 32;
#else
  Word word = 0;
  for (int i = 0; i < 64; ++i) word |= Word{random[i] < pixels[i] + (pixels[i] >> 7)} << i;
  return word;
#endif
}

// Everything of one image. `pixels` and the scratch hold whole words; `order` is where each feature stands in the image.
inline void encode_rate(const Call& call, int image, const std::uint8_t* pixels, const std::vector<int>& order, Signal& out) {
  const std::size_t padded = round_up(out.features, kBytes);
  Array<std::uint8_t> random(padded, true), moved(padded);
  // Where no pixel is bright nothing spikes, whatever is drawn.
  std::vector<bool> dark(padded / kBytes, true);
  for (int f = 0; f < out.features; ++f)
    if (pixels[f]) dark[(order.empty() ? f : order[f]) / kBytes] = false;
  PhiloxKey key{static_cast<std::uint32_t>(call.seed), static_cast<std::uint32_t>(call.seed >> 32), 0, static_cast<std::uint32_t>(call.index[image]),
                call.epoch};
  for (int t = 0; t < call.steps; ++t) {
    key.step = static_cast<std::uint32_t>(t);
    for (std::size_t at = 0; at < padded; at += kBytes)
      if (!dark[at / kBytes]) random_bytes(key, static_cast<std::uint32_t>(at / 16), random.data() + at);
    const std::uint8_t* r = random.data();
    if (!order.empty()) {
      for (int f = 0; f < out.features; ++f) moved[f] = random[order[f]];
      r = moved.data();
    }
    Word* frame = out.frame(image, t);
    for (std::size_t w = 0; w < out.words; ++w) frame[w] = rate_word(r + 64 * w, pixels + 64 * w);
  }
}

inline void encode_by_table(const Call& call, int image, const std::uint8_t* pixels, Signal& out) {
  std::memset(out.frame(image, 0), 0, sizeof(Word) * out.words * call.steps);
  for (int f = 0; f < out.features; ++f) {
    const int first = call.first_spike[pixels[f]];
    const int period = call.source == Source::periodic ? first : call.steps;
    for (int t = first; t >= 0 && t < call.steps; t += period) out.frame(image, t)[f / 64] |= Word{1} << (f % 64);
  }
}

// Where the image, moved along the path, got brighter (the first channels) or darker than a step before; it starts dark.
inline void encode_delta(const Plan& plan, const Call& call, int image, const std::vector<int>& order, Signal& out) {
  const int height = plan.image.h, width = plan.image.w, area = height * width, pixels = plan.image.c / 2 * area;
  const std::uint8_t* from = call.images + static_cast<std::size_t>(image) * pixels;
  Array<float> before(pixels, true), now(pixels);
  for (int t = 0; t < call.steps; ++t, std::swap(before, now)) {
    const int down = call.path[2 * t], right = call.path[2 * t + 1];
    now.zero();
    for (int p = 0; p < pixels; ++p) {
      const int y = p % area / width + down, x = p % width + right;
      if (y < height && x < width) now[p / area * area + y * width + x] = static_cast<float>(from[p]) / 255.0f;
    }
    Word* frame = out.frame(image, t);
    std::memset(frame, 0, sizeof(Word) * out.words);
    for (int f = 0; f < out.features; ++f) {
      const int at = order.empty() ? f : order[f];
      const float change = now[at % pixels] - before[at % pixels];
      const bool event = at < pixels ? change > call.threshold : change < -call.threshold;
      frame[f / 64] |= Word{event} << (f % 64);
    }
  }
}

inline Signal encode_values(const Plan& plan, const Call& call) {
  const int features = plan.image.features(), steps = call.constant ? 1 : call.steps;
  const std::vector<int> order = plan.channels_last ? channels_first(plan.image) : std::vector<int>();
  const std::size_t count = static_cast<std::size_t>(call.batch) * steps * features;
  bool binary = !call.constant;
  for (std::size_t i = 0; i < count && binary; ++i) binary = call.values[i] == 0.0f || call.values[i] == 1.0f;
  Signal out = binary ? Signal::of_spikes(call.batch, steps, features) : Signal::of_values(call.batch, steps, features);
  parallel(call.batch, call.threads, [&](int b) {
    Array<float> moved(features);
    for (int t = 0; t < steps; ++t) {
      const float* frame = call.values + (static_cast<std::size_t>(t) * call.batch + b) * features;
      float* to = binary ? moved.data() : out.row(b, t);
      for (int f = 0; f < features; ++f) to[f] = frame[order.empty() ? f : order[f]];
      if (binary) pack_nonzero(to, features, out.frame(b, t));
    }
  });
  return out;
}

inline Signal encode(const Plan& plan, const Call& call) {
  if (call.source == Source::values) return encode_values(plan, call);
  const int features = plan.image.features();
  const std::vector<int> order = plan.channels_last ? channels_first(plan.image) : std::vector<int>();
  Signal out = call.source == Source::direct ? Signal::of_values(call.batch, 1, features) : Signal::of_spikes(call.batch, call.steps, features);
  parallel(call.batch, call.threads, [&](int b) {
    if (call.source == Source::delta) return encode_delta(plan, call, b, order, out);
    const std::uint8_t* image = call.images + static_cast<std::size_t>(b) * features;
    Array<std::uint8_t> pixels(round_up(features, 64), true);
    for (int f = 0; f < features; ++f) pixels[f] = image[order.empty() ? f : order[f]];
    if (call.source == Source::rate) encode_rate(call, b, pixels.data(), order, out);
    else if (call.source == Source::direct) {
      for (int f = 0; f < features; ++f) out.row(b, 0)[f] = static_cast<float>(pixels[f]) / 255.0f;
    } else encode_by_table(call, b, pixels.data(), out);
  });
  return out;
}

}  // namespace spikewise::SPIKEWISE_ISA
