// A whole graph, forward and backward.
#pragma once
#include "gradients.h"
#include "linear.h"
#include "map.h"

namespace spikewise::SPIKEWISE_ISA {

class GraphRun final : public Run {
 public:
  GraphRun(std::shared_ptr<const Plan> plan, const Call& call) : plan_(std::move(plan)), batch_(call.batch), steps_(call.steps) {
    for (const StageSpec& spec : plan_->stages) require_finite_values(spec, call);
    input_ = encode(*plan_, call);
    const Signal* in = &input_;
    for (std::size_t i = 0; i < plan_->stages.size(); ++i) {
      const StageSpec& spec = plan_->stages[i];
      if (spec.op == Op::linear) stages_.push_back(std::make_unique<LinearStage>(spec, call));
      else stages_.push_back(std::make_unique<MapStage>(spec, call));
      stages_.back()->plan = plan_.get(), stages_.back()->number = i;
      const bool last = i + 1 == plan_->stages.size();
      stages_.back()->forward(*in, call, call.state.empty() ? nullptr : &call.state[i], call.keep || call.keep_membranes || last);
      const std::uint8_t* keep = call.dropout.empty() ? nullptr : call.dropout[i];
      dropped_.push_back(keep ? Dropped(stages_.back()->out, keep, call.threads) : Dropped());
      in = &sent(i);
    }
    copy_out(call);
  }

  void backward(const BackwardCall& call) override {
    for (std::size_t i = stages_.size(); i-- > 0;) {
      const bool last = i + 1 == stages_.size();
      const Stage& stage = *stages_[i];
      BackwardCall::Recorded given = call.recorded[i];
      if (!stage.out.spikes) given = {given.membrane, nullptr};
      auto rows = [&](const float* from) { return GivenRows{from, batch_, steps_, stage.out.steps, static_cast<std::size_t>(stage.out.features)}; };
      const Dropped& dropped = dropped_[i];
      const JoinedGradient gradient(last ? nullptr : stages_[i + 1].get(), rows(given.spikes), rows(given.membrane),
                                    dropped.kept ? dropped.kept.data() : nullptr, stage.out.words);
      stages_[i]->backward(i ? sent(i - 1) : input_, gradient, call, i == 0);
    }
    for (auto& stage : stages_) stage->membrane = Signal{}, stage->out.values = Array<float>();  // they hold gradients now
  }

  void count(int stage, float* out) const override {
    const int at = stage >= 0 ? stage : -1 - stage - 1;
    count_events(at < 0 ? input_ : stage >= 0 ? stages_[at]->out : sent(at), out);
  }
  void dense_spikes(int stage, float* out) const override {
    const Signal& s = stages_[stage]->out;
    Array<float> row(round_up(s.features, 64));
    for (int t = 0; t < steps_; ++t)
      for (int b = 0; b < batch_; ++b, out += s.features) {
        expand(s.frame(b, t), s.features, row.data());
        std::memcpy(out, row.data(), sizeof(float) * s.features);
      }
  }
  void dense_membranes(int stage, float* out) const override { copy_rows(*stages_[stage], out); }
  void end_state(int stage, const StateOut& out) const override {
    const Stage& s = *stages_[stage];
    const std::size_t n = s.out.features;
    for (S variable : every<S>())
      for (int b = 0; out[variable] && b < batch_; ++b)
        std::memcpy(out[variable] + b * n, &s.state.variables[variable][b * s.state.length], n * sizeof(float));
  }
  std::size_t bytes() const override {
    std::size_t sum = input_.bytes();
    for (const auto& s : stages_) sum += s->out.bytes() + s->membrane.bytes() + s->choice_bytes;
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
    check(spec.weights[Weight::bias], spec.name);
    for (int slot : spec.neuron_parameters.values) check(slot, spec.neuron_name);
  }
  // What a stage hands to the next.
  const Signal& sent(std::size_t stage) const { return dropped_[stage].kept ? dropped_[stage].spikes : stages_[stage]->out; }
  void copy_out(const Call& call) {
    if (call.spikes) dense_spikes(static_cast<int>(stages_.size()) - 1, call.spikes);
    if (call.membrane) copy_rows(*stages_.back(), call.membrane);
  }
  void copy_rows(const Stage& s, float* out) const {
    for (int t = 0; t < steps_; ++t)
      for (int b = 0; b < batch_; ++b, out += s.out.features) std::memcpy(out, s.kept().row(b, t), sizeof(float) * s.out.features);
  }

  std::shared_ptr<const Plan> plan_;
  int batch_, steps_;
  Signal input_;
  std::vector<std::unique_ptr<Stage>> stages_;
  std::vector<Dropped> dropped_;  // of each stage
};

inline std::unique_ptr<Run> run_forward(std::shared_ptr<const Plan> plan, const Call& call) {
  return std::make_unique<GraphRun>(std::move(plan), call);
}

}  // namespace spikewise::SPIKEWISE_ISA
