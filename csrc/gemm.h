// Small dense products, for inputs that are numbers and for gradients that flow back through a matrix.
#pragma once
#include "rows.h"
#include "scratch.h"

namespace spikewise::SPIKEWISE_ISA {

// out[r][:] = sum over k < depth of a[r][k] b[k][:], for kCount x 16 columns.
template <int kCount>
void multiply_rows(const float* a, std::size_t a_stride, int rows, const float* b, std::size_t b_stride, int depth, float* out,
                   std::size_t out_stride) {
  if constexpr (kCount > kColumnsAtOnce) {
    constexpr std::size_t kFirst = kColumnsAtOnce * kLanes;
    multiply_rows<kColumnsAtOnce>(a, a_stride, rows, b, b_stride, depth, out, out_stride);
    return multiply_rows<kCount - kColumnsAtOnce>(a, a_stride, rows, b + kFirst, b_stride, depth, out + kFirst, out_stride);
  }
  auto some = [&]<int kRows>(int r) {
    Lanes sum[kRows][kCount];
    for (int i = 0; i < kRows; ++i)
      for (int j = 0; j < kCount; ++j) sum[i][j] = zero();
    for (int k = 0; k < depth; ++k) {
      Lanes row[kCount];
      for (int j = 0; j < kCount; ++j) row[j] = load(b + k * b_stride + kLanes * j);
      for (int i = 0; i < kRows; ++i) {
        const Lanes x = splat(a[(r + i) * a_stride + k]);
        for (int j = 0; j < kCount; ++j) sum[i][j] = fma(x, row[j], sum[i][j]);
      }
    }
    for (int i = 0; i < kRows; ++i)
      for (int j = 0; j < kCount; ++j) store(out + (r + i) * out_stride + kLanes * j, sum[i][j]);
  };
  constexpr int kRows = kRegisterLanes > 8 ? 5 : 3;
  int r = 0;
  for (; r + kRows <= rows; r += kRows) some.template operator()<kRows>(r);
  for (; r < rows; ++r) some.template operator()<1>(r);
}

// sums[i][:] += sum over steps of x[t][i] g[t][:].
template <int kCount>
void add_products(const float* x, std::size_t x_stride, int steps, int inputs, const float* g, std::size_t g_stride, float* sums) {
  for (int i = 0; i < inputs; ++i) {
    Lanes sum[kCount];
    float* to = sums + static_cast<std::size_t>(i) * kCount * kLanes;
    for (int j = 0; j < kCount; ++j) sum[j] = load(to + kLanes * j);
    for (int t = 0; t < steps; ++t) {
      const float value = x[t * x_stride + i];
      if (value == 0.0f) continue;
      for (int j = 0; j < kCount; ++j) sum[j] = fma(splat(value), load(g + t * g_stride + kLanes * j), sum[j]);
    }
    for (int j = 0; j < kCount; ++j) store(to + kLanes * j, sum[j]);
  }
}

// Sums of a matrix's gradient, and their way into the matrix's own layout: [part][tile][row][outputs of the tile]. Of a single part,
// a tile's sums are its thread's own while they are made.
class MatrixSums {
 public:
  // `order` says where each input stands in the matrix; empty where they stand in their own order.
  MatrixSums(int parts, int inputs, int tiles, int outputs, const std::vector<int>& order, float* gradient)
      : parts_(parts), inputs_(inputs), tiles_(tiles), outputs_(outputs), rows_(round_up(inputs, 64)), order_(order), gradient_(gradient),
        size_(rows_ * round_up(outputs, kLanes)) {
    if (parts > 1) sums_ = Array<float>(parts * size_);
  }
  // Zeros, to which a part of the batch adds what it gives to a tile.
  float* start(int part, int tile) {
    const std::size_t count = rows_ * stride(tile);
    float* to = parts_ > 1 ? of(part, tile) : scratch(Room::matrix_sums, count);
    std::fill(to, to + count, 0.0f);
    return to;
  }
  // A tile's sums over a single part are made.
  void made(int tile, const float* sums) const {
    if (parts_ == 1) write(tile, 0, inputs_, sums);
  }
  // All sums are made.
  void finish(int threads) {
    if (parts_ == 1) return;
    constexpr int kPiece = 256;
    const int pieces = (inputs_ + kPiece - 1) / kPiece;
    parallel(tiles_ * pieces, threads, [&](int task) {
      const int tile = task / pieces, from = task % pieces * kPiece, to = std::min(from + kPiece, inputs_);
      for (int part = 1; part < parts_; ++part)
        for (std::size_t k = from * stride(tile); k < to * stride(tile); k += kLanes) add_to(of(0, tile) + k, load(of(part, tile) + k));
      write(tile, from, to, of(0, tile));
    });
  }

 private:
  int width(int tile) const { return std::min(64, outputs_ - 64 * tile); }
  std::size_t stride(int tile) const { return round_up(width(tile), kLanes); }
  float* of(int part, int tile) { return &sums_[part * size_ + 64 * static_cast<std::size_t>(tile) * rows_]; }

  // gradient[output][order[input]] = sums[input][output], for inputs [from, to) and the outputs of a tile.
  void write(int tile, int from, int to, const float* sums) const {
    const int wide = width(tile), stride = static_cast<int>(this->stride(tile));
    float* const first = gradient_ + 64 * static_cast<std::size_t>(tile) * inputs_;
    for (int i0 = from; i0 < to; i0 += kLanes)
      for (int o0 = 0; o0 < wide; o0 += kLanes) {
        const float* square = sums + static_cast<std::size_t>(i0) * stride + o0;
        float* const out = first + static_cast<std::size_t>(o0) * inputs_;
        if (order_.empty() && i0 + kLanes <= to && o0 + kLanes <= wide) {
          transpose(square, stride, out + i0, inputs_);
          continue;
        }
        for (int o = 0; o < std::min(kLanes, wide - o0); ++o)
          for (int i = 0; i < std::min(kLanes, to - i0); ++i)
            out[static_cast<std::size_t>(o) * inputs_ + (order_.empty() ? i0 + i : order_[i0 + i])] = square[i * stride + o];
      }
  }

  int parts_, inputs_, tiles_, outputs_;
  std::size_t rows_;
  const std::vector<int>& order_;
  float* gradient_;
  std::size_t size_;
  Array<float> sums_;
};

}  // namespace spikewise::SPIKEWISE_ISA
