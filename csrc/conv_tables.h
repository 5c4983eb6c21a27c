// A convolution of spikes by tables. The bits of a window's row lie side by side ([x][channel]); they are cut into groups,
// and each group's pattern picks one row of partial sums.
#pragma once
#include "pool.h"
#include "rows.h"
#include "stage.h"

namespace spikewise::SPIKEWISE_ISA {

// Sizes of a convolution whose input has been padded.
struct ConvShape {
  int channels_in, width_in, height_in;  // padding included
  Pair kernel, stride, padding;
  int channels, width, height;
  int window_bits;     // of one row of a window
  int group, groups;   // bits in a group, groups in a row of a window
  std::size_t length;  // channels out, rounded up to whole vectors
  std::size_t rows;    // of the table

  explicit ConvShape(const StageSpec& s)
      : channels_in(s.in.c), width_in(s.in.w + 2 * s.padding.w), height_in(s.in.h + 2 * s.padding.h), kernel(s.kernel), stride(s.stride),
        padding(s.padding), channels(s.made.c), width(s.made.w), height(s.made.h), window_bits(kernel.w * channels_in),
        length(round_up(s.made.c, kLanes)) {
    constexpr std::size_t kRoom = 384 << 10;  // of the second-level cache
    group = std::min(4, window_bits);
    for (int wider : {5, 6, 7, 8})
      if (table_rows(wider) * length * sizeof(float) <= kRoom && (window_bits + wider - 1) / wider < (window_bits + group - 1) / group) group = wider;
    groups = (window_bits + group - 1) / group;
    rows = table_rows(group);
  }
  // The convolution that leads gradients back from its outputs to its inputs, of numbers alone. With strides there is none.
  ConvShape transposed() const {
    ConvShape t = *this;
    t.padding = {kernel.h - 1 - padding.h, kernel.w - 1 - padding.w};
    t.channels_in = channels, t.width_in = width + 2 * t.padding.w, t.height_in = height + 2 * t.padding.h;
    t.channels = channels_in, t.width = width_in - 2 * padding.w, t.height = height_in - 2 * padding.h;
    t.window_bits = kernel.w * channels, t.length = round_up(t.channels, kLanes);
    return t;
  }
  bool has_transposed() const { return stride.h == 1 && stride.w == 1 && padding.h < kernel.h && padding.w < kernel.w; }
  bool padded() const { return padding.h || padding.w; }
  std::size_t row_bits() const { return static_cast<std::size_t>(width_in) * channels_in; }
  std::size_t padded_words() const { return (row_bits() * height_in + 63) / 64; }
  std::size_t weights() const { return static_cast<std::size_t>(kernel.h) * window_bits; }  // of one output channel

 private:
  std::size_t table_rows(int bits) const { return static_cast<std::size_t>(kernel.h) * ((window_bits + bits - 1) / bits) << bits; }
};

// The frame of one step with its padding; `words` is scratch for it.
inline const Word* padded_frame(const ConvShape& c, const Word* frame, Word* words) {
  if (!c.padded()) return frame;
  std::memset(words, 0, c.padded_words() * sizeof(Word));
  const std::size_t bits = static_cast<std::size_t>(c.width_in - 2 * c.padding.w) * c.channels_in;
  for (int y = 0; y + 2 * c.padding.h < c.height_in; ++y)
    copy_bits(words, (y + c.padding.h) * c.row_bits() + static_cast<std::size_t>(c.padding.w) * c.channels_in, frame, y * bits, bits);
  return words;
}

using TableRow = std::uint32_t;

// Groups of bits that lie side by side, as the rows of their tables.
class GroupRows {
 public:
  static constexpr int kAtOnce = 8;
  const int read;  // groups whose bits one reading gives; what `write` says of further ones is nonsense

  explicit GroupRows(int group) : read(std::min(kAtOnce, kExtracted / group)), mask_((Word{1} << group) - 1) {
    for (int k = 0; k < kAtOnce; ++k) shift_[k] = static_cast<Word>(k * group), table_[k] = static_cast<Word>(k) << group;
  }
  // Of the groups in `word`, the first of whose tables begins at row `first`: eight of them, times sixteen.
  INLINE void write(Word word, Word first, TableRow* out) const {
    const auto rows = __builtin_convertvector((word >> shift_ & mask_) + table_ + first, Rows) * static_cast<TableRow>(kLanes);
    std::memcpy(out, &rows, sizeof rows);
  }

 private:
  typedef Word Words __attribute__((vector_size(kAtOnce * sizeof(Word))));
  typedef TableRow Rows __attribute__((vector_size(kAtOnce * sizeof(TableRow))));
  Word mask_;
  Words shift_, table_;
};

// Which rows of its part of the table each window adds: [row of the padded map][output column][group], each times sixteen; a
// row of the map serves every output row whose windows cover it. `out` has room for seven more.
inline void window_rows(const ConvShape& c, const Word* frame, TableRow* out) {
  const std::size_t step = static_cast<std::size_t>(c.stride.w) * c.channels_in;
  const int used = (c.height - 1) * c.stride.h + c.kernel.h;
  const Word mask = (Word{1} << c.group) - 1;
  const int width = c.width, groups = c.groups;
  if (groups == 1 && c.row_bits() <= kExtracted) {
    for (int y = 0; y < used; ++y, out += width) {
      const Word row = extract(frame, y * c.row_bits(), static_cast<int>(c.row_bits()));
      for (int x = 0; x < width; ++x) out[x] = static_cast<TableRow>(row >> (x * step) & mask) * kLanes;
    }
    return;
  }
  const int bits = c.window_bits, group = c.group;
  const GroupRows cut(group);
  const std::size_t row_bits = c.row_bits();
  for (int y = 0; y < used; ++y)
    for (int x = 0; x < width; ++x, out += groups) {
      const std::size_t from = y * row_bits + x * step;
      for (int g = 0; g < groups; g += cut.read) {
        const Word word = extract(frame, from + static_cast<std::size_t>(g) * group, std::min(bits - g * group, cut.read * group));
        cut.write(word, static_cast<Word>(g) << group, out + g);
      }
    }
}

// Places of kCount vectors that are computed at once: as many as there are registers for.
template <int kCount>
constexpr int kPlacesAtOnce = std::clamp(kRegisterLanes * 3 / 4 / kCount, 1, 4);

// A square kernel that moves over one channel of spikes place by place has one table for each of its rows: of known sizes the compiler lays
// out all additions.
inline bool is_small_square(const ConvShape& c, int size) {
  return c.groups == 1 && c.group == size && c.window_bits == size && c.kernel.h == size && c.stride.h == 1;
}

// Call work<size>() with the size of such a kernel, 0 for any other.
template <class Work>
INLINE void with_square(const ConvShape& c, Work&& work) {
  if (is_small_square(c, 3)) return work.template operator()<3>();
  if (is_small_square(c, 5)) return work.template operator()<5>();
  work.template operator()<0>();
}

// What the windows at kPlaces places add up to, from `bias` on. at[q] are the rows of place q, `per_map_row` apart.
template <int kCount, int kPlaces, int kSquare>
INLINE void sum_windows(const ConvShape& c, const TableRow* const (&at)[kPlaces], const float* table, const float* bias,
                        Lanes (&sum)[kPlaces][kCount]) {
  const int kernel = kSquare ? kSquare : c.kernel.h, groups = kSquare ? 1 : c.groups;
  const std::size_t per_map_row = static_cast<std::size_t>(c.width) * groups,
                    per_tap = (static_cast<std::size_t>(groups) << (kSquare ? kSquare : c.group)) * kCount * kLanes;
  for (int q = 0; q < kPlaces; ++q)
    for (int j = 0; j < kCount; ++j) sum[q][j] = load(bias + kLanes * j);
  auto add = [&](std::size_t place) {
    for (int q = 0; q < kPlaces; ++q) {
      const float* from = table + static_cast<std::size_t>(at[q][place]) * kCount;
      for (int j = 0; j < kCount; ++j) sum[q][j] = sum[q][j] + load(from + kLanes * j);
    }
  };
  std::size_t row = 0;
  if (groups == 1)
    for (int ky = 0; ky < kernel; ++ky, table += per_tap, row += per_map_row) add(row);
  else
    for (int ky = 0; ky < kernel; ++ky, table += per_tap, row += per_map_row)
      for (int g = 0; g < groups; ++g) add(row + g);
}

// The same for the four places of a 2x2 pool's window and a small square kernel: places below each other read the same rows of the map.
template <int kCount, int kSquare>
INLINE void sum_pooled_windows(const ConvShape& c, const TableRow* corner, const float* table, const float* bias, Lanes (&sum)[4][kCount]) {
  constexpr std::size_t kTable = (std::size_t{1} << kSquare) * kCount * kLanes;
  for (int q = 0; q < 4; ++q)
    for (int j = 0; j < kCount; ++j) sum[q][j] = load(bias + kLanes * j);
#pragma GCC unroll 8
  for (int y = 0; y <= kSquare; ++y, corner += c.width, table += kTable)
    for (int x = 0; x < 2; ++x) {
      const std::size_t from = static_cast<std::size_t>(corner[x]) * kCount;
      for (int j = 0; j < kCount; ++j) {
        if (y < kSquare) sum[x][j] = sum[x][j] + load(table + from + kLanes * j);
        if (y > 0) sum[2 + x][j] = sum[2 + x][j] + load(table - kTable + from + kLanes * j);
      }
    }
}

// Where the rows of a pool's window lie, from those of its first place on.
inline std::vector<std::size_t> window_places(const ConvShape& c, const PoolShape& p) {
  std::vector<std::size_t> out;
  for (int k = 0; k < p.count(); ++k) out.push_back((static_cast<std::size_t>(k / p.size.w) * c.stride.h * c.width + k % p.size.w) * c.groups);
  return out;
}

// Currents behind the pooling, [position][spacing], channels [first, first + kCount x 16); kPlaces of a pool's window at once,
// which are all of them if there are more than one. Vectors reach over the last channel: positions go up, so what they leave
// there is overwritten.
template <int kCount, int kPlaces, PoolKind kKind, int kSquare = 0>
void convolve(const ConvShape& c, const PoolShape& p, const TableRow* rows, const float* table, const float* bias, std::size_t first,
              std::size_t spacing, float* out, std::uint8_t* chosen) {
  const std::vector<std::size_t> window = window_places(c, p);
  const int places = kPlaces > 1 ? kPlaces : p.count();
  const std::size_t along = static_cast<std::size_t>(p.stride.w) * c.groups,
                    down = static_cast<std::size_t>(p.stride.h) * c.stride.h * c.width * c.groups;
  const Lanes share = splat(static_cast<float>(places));
  table += first * c.rows, bias += first, out += first, chosen += chosen ? first : 0;
  for (int y = 0; y < p.height; ++y)
    for (int x = 0; x < p.width; ++x, out += spacing, chosen += chosen ? spacing : 0) {
      const TableRow* corner = rows + y * down + x * along;
      Lanes value[kCount], which[kCount];
      for (int k = 0; k < places; k += kPlaces) {
        Lanes sum[kPlaces][kCount];
        if constexpr (kSquare > 0 && kPlaces == 4) {
          sum_pooled_windows<kCount, kSquare>(c, corner, table, bias, sum);
        } else {
          const TableRow* at[kPlaces];
          for (int q = 0; q < kPlaces; ++q) at[q] = corner + window[k + q];
          sum_windows<kCount, kPlaces, 0>(c, at, table, bias, sum);
        }
        for (int j = 0; j < kCount; ++j) {
          if (chosen)
            for (int q = 0; q < kPlaces; ++q) merge<kKind>(k + q == 0, k + q, sum[q][j], value[j], which[j]);
          else
            for (int q = 0; q < kPlaces; ++q) merge<kKind>(k + q == 0, sum[q][j], value[j]);
        }
      }
      for (int j = 0; j < kCount; ++j) {
        store(out + kLanes * j, kKind == PoolKind::avg ? value[j] / share : value[j]);
        if (chosen) to_bytes(chosen + kLanes * j, which[j]);
      }
    }
}

// Currents of a convolution that no pooling follows: kPlaces of a row's at once.
template <int kCount, int kPlaces, int kSquare>
INLINE void convolve_row(const ConvShape& c, const TableRow* rows, const float* table, const float* bias, int& x, std::size_t spacing, float* out) {
  for (; x + kPlaces <= c.width; x += kPlaces) {
    const TableRow* at[kPlaces];
    Lanes sum[kPlaces][kCount];
    for (int q = 0; q < kPlaces; ++q) at[q] = rows + (x + q) * (kSquare ? 1 : c.groups);
    sum_windows<kCount, kPlaces, kSquare>(c, at, table, bias, sum);
    for (int q = 0; q < kPlaces; ++q)
      for (int j = 0; j < kCount; ++j) store(out + (x + q) * spacing + kLanes * j, sum[q][j]);
  }
}

template <int kCount, int kSquare>
void convolve_plain(const ConvShape& c, const TableRow* rows, const float* table, const float* bias, std::size_t first, std::size_t spacing,
                    float* out) {
  table += first * c.rows, bias += first, out += first;
  const std::size_t down = static_cast<std::size_t>(c.stride.h) * c.width * c.groups;
  for (int y = 0; y < c.height; ++y, rows += down, out += c.width * spacing) {
    int x = 0;
    convolve_row<kCount, kPlacesAtOnce<kCount>, kSquare>(c, rows, table, bias, x, spacing, out);
    convolve_row<kCount, 1, kSquare>(c, rows, table, bias, x, spacing, out);
  }
}

// Call work<1..4>(first channel) for every piece of up to 64 output channels, the last piece first.
template <class Work>
INLINE void for_each_channels(const ConvShape& c, Work&& work) {
  for (std::size_t first = (c.length - 1) / 64 * 64 + 64; first -= 64, true;) {
    with_lanes(static_cast<int>(std::min<std::size_t>(64, c.length - first)), [&]<int kCount>() { work.template operator()<kCount>(first); });
    if (first == 0) return;
  }
}

// Weights as [ky][kx][channel in][channel out], rounded up to `length`.
inline Array<float> taps(const StageSpec& s, const ConvShape& c, const float* weight) {
  Array<float> out(c.weights() * c.length, true);
  const auto [tall, wide] = c.kernel;
  for (int o = 0; o < c.channels; ++o)
    for (int i = 0; i < c.channels_in; ++i)
      for (int y = 0; y < tall; ++y)
        for (int x = 0; x < wide; ++x) {
          const float w = weight[((static_cast<std::size_t>(o) * c.channels_in + i) * tall + y) * wide + x];
          if (!std::isfinite(w)) throw NotFinite{s.name};
          out[(static_cast<std::size_t>(y * wide + x) * c.channels_in + i) * c.length + o] = w;
        }
  return out;
}

// Where channel `o` of a row stands in a table: [piece of up to 64 channels][row][channels of the piece].
INLINE std::size_t in_table(const ConvShape& c, std::size_t row, std::size_t o) {
  const std::size_t first = o / 64 * 64, width = std::min<std::size_t>(64, c.length - first);
  return first * c.rows + row * width + (o - first);
}

// Partial sums of every group of taps.
inline Array<float> conv_table(const ConvShape& c, const Array<float>& taps) {
  Array<float> table(c.rows * c.length);
  std::size_t base = 0;
  for (int ky = 0; ky < c.kernel.h; ++ky)
    for (int g = 0; g < c.groups; ++g, base += std::size_t{1} << c.group) {
      const int first = g * c.group, bits = std::min(c.group, c.window_bits - first);
      for (std::size_t p = 0; p < (std::size_t{1} << c.group); ++p)
        for (std::size_t o = 0; o < c.length; o += kLanes) {
          const std::size_t rest = p & (p - 1);
          const int bit = p ? std::countr_zero(p) : 0;
          Lanes sum = zero();
          if (p && bit < bits)
            sum =
                load(&table[in_table(c, base + rest, o)]) + load(&taps[(static_cast<std::size_t>(ky) * c.window_bits + first + bit) * c.length + o]);
          store(&table[in_table(c, base + p, o)], sum);
        }
    }
  return table;
}

}  // namespace spikewise::SPIKEWISE_ISA
