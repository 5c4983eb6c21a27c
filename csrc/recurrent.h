// A stage whose outputs are cut into tiles of 64, with or without a matrix that feeds its spikes back to it.
#pragma once
#include "gemm.h"
#include "stage.h"

namespace spikewise::SPIKEWISE_ISA {

// Weights laid out for the forward pass.
struct PackedMatrices {
  Array<float> by_input;   // [tile][input][outputs of the tile]
  Array<float> by_source;  // the recurrent matrix, [tile][source][targets of the tile]
  std::size_t bytes() const { return by_input.bytes() + by_source.bytes(); }
};

class TiledStage : public Stage {
 public:
  using Stage::Stage;

 protected:
  static constexpr int kImagesAtOnce = 5;  // that share the passes over the recurrent matrix, backward

  int tiles() const { return (outputs_ + 63) / 64; }
  int width(int tile) const { return std::min(64, outputs_ - 64 * tile); }
  Split split() const { return {batch, tiles() >= 8 ? 1 : std::min(batch, 8)}; }

  // Gradient of a matrix that reads `in`, `delay` steps late. `ready(part, tile, first, last)` is called before the
  // gradients of the currents of images [first, last) are read. Without `to`, only that.
  template <class Ready>
  void matrix_gradient(const Signal& in, int delay, const std::vector<int>& order, float* to, int threads, const Ready& ready) {
    const Split parts = split();
    std::optional<TimeRows> lists;
    if (to && in.spikes) lists.emplace(Spikes{&in, delay}, parts, in.steps, threads);
    const bool tables = lists && lists->use;
    MatrixSums sums(to ? parts.parts : 1, in.features, tiles(), outputs_, order, to);
    parallel(tiles() * parts.parts, threads, [&](int task) {
      const int tile = task / parts.parts, part = task % parts.parts;
      const std::size_t f = 64 * static_cast<std::size_t>(tile);
      auto gradient = [&](int b, int t) { return std::as_const(*this).kept().row(b, t) + f; };
      float* const own = to ? sums.start(part, tile) : nullptr;
      with_lanes(width(tile), [&]<int kCount>() {
        if (tables) {
          float* memory = scratch(Room::time_tables, static_cast<std::size_t>(kMostTables) * kGroupPatterns * kCount * kLanes);
          for (int block = lists->first_block[part]; block < lists->first_block[part + 1]; ++block) {
            ready(part, tile, lists->blocks[block].first, lists->blocks[block].last);
            add_block<kCount>(*lists, block, in.steps, gradient, memory, own);
          }
          return;
        }
        for (int b = parts.first(part); b < parts.first(part + 1); ++b) {
          ready(part, tile, b, b + 1);
          if (!to) continue;
          if (in.spikes) add_events<kCount>(Spikes{&in, delay}, b, b + 1, in.steps, gradient, own);
          else add_products<kCount>(in.row(b, 0), in.length, in.steps, in.features, gradient(b, 0), kept().length, own);
        }
      });
      if (to) sums.made(tile, own);
    });
    if (to) sums.finish(threads);
  }

  // The currents wait where the membranes will be; every step adds the rows of the neurons that spiked in the step before.
  void run_recurrent(const Call& call) {
    parallel(batch, call.threads, [&](int b) {
      std::vector<Row> rows;
      float* total = scratch(Room::total_current, row_length(outputs_));
      for (int f = 0; f < outputs_ && !state.at_rest; ++f)
        if (state.variables[S::z][b * state.length + f] != 0) rows.push_back(static_cast<Row>(f));
      for (int t = 0; t < steps; ++t) {
        for (int tile = 0; tile < tiles(); ++tile) step_tile(b, t, tile, rows, total);
        rows.clear();
        for_each_bit(out.frame(b, t), out.words, [&](std::size_t f) { rows.push_back(static_cast<Row>(f)); });
      }
    });
  }

  void back_recurrent(const OutputGradient& next, const BackwardCall& call, bool learns) {
    const std::size_t length = row_length(outputs_);
    by_target_ = Array<float>(outputs_ * length, true);
    for (int target = 0; target < outputs_; ++target)
      std::memcpy(&by_target_[target * length], matrix_ + static_cast<std::size_t>(target) * outputs_, sizeof(float) * outputs_);
    const int groups = (batch + kImagesAtOnce - 1) / kImagesAtOnce;
    std::vector<ParameterGradients> sums(learns ? groups : 0);
    for (ParameterGradients& one : sums) one = ParameterGradients(population->length);
    parallel(groups, call.threads, [&](int group) {
      const int first = group * kImagesAtOnce, last = std::min(first + kImagesAtOnce, batch);
      back_images(first, last, next, learns ? &sums[group] : nullptr);
    });
    if (learns) write_neuron_gradients(sums, call);
  }

  // The recurrent matrix as [tile][source][targets of the tile].
  Array<float> pack_recurrent(const float* matrix) const {
    const std::size_t n = outputs_;
    for (std::size_t i = 0; i < n * n; ++i)
      if (!std::isfinite(matrix[i])) throw NotFinite{spec.name};
    Array<float> out(n * round_up(n, kLanes));
    for (int tile = 0; tile < tiles(); ++tile) {
      const std::size_t f = 64 * static_cast<std::size_t>(tile), stride = round_up(width(tile), kLanes);
      for (std::size_t source = 0; source < n; ++source)
        for (std::size_t k = 0; k < stride; ++k) out[f * n + source * stride + k] = f + k < n ? matrix[(f + k) * n + source] : 0.0f;
    }
    return out;
  }

  int outputs_ = 0;
  const float* matrix_ = nullptr;  // the recurrent one
  std::shared_ptr<const PackedMatrices> packed_;

 private:
  void step_tile(int b, int t, int tile, const std::vector<Row>& rows, float* total) {
    const std::size_t f = 64 * static_cast<std::size_t>(tile);
    with_lanes(width(tile), [&]<int kCount>() {
      Lanes sum[kCount];
      for (int j = 0; j < kCount; ++j) sum[j] = spikewise::SPIKEWISE_ISA::zero();
      sum_rows<kCount>(&packed_->by_source[f * outputs_], rows.data(), rows.size(), sum);
      for (int j = 0; j < kCount; ++j) store(total + kLanes * j, load(kept().row(b, t) + f + kLanes * j) + sum[j]);
    });
    run_chunk(b, f, width(tile), t, t + 1, total, 0);
  }

  // A few images at once, from the last step to the first.
  void back_images(int first, int last, const OutputGradient& next, ParameterGradients* sums) {
    const std::size_t length = kept().length, frame = length * steps, lanes = length / kLanes;
    const int count = last - first;
    float *z = scratch(Room::spike_gradients, count * frame), *v = scratch(Room::membrane_gradients, count * frame);
    float *trace = scratch(Room::traced, count * frame), *fed = scratch(Room::fed_back, count * length);
    std::vector<LaneState> back(count * lanes, no_state());
    bool beside = false;
    for (int i = 0; i < count; ++i) {
      next.of(first + i, 0, length_of_features(), z + i * frame, length);
      beside = next.of_membrane(first + i, 0, length_of_features(), v + i * frame, length);
    }
    auto places = [&](int i, std::size_t f) {
      return BackwardPlaces{kept().row(first + i, 0) + f,
                            length,
                            z + i * frame + f,
                            beside ? v + i * frame + f : nullptr,
                            length,
                            traced.values ? traced_at(first + i, f) : trace + i * frame + f,
                            length,
                            &back[i * lanes + f / kLanes]};
    };
    auto each_tile = [&](auto&& work) {
      for (int tile = 0; tile < tiles(); ++tile)
        with_lanes(width(tile), [&]<int kCount>() { work.template operator()<kCount>(64 * static_cast<std::size_t>(tile)); });
    };
    with_neuron(spec.neuron, [&]<class Model>(Model) {
      if constexpr (Model::kTraced != S::count && !Model::kKeepsTraced)
        each_tile([&]<int kCount>(std::size_t f) {
          for (int i = 0; i < count; ++i) trace_variable<Model, kCount>(*population, f, steps, places(i, f));
        });
      for (int t = steps - 1; t >= 0; --t)
        each_tile([&]<int kCount>(std::size_t f) {
          if (t + 1 < steps) {
            multiply_rows<kCount>(kept().row(first, t + 1), frame, count, &by_target_[f], row_length(outputs_), outputs_, fed + f, length);
            for (int i = 0; i < count; ++i)
              for (int j = 0; j < kCount * kLanes; j += kLanes) add_to(z + i * frame + t * length + f + j, load(fed + i * length + f + j));
          }
          for (int i = 0; i < count; ++i) back_neurons<Model, kCount>(*population, sums, f, t, t + 1, places(i, f));
        });
    });
  }

  std::size_t length_of_features() const { return round_up(outputs_, kLanes); }

  Array<float> by_target_;  // the recurrent matrix, [target][source]
};

}  // namespace spikewise::SPIKEWISE_ISA
