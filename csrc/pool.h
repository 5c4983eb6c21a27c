// Pooling of maps [position][channel], and the way back.
#pragma once
#include "plan.h"
#include "simd.h"

namespace spikewise::SPIKEWISE_ISA {

// Positions may be further apart before pooling (`spacing`) than after it, where channels follow without a gap. Vectors
// reach over the last channel of a position; the next position overwrites what they leave there.
struct PoolShape {
  PoolKind kind;
  Pair size, stride, padding;
  int channels, width_in, height_in, width, height;
  std::size_t spacing;

  PoolShape(const StageSpec& s, std::size_t spacing)
      : kind(s.pool), size(s.pool_size), stride(s.pool_stride), padding(s.pool_padding), channels(s.made.c), width_in(s.made.w), height_in(s.made.h),
        width(s.out.w), height(s.out.h), spacing(spacing) {}
  // No pooling at all.
  static PoolShape nothing(const StageSpec& s, std::size_t spacing) {
    PoolShape p(s, spacing);
    p.kind = PoolKind::none, p.size = p.stride = {1, 1}, p.padding = {0, 0}, p.width = p.width_in, p.height = p.height_in;
    return p;
  }
  int count() const { return size.h * size.w; }
  bool padded() const { return padding.h || padding.w; }
  // Whether no element lies in two windows.
  bool apart() const { return stride.h >= size.h && stride.w >= size.w && !padded(); }
  // Whether, besides, one element of each takes the whole gradient.
  bool routes() const { return (kind == PoolKind::none || kind == PoolKind::max) && apart(); }
  // Call visit(k, where it stands) for each element k of a window that lies in the map.
  template <class Visit>
  INLINE void each(int y, int x, Visit&& visit) const {
    const int top = y * stride.h - padding.h, left = x * stride.w - padding.w;
    for (int k = 0, i = 0; i < size.h; ++i)
      for (int j = 0; j < size.w; ++j, ++k)
        if (top + i >= 0 && top + i < height_in && left + j >= 0 && left + j < width_in)
          visit(k, (static_cast<std::size_t>(top + i) * width_in + left + j) * spacing);
  }
};

constexpr bool adds(PoolKind kind) { return kind == PoolKind::avg || kind == PoolKind::sum; }

// Element k of a window joins those before it: `value` is their maximum or sum, `which` the first of the maxima, as in PyTorch.
template <PoolKind kKind>
INLINE void merge(bool first, Lanes other, Lanes& value) {
  if (first) value = other;
  else value = adds(kKind) ? value + other : larger(other, value);
}
template <PoolKind kKind>
INLINE void merge(bool first, int k, Lanes other, Lanes& value, Lanes& which) {
  which = first ? splat(static_cast<float>(k)) : where(greater(other, value), splat(static_cast<float>(k)), which);
  merge<kKind>(first, other, value);
}

// Call work<kind>() with the kind of a pool.
template <class Work>
INLINE void with_kind(PoolKind kind, Work&& work) {
  switch (kind) {
    case PoolKind::none: return work.template operator()<PoolKind::none>();
    case PoolKind::max: return work.template operator()<PoolKind::max>();
    case PoolKind::avg: return work.template operator()<PoolKind::avg>();
    case PoolKind::sum: return work.template operator()<PoolKind::sum>();
  }
}

// `chosen`, if not null, receives which element of its window each maximum was.
inline void pool(const PoolShape& p, const float* in, float* out, std::uint8_t* chosen) {
  const Lanes share = splat(static_cast<float>(p.count()));
  with_kind(p.kind, [&]<PoolKind kKind>() {
    for (int y = 0; y < p.height; ++y)
      for (int x = 0; x < p.width; ++x, out += p.channels, chosen += chosen ? p.channels : 0)
        for (int c = 0; c < p.channels; c += kLanes) {
          Lanes value = zero(), which = zero();
          bool first = true;
          p.each(y, x, [&](int k, std::size_t at) {
            merge<kKind>(first, k, load(in + at + c), value, which);
            first = false;
          });
          store(out + c, kKind == PoolKind::avg ? value / share : value);
          if (chosen) to_bytes(chosen + c, which);
        }
  });
}

// Add the gradient of a pooled map to that of the map before, which must be zero where it is not added to.
inline void unpool(const PoolShape& p, const float* gradient, const std::uint8_t* chosen, float* to) {
  for (int y = 0; y < p.height; ++y)
    for (int x = 0; x < p.width; ++x, gradient += p.channels, chosen += chosen ? p.channels : 0)
      for (int c = 0; c < p.channels; c += kLanes) {
        Lanes g = where(first_lanes(p.channels - c), load(gradient + c));
        if (p.kind == PoolKind::avg) g = g / splat(static_cast<float>(p.count()));
        const Lanes which = chosen ? from_bytes(chosen + c) : zero();
        p.each(y, x, [&](int k, std::size_t at) {
          const Lanes k_lanes = splat(static_cast<float>(k));
          add_to(to + at + c, chosen ? g - where(different(which, k_lanes), g) : g);
        });
      }
}

}  // namespace spikewise::SPIKEWISE_ISA
