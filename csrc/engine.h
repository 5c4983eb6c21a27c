// A whole graph, forward and backward.
#pragma once
#include <stdexcept>

#include "counts.h"
#include "gradients.h"
#include "linear.h"
#include "map.h"
#include "point.h"

namespace spikewise::SPIKEWISE_ISA {

class GraphRun final : public Run {
 public:
  GraphRun(std::shared_ptr<const Plan> plan, const Call& call)
      : plan_(std::move(plan)), batch_(call.batch), steps_(call.steps), threads_(call.threads) {
    for (const StageSpec& spec : plan_->stages) require_finite_values(spec, call);
    input_ = encode(*plan_, call);
    for (std::size_t i = 0; i < plan_->stages.size(); ++i) {
      stages_.push_back(made(plan_->stages[i], call));
      stages_.back()->plan = plan_.get(), stages_.back()->number = i;
      const bool last = i + 1 == plan_->stages.size();
      stages_.back()->forward(inputs(i), call, call.state.empty() ? nullptr : &call.state[i], call.keep || call.keep_membranes || last);
      const std::uint8_t* keep = call.dropout.empty() || plan_->stages[i].op == Op::dropout ? nullptr : call.dropout[i];
      dropped_.push_back(keep ? Dropped(stages_.back()->out, keep, call.threads) : Dropped());
      free_numbers(i, call);
    }
    copy_out(call);
  }

  void backward(const BackwardCall& call) override {
    for (int i = static_cast<int>(stages_.size()); i-- > 0;) {
      const Stage& stage = *stages_[i];
      BackwardCall::Recorded given = call.recorded[i];
      if (!stage.out.spikes) given = {given.membrane, nullptr};
      auto rows = [&](const float* from) { return GivenRows{from, batch_, steps_, stage.out.steps, static_cast<std::size_t>(stage.out.features)}; };
      const Dropped& dropped = dropped_[i];
      const JoinedGradient gradient(readers(i), rows(given.spikes), rows(given.membrane), dropped.kept ? dropped.kept.data() : nullptr,
                                    stage.out.words);
      stages_[i]->backward(inputs(i), gradient, call, passes_on(stage, call));
    }
    if (call.input) write_input_gradient(call);
    for (auto& stage : stages_)  // they hold gradients now
      stage->membrane = Signal{}, stage->traced = Signal{}, stage->out.values = Array<float>();
  }

  bool count(int stage, float quantum, bool dropped, float* out) const override {
    const Signal& signal = stage == kImage || dropped ? sent(stage) : stages_[stage]->out;
    if (!signal.spikes && !signal.values) throw std::logic_error("these numbers are gone: the call did not say that they will be counted");
    count_events(signal, quantum, threads_, out);
    return signal.steps == 1 && steps_ > 1;
  }
  double statistics(int stage, float* mean, float* variance) const override { return stages_[stage]->statistics(mean, variance); }
  void dense_spikes(int stage, float* out) const override { expand_frames(stages_[stage]->out, out); }
  void dense_membranes(int stage, float* out) const override { copy_rows(stages_[stage]->kept(), out); }
  void dense_output(int stage, float* out) const override {
    const Signal& signal = stage == kImage ? input_ : stages_[stage]->out;
    if (signal.spikes) expand_frames(signal, out);
    else copy_rows(signal, out);
  }
  void end_state(int stage, const StateOut& out) const override {
    const Stage& s = *stages_[stage];
    const std::size_t n = s.out.features;
    for (S variable : every<S>())
      if (const Array<float>& kept = s.state.variables[variable]; out[variable] && kept)
        for (int b = 0; b < batch_; ++b) std::memcpy(out[variable] + b * n, &kept[b * s.state.length], n * sizeof(float));
    if (out[S::z] && !s.state.variables[S::z]) expand_step(s.out, steps_ - 1, out[S::z]);
  }
  std::size_t bytes() const override {
    std::size_t sum = input_.bytes();
    for (const auto& s : stages_) sum += s->out.bytes() + s->membrane.bytes() + s->traced.bytes() + s->choice_bytes;
    for (const Dropped& d : dropped_) sum += d.spikes.bytes() + d.kept.bytes();
    return sum;
  }

 private:
  // Matrices are looked at where they are packed; biases and the neurons' own values, which are few, here.
  static void require_finite_values(const StageSpec& spec, const Call& call) {
    const auto check = [&](int slot, const std::string& layer) {
      if (slot == kAbsent) return;
      const Parameter& values = call.parameters[slot];
      float sum = 0;  // a product with zero is zero, or not a number
      for (std::size_t i = 0; i < values.count; ++i) sum += values.data[i] * 0.0f;
      if (sum != 0.0f) throw NotFinite{layer};
    };
    for (Weight w : {Weight::weight, Weight::bias, Weight::running_mean, Weight::running_var})
      if (w == Weight::bias || spec.op == Op::norm) check(spec.weights[w], spec.name);
    for (int slot : spec.neuron_parameters.values) check(slot, spec.neuron_name);
  }
  static std::unique_ptr<Stage> made(const StageSpec& spec, const Call& call) {
    switch (spec.op) {
      case Op::linear: return std::make_unique<LinearStage>(spec, call);
      case Op::none:
      case Op::conv: return std::make_unique<MapStage>(spec, call);
      default: return std::make_unique<PointStage>(spec, call);
    }
  }
  // Numbers that nobody will read after this stage take much memory, which the next ones can use; spikes are bits, and stay.
  void free_numbers(std::size_t stage, const Call& call) {
    if (call.keep || call.keep_membranes) return;
    for (int from : plan_->stages[stage].inputs) {
      if (from == kImage || std::count(call.counted.begin(), call.counted.end(), from)) continue;
      const auto reads = [&](const StageSpec& later) { return std::count(later.inputs.begin(), later.inputs.end(), from) > 0; };
      if (std::none_of(plan_->stages.begin() + static_cast<std::ptrdiff_t>(stage) + 1, plan_->stages.end(), reads))
        stages_[from]->out.values = Array<float>();
    }
  }
  // What a stage hands to those that read it; kImage is what the encoder sends.
  const Signal& sent(int stage) const {
    if (stage == kImage) return input_;
    return dropped_[stage].kept ? dropped_[stage].spikes : stages_[stage]->out;
  }
  Signals inputs(std::size_t stage) const {
    Signals out;
    for (int from : plan_->stages[stage].inputs) out.push_back(&sent(from));
    return out;
  }
  std::vector<Reader> readers(int stage) const {
    std::vector<Reader> out;
    for (const auto& reader : stages_)
      for (std::size_t k = 0; k < reader->spec.inputs.size(); ++k)
        if (reader->spec.inputs[k] == stage) out.push_back({reader.get(), static_cast<int>(k)});
    return out;
  }
  static bool passes_on(const Stage& stage, const BackwardCall& call) {
    const std::vector<int>& from = stage.spec.inputs;
    return call.input || std::any_of(from.begin(), from.end(), [](int one) { return one != kImage; });
  }
  // In the order of `Call::values`: [steps][batch][c][h][w].
  void write_input_gradient(const BackwardCall& call) const {
    const std::size_t n = input_.features, length = row_length(input_.features);
    const std::vector<int> order = plan_->channels_last ? channels_first(plan_->image) : std::vector<int>();
    const JoinedGradient gradient(readers(kImage), {nullptr, batch_, steps_, input_.steps, n}, {}, nullptr, 0);
    parallel(batch_, call.threads, [&](int b) {
      Array<float> rows(input_.steps * length);
      gradient.of(b, 0, n, rows.data(), length);
      for (int t = 0; t < input_.steps; ++t)
        for (std::size_t f = 0; f < n; ++f)
          call.input[(static_cast<std::size_t>(t) * batch_ + b) * n + (order.empty() ? f : order[f])] = rows[t * length + f];
    });
  }
  void copy_out(const Call& call) {
    if (call.spikes) dense_spikes(static_cast<int>(stages_.size()) - 1, call.spikes);
    if (call.membrane) copy_rows(stages_.back()->kept(), call.membrane);
  }
  // To [steps][batch][features].
  void expand_frames(const Signal& s, float* out) const {
    for (int t = 0; t < steps_; ++t) expand_step(s, t, out + static_cast<std::size_t>(t) * batch_ * s.features);
  }
  // To [batch][features].
  void expand_step(const Signal& s, int t, float* out) const {
    parallel(batch_, threads_, [&](int b) {
      float* row = scratch(Room::expanded_spikes, round_up(s.features, 64));
      expand(s.frame(b, t), s.features, row);
      std::memcpy(out + static_cast<std::size_t>(b) * s.features, row, sizeof(float) * s.features);
    });
  }
  void copy_rows(const Signal& s, float* out) const {
    parallel(batch_, threads_, [&](int b) {
      for (int t = 0; t < steps_; ++t)
        std::memcpy(out + (static_cast<std::size_t>(t) * batch_ + b) * s.features, s.row(b, t), sizeof(float) * s.features);
    });
  }

  std::shared_ptr<const Plan> plan_;
  int batch_, steps_, threads_;
  Signal input_;
  std::vector<std::unique_ptr<Stage>> stages_;
  std::vector<Dropped> dropped_;  // of each stage
};

inline std::unique_ptr<Run> run_forward(std::shared_ptr<const Plan> plan, const Call& call) {
  return std::make_unique<GraphRun>(std::move(plan), call);
}

}  // namespace spikewise::SPIKEWISE_ISA
