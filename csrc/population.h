// The neurons of one stage, run over the steps of one image, forward and backward; sixteen neurons stay in registers.
#pragma once
#include <vector>

#include "memory.h"
#include "neuron.h"
#include "signal.h"

namespace spikewise::SPIKEWISE_ISA {

struct Population {
  NeuronSpec spec;
  int features = 0;
  std::size_t length = 0;
  Array<float> beta, threshold, adaptation, adaptation_decay;  // one value a neuron

  Population(const StageSpec& stage, const std::vector<Parameter>& parameters)
      : spec(stage.neuron), features(stage.out.features()), length(row_length(features)) {
    auto spread = [&](int slot, float otherwise) {
      Array<float> out(length);
      for (std::size_t f = 0; f < length; ++f) {
        const bool given = slot >= 0 && f < static_cast<std::size_t>(features);
        out[f] = given ? parameters[slot].data[parameters[slot].count == 1 ? 0 : f] : otherwise;
      }
      return out;
    };
    beta = spread(stage.slots.beta, 1.0f);
    threshold = spread(stage.slots.threshold, 1.0f);
    adaptation = spread(stage.slots.adaptation, 0.0f);
    adaptation_decay = spread(stage.slots.adaptation_decay, 0.0f);
  }

  INLINE LaneParameters at(std::size_t f) const {
    return {load(&beta[f]), load(&threshold[f]), load(&adaptation[f]), load(&adaptation_decay[f])};
  }
  // Bits of the 64 features from f on that exist.
  Word existing(std::size_t f) const {
    const std::size_t left = features - f;
    return left >= 64 ? ~Word{0} : (Word{1} << left) - 1;
  }
};

// State of every neuron for each image: [batch][length].
struct PopulationState {
  Array<float> v, z, a;
  std::size_t length = 0;

  PopulationState() = default;
  PopulationState(int batch, const Population& p, const StateIn* from) : length(p.length) {
    const std::size_t size = batch * length;
    v = start(size, from ? from->v : nullptr, batch, p.features);
    z = start(size, from ? from->z : nullptr, batch, p.features);
    if (p.spec.kind == NeuronKind::adaptive) a = start(size, from ? from->a : nullptr, batch, p.features);
  }
  LaneState at(int image, std::size_t f) const {
    const std::size_t i = image * length + f;
    return {load(&v[i]), load(&z[i]), a ? load(&a[i]) : zero()};
  }
  void put(int image, std::size_t f, const LaneState& s) {
    const std::size_t i = image * length + f;
    store(&v[i], s.v);
    store(&z[i], s.z);
    if (a) store(&a[i], s.a);
  }

 private:
  Array<float> start(std::size_t size, const float* from, int batch, int features) const {
    Array<float> out(size, true);
    for (int b = 0; from && b < batch; ++b) std::memcpy(&out[b * length], from + static_cast<std::size_t>(b) * features, sizeof(float) * features);
    return out;
  }
};

// Where the neurons of one image read and write; a null pointer is not written. Strides are from step to step.
struct ForwardPlaces {
  const float* current;
  std::size_t current_stride;  // 0 for a current that is the same at every step
  Word* spikes;
  std::size_t spikes_stride;
  float* membrane;
  std::size_t membrane_stride;
};

// Run `count` x 16 neurons from feature f on, over steps [from, to). Places point at feature f and step 0.
template <class Model, int kCount>
void run_neurons(const Population& p, PopulationState& state, int image, std::size_t f, int from, int to, const ForwardPlaces& at) {
  LaneState s[kCount];
  LaneParameters parameters[kCount];
  for (int j = 0; j < kCount; ++j) s[j] = state.at(image, f + kLanes * j), parameters[j] = p.at(f + kLanes * j);
  const Word existing = p.existing(f);
  for (int t = from; t < to; ++t) {
    const float* current = at.current + t * at.current_stride;
    Word word = 0;
    for (int j = 0; j < kCount; ++j) {
      Mask fired;
      const Lanes v = Model::step(s[j], load(current + kLanes * j), parameters[j], fired);
      word |= Word{bits_of(fired)} << (kLanes * j);
      if (at.membrane) store(at.membrane + t * at.membrane_stride + kLanes * j, v);
    }
    if (at.spikes) at.spikes[t * at.spikes_stride] = word & existing;
  }
  for (int j = 0; j < kCount; ++j) state.put(image, f + kLanes * j, s[j]);
}

// Gradients of the neuron parameters, one a neuron: beta, threshold, adaptation, adaptation_decay.
struct ParameterGradients {
  Array<float> sums;
  std::size_t length = 0;

  ParameterGradients() = default;
  explicit ParameterGradients(std::size_t n) : sums(4 * n, true), length(n) {}
  void add(std::size_t f, const LaneParameters& g) {
    add_to(&sums[f], g.beta);
    add_to(&sums[length + f], g.threshold);
    add_to(&sums[2 * length + f], g.adaptation);
    add_to(&sums[3 * length + f], g.adaptation_decay);
  }
};

struct BackwardPlaces {
  float* membrane;  // in: the membranes; out: the gradient of the currents
  std::size_t membrane_stride;
  const float* gradient_z;
  const float* gradient_v;  // null is zero
  std::size_t gradient_stride;
  float* a;  // [steps][stride] scratch for the adaptation, filled by trace_adaptation
  std::size_t a_stride;
  LaneBack* back;  // [count], zero before the last step
};

// Write the adaptation in every step, from the membranes.
template <class Model, int kCount>
void trace_adaptation(const Population& p, std::size_t f, int steps, const BackwardPlaces& at) {
  for (int j = 0; j < kCount; ++j) {
    const LaneParameters parameters = p.at(f + kLanes * j);
    LaneState s{zero(), zero(), zero()};
    for (int t = 0; t < steps; ++t) {
      const Lanes a = Model::adapt(s, parameters);
      store(at.a + t * at.a_stride + kLanes * j, a);
      s = Model::replay(load(at.membrane + t * at.membrane_stride + kLanes * j), a, parameters);
    }
  }
}

// Walk steps [from, to) backwards. Places point at feature f and step 0.
template <class Model, int kCount>
void back_neurons(const Population& p, ParameterGradients* gradients, std::size_t f, int from, int to, const BackwardPlaces& at) {
  LaneParameters parameters[kCount], g[kCount];
  Lanes membrane[kCount], a[kCount];
  auto adaptation = [&](int t, int j) {
    if constexpr (Model::kHasAdaptation) return load(at.a + t * at.a_stride + kLanes * j);
    else return zero();
  };
  // A row is a page or more from the next, which no processor fetches by itself.
  auto fetch = [&](int t) {
    for (int j = 0; t >= from && j < kCount; ++j) __builtin_prefetch(at.membrane + t * at.membrane_stride + kLanes * j, 1);
  };
  constexpr int kAhead = 8;
  for (int t = to - 1; t >= to - kAhead; --t) fetch(t);
  for (int j = 0; j < kCount; ++j) {
    parameters[j] = p.at(f + kLanes * j);
    g[j] = {zero(), zero(), zero(), zero()};
    membrane[j] = load(at.membrane + (to - 1) * at.membrane_stride + kLanes * j);
    a[j] = adaptation(to - 1, j);
  }
  for (int t = to - 1; t >= from; --t) {
    fetch(t - kAhead);
    for (int j = 0; j < kCount; ++j) {
      const std::size_t lane = kLanes * j;
      LaneStep step{.membrane = membrane[j], .a = a[j], .before = {zero(), zero(), zero()}};
      if (t > 0) {
        membrane[j] = load(at.membrane + (t - 1) * at.membrane_stride + lane);
        a[j] = adaptation(t - 1, j);
        step.before = Model::replay(membrane[j], a[j], parameters[j]);
      }
      step.gradient_z = load(at.gradient_z + t * at.gradient_stride + lane);
      step.gradient_v = at.gradient_v ? load(at.gradient_v + t * at.gradient_stride + lane) : zero();
      store(at.membrane + t * at.membrane_stride + lane, Model::back(p.spec, step, parameters[j], at.back[j], g[j]));
    }
  }
  if (gradients)
    for (int j = 0; j < kCount; ++j) gradients->add(f + kLanes * j, g[j]);
}

// Call work<1..4>() with the number of sixteens that hold `width` <= 64 neurons.
template <class Work>
INLINE void with_lanes(int width, Work&& work) {
  switch ((width + kLanes - 1) / kLanes) {
    case 1: return work.template operator()<1>();
    case 2: return work.template operator()<2>();
    case 3: return work.template operator()<3>();
    default: return work.template operator()<4>();
  }
}

}  // namespace spikewise::SPIKEWISE_ISA
