// What travels between two stages: spikes as bits, or numbers.
#pragma once
#include "bits.h"
#include "memory.h"

namespace spikewise::SPIKEWISE_ISA {

// Rows of a float map are a whole number of words long, and not a multiple of 4 KiB apart (those share a cache set).
inline std::size_t row_length(int features) {
  const std::size_t n = round_up(features, 64);
  return n % 512 == 0 ? n + 64 : n;
}

struct Signal {
  int batch = 0, steps = 0, features = 0;  // steps is 1 for a current that is the same at every step
  bool spikes = false;
  std::size_t words = 0, length = 0;  // of one frame, as bits and as floats
  Array<Word> bits;
  Array<float> values;

  static Signal of_spikes(int batch, int steps, int features) {
    Signal s{.batch = batch, .steps = steps, .features = features, .spikes = true, .words = (features + 63u) / 64};
    s.bits = Array<Word>(static_cast<std::size_t>(batch) * steps * s.words);
    return s;
  }
  static Signal of_values(int batch, int steps, int features) {
    Signal s{.batch = batch, .steps = steps, .features = features, .length = row_length(features)};
    const std::size_t rows = static_cast<std::size_t>(batch) * steps;
    s.values = Array<float>(rows * s.length);
    for (std::size_t r = 0; r < rows; ++r) std::fill(&s.values[r * s.length + features], &s.values[r * s.length] + s.length, 0.0f);
    return s;
  }
  std::size_t at(int image, int step) const { return static_cast<std::size_t>(image) * steps + (steps == 1 ? 0 : step); }
  Word* frame(int image, int step) { return bits.data() + at(image, step) * words; }
  const Word* frame(int image, int step) const { return bits.data() + at(image, step) * words; }
  float* row(int image, int step) { return values.data() + at(image, step) * length; }
  const float* row(int image, int step) const { return values.data() + at(image, step) * length; }
  std::size_t bytes() const { return bits.bytes() + values.bytes(); }
};

}  // namespace spikewise::SPIKEWISE_ISA
