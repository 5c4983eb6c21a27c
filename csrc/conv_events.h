// Gradient of a convolution's weights where its inputs are spikes and every output takes a gradient: for each channel and tap,
// the sum of the gradients of the outputs that the channel's spikes meet there.
#pragma once
#include <limits>

#include "conv_gradient.h"

namespace spikewise::SPIKEWISE_ISA {

// The output gradients of one step with a border of zeros, so that every spike of the padded map meets an output, or zeros,
// with each tap. Rows are counted from the one that a spike at the top left meets with the first tap.
struct BorderedMap {
  int above, left, width, height;  // of the border before the outputs; of the whole

  explicit BorderedMap(const ConvShape& c)
      : above((c.kernel.h - 1) / c.stride.h), left((c.kernel.w - 1) / c.stride.w), width(left + (c.width_in - 1) / c.stride.w + 1),
        height(above + (c.height_in - 1) / c.stride.h + 1) {}
  std::size_t rows() const { return static_cast<std::size_t>(width) * height; }
  int first() const { return above * width + left; }
  bool fits() const { return rows() <= std::numeric_limits<Row>::max(); }
  // Put the gradients of channels [from, from + kCount x 16) of every output there; what stands behind the last channel is no matter.
  template <int kCount>
  void fill(const ConvShape& c, const GradientMap& g, std::size_t from, float* to) const {
    constexpr std::size_t kWidth = kCount * kLanes;
    std::fill(to, to + rows() * kWidth, 0.0f);
    const float* values = g.values + from;
    for (int y = 0; y < c.height; ++y) {
      float* row = to + (static_cast<std::size_t>(above + y) * width + left) * kWidth;
      for (int x = 0; x < c.width; ++x, row += kWidth, values += g.spacing)
        for (int j = 0; j < kCount; ++j) store(row + kLanes * j, load(values + kLanes * j));
    }
  }
};

// The spikes of one frame, listed by channel, and apart by which of the taps they can meet (all of them with a stride of one).
struct SpikeLists {
  Row* rows;
  std::uint32_t* count;
  std::size_t room;

  // `frame` is padded.
  SpikeLists(const ConvShape& c, const BorderedMap& map, const Word* frame) : room(map.rows() + kSlack) {
    const std::size_t lists = static_cast<std::size_t>(c.stride.h) * c.stride.w * c.channels_in;
    rows = scratch<Row>(Room::listed_rows, lists * room);
    count = scratch<std::uint32_t>(Room::list_lengths, lists);
    std::fill(count, count + lists, 0u);
    const int end = c.width_in - c.padding.w;
    for (int y = c.padding.h; y < c.height_in - c.padding.h; ++y)
      for (int x = c.padding.w; x < std::min(c.padding.w + c.stride.w, end); ++x) list(c, map, frame, y, x);
  }
  // The first channel's list of the spikes that a tap, or a place, can meet.
  static std::size_t first(const ConvShape& c, int y, int x) {
    return (static_cast<std::size_t>(y % c.stride.h) * c.stride.w + x % c.stride.w) * c.channels_in;
  }

 private:
  static constexpr std::size_t kSlack = 16;  // `append_places` writes behind the last

  // Every place of a row from x on that the same taps can meet, many at once: for each channel, which of them hold its spike.
  void list(const ConvShape& c, const BorderedMap& map, const Word* frame, int y, int x) {
    const int end = c.width_in - c.padding.w, step = c.stride.w;
    const std::size_t list = first(c, y, x);
    Row row = static_cast<Row>(y / c.stride.h * map.width + x / step);
    for (; x < end; x += kPlaces * step, row += kPlaces) {
      const int places = std::min(kPlaces, (end - x + step - 1) / step);
      for (int i = 0; i < c.channels_in; i += kExtracted) {
        alignas(64) Word spikes[kPlaces] = {};
        Word any = 0;
        for (int k = 0; k < places; ++k) {
          const std::size_t at = (static_cast<std::size_t>(y) * c.width_in + x + k * step) * c.channels_in + i;
          any |= spikes[k] = extract(frame, at, std::min(kExtracted, c.channels_in - i));
        }
        for (; any; any &= any - 1) {
          const int bit = std::countr_zero(any);
          std::uint32_t& length = count[list + i + bit];
          Row* const to = rows + (list + i + bit) * room;
          length = static_cast<std::uint32_t>(append_places(to + length, row, spikes, bit) - to);
        }
      }
    }
  }
};

// Add to `sums` [tap][channel out] what the spikes of a frame give: for each tap, the gradients of the outputs they meet.
template <int kCount>
void gather_events(const ConvShape& c, const BorderedMap& map, const SpikeLists& lists, const float* gradients, std::size_t from, float* sums) {
  constexpr std::size_t kWidth = kCount * kLanes;
  for (int i = 0; i < c.channels_in; ++i)
    for (int ky = 0; ky < c.kernel.h; ++ky)
      for (int kx = 0; kx < c.kernel.w; ++kx) {
        const std::size_t list = SpikeLists::first(c, ky, kx) + i, n = lists.count[list];
        if (!n) continue;
        const int before = ky / c.stride.h * map.width + kx / c.stride.w;
        float* to = sums + ((static_cast<std::size_t>(ky) * c.kernel.w + kx) * c.channels_in + i) * c.length + from;
        Lanes sum[kCount];
        for (int j = 0; j < kCount; ++j) sum[j] = load(to + kLanes * j);
        sum_rows<kCount>(gradients + static_cast<std::size_t>(map.first() - before) * kWidth, lists.rows + list * lists.room, n, sum);
        for (int j = 0; j < kCount; ++j) store(to + kLanes * j, sum[j]);
      }
}

}  // namespace spikewise::SPIKEWISE_ISA
