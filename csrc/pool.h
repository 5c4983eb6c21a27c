// Pooling of maps [position][channel], and the way back.
#pragma once
#include "plan.h"
#include "simd.h"

namespace spikewise::SPIKEWISE_ISA {

// Positions may be further apart before pooling (`spacing`) than after it, where channels follow without a gap. Vectors
// reach over the last channel of a position; the next position overwrites what they leave there.
struct PoolShape {
  PoolKind kind;
  int size, stride, channels, width_in, height_in, width, height;
  std::size_t spacing;

  PoolShape(const StageSpec& s, std::size_t spacing)
      : kind(s.pool), size(s.pool_size), stride(s.pool_stride), channels(s.made.c), width_in(s.made.w), height_in(s.made.h), width(s.out.w),
        height(s.out.h), spacing(spacing) {}
  // No pooling at all.
  static PoolShape nothing(const StageSpec& s, std::size_t spacing) {
    PoolShape p(s, spacing);
    p.kind = PoolKind::none, p.size = p.stride = 1, p.width = p.width_in, p.height = p.height_in;
    return p;
  }
  // Whether no element lies in two windows, and one element of each takes the whole gradient.
  bool routes() const { return kind != PoolKind::avg && stride >= size; }
  std::size_t source(int y, int x, int k) const {
    return (static_cast<std::size_t>(y * stride + k / size) * width_in + x * stride + k % size) * spacing;
  }
};

// Element k of a window joins those before it: `value` is their maximum or sum, `which` the first of the maxima, as in PyTorch.
template <PoolKind kKind>
INLINE void merge(int k, Lanes other, Lanes& value) {
  if (k == 0) value = other;
  else value = kKind == PoolKind::avg ? value + other : larger(other, value);
}
template <PoolKind kKind>
INLINE void merge(int k, Lanes other, Lanes& value, Lanes& which) {
  which = k == 0 ? zero() : where(greater(other, value), splat(static_cast<float>(k)), which);
  merge<kKind>(k, other, value);
}

// Call work<kind>() with the kind of a pool.
template <class Work>
INLINE void with_kind(PoolKind kind, Work&& work) {
  switch (kind) {
    case PoolKind::none: return work.template operator()<PoolKind::none>();
    case PoolKind::max: return work.template operator()<PoolKind::max>();
    case PoolKind::avg: return work.template operator()<PoolKind::avg>();
  }
}

// `chosen`, if not null, receives which element of its window each maximum was.
inline void pool(const PoolShape& p, const float* in, float* out, std::uint8_t* chosen) {
  const int count = p.size * p.size;
  with_kind(p.kind, [&]<PoolKind kKind>() {
    for (int y = 0; y < p.height; ++y)
      for (int x = 0; x < p.width; ++x, out += p.channels, chosen += chosen ? p.channels : 0)
        for (int c = 0; c < p.channels; c += kLanes) {
          Lanes value, which;
          for (int k = 0; k < count; ++k) merge<kKind>(k, load(in + p.source(y, x, k) + c), value, which);
          store(out + c, kKind == PoolKind::avg ? value / splat(static_cast<float>(count)) : value);
          if (chosen) to_bytes(chosen + c, which);
        }
  });
}

// Add the gradient of a pooled map to that of the map before, which must be zero where it is not added to.
inline void unpool(const PoolShape& p, const float* gradient, const std::uint8_t* chosen, float* to) {
  const int count = p.size * p.size;
  for (int y = 0; y < p.height; ++y)
    for (int x = 0; x < p.width; ++x, gradient += p.channels, chosen += chosen ? p.channels : 0)
      for (int c = 0; c < p.channels; c += kLanes) {
        Lanes g = where(first_lanes(p.channels - c), load(gradient + c));
        if (p.kind == PoolKind::avg) g = g / splat(static_cast<float>(count));
        const Lanes which = chosen ? from_bytes(chosen + c) : zero();
        for (int k = 0; k < count; ++k) {
          const Lanes k_lanes = splat(static_cast<float>(k));
          add_to(to + p.source(y, x, k) + c, chosen ? g - where(different(which, k_lanes), g) : g);
        }
      }
}

}  // namespace spikewise::SPIKEWISE_ISA
