// Gradients that reach a stage's output: from the stage behind it, from PyTorch for what was recorded, through dropout.
#pragma once
#include "stage.h"

namespace spikewise::SPIKEWISE_ISA {

// The gradients that PyTorch hands over, [steps][batch][features], for an output of `rows` steps: as many, or one that
// stands for all.
struct GivenRows {
  const float* from;
  int batch, steps, rows;
  std::size_t features;

  // Add features [f, f + width) of one image to `out`.
  void add(int image, std::size_t f, std::size_t width, float* out, std::size_t stride) const {
    const std::size_t n = std::min(width, features - f);
    for (int t = 0; from && t < steps; ++t) {
      const float* row = from + (static_cast<std::size_t>(t) * batch + image) * features + f;
      for (std::size_t i = 0; i < n; ++i) out[(rows == 1 ? 0 : t) * stride + i] += row[i];
    }
  }
};

inline void clear_rows(int steps, std::size_t width, float* out, std::size_t stride) {
  for (int t = 0; t < steps; ++t) std::fill(out + t * stride, out + t * stride + round_up(width, kLanes), 0.0f);
}

// A stage that reads an output, as which of its inputs.
struct Reader {
  const Stage* stage;
  int which;
};

// Of a stage's output, from the stages that read it and from what PyTorch gives for it.
class JoinedGradient final : public OutputGradient {
 public:
  // `kept` are the bits that dropout let through, [image][words]; null for all.
  JoinedGradient(std::vector<Reader> readers, GivenRows output, GivenRows membrane, const Word* kept, std::size_t words)
      : readers_(std::move(readers)), output_(output), membrane_(membrane), kept_(kept), words_(words) {}

  void of(int image, std::size_t f, std::size_t width, float* out, std::size_t stride) const override {
    if (readers_.size() == 1) readers_[0].stage->input_gradient(readers_[0].which, image, f, width, out, stride);
    else add_readers(image, f, width, out, stride);
    if (kept_) silence(kept_ + image * words_, f, width, out, stride);
    output_.add(image, f, width, out, stride);
  }
  bool of_membrane(int image, std::size_t f, std::size_t width, float* out, std::size_t stride) const override {
    if (!membrane_.from) return false;
    clear_rows(membrane_.rows, width, out, stride);
    membrane_.add(image, f, width, out, stride);
    return true;
  }

 private:
  // Not in place: the second reader may look at the numbers that stand there.
  void add_readers(int image, std::size_t f, std::size_t width, float* out, std::size_t stride) const {
    const std::size_t length = row_length(static_cast<int>(width)), wide = round_up(width, kLanes);
    float *sum = scratch(Room::joined_gradients, output_.rows * length), *other = scratch(Room::other_gradients, output_.rows * length);
    clear_rows(output_.rows, width, sum, length);
    for (const Reader& reader : readers_) {
      reader.stage->input_gradient(reader.which, image, f, width, other, length);
      for (int t = 0; t < output_.rows; ++t)
        for (std::size_t i = 0; i < wide; i += kLanes) add_to(sum + t * length + i, load(other + t * length + i));
    }
    for (int t = 0; t < output_.rows; ++t) std::memcpy(out + t * stride, sum + t * length, sizeof(float) * wide);
  }
  void silence(const Word* kept, std::size_t f, std::size_t width, float* out, std::size_t stride) const {
    for (int t = 0; t < output_.rows; ++t)
      for (std::size_t i = 0; i < width; i += kLanes) {
        const std::size_t at = f + i;
        const std::uint32_t bits = static_cast<std::uint32_t>(kept[at / 64] >> (at % 64));
        store(out + t * stride + i, add_where(zero(), bits, load(out + t * stride + i)));
      }
  }

  std::vector<Reader> readers_;
  GivenRows output_, membrane_;
  const Word* kept_;
  std::size_t words_;
};

// The spikes that dropout lets through, and the bits [image][words] that say so.
struct Dropped {
  Signal spikes;
  Array<Word> kept;

  Dropped() = default;
  Dropped(const Signal& all, const std::uint8_t* keep, int threads)
      : spikes(Signal::of_spikes(all.batch, all.steps, all.features)), kept(all.batch * all.words, true) {
    parallel(all.batch, threads, [&](int b) {
      Word* bits = &kept[b * all.words];
      for (int f = 0; f < all.features; ++f) bits[f / 64] |= Word{keep[static_cast<std::size_t>(b) * all.features + f] != 0} << (f % 64);
      for (int t = 0; t < all.steps; ++t)
        for (std::size_t w = 0; w < all.words; ++w) spikes.frame(b, t)[w] = all.frame(b, t)[w] & bits[w];
    });
  }
};

}  // namespace spikewise::SPIKEWISE_ISA
