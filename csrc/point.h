// A stage that treats each feature by itself, then its neurons: batch normalisation, activations, dropout, the sum of two signals.
#pragma once
#include "functions.h"
#include "norm.h"

namespace spikewise::SPIKEWISE_ISA {

class PointStage final : public Stage {
 public:
  using Stage::Stage;

  void forward(const Signals& in, const Call& call, const StateIn* from, bool keep_membranes) override {
    in_ = in, in_steps_ = in[0]->steps;
    for (const Signal* one : in) in_steps_ = std::max(in_steps_, one->steps);
    prepare_point(call, from, keep_membranes);
    if (spec.op == Op::norm) normalise(call);
    parallel(batch, call.threads, [&](int b) {
      if (spec.op == Op::spiking_activation) return carry_by_spikes(b);
      if (!has_neurons()) {
        for (int t = 0; t < out.steps; ++t) compute(b, t, out.row(b, t));
        return;
      }
      float* currents = scratch(Room::currents, in_steps_ * length());
      for (int t = 0; t < in_steps_; ++t) compute(b, t, currents + t * length());
      for (std::size_t f = 0; f < features(); f += 64) run_chunk(b, f, wide(f), 0, steps, currents + f, in_steps_ == 1 ? 0 : length());
    });
  }

  void backward(const Signals& in, const OutputGradient& next, const BackwardCall& call, bool) override {
    in_ = in;
    const Split split{batch, std::min(batch, 16)};
    std::vector<ParameterGradients> neurons(wants_neuron_gradients(call) ? split.parts : 0);
    for (ParameterGradients& one : neurons) one = ParameterGradients(population->length);
    const bool sums_wanted = spec.op == Op::norm;
    ChannelSums sums(sums_wanted ? split.parts : 0, spec.in), products(sums_wanted ? split.parts : 0, spec.in);
    if (!kept().values) kept() = Signal::of_values(batch, out.steps, out.features);
    parallel(split.parts, call.threads, [&](int part) {
      for (int b = split.first(part); b < split.first(part + 1); ++b) {
        back_image(b, next, neurons.empty() ? nullptr : &neurons[part]);
        if (in_steps_ < kept().steps) sum_over_steps(b, 0, round_up(features(), kLanes));
        for (int t = 0; sums_wanted && t < in_steps_; ++t) add_sums(b, t, part, sums, products);
      }
    });
    if (!neurons.empty()) write_neuron_gradients(neurons, call);
    if (sums_wanted) finish_norm(call, sums.by_channel(), products.by_channel());
  }

  void input_gradient(int which, int image, std::size_t f, std::size_t width, float* to, std::size_t stride) const override {
    const Signal& in = *in_[which];
    for (int t = 0; t < in_steps_; ++t) {
      const float* g = kept().row(image, t) + f;
      const float* x = needs_input() ? numbers(in, image, t, f, width) : nullptr;
      const bool again = in.steps == 1 && t > 0;  // an input that is the same at every step
      float row[64];
      for (std::size_t i = 0; i < width; i += 64) {
        const int count = static_cast<int>(std::min<std::size_t>(64, width - i));
        float* at = to + (in.steps == 1 ? 0 : t) * stride + i;
        local_gradient(image, f + i, count, g + i, x ? x + i : nullptr, again ? row : at);
        for (int k = 0; again && k < count; ++k) at[k] += row[k];
      }
    }
  }

  double statistics(float* mean, float* variance) const override {
    std::copy(norm_.mean.begin(), norm_.mean.end(), mean);
    std::copy(norm_.variance.begin(), norm_.variance.end(), variance);
    return values_;
  }

 private:
  std::size_t length() const { return row_length(spec.out.features()); }
  int wide(std::size_t f) const { return static_cast<int>(std::min<std::size_t>(64, features() - f)); }
  bool needs_input() const { return spec.op == Op::norm || spec.op == Op::activation || spec.op == Op::spiking_activation; }

  void prepare_point(const Call& call, const StateIn* from, bool keep_membranes) {
    if (!has_neurons()) {
      const bool carried = spec.op == Op::spiking_activation;
      out = Signal::of_values(batch, carried ? steps : in_steps_, spec.out.features());
      if (carried) start_voltages(from);
    } else prepare(*in_[0], call, from, keep_membranes);
    if (spec.op != Op::dropout || call.dropout.empty()) return;
    let_through_ = Array<std::uint8_t>(batch * features());
    std::memcpy(let_through_.data(), call.dropout[number], let_through_.size());
  }

  // Features [f, f + width) of a signal as numbers; those of a signal of numbers where they stand.
  static const float* numbers(const Signal& in, int b, int t, std::size_t f, std::size_t width) {
    if (!in.spikes) return in.row(b, t) + f;
    float* room = scratch(Room::expanded_spikes, in.words * 64 + kLanes);
    const std::size_t first = f / 64 * 64, last = std::min<std::size_t>(round_up(f + width, 64), in.words * 64);
    expand(in.frame(b, t) + first / 64, last - first, room);
    return room + (f - first);
  }

  // The current of one step.
  void compute(int b, int t, float* to) const {
    const std::size_t n = round_up(features(), kLanes);
    const float* x = numbers(*in_[0], b, t, 0, features());
    if (spec.op == Op::norm) {
      each_vector(features(), norm_.period,
                  [&](std::size_t i, std::size_t at, Mask) { store(to + i, load(x + i) * load(&norm_.scale[at]) + load(&norm_.shift[at])); });
    } else if (spec.op == Op::sum) {
      if (in_[0]->spikes) std::memcpy(to, x, sizeof(float) * n), x = to;  // both may be spikes, which become numbers in one place
      const float* y = numbers(*in_[1], b, t, 0, features());
      for (std::size_t i = 0; i < n; i += kLanes) store(to + i, load(x + i) + load(y + i));
    } else if (spec.op == Op::dropout) {
      drop(b, 0, static_cast<int>(features()), x, to);
    } else {
      with_function(spec.function, [&]<Function kFunction>() {
        for (std::size_t i = 0; i < features(); ++i) to[i] = value_of<kFunction>(x[i]);
      });
    }
    std::fill(to + features(), to + n, 0.0f);
  }

  void drop(int b, std::size_t f, int count, const float* x, float* to) const {
    const std::uint8_t* kept_here = let_through_ ? &let_through_[b * features() + f] : nullptr;
    for (int i = 0; i < count; ++i) to[i] = kept_here ? (kept_here[i] ? x[i] / spec.kept : 0.0f) : x[i];
  }

  // The voltages of spiking activations wait in the state.
  void start_voltages(const StateIn* from) {
    state.length = length();
    Array<float>& v = state.variables[S::v] = Array<float>(batch * state.length, true);
    const float* given = from ? (*from)[S::v] : nullptr;
    for (int b = 0; given && b < batch; ++b) std::memcpy(&v[b * state.length], given + b * features(), sizeof(float) * features());
  }
  void carry_by_spikes(int b) {
    float *v = &state.variables[S::v][b * state.length], *rates = scratch(Room::currents, length());
    for (int t = 0; t < steps; ++t) {
      if (t == 0 || in_steps_ > 1) compute(b, t, rates);
      float* to = out.row(b, t);
      for (std::size_t i = 0; i < features(); ++i) {
        const float voltage = rates[i] * spec.dt + v[i], spikes = std::floor(voltage);
        v[i] = voltage - spikes, to[i] = spikes / spec.dt;
      }
    }
  }

  // Over the batch, of which this may be a part, `middle` away and squared if it is given.
  std::vector<double> sums_by_channel(const Array<float>& middle, int threads) const {
    const Split split{batch, std::min(batch, 16)};
    ChannelSums sums(split.parts, spec.in);
    parallel(split.parts, threads, [&](int part) {
      for (int b = split.first(part); b < split.first(part + 1); ++b)
        for (int t = 0; t < in_steps_; ++t) {
          const float* x = numbers(*in_[0], b, t, 0, features());
          if (!middle) {
            sums.add(part, [&](std::size_t i, std::size_t) { return load(x + i); });
            continue;
          }
          sums.add(part, [&](std::size_t i, std::size_t at) {
            const Lanes apart = load(x + i) - load(&middle[at]);
            return apart * apart;
          });
        }
    });
    return sums.by_channel();
  }
  std::vector<double> total(std::vector<double> sums) const { return exchange_ ? exchange_(sums) : sums; }
  std::vector<float> means(const std::vector<double>& sums) const {
    std::vector<float> out;
    for (int c = 0; c < spec.in.c; ++c) out.push_back(static_cast<float>(sums[c] / count_));
    return out;
  }

  void normalise(const Call& call) {
    values_ = static_cast<double>(batch) * steps * spec.in.h * spec.in.w;
    count_ = static_cast<double>(batch) * in_steps_ * spec.in.h * spec.in.w;
    if (call.batch_statistics) find_statistics(call);
    if (!by_batch_) {
      norm_.mean.assign(given(call, Weight::running_mean), given(call, Weight::running_mean) + spec.in.c);
      norm_.variance.assign(given(call, Weight::running_var), given(call, Weight::running_var) + spec.in.c);
    }
    norm_.prepare(spec.in, spec.epsilon, given(call, Weight::weight), given(call, Weight::bias));
  }

  void find_statistics(const Call& call) {
    exchange_ = call.exchange;
    if (!exchange_ && values_ <= 1) return;  // one value has no spread
    std::vector<double> sums = sums_by_channel({}, call.threads);
    sums.insert(sums.end(), {count_, values_});
    sums = total(std::move(sums));
    count_ = sums[spec.in.c], values_ = sums[spec.in.c + 1];
    by_batch_ = values_ > 1;
    if (!by_batch_) return;
    norm_.mean = means(sums);
    Array<float> middle(channel_period(spec.in), true);
    for (std::size_t f = 0; f < middle.size(); ++f) middle[f] = norm_.mean[f % spec.in.c];
    norm_.variance = means(total(sums_by_channel(middle, call.threads)));
  }

  void add_sums(int b, int t, int part, ChannelSums& sums, ChannelSums& products) const {
    const float *g = kept().row(b, t), *x = numbers(*in_[0], b, t, 0, features());
    sums.add(part, [&](std::size_t i, std::size_t) { return load(g + i); });
    products.add(part, [&](std::size_t i, std::size_t at) { return load(g + i) * (load(x + i) - load(&norm_.middle[at])); });
  }

  void finish_norm(const BackwardCall& call, std::vector<double> sums, const std::vector<double>& products) {
    for (int c = 0; c < spec.in.c; ++c) {
      if (float* to = gradient(call, Weight::weight)) to[c] = static_cast<float>(products[c] * norm_.inverse[c]);
      if (float* to = gradient(call, Weight::bias)) to[c] = static_cast<float>(sums[c]);
    }
    sums.insert(sums.end(), products.begin(), products.end());
    if (by_batch_) sums = total(std::move(sums));
    const auto half = sums.begin() + spec.in.c;
    norm_.prepare_back(spec.in, by_batch_, count_, {sums.begin(), half}, {half, sums.end()});
  }

  // Gradient of up to 64 features of the input, from that of the output. `to` may be where `x` stands.
  void local_gradient(int b, std::size_t f, int count, const float* g, const float* x, float* to) const {
    if (spec.op == Op::norm) {
      std::size_t at = f % norm_.period;
      for (int i = 0; i < count; i += kLanes, at = at + kLanes == norm_.period ? 0 : at + kLanes) {
        const Lanes apart = (load(x + i) - load(&norm_.middle[at])) * load(&norm_.across[at]) + load(&norm_.apart[at]);
        store(to + i, load(g + i) * load(&norm_.along[at]) + apart);
      }
    } else if (spec.op == Op::dropout) {
      drop(b, f, count, g, to);
    } else if (spec.op == Op::sum) {
      std::memcpy(to, g, sizeof(float) * count);
    } else {
      with_function(spec.function, [&]<Function kFunction>() {
        for (int i = 0; i < count; ++i) to[i] = g[i] * slope_of<kFunction>(x[i]);
      });
    }
  }

  Signals in_;
  int in_steps_ = 1;
  bool by_batch_ = false;
  double count_ = 0, values_ = 0;  // of each channel that its statistics are of: sums over what enters, over all steps
  Exchange exchange_;
  Normalisation norm_;
  Array<std::uint8_t> let_through_;  // [batch][features]; none where nothing is dropped
};

}  // namespace spikewise::SPIKEWISE_ISA
