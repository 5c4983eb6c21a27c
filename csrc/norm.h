// Batch normalisation of rows of features: its statistics, and the factors that turn it into one product and one sum a feature.
#pragma once
#include <numeric>

#include "rows.h"
#include "stage.h"

namespace spikewise::SPIKEWISE_ISA {

// A row of features repeats its channels: what a channel has in common stands once a period, a whole number of vectors and of
// channels, long enough that sums of neighbouring vectors do not wait for each other.
inline std::size_t channel_period(const Shape& shape) {
  constexpr std::size_t kLeast = 8 * kLanes;
  const std::size_t once = std::lcm<std::size_t>(shape.c, kLanes);
  return std::min(round_up(kLeast, once), round_up(shape.features(), kLanes));
}

// Call work(first feature, place in the period, lanes that are features) for every vector of a row.
template <class Work>
INLINE void each_vector(std::size_t features, std::size_t period, Work&& work) {
  std::size_t at = 0, f = 0;
  const Mask all = first_lanes(kLanes);
  for (; f + kLanes <= features; f += kLanes, at = at + kLanes == period ? 0 : at + kLanes) work(f, at, all);
  if (f < features) work(f, at, first_lanes(static_cast<int>(features - f)));
}

// Sums of each channel over rows, in parts whose number depends on the batch alone: of a row as floats, then in double.
class ChannelSums {
 public:
  ChannelSums(int parts, const Shape& shape)
      : period_(channel_period(shape)), features_(shape.features()), channels_(shape.c), sums_(parts * period_) {}
  // Add a row whose vectors are value(first feature, place in the period).
  template <class Value>
  INLINE void add(int part, Value&& value) {
    float* row = scratch(Room::channel_sums, period_);
    std::fill(row, row + period_, 0.0f);
    each_vector(features_, period_, [&](std::size_t f, std::size_t at, Mask given) { add_to(row + at, where(given, value(f, at))); });
    for (std::size_t k = 0; k < period_; ++k) sums_[part * period_ + k] += row[k];
  }
  std::vector<double> by_channel() const {
    std::vector<double> out(channels_);
    for (std::size_t k = 0; k < sums_.size(); ++k) out[k % period_ % channels_] += sums_[k];
    return out;
  }

 private:
  std::size_t period_, features_, channels_;
  std::vector<double> sums_;
};

struct Normalisation {
  std::vector<float> mean, variance, inverse;  // of each channel; 1 / sqrt(variance + epsilon)
  std::size_t period = 0;                      // of the arrays below
  Array<float> middle, scale, shift;           // mean; y = x scale + shift
  Array<float> along, across, apart;           // backward: dx = g along + (x - middle) across + apart

  void prepare(const Shape& shape, float epsilon, const float* weight, const float* bias) {
    period = channel_period(shape);
    for (Array<float>* one : {&middle, &scale, &shift}) *one = Array<float>(period, true);
    for (int c = 0; c < shape.c; ++c) inverse.push_back(1 / std::sqrt(variance[c] + epsilon));
    for (std::size_t f = 0; f < period; ++f) {
      const std::size_t c = f % shape.c;
      middle[f] = mean[c], scale[f] = inverse[c] * weight[c], shift[f] = bias[c] - mean[c] * scale[f];
    }
  }
  // `sums` and `products` are those of the gradient, and of gradient times (x - mean), over `count` values of the batch.
  void prepare_back(const Shape& shape, bool by_batch, double count, const std::vector<double>& sums, const std::vector<double>& products) {
    for (Array<float>* one : {&along, &across, &apart}) *one = Array<float>(period, true);
    const double share = by_batch ? 1 / count : 0;
    for (std::size_t f = 0; f < period; ++f) {
      const std::size_t c = f % shape.c;
      const double inverse_square = static_cast<double>(inverse[c]) * inverse[c];
      along[f] = scale[f];
      across[f] = static_cast<float>(-scale[f] * inverse_square * products[c] * share);
      apart[f] = static_cast<float>(-scale[f] * sums[c] * share);
    }
  }
};

}  // namespace spikewise::SPIKEWISE_ISA
