// Batch normalisation of rows of features: its statistics, and the factors that turn it into one product and one sum a feature.
#pragma once
#include "rows.h"
#include "stage.h"

namespace spikewise::SPIKEWISE_ISA {

// Sums of each feature over rows, in parts whose number depends on the batch alone; then of each channel, in double.
class ChannelSums {
 public:
  ChannelSums(int parts, const Shape& shape) : parts_(parts), features_(shape.features()), channels_(shape.c), length_(row_length(features_)) {
    sums_ = Array<float>(parts * length_, true);
  }
  float* part(int k) { return &sums_[k * length_]; }
  std::vector<double> by_channel() const {
    std::vector<double> out(channels_);
    for (int k = 0; k < parts_; ++k)
      for (int f = 0; f < features_; ++f) out[f % channels_] += sums_[k * length_ + f];
    return out;
  }

 private:
  int parts_, features_, channels_;
  std::size_t length_;
  Array<float> sums_;
};

struct Normalisation {
  std::vector<float> mean, variance, inverse;  // of each channel; 1 / sqrt(variance + epsilon)
  Array<float> middle, scale, shift;           // of each feature: mean; y = x scale + shift
  Array<float> along, across, apart;           // backward: dx = g along + (x - middle) across + apart

  void prepare(const Shape& shape, float epsilon, const float* weight, const float* bias) {
    const std::size_t length = row_length(shape.features());
    for (Array<float>* one : {&middle, &scale, &shift}) *one = Array<float>(length, true);
    for (int c = 0; c < shape.c; ++c) inverse.push_back(1 / std::sqrt(variance[c] + epsilon));
    for (int f = 0; f < shape.features(); ++f) {
      const int c = f % shape.c;
      middle[f] = mean[c], scale[f] = inverse[c] * weight[c], shift[f] = bias[c] - mean[c] * scale[f];
    }
  }
  // `sums` and `products` are those of the gradient, and of gradient times (x - mean), over `count` values of the batch.
  void prepare_back(const Shape& shape, bool by_batch, double count, const std::vector<double>& sums, const std::vector<double>& products) {
    const std::size_t length = row_length(shape.features());
    for (Array<float>* one : {&along, &across, &apart}) *one = Array<float>(length, true);
    const double share = by_batch ? 1 / count : 0;
    for (int f = 0; f < shape.features(); ++f) {
      const int c = f % shape.c;
      const double inverse_square = static_cast<double>(inverse[c]) * inverse[c];
      along[f] = scale[f];
      across[f] = static_cast<float>(-scale[f] * inverse_square * products[c] * share);
      apart[f] = static_cast<float>(-scale[f] * sums[c] * share);
    }
  }
};

}  // namespace spikewise::SPIKEWISE_ISA
