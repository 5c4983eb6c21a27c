// A stage with a matrix. Outputs are cut into tiles of 64; a tile's weights or tables stay in L2 while images pass by.
#pragma once
#include "recurrent.h"

namespace spikewise::SPIKEWISE_ISA {

class LinearStage final : public TiledStage {
 public:
  using TiledStage::TiledStage;

  void forward(const Signals& inputs, const Call& call, const StateIn* from, bool keep_membranes) override {
    const Signal& in = *inputs[0];
    const bool recurrent = spec.neuron.recurrent;
    prepare(in, call, from, keep_membranes || recurrent);
    inputs_ = in.features, rows_ = round_up(inputs_, 64), outputs_ = spec.out.features();
    if (spec.reorder) order_ = channels_first(spec.in);
    weight_ = given(call, Weight::weight);
    bias_ = Array<float>(row_length(outputs_), true);
    if (const float* bias = given(call, Weight::bias)) std::memcpy(bias_.data(), bias, sizeof(float) * outputs_);
    matrix_ = given(call, Weight::recurrent);
    packed_ = packed<PackedMatrices>(call, {Weight::weight, Weight::recurrent}, 0, [&] { return pack(call.threads); });
    std::optional<InputRows> lists;
    if (in.spikes) lists.emplace(in, call.threads);
    add_images(in, lists ? &*lists : nullptr, call.threads);
    if (recurrent) run_recurrent(call);
    if (call.keep) packed_.reset();  // the way back packs them its own way
  }

  void backward(const Signals& inputs, const OutputGradient& next, const BackwardCall& call, bool passes_on) override {
    const Signal& in = *inputs[0];
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
      float* to = gradient(call, Weight::recurrent);
      if (to) matrix_gradient(out, 1, {}, to, call.threads, [](int, int, int, int) {});
    }
    matrix_gradient(in, 0, order_, gradient(call, Weight::weight), call.threads, ready);
    if (float* to = gradient(call, Weight::bias))
      for (int o = 0; o < outputs_; ++o) {
        to[o] = 0;
        for (int part = 0; part < split().parts; ++part) to[o] += bias[part * length + o];
      }
    if (!neurons.empty()) write_neuron_gradients(neurons, call);
    if (passes_on) by_rows_ = rows_in_order(row_length(inputs_), call.threads);
    in_steps_ = in.steps;
  }

  // Gradient of the inputs [f, f + width): that of the currents times the matrix.
  void input_gradient(int, int image, std::size_t f, std::size_t width, float* to, std::size_t stride) const override {
    for (std::size_t i = 0; i < width; i += 64)
      with_lanes(static_cast<int>(std::min<std::size_t>(64, width - i)), [&]<int kCount>() {
        multiply_rows<kCount>(kept().row(image, 0), kept().length, in_steps_, &by_rows_[f + i], row_length(inputs_), outputs_, to + i, stride);
      });
  }

 private:
  int padded(int tile) const { return static_cast<int>(round_up(width(tile), kLanes)); }
  const float* tile_weights(int tile) const { return &packed_->by_input[64 * static_cast<std::size_t>(tile) * rows_]; }

  PackedMatrices pack(int threads) const {
    PackedMatrices made;
    pack_by_input(made, threads);
    if (matrix_) made.by_source = pack_recurrent(matrix_);
    return made;
  }

  void pack_by_input(PackedMatrices& made, int threads) const {
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

  // Weights as [output][length], inputs in the engine's order, zero behind them.
  Array<float> rows_in_order(std::size_t length, int threads) const {
    Array<float> out(outputs_ * length);
    parallel(outputs_, threads, [&](int o) {
      float* row = &out[o * length];
      const float* from = weight_ + static_cast<std::size_t>(o) * inputs_;
      for (int i = 0; i < inputs_; ++i) row[i] = from[order_.empty() ? i : order_[i]];
      std::fill(row + inputs_, row + length, 0.0f);
    });
    return out;
  }

  // Images by lists, or as numbers: each tile for a few images at once, so that their currents stay in L2.
  void add_images(const Signal& in, const InputRows* lists, int threads) {
    const int chunk = std::clamp(static_cast<int>((192 << 10) / (sizeof(float) * 64 * in.steps)), 1, std::max(1, (batch + 1) / 2));
    const int chunks = (batch + chunk - 1) / chunk;
    parallel(tiles() * chunks, threads, [&](int task) {
      const int tile = task / chunks, first = task % chunks * chunk, last = std::min(first + chunk, batch);
      with_lanes(width(tile), [&]<int kCount>() {
        const float* currents = lists ? add_rows<kCount>(*lists, tile, first, last) : multiply<kCount>(in, tile, first, last);
        for (int b = first; b < last; ++b) finish<kCount>(tile, b, currents + (b - first) * in.steps * kCount * kLanes, in.steps);
      });
    });
  }

  // Currents [image][step][outputs of the tile] of images [first, last), by events or patterns.
  template <int kCount>
  float* add_rows(const InputRows& lists, int tile, int first, int last) {
    constexpr std::size_t kWidth = kCount * kLanes;
    float* currents = scratch(Room::currents, static_cast<std::size_t>(last - first) * lists.steps * kWidth);
    float* usuals = scratch(Room::usual_currents, static_cast<std::size_t>(last - first) * kWidth);
    float* table = scratch(Room::tables, InputRows::kBlockInputs / 4 * InputRows::kPatterns * kWidth);
    for (std::size_t block = 0; block < lists.blocks; ++block) {
      const float* weights = tile_weights(tile) + block * InputRows::kBlockInputs * kWidth;
      for (std::size_t w = 0; w < lists.words_of(block); ++w)
        for (Word groups = lists.tabled_groups(first, last, block, w); groups; groups &= groups - 1) {
          const std::size_t g = 16 * w + std::countr_zero(groups) / 4;
          tabulate<kCount>(weights + 4 * g * kWidth, kWidth, 4, table + g * InputRows::kPatterns * kWidth);
        }
      for (int b = first; b < last; ++b) {
        const float* from = lists.way[b] == Way::patterns ? table : weights;
        float* usual = usuals + (b - first) * kWidth;
        add_listed_rows<kCount>(lists, lists.place(b, lists.steps, block), from, block ? usual : &bias_[64 * static_cast<std::size_t>(tile)], nullptr,
                                usual);
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
  INLINE static void add_listed_rows(const InputRows& lists, std::size_t place, const float* table, const float* before, const float* after,
                                     float* to) {
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
    float* currents = scratch(Room::currents, static_cast<std::size_t>(last - first) * in.steps * kWidth);
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
    for (int t = 0; t < held.steps; ++t) std::memcpy(held.row(b, t) + f, currents + (in_steps == 1 ? 0 : t) * kWidth, sizeof(float) * kWidth);
  }

  int inputs_ = 0, in_steps_ = 0;
  std::size_t rows_ = 0;
  std::vector<int> order_;
  const float* weight_ = nullptr;
  Array<float> bias_, by_rows_;
};

}  // namespace spikewise::SPIKEWISE_ISA
