// What to compute: a graph compiled into stages, and one call of it. Nothing here depends on the instruction set.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "enums.h"

namespace spikewise {

enum class Op { none, linear, conv, norm, activation, spiking_activation, dropout, sum };
enum class PoolKind { none, max, avg, sum };
enum class NeuronKind { none, spiking, adaptive, current_based, izhikevich, integrator };
enum class Function { relu, leaky_relu, sigmoid, tanh, softplus, gelu };
enum class Reset { subtract, zero, none };
enum class Surrogate { fast_sigmoid, atan, triangle, boxcar, sigmoid, straight_through };
enum class Source { rate, latency, periodic, direct, values, delta };

// What the caller hands over, by the names that it has in Python. Neurons have one value of each, or one a neuron.
enum class NeuronParameter { beta, threshold, adaptation, adaptation_decay, alpha, gain, count };
// What neurons keep from step to step, by its name in the neuron's `State`.
enum class StateVariable { v, z, a, i, u, count };
// Matrices and biases of a stage; of a normalisation the scale, the shift and what evaluation normalises by.
enum class Weight { weight, bias, recurrent, running_mean, running_var, count };

// Channels, height and width. Inside the engine every map is [height][width][channels].
struct Shape {
  int c = 1, h = 1, w = 1;
  int features() const { return c * h * w; }
};

// Height and width, down and to the right.
struct Pair {
  int h = 1, w = 1;
};

// The constants of Izhikevich's neuron, by their names in Python.
struct IzhikevichSpec {
  float k = 0.7f, b = -2, c = -50, d = 100, v_rest = -60, v_threshold = -40, v_peak = 35;
  float rate = 0.01f;      // dt / capacitance
  float recovery = 0.03f;  // dt a
};

struct NeuronSpec {
  NeuronKind kind = NeuronKind::none;
  Reset reset = Reset::subtract;
  bool delay = false, reset_gradient = false, threshold_gradient = true, relative = false, recurrent = false;
  Surrogate surrogate = Surrogate::atan;
  float surrogate_first = 1, surrogate_second = 1;  // its settings, in their order
  IzhikevichSpec izhikevich;
  bool spikes() const { return kind != NeuronKind::none && kind != NeuronKind::integrator; }
};

constexpr int kImage = -1;

// Positions in a call's list of parameters.
constexpr int kAbsent = -1;
using WeightSlots = ByEnum<Weight, int>;
using NeuronSlots = ByEnum<NeuronParameter, int>;

// One operation (or none), then pooling, then neurons; each may be missing.
struct StageSpec {
  std::string name;
  std::string neuron_name;  // of its neurons, where it has some
  Op op = Op::none;
  std::vector<int> inputs;  // the stages that it reads, kImage for the encoder; two for a sum
  Shape in, made, out;      // before the operation, after it, after the pooling
  Pair kernel, stride, padding{0, 0};
  PoolKind pool = PoolKind::none;
  Pair pool_size, pool_stride, pool_padding{0, 0};
  Function function = Function::relu;  // of an activation
  float dt = 1;                        // of a spiking one
  float epsilon = 1e-5f;               // of a normalisation
  float kept = 1;                      // share of the features that dropout lets through
  NeuronSpec neuron;
  WeightSlots weights = WeightSlots::all(kAbsent);
  NeuronSlots neuron_parameters = NeuronSlots::all(kAbsent);
  bool reorder = false;  // the weights of a linear operation count its inputs as [c][h][w]
};

struct Plan {
  std::vector<StageSpec> stages;
  Shape image;                 // of what enters the first stage
  bool channels_last = false;  // whether the first stage reads a map, so that the input is reordered to [h][w][c]
};

struct Parameter {
  const float* data = nullptr;
  std::size_t count = 0;
};

// Where an earlier run ended, for one stage: [batch][features] each, in the engine's order; null is rest.
using StateIn = ByEnum<StateVariable, const float*>;
using StateOut = ByEnum<StateVariable, float*>;  // null is not wanted

// Of sums that a part of a batch has, the totals over all parts: waits for them.
using Exchange = std::function<std::vector<double>(const std::vector<double>&)>;

struct Call {
  int batch = 0, steps = 0, threads = 1;
  Source source = Source::rate;
  const std::uint8_t* images = nullptr;  // [batch][c][h][w]; for delta half as many channels as the plan's image
  const float* values = nullptr;         // [steps][batch][c][h][w], or one step if constant
  bool constant = false;
  const std::int32_t* first_spike = nullptr;  // 256 entries, for latency and periodic
  const std::int32_t* path = nullptr;         // for delta: down and right, for each step
  float threshold = 0;                        // for delta
  std::uint64_t seed = 0;
  std::uint32_t epoch = 0;
  const std::int64_t* index = nullptr;
  std::vector<Parameter> parameters;
  std::vector<StateIn> state;                // empty, or one for each stage
  std::vector<const std::uint8_t*> dropout;  // empty, or for each stage 1 where a spike goes on, [batch][features]; null for all
  std::uint64_t frozen = 0;                  // number of weights that never change; 0 if these may
  bool batch_statistics = false;             // normalise by the batch
  Exchange exchange;                         // empty where the batch is all there is
  bool keep = false;                         // keep what backward needs
  bool keep_membranes = false;               // keep the membranes, or the numbers, of every stage
  std::vector<int> counted;                  // stages that `Run::count` will be asked of
  float* spikes = nullptr;                   // of the last stage, [steps][batch][classes]; null if it has none
  float* membrane = nullptr;                 // of the last stage, [steps][batch][classes]
};

struct BackwardCall {
  struct Recorded {
    const float *spikes = nullptr, *membrane = nullptr;
  };
  std::vector<Recorded> recorded;  // gradients of what each stage did, [steps][batch][features]; null is zero
  std::vector<float*> gradients;   // one for each parameter, null if not wanted; neuron parameters are [features]
  float* input = nullptr;          // receives the gradient of `Call::values`, as they are laid out; null if not wanted
  int threads = 1;
};

// What one forward pass leaves behind.
class Run {
 public:
  virtual ~Run() = default;
  virtual void backward(const BackwardCall&) = 0;
  // What each feature sent, over steps and batch, in the engine's order: of a stage, or of the image (kImage). Numbers that are not
  // zero with `quantum` 0, else spikes of that size. `dropped`: what dropout lets through. Whether it is the same at every step.
  virtual bool count(int stage, float quantum, bool dropped, float* out) const = 0;
  // Mean and biased variance that a normalisation by the batch found, for each channel; of how many values.
  virtual double statistics(int stage, float* mean, float* variance) const = 0;
  virtual void dense_spikes(int stage, float* out) const = 0;  // [steps][batch][features]
  virtual void dense_membranes(int stage, float* out) const = 0;
  virtual void dense_output(int stage, float* out) const = 0;        // whatever it sends, dropout aside
  virtual void end_state(int stage, const StateOut& out) const = 0;  // [batch][features]
  virtual std::size_t bytes() const = 0;
};

// Thrown with the name of a parameter that is not finite.
struct NotFinite {
  std::string stage;
};

// Random bytes for some images at one step, `count` for each: [images][count].
struct DrawCall {
  std::uint32_t seed = 0, stream = 0;  // the key
  std::uint32_t step = 0, epoch = 0;
  const std::int64_t* index = nullptr;
  int images = 0, threads = 1;
  std::size_t count = 0;
};

// What one version of the kernels can do.
struct Kernels {
  std::unique_ptr<Run> (*forward)(std::shared_ptr<const Plan>, const Call&);
  void (*draw_bytes)(const DrawCall&, std::uint8_t* out);
  void (*draw_uniform)(const DrawCall&, float* out);  // in [0, 1), 24 bits each
};

}  // namespace spikewise
