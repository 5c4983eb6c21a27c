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
  ByEnum<P, Array<float>> values;  // one value a neuron

  Population(const StageSpec& stage, const std::vector<Parameter>& parameters)
      : spec(stage.neuron), features(stage.out.features()), length(row_length(features)) {
    for (P p : every<P>()) {
      const int slot = stage.neuron_parameters[p];
      if (slot == kAbsent) continue;
      const Parameter& given = parameters[slot];
      values[p] = Array<float>(length, true);
      for (int f = 0; f < features; ++f) values[p][f] = given.data[given.count == 1 ? 0 : f];
    }
  }

  template <class Model>
  INLINE LaneParameters at(std::size_t f) const {
    LaneParameters out = no_gradients();
    for (P p : Model::parameters()) out[p] = load(&values[p][f]);
    return out;
  }
  // Bits of the 64 features from f on that exist.
  Word existing(std::size_t f) const {
    const std::size_t left = features - f;
    return left >= 64 ? ~Word{0} : (Word{1} << left) - 1;
  }
};

// State of every neuron for each image: [batch][length] of each variable that the model has. Of neurons that start at rest nothing
// stands there before they have run, and no spikes: those of the last step are the end of what they sent.
struct PopulationState {
  ByEnum<S, Array<float>> variables;
  std::size_t length = 0;
  bool at_rest = true;  // at first

  PopulationState() = default;
  PopulationState(int batch, const Population& p, const StateIn* from) : length(p.length), at_rest(!from) {
    with_neuron(p.spec, [&]<class Model>(Model) {
      const LaneState rest = Model::rest(p.spec);
      for (S variable : Model::variables()) {
        if (variable == S::z && at_rest && !p.spec.recurrent) continue;  // which run step by step
        variables[variable] = Array<float>(batch * length);
        if (from) start(variables[variable], batch, p.features, rest[variable], (*from)[variable]);
      }
    });
  }
  template <class Model>
  INLINE LaneState at(int image, std::size_t f) const {
    LaneState out = no_state();
    for (S variable : Model::variables()) out[variable] = load(&variables[variable][image * length + f]);
    return out;
  }
  template <class Model>
  INLINE void put(int image, std::size_t f, const LaneState& s) {
    for (S variable : Model::variables())
      if (variables[variable]) store(&variables[variable][image * length + f], s[variable]);
  }

 private:
  void start(Array<float>& variable, int batch, int features, Lanes rest, const float* from) const {
    for (std::size_t i = 0; i < variable.size(); i += kLanes) store(&variable[i], rest);
    for (int b = 0; from && b < batch; ++b)
      std::memcpy(&variable[b * length], from + static_cast<std::size_t>(b) * features, sizeof(float) * features);
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
  float* traced;  // of models that keep it; as far apart as the membranes
};

// Run `count` x 16 neurons from feature f on, over steps [from, to). Places point at feature f and step 0.
template <class Model, int kCount>
void run_neurons(const Population& p, PopulationState& state, int image, std::size_t f, int from, int to, const ForwardPlaces& at) {
  LaneState s[kCount];
  LaneParameters parameters[kCount];
  const bool rested = from == 0 && state.at_rest;
  for (int j = 0; j < kCount; ++j) {
    s[j] = rested ? Model::rest(p.spec) : state.at<Model>(image, f + kLanes * j);
    parameters[j] = p.at<Model>(f + kLanes * j);
  }
  const Word existing = p.existing(f);
  for (int t = from; t < to; ++t) {
    const float* current = at.current + t * at.current_stride;
    Word word = 0;
    for (int j = 0; j < kCount; ++j) {
      Mask fired;
      const Lanes v = Model::step(p.spec, s[j], load(current + kLanes * j), parameters[j], fired);
      word |= Word{bits_of(fired)} << (kLanes * j);
      if (at.membrane) store(at.membrane + t * at.membrane_stride + kLanes * j, v);
      if constexpr (Model::kKeepsTraced)
        if (at.traced) store(at.traced + t * at.membrane_stride + kLanes * j, s[j][Model::kTraced]);
    }
    if (at.spikes) at.spikes[t * at.spikes_stride] = word & existing;
  }
  for (int j = 0; j < kCount; ++j) state.put<Model>(image, f + kLanes * j, s[j]);
}

// Gradients of the neuron parameters, one a neuron.
struct ParameterGradients {
  Array<float> sums;  // [parameter][length]
  std::size_t length = 0;

  ParameterGradients() = default;
  explicit ParameterGradients(std::size_t n) : sums(kCountOf<P> * n, true), length(n) {}
  float* of(P p) { return &sums[static_cast<std::size_t>(p) * length]; }
  const float* of(P p) const { return &sums[static_cast<std::size_t>(p) * length]; }
  template <class Model>
  void add(std::size_t f, const LaneParameters& g) {
    for (P p : Model::parameters()) add_to(of(p) + f, g[p]);
  }
};

struct BackwardPlaces {
  float* membrane;  // in: the membranes; out: the gradient of the currents
  std::size_t membrane_stride;
  const float* gradient_z;
  const float* gradient_v;  // null is zero
  std::size_t gradient_stride;
  float* traced;  // [steps][stride] the model's traced variable, kept by forward or filled by trace_variable
  std::size_t traced_stride;
  LaneState* back;  // [count], zero before the last step
};

// Write the traced variable after every step, from the membranes.
template <class Model, int kCount>
void trace_variable(const Population& p, std::size_t f, int steps, const BackwardPlaces& at) {
  for (int j = 0; j < kCount; ++j) {
    const LaneParameters parameters = p.at<Model>(f + kLanes * j);
    LaneState s = Model::rest(p.spec);
    for (int t = 0; t < steps; ++t) {
      const Lanes traced = Model::trace(p.spec, s, parameters);
      store(at.traced + t * at.traced_stride + kLanes * j, traced);
      s = Model::replay(p.spec, load(at.membrane + t * at.membrane_stride + kLanes * j), traced, parameters);
    }
  }
}

// Walk steps [from, to) backwards. Places point at feature f and step 0.
template <class Model, int kCount>
void back_neurons(const Population& p, ParameterGradients* gradients, std::size_t f, int from, int to, const BackwardPlaces& at) {
  LaneParameters parameters[kCount], g[kCount];
  Lanes membrane[kCount], traced[kCount];
  auto traced_at = [&](int t, int j) {
    if constexpr (Model::kTraced != S::count) return load(at.traced + t * at.traced_stride + kLanes * j);
    else return zero();
  };
  // A row is a page or more from the next, which no processor fetches by itself.
  auto fetch = [&](int t) {
    for (int j = 0; t >= from && j < kCount; ++j) __builtin_prefetch(at.membrane + t * at.membrane_stride + kLanes * j, 1);
  };
  constexpr int kAhead = 8;
  for (int t = to - 1; t >= to - kAhead; --t) fetch(t);
  for (int j = 0; j < kCount; ++j) {
    parameters[j] = p.at<Model>(f + kLanes * j);
    g[j] = no_gradients();
    membrane[j] = load(at.membrane + (to - 1) * at.membrane_stride + kLanes * j);
    traced[j] = traced_at(to - 1, j);
  }
  for (int t = to - 1; t >= from; --t) {
    fetch(t - kAhead);
    for (int j = 0; j < kCount; ++j) {
      const std::size_t lane = kLanes * j;
      LaneStep step{.membrane = membrane[j], .traced = traced[j], .before = Model::rest(p.spec)};
      if (t > 0) {
        membrane[j] = load(at.membrane + (t - 1) * at.membrane_stride + lane);
        traced[j] = traced_at(t - 1, j);
        step.before = Model::replay(p.spec, membrane[j], traced[j], parameters[j]);
      }
      step.gradient_z = load(at.gradient_z + t * at.gradient_stride + lane);
      step.gradient_v = at.gradient_v ? load(at.gradient_v + t * at.gradient_stride + lane) : zero();
      store(at.membrane + t * at.membrane_stride + lane, Model::back(p.spec, step, parameters[j], at.back[j], g[j]));
    }
  }
  if (gradients)
    for (int j = 0; j < kCount; ++j) gradients->add<Model>(f + kLanes * j, g[j]);
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
