// Small dense products, for inputs that are numbers and for gradients that flow back through a matrix.
#pragma once
#include "rows.h"

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

// Sums of a matrix's gradient, [part][tile][row][outputs of the tile], and their way into the matrix's own layout.
class MatrixSums {
 public:
  MatrixSums(int parts, std::size_t rows, int tiles, int outputs, bool wanted)
      : parts_(parts), tiles_(tiles), outputs_(outputs), rows_(rows), size_(rows * round_up(outputs, kLanes)) {
    if (wanted) sums_ = Array<float>(parts * size_, true);
  }
  float* of(int part, int tile) { return &sums_[part * size_ + 64 * static_cast<std::size_t>(tile) * rows_]; }

  // gradient[output][order[input]] = sum over parts.
  void write(float* gradient, int inputs, const std::vector<int>& order, int threads) {
    constexpr int kPiece = 256;
    const int pieces = (inputs + kPiece - 1) / kPiece;
    parallel(tiles_ * pieces, threads, [&](int task) {
      const int tile = task / pieces, from = task % pieces * kPiece, to = std::min(from + kPiece, inputs);
      const int width = std::min(64, outputs_ - 64 * tile);
      const std::size_t stride = round_up(width, kLanes);
      for (int part = 1; part < parts_; ++part)
        for (std::size_t k = from * stride; k < to * stride; k += kLanes) add_to(of(0, tile) + k, load(of(part, tile) + k));
      for (int i0 = from; i0 < to; i0 += 16)
        for (int o = 0; o < width; ++o)
          for (int i = i0; i < std::min(i0 + 16, to); ++i)
            gradient[(64 * static_cast<std::size_t>(tile) + o) * inputs + (order.empty() ? i : order[i])] = of(0, tile)[i * stride + o];
    });
  }

 private:
  int parts_, tiles_, outputs_;
  std::size_t rows_, size_;
  Array<float> sums_;
};

}  // namespace spikewise::SPIKEWISE_ISA
