// A stage with a matrix. Outputs are cut into tiles of 64; a tile's weights or tables stay in L2 while images pass by.
#pragma once
#include "recurrent.h"

namespace spikewise::SPIKEWISE_ISA {

class LinearStage final : public TiledStage {
 public:
  using TiledStage::TiledStage;

  void forward(const Signal& in, const Call& call, const StateIn* from, bool keep_membranes) override {
    const bool recurrent = spec.neuron.recurrent;
    prepare(in, call, from, keep_membranes || recurrent);
    inputs_ = in.features, rows_ = round_up(inputs_, 64), outputs_ = spec.out.features();
    if (spec.reorder) order_ = channels_first(spec.in);
    weight_ = call.parameters[spec.slots.weight].data;
    bias_ = Array<float>(row_length(outputs_), true);
    if (spec.slots.bias >= 0) std::memcpy(bias_.data(), call.parameters[spec.slots.bias].data, sizeof(float) * outputs_);
    matrix_ = recurrent ? call.parameters[spec.slots.recurrent].data : nullptr;
    packed_ = packed<PackedMatrices>(call, {spec.slots.weight, spec.slots.recurrent}, 0, [&] { return pack(call.threads); });
    std::optional<InputRows> lists;
    if (in.spikes) lists.emplace(in, call.threads);
    const int chunk = images_per_chunk(in.steps), chunks = (batch + chunk - 1) / chunk;
    parallel(tiles() * chunks, call.threads, [&](int task) {
      const int tile = task / chunks, first = task % chunks * chunk, last = std::min(first + chunk, batch);
      with_lanes(width(tile), [&]<int kCount>() {
        const float* currents = lists ? add_rows<kCount>(*lists, tile, first, last) : multiply<kCount>(in, tile, first, last);
        for (int b = first; b < last; ++b) finish<kCount>(tile, b, currents + (b - first) * in.steps * kCount * kLanes, in.steps);
      });
    });
    if (recurrent) run_recurrent(call);
    if (call.keep) packed_.reset();  // the way back packs them its own way
  }

  void backward(const Signal& in, const OutputGradient& next, const BackwardCall& call, bool first) override {
    const bool recurrent = spec.neuron.recurrent, learns = wants_neuron_gradients(call);
    if (recurrent) back_recurrent(next, call, learns);
    std::vector<ParameterGradients> neurons(learns && !recurrent ? split().parts : 0);
    for (ParameterGradients& one : neurons) one = ParameterGradients(population->length);
    const std::size_t length = row_length(outputs_);
    Array<float> bias(split().parts * length, true);
    auto ready = [&](int part, int tile, int from, int to) {
      const std::size_t f = 64 * static_cast<std::size_t>(tile);
      for (int b = from; b < to; ++b) {
        if (!recurrent) gradient_of_currents(b, f, width(tile), next, neurons.empty() ? nullptr : &neurons[part]);
        if (in.steps < kept().steps) sum_over_steps(b, f, round_up(width(tile), kLanes));
        for (int i = 0; i < width(tile); i += kLanes) {
          Lanes sum = load(&bias[part * length + f + i]);
          for (int t = 0; t < in.steps; ++t) sum = sum + load(kept().row(b, t) + f + i);
          store(&bias[part * length + f + i], sum);
        }
      }
    };
    // The recurrent matrix first: summing over the steps of a constant input overwrites the first step's gradients.
    if (recurrent) {
      float* to = call.gradients[spec.slots.recurrent];
      if (to) matrix_gradient(out, 1, {}, to, call.threads, [](int, int, int, int) {});
    }
    matrix_gradient(in, 0, order_, call.gradients[spec.slots.weight], call.threads, ready);
    if (float* to = spec.slots.bias >= 0 ? call.gradients[spec.slots.bias] : nullptr)
      for (int o = 0; o < outputs_; ++o) {
        to[o] = 0;
        for (int part = 0; part < split().parts; ++part) to[o] += bias[part * length + o];
      }
    if (!neurons.empty()) write_neuron_gradients(neurons, call);
    if (!first) pack_rows(call.threads);
    in_steps_ = in.steps;
  }

  // Gradient of the inputs [f, f + width): that of the currents times the matrix.
  void of(int image, std::size_t f, std::size_t width, float* to, std::size_t stride) const override {
    for (std::size_t i = 0; i < width; i += 64)
      with_lanes(static_cast<int>(std::min<std::size_t>(64, width - i)), [&]<int kCount>() {
        multiply_rows<kCount>(kept().row(image, 0), kept().length, in_steps_, &by_rows_[f + i], row_length(inputs_), outputs_, to + i, stride);
      });
  }

 private:
  int padded(int tile) const { return static_cast<int>(round_up(width(tile), kLanes)); }
  const float* tile_weights(int tile) const { return &packed_->by_input[64 * static_cast<std::size_t>(tile) * rows_]; }
  int images_per_chunk(int in_steps) const {
    const int fit = static_cast<int>((192 << 10) / (sizeof(float) * 64 * in_steps));
    return std::clamp(fit, 1, std::max(1, (batch + 1) / 2));
  }

  PackedMatrices pack(int threads) const {
    PackedMatrices made;
    made.by_input = Array<float>(static_cast<std::size_t>(rows_) * round_up(outputs_, kLanes));
    constexpr int kPiece = 128;
    const int pieces = static_cast<int>((rows_ + kPiece - 1) / kPiece);
    parallel(tiles() * pieces, threads, [&](int task) {
      const int tile = task / pieces, from = task % pieces * kPiece, to = std::min<int>(from + kPiece, static_cast<int>(rows_));
      const int stride = padded(tile), wide = width(tile);
      float* out = &made.by_input[64 * static_cast<std::size_t>(tile) * rows_];
      Lanes not_finite = zero();
      for (int i0 = from; i0 < to; i0 += kLanes)
        for (int o0 = 0; o0 < stride; o0 += kLanes) {
          float* square = &out[static_cast<std::size_t>(i0) * stride + o0];
          const bool whole = order_.empty() && i0 + kLanes <= inputs_ && o0 + kLanes <= wide;
          if (whole) transpose(&weight_[(64 * static_cast<std::size_t>(tile) + o0) * inputs_ + i0], inputs_, square, stride);
          else pack_edge(tile, i0, o0, square, stride);
          for (int i = 0; i < kLanes; ++i) not_finite = not_finite + load(square + static_cast<std::size_t>(i) * stride) * zero();
        }
      if (bits_of(different(not_finite, zero()))) throw NotFinite{spec.name};
    });
    if (matrix_) made.by_source = pack_recurrent(matrix_);
    return made;
  }

  // A square of sixteen of the packed weights that reaches over the edge, or whose inputs are in another order.
  void pack_edge(int tile, int i0, int o0, float* square, int stride) const {
    for (int o = 0; o < kLanes; ++o)
      for (int i = 0; i < kLanes; ++i) {
        const bool given = o0 + o < width(tile) && i0 + i < inputs_;
        const std::size_t row = (64 * static_cast<std::size_t>(tile) + o0 + o) * inputs_;
        square[static_cast<std::size_t>(i) * stride + o] = given ? weight_[row + (order_.empty() ? i0 + i : order_[i0 + i])] : 0.0f;
      }
  }

  // Weights as [output][input], rows padded, inputs in the engine's order.
  void pack_rows(int threads) {
    const std::size_t length = row_length(inputs_);
    by_rows_ = Array<float>(outputs_ * length);
    parallel(outputs_, threads, [&](int o) {
      float* row = &by_rows_[o * length];
      const float* from = weight_ + static_cast<std::size_t>(o) * inputs_;
      for (int i = 0; i < inputs_; ++i) row[i] = from[order_.empty() ? i : order_[i]];
      std::fill(row + inputs_, row + length, 0.0f);
    });
  }

  // Currents [image][step][outputs of the tile] of images [first, last), by events or patterns.
  template <int kCount>
  float* add_rows(const InputRows& lists, int tile, int first, int last) {
    constexpr std::size_t kWidth = kCount * kLanes;
    float* currents = scratch(0, static_cast<std::size_t>(last - first) * lists.steps * kWidth);
    float* usuals = scratch(8, static_cast<std::size_t>(last - first) * kWidth);
    float* table = scratch(1, InputRows::kBlockInputs / 4 * InputRows::kPatterns * kWidth);
    for (std::size_t block = 0; block < lists.blocks; ++block) {
      const float* weights = tile_weights(tile) + block * InputRows::kBlockInputs * kWidth;
      if (std::any_of(&lists.tabled[first], &lists.tabled[0] + last, [](auto tabled) { return tabled; })) {
        const std::size_t groups = std::min<std::size_t>(InputRows::kBlockInputs, rows_ - block * InputRows::kBlockInputs) / 4;
        for (std::size_t g = 0; g < groups; ++g) tabulate<kCount>(weights + 4 * g * kWidth, kWidth, 4, table + g * InputRows::kPatterns * kWidth);
      }
      for (int b = first; b < last; ++b) {
        const float* from = lists.tabled[b] ? table : weights;
        float* usual = usuals + (b - first) * kWidth;
        add_listed_rows<kCount>(lists, lists.place(b, lists.steps, block), from, block ? usual : &bias_[64 * static_cast<std::size_t>(tile)], nullptr, usual);
        for (int t = 0; t < lists.steps; ++t) {
          float* to = currents + (static_cast<std::size_t>(b - first) * lists.steps + t) * kWidth;
          add_listed_rows<kCount>(lists, lists.place(b, t, block), from, block ? to : nullptr, block + 1 == lists.blocks ? usual : nullptr, to);
        }
      }
    }
    return currents;
  }

  // to = before + the rows listed at `place` of `lists` + after; null is zero.
  template <int kCount>
  INLINE static void add_listed_rows(const InputRows& lists, std::size_t place, const float* table, const float* before, const float* after, float* to) {
    const std::size_t *at = &lists.start[place], more = at[0], less = at[1], end = at[2];
    Lanes sum[kCount];
    for (int j = 0; j < kCount; ++j) sum[j] = before ? load(before + kLanes * j) : spikewise::SPIKEWISE_ISA::zero();
    sum_rows<kCount>(table, lists.rows.data() + more, less - more, sum);
    if (less < end) sum_rows<kCount, true>(table, lists.rows.data() + less, end - less, sum);
    for (int j = 0; j < kCount; ++j) store(to + kLanes * j, after ? sum[j] + load(after + kLanes * j) : sum[j]);
  }

  // The same for inputs that are numbers.
  template <int kCount>
  float* multiply(const Signal& in, int tile, int first, int last) {
    constexpr std::size_t kWidth = kCount * kLanes;
    float* currents = scratch(0, static_cast<std::size_t>(last - first) * in.steps * kWidth);
    for (int b = first; b < last; ++b) {
      float* to = currents + static_cast<std::size_t>(b - first) * in.steps * kWidth;
      multiply_rows<kCount>(in.row(b, 0), in.length, in.steps, tile_weights(tile), kWidth, inputs_, to, kWidth);
      for (int t = 0; t < in.steps; ++t)
        for (int j = 0; j < kCount; ++j) add_to(to + t * kWidth + kLanes * j, load(&bias_[64 * static_cast<std::size_t>(tile) + kLanes * j]));
    }
    return currents;
  }

  // From currents to the stage's output; a recurrent layer's currents wait where its membranes will be.
  template <int kCount>
  void finish(int tile, int b, const float* currents, int in_steps) {
    constexpr std::size_t kWidth = kCount * kLanes;
    const std::size_t f = 64 * static_cast<std::size_t>(tile);
    if (has_neurons() && !spec.neuron.recurrent) return run_chunk(b, f, width(tile), 0, steps, currents, in_steps == 1 ? 0 : kWidth);
    Signal& held = kept();
    for (int t = 0; t < held.steps; ++t)
      std::memcpy(held.row(b, t) + f, currents + (in_steps == 1 ? 0 : t) * kWidth, sizeof(float) * kWidth);
  }

  int inputs_ = 0, in_steps_ = 0;
  std::size_t rows_ = 0;
  std::vector<int> order_;
  const float* weight_ = nullptr;
  Array<float> bias_, by_rows_;
};

}  // namespace spikewise::SPIKEWISE_ISA
