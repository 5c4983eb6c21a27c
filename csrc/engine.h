// A whole graph, forward and backward.
#pragma once
#include "linear.h"
#include "map.h"

namespace spikewise::SPIKEWISE_ISA {

// The gradients that PyTorch hands over, [steps][batch][classes].
class GivenGradient final : public OutputGradient {
 public:
  GivenGradient(const BackwardCall& call, int batch, int steps, int classes, bool spikes)
      : output_(spikes ? call.spikes : call.membrane), membrane_(spikes ? call.membrane : nullptr), batch_(batch), steps_(steps), classes_(classes) {}

  void of(int image, std::size_t f, std::size_t width, float* out, std::size_t stride) const override { copy(output_, image, f, width, out, stride); }
  bool of_membrane(int image, std::size_t f, std::size_t width, float* out, std::size_t stride) const override {
    if (membrane_) copy(membrane_, image, f, width, out, stride);
    return membrane_ != nullptr;
  }

 private:
  void copy(const float* from, int image, std::size_t f, std::size_t width, float* out, std::size_t stride) const {
    const std::size_t n = std::min(width, classes_ - f), padded = round_up(width, kLanes);
    for (int t = 0; t < steps_; ++t) {
      float* to = out + t * stride;
      if (from) std::memcpy(to, from + (static_cast<std::size_t>(t) * batch_ + image) * classes_ + f, n * sizeof(float));
      std::fill(to + (from ? n : 0), to + padded, 0.0f);
    }
  }

  const float *output_, *membrane_;
  int batch_, steps_;
  std::size_t classes_;
};

class GraphRun final : public Run {
 public:
  GraphRun(std::shared_ptr<const Plan> plan, const Call& call) : plan_(std::move(plan)), keep_(call.keep), batch_(call.batch), steps_(call.steps) {
    input_ = encode(*plan_, call);
    const Signal* in = &input_;
    for (std::size_t i = 0; i < plan_->stages.size(); ++i) {
      const StageSpec& spec = plan_->stages[i];
      if (spec.op == Op::linear) stages_.push_back(std::make_unique<LinearStage>(spec, call));
      else stages_.push_back(std::make_unique<MapStage>(spec, call));
      stages_.back()->plan = plan_.get(), stages_.back()->number = i;
      const bool last = i + 1 == plan_->stages.size();
      stages_.back()->forward(*in, call, call.state.empty() ? nullptr : &call.state[i], call.keep || call.keep_membranes || last);
      in = &stages_.back()->out;
    }
    copy_out(call);
  }

  void backward(const BackwardCall& call) override {
    const Stage& last = *stages_.back();
    const GivenGradient given(call, batch_, last.kept().steps, last.out.features, last.out.spikes);
    for (std::size_t i = stages_.size(); i-- > 0;) {
      const OutputGradient& next = i + 1 < stages_.size() ? static_cast<const OutputGradient&>(*stages_[i + 1]) : given;
      stages_[i]->backward(i ? stages_[i - 1]->out : input_, next, call, i == 0);
    }
    for (auto& stage : stages_) stage->membrane = Signal{}, stage->out.values = Array<float>();  // they hold gradients now
  }

  void count(int stage, float* out) const override {
    const int at = stage >= 0 ? stage : -1 - stage - 1;
    count_events(at < 0 ? input_ : stages_[at]->out, out);
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
  void end_state(int stage, float* v, float* z, float* a) const override {
    const Stage& s = *stages_[stage];
    const std::size_t n = s.out.features;
    for (int b = 0; b < batch_; ++b) {
      std::memcpy(v + b * n, &s.state.v[b * s.state.length], n * sizeof(float));
      if (z) std::memcpy(z + b * n, &s.state.z[b * s.state.length], n * sizeof(float));
      if (a) std::memcpy(a + b * n, &s.state.a[b * s.state.length], n * sizeof(float));
    }
  }
  std::size_t bytes() const override {
    std::size_t sum = input_.bytes();
    for (const auto& s : stages_) sum += s->out.bytes() + s->membrane.bytes();
    return sum;
  }

 private:
  void copy_out(const Call& call) {
    if (call.spikes) dense_spikes(static_cast<int>(stages_.size()) - 1, call.spikes);
    if (call.membrane) copy_rows(*stages_.back(), call.membrane);
  }
  void copy_rows(const Stage& s, float* out) const {
    for (int t = 0; t < steps_; ++t)
      for (int b = 0; b < batch_; ++b, out += s.out.features) std::memcpy(out, s.kept().row(b, t), sizeof(float) * s.out.features);
  }

  std::shared_ptr<const Plan> plan_;
  bool keep_;
  int batch_, steps_;
  Signal input_;
  std::vector<std::unique_ptr<Stage>> stages_;
};

inline std::unique_ptr<Run> run_forward(std::shared_ptr<const Plan> plan, const Call& call) {
  return std::make_unique<GraphRun>(std::move(plan), call);
}

}  // namespace spikewise::SPIKEWISE_ISA
