// A stage: one weighted operation (or none), pooling, neurons. It keeps what its backward pass needs.
#pragma once
#include <memory>
#include <optional>

#include "encode.h"
#include "fingerprint.h"
#include "population.h"
#include "scratch.h"
#include "weight_gradient.h"

namespace spikewise::SPIKEWISE_ISA {

// Gradient of a stage's output, asked for an image and a range of features, at all its steps.
class OutputGradient {
 public:
  virtual ~OutputGradient() = default;
  virtual void of(int image, std::size_t f, std::size_t width, float* out, std::size_t stride) const = 0;
  // Gradient of the membranes beside that of the spikes; false if there is none.
  virtual bool of_membrane(int image, std::size_t f, std::size_t width, float* out, std::size_t stride) const = 0;
};

// What a stage reads: one signal, or two.
using Signals = std::vector<const Signal*>;

class Stage {
 public:
  Stage(const StageSpec& stage, const Call& call) : spec(stage), batch(call.batch), steps(call.steps) {}
  virtual ~Stage() = default;

  virtual void forward(const Signals& in, const Call& call, const StateIn* from, bool keep_membranes) = 0;
  // `passes_on`: whether somebody will ask for the gradient of the inputs.
  virtual void backward(const Signals& in, const OutputGradient& next, const BackwardCall& call, bool passes_on) = 0;
  // Gradient of features [f, f + width) of input `which`, at all its steps; where that input's numbers stand, they may be overwritten.
  virtual void input_gradient(int which, int image, std::size_t f, std::size_t width, float* out, std::size_t stride) const = 0;
  virtual double statistics(float*, float*) const { return 0; }

  // What holds the membranes after forward and the gradients of the currents after backward.
  Signal& kept() { return out.spikes ? membrane : out; }
  const Signal& kept() const { return out.spikes ? membrane : out; }

  StageSpec spec;
  int batch, steps;
  const void* plan = nullptr;
  std::size_t number = 0;        // among the plan's stages
  std::size_t choice_bytes = 0;  // of what max pooling remembers
  Signal out, membrane, traced;  // the last of neurons that keep a variable for backward
  std::optional<Population> population;
  PopulationState state;

 protected:
  // What `make` packs from the weights named, by an earlier call if they have not changed since. In training they
  // change every time, so nothing is kept.
  template <class Packed, class Make>
  std::shared_ptr<const Packed> packed(const Call& call, std::initializer_list<Weight> weights, std::size_t variant, Make&& make) const {
    if (call.keep) return std::make_shared<const Packed>(make());
    Fingerprint content{};
    content[0] = variant;
    if (call.frozen) content[1] = call.frozen, content[2] = ~std::uint64_t{0};
    for (Weight w : weights)
      if (const int slot = spec.weights[w]; slot != kAbsent && !call.frozen)
        content = fingerprint(content, call.parameters[slot].data, call.parameters[slot].count, call.threads);
    if (auto found = find_packed(plan, number, content)) return std::static_pointer_cast<const Packed>(found);
    auto made = std::make_shared<const Packed>(make());
    keep_packed(plan, number, content, made, made->bytes());
    return made;
  }

  // A weight or bias; null if the stage has none.
  const float* given(const Call& call, Weight w) const { return spec.weights[w] == kAbsent ? nullptr : call.parameters[spec.weights[w]].data; }

  bool has_neurons() const { return spec.neuron.kind != NeuronKind::none; }
  std::size_t features() const { return static_cast<std::size_t>(spec.out.features()); }

  void prepare(const Signal& in, const Call& call, const StateIn* from, bool keep_membranes) {
    const int n = spec.out.features();
    if (has_neurons()) {
      population.emplace(spec, call.parameters);
      state = PopulationState(batch, *population, from);
    }
    out = spec.neuron.spikes() ? Signal::of_spikes(batch, steps, n) : Signal::of_values(batch, has_neurons() ? steps : in.steps, n);
    if (spec.neuron.spikes() && keep_membranes) membrane = Signal::of_values(batch, steps, n);
    const auto keeps = []<class Model>(Model) { return Model::kKeepsTraced; };
    if (call.keep && has_neurons() && with_neuron(spec.neuron, keeps)) traced = Signal::of_values(batch, steps, n);
  }

  float* traced_at(int image, std::size_t f) { return traced.values ? traced.row(image, 0) + f : nullptr; }

  // Run the neurons of features [f, f + width) of one image over steps [from, to); `current` is at feature f, step 0.
  void run_chunk(int image, std::size_t f, int width, int from, int to, const float* current, std::size_t stride) {
    Signal& held = kept();
    const ForwardPlaces at{.current = current,
                           .current_stride = stride,
                           .spikes = out.spikes ? out.frame(image, 0) + f / 64 : nullptr,
                           .spikes_stride = out.words,
                           .membrane = held.values ? held.row(image, 0) + f : nullptr,
                           .membrane_stride = held.length,
                           .traced = traced_at(image, f)};
    with_neuron(spec.neuron, [&]<class Model>(Model) {
      with_lanes(width, [&]<int kCount>() { run_neurons<Model, kCount>(*population, state, image, f, from, to, at); });
    });
  }

  // Turn the kept membranes of features [f, f + width) of one image into gradients of the currents.
  void back_chunk(int image, std::size_t f, int width, const float* z, const float* v, std::size_t stride, ParameterGradients* sums) {
    Signal& held = kept();
    LaneState back[4];
    for (LaneState& one : back) one = no_state();
    const BackwardPlaces at{.membrane = held.row(image, 0) + f,
                            .membrane_stride = held.length,
                            .gradient_z = z,
                            .gradient_v = v,
                            .gradient_stride = stride,
                            .traced = traced.values ? traced_at(image, f) : scratch(Room::traced, 64 * static_cast<std::size_t>(steps)),
                            .traced_stride = traced.values ? traced.length : 64,
                            .back = back};
    with_neuron(spec.neuron, [&]<class Model>(Model) {
      with_lanes(width, [&]<int kCount>() {
        if constexpr (Model::kTraced != S::count && !Model::kKeepsTraced) trace_variable<Model, kCount>(*population, f, steps, at);
        back_neurons<Model, kCount>(*population, sums, f, 0, steps, at);
      });
    });
  }

  // The gradient of the output of features [f, f + width), then that of the currents, in `kept`.
  void gradient_of_currents(int image, std::size_t f, int width, const OutputGradient& next, ParameterGradients* sums) {
    Signal& held = kept();
    if (!has_neurons()) return next.of(image, f, width, held.row(image, 0) + f, held.length);
    float* z = scratch(Room::spike_gradients, 64 * static_cast<std::size_t>(steps));
    float* v = scratch(Room::membrane_gradients, 64 * static_cast<std::size_t>(steps));
    next.of(image, f, width, z, 64);
    const bool beside = next.of_membrane(image, f, width, v, 64);
    if (!spec.neuron.spikes()) back_chunk(image, f, width, z, z, 64, sums);
    else back_chunk(image, f, width, z, beside ? v : nullptr, 64, sums);
  }

  // The same for all features of an image at once.
  void back_image(int b, const OutputGradient& next, ParameterGradients* sums) {
    Signal& held = kept();
    if (!has_neurons()) return next.of(b, 0, features(), held.row(b, 0), held.length);
    float *z = scratch(Room::spike_gradients, steps * held.length), *v = scratch(Room::membrane_gradients, steps * held.length);
    next.of(b, 0, features(), z, held.length);
    const bool beside = next.of_membrane(b, 0, features(), v, held.length);
    if (!spec.neuron.spikes()) v = z;
    for (std::size_t f = 0; f < features(); f += 64)
      back_chunk(b, f, static_cast<int>(std::min<std::size_t>(64, features() - f)), z + f, beside || v == z ? v + f : nullptr, held.length, sums);
  }

  // For a current that was the same at every step: the sum of the gradients of features [f, f + width), in the first row.
  void sum_over_steps(int image, std::size_t f, std::size_t width) {
    Signal& held = kept();
    for (int t = 1; t < held.steps; ++t)
      for (std::size_t i = f; i < f + width; i += kLanes) add_to(held.row(image, 0) + i, load(held.row(image, t) + i));
  }

  // The caller's array for the gradient of a parameter; null if it is not wanted, or there is none.
  float* gradient(const BackwardCall& call, Weight w) const { return gradient(call, spec.weights[w]); }
  static float* gradient(const BackwardCall& call, int slot) { return slot == kAbsent ? nullptr : call.gradients[slot]; }

  bool wants_neuron_gradients(const BackwardCall& call) const {
    const auto& slots = spec.neuron_parameters.values;
    return std::any_of(slots.begin(), slots.end(), [&](int slot) { return gradient(call, slot) != nullptr; });
  }
  void write_neuron_gradients(const std::vector<ParameterGradients>& parts, const BackwardCall& call) const {
    for (P p : every<P>()) {
      float* to = gradient(call, spec.neuron_parameters[p]);
      for (std::size_t f = 0; to && f < features(); ++f) {
        to[f] = 0;
        for (const ParameterGradients& part : parts) to[f] += part.of(p)[f];
      }
    }
  }
};

}  // namespace spikewise::SPIKEWISE_ISA
