// Random numbers of many images at once; the same as `spikewise.randomness`, whatever the batch or thread.
#pragma once
#include <algorithm>
#include <cstring>

#include "philox.h"
#include "plan.h"
#include "threads.h"

namespace spikewise::SPIKEWISE_ISA {

constexpr int kDrawnAtOnce = 3 * kBytes;  // bytes: whole pieces, and whole numbers of three bytes

// Calls take(image, first, bytes, how_many) for runs of an image's first `bytes_each` bytes, on several threads.
template <class Take>
void draw(const DrawCall& call, std::size_t bytes_each, const Take& take) {
  parallel(call.images, call.threads, [&](int image) {
    const PhiloxKey key{call.seed, call.stream, call.step, static_cast<std::uint32_t>(call.index[image]), call.epoch};
    std::uint8_t drawn[kDrawnAtOnce];
    for (std::size_t first = 0; first < bytes_each; first += kDrawnAtOnce) {
      for (int at = 0; at < kDrawnAtOnce; at += kBytes) random_bytes(key, static_cast<std::uint32_t>((first + at) / 16), drawn + at);
      take(image, first, drawn, std::min<std::size_t>(kDrawnAtOnce, bytes_each - first));
    }
  });
}

inline void draw_bytes(const DrawCall& call, std::uint8_t* out) {
  draw(call, call.count, [&](int image, std::size_t first, const std::uint8_t* drawn, std::size_t bytes) {
    std::memcpy(out + image * call.count + first, drawn, bytes);
  });
}

inline void draw_uniform(const DrawCall& call, float* out) {
  draw(call, 3 * call.count, [&](int image, std::size_t first, const std::uint8_t* drawn, std::size_t bytes) {
    float* to = out + image * call.count + first / 3;
    for (std::size_t i = 0; i < bytes / 3; ++i, drawn += 3) to[i] = static_cast<float>(drawn[0] << 16 | drawn[1] << 8 | drawn[2]) * 0x1p-24f;
  });
}

}  // namespace spikewise::SPIKEWISE_ISA
