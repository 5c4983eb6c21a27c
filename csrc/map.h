// A stage over maps: a convolution (or nothing), pooling, neurons. Images are independent, so they are the tasks.
#pragma once
#include "conv_back.h"
#include "conv_events.h"
#include "conv_transposed.h"

namespace spikewise::SPIKEWISE_ISA {

// Weights laid out for the kernels.
struct PackedConv {
  Array<float> taps, table;
  std::size_t bytes() const { return taps.bytes() + table.bytes(); }
};

class MapStage final : public Stage {
 public:
  MapStage(const StageSpec& stage, const Call& call)
      : Stage(stage, call), conv_(stage), pool_(stage, is_conv() ? conv_.length : stage.made.c), unpooled_(PoolShape::nothing(stage, conv_.length)),
        places_(pool_.routes() ? pool_ : unpooled_), bordered_(conv_) {}

  void forward(const Signals& inputs, const Call& call, const StateIn* from, bool keep_membranes) override {
    const Signal& in = *inputs[0];
    prepare(in, call, from, keep_membranes);
    in_steps_ = in.steps;
    const bool passes_spikes = !has_neurons() && !is_conv() && in.spikes && !adds(spec.pool);
    if (passes_spikes) out = Signal::of_spikes(batch, in.steps, spec.out.features());
    if (spec.pool == PoolKind::max && call.keep) chosen_ = Array<std::uint8_t>(static_cast<std::size_t>(batch) * in.steps * chosen_length());
    choice_bytes = chosen_.bytes();
    if (is_conv()) {
      bias_ = Array<float>(conv_.length, true);
      if (const float* bias = given(call, Weight::bias)) std::memcpy(bias_.data(), bias, sizeof(float) * conv_.channels);
      packed_ = packed<PackedConv>(call, {Weight::weight}, in.spikes, [&] {
        PackedConv made{.taps = taps(spec, conv_, given(call, Weight::weight)), .table = {}};
        if (in.spikes) made.table = conv_table(conv_, made.taps);
        return made;
      });
    }
    if (batch < call.threads) return forward_few(in, call.threads);
    parallel(batch, call.threads, [&](int b) {
      if (is_neurons_alone(in)) return finish(in.steps, b, in.row(b, 0), in.length);
      float* currents = scratch(Room::currents, in.steps * current_length());
      for (int t = 0; t < in.steps; ++t) forward_frame(in, b, t, place(b, t, currents));
      finish(in.steps, b, currents, current_length());
    });
  }

  void backward(const Signals& inputs, const OutputGradient& next, const BackwardCall& call, bool passes_on) override {
    const Signal& in = *inputs[0];
    if (out.spikes && !membrane.values) membrane = Signal::of_values(batch, out.steps, out.features);
    const Split split{batch, std::min(batch, 16)};
    std::vector<ParameterGradients> neurons(wants_neuron_gradients(call) ? split.parts : 0);
    for (ParameterGradients& one : neurons) one = ParameterGradients(population->length);
    by_channel_ = in.spikes && (chooses() || !bordered_.fits());
    const bool wanted = is_conv() && (gradient(call, Weight::weight) || gradient(call, Weight::bias));
    const std::size_t weights = wanted ? gradient_length() : 0;
    Array<float> sums(split.parts * weights, true), bias(wanted ? split.parts * conv_.length : 0, true);
    parallel(split.parts, call.threads, [&](int part) {
      for (int b = split.first(part); b < split.first(part + 1); ++b) {
        back_image(b, next, neurons.empty() ? nullptr : &neurons[part]);
        if (in.steps < kept().steps) sum_over_steps(b, 0, kept().length);
        for (int t = 0; wanted && t < in.steps; ++t) add_step(in, b, t, &sums[part * weights], &bias[part * conv_.length]);
      }
    });
    if (wanted) write_gradients(split, sums, bias, call);
    if (!neurons.empty()) write_neuron_gradients(neurons, call);
    if (!is_conv() || !passes_on) return;
    by_output_.emplace(conv_, packed_->taps, chooses() && are_squares(conv_, places_));
    if (chooses() || !conv_.has_transposed()) return;
    const ConvShape t = conv_.transposed();
    turned_ = transposed_taps(conv_, t, packed_->taps), no_bias_ = Array<float>(t.length, true);
  }

  void input_gradient(int, int image, std::size_t f, std::size_t width, float* to, std::size_t stride) const override {
    const std::size_t inputs = spec.in.features();
    // A part is cut out of the whole: that is rare. So is a row that ends where `unpool` would reach over into the next image's, at
    // which another thread may be.
    const bool whole = width >= inputs && (is_conv() || inputs + kLanes <= stride);
    for (int t = 0; t < in_steps_; ++t) {
      float* row = whole ? to + t * stride : scratch(Room::whole_row, round_up(inputs, 64) + kLanes);
      if (is_conv()) {
        back(routed(image, t), row);
      } else {
        std::fill(row, row + inputs, 0.0f);
        unpool(pool_, kept().row(image, t), chosen(image, t), row);
      }
      if (!whole) std::memcpy(to + t * stride, row + f, sizeof(float) * std::min(width, inputs - f));
    }
  }

 private:
  bool is_conv() const { return spec.op == Op::conv; }
  bool chooses() const { return pool_.kind == PoolKind::max && pool_.routes(); }  // one place of each window
  std::size_t chosen_length() const { return features() + kLanes; }
  std::uint8_t* chosen(int b, int t) { return chosen_ ? &chosen_[(static_cast<std::size_t>(b) * in_steps_ + t) * chosen_length()] : nullptr; }
  const std::uint8_t* chosen(int b, int t) const { return const_cast<MapStage*>(this)->chosen(b, t); }

  void back(const GradientMap& g, float* row) const {
    if (!turned_ || !mostly_nonzero(conv_, g)) {
      float* map = scratch(Room::input_map_gradients, conv_.row_bits() * conv_.height_in + 64);
      return back_through_conv(conv_, places_, g, *by_output_, map, row);
    }
    const ConvShape t = conv_.transposed();
    float* map = scratch(Room::padded_map, t.row_bits() * t.height_in + kLanes);
    float* made = scratch(Room::input_map_gradients, static_cast<std::size_t>(t.width) * t.height * t.length);
    back_by_transposed(t, g, turned_.data(), no_bias_.data(), map, made, row);
  }

  // With room for the vector that reaches over the end: another thread may be at the next step.
  std::size_t current_length() const { return row_length(spec.out.features() + kLanes); }

  // Threads share the steps of an image where there are not images enough.
  void forward_few(const Signal& in, int threads) {
    Array<float> currents(in.steps * current_length());
    for (int b = 0; b < batch; ++b) {
      parallel(in.steps, threads, [&](int t) { forward_frame(in, b, t, place(b, t, currents.data())); });
      finish(in.steps, b, currents.data(), current_length());
    }
  }

  // A convolution whose vectors end with its channels can write its currents close together; without neurons, where they stay.
  bool writes_close() const { return is_conv() && conv_.length == static_cast<std::size_t>(conv_.channels); }
  bool writes_out() const { return writes_close() && !has_neurons(); }
  float* place(int b, int t, float* currents) { return writes_out() ? out.row(b, t) : currents + t * current_length(); }

  // The current of one step.
  void forward_frame(const Signal& in, int b, int t, float* to) {
    if (is_conv() && in.spikes && pool_.apart()) convolve_frame(in, b, t, pool_, pool_.channels, to, chosen(b, t));
    else if (writes_close() && spec.pool == PoolKind::none) source(in, b, t, to);
    else if (!is_conv() && spec.pool == PoolKind::none) std::memcpy(to, source(in, b, t), sizeof(float) * features());
    else pool(pool_, source(in, b, t), to, chosen(b, t));
  }

  // Numbers that come in are the currents as they stand.
  bool is_neurons_alone(const Signal& in) const { return has_neurons() && !is_conv() && spec.pool == PoolKind::none && !in.spikes; }

  // From the currents of an image, `length` apart, to the stage's output.
  void finish(int in_steps, int b, const float* currents, std::size_t length) {
    if (has_neurons()) {
      for (std::size_t f = 0; f < features(); f += 64)
        run_chunk(b, f, static_cast<int>(std::min<std::size_t>(64, features() - f)), 0, steps, currents + f, in_steps == 1 ? 0 : length);
      return;
    }
    for (int t = 0; t < in_steps && !writes_out(); ++t) {
      if (out.spikes) pack_nonzero(currents + t * length, features(), out.frame(b, t));
      else std::memcpy(out.row(b, t), currents + t * length, sizeof(float) * features());
    }
  }

  // The map before pooling, at one step of one image; a convolution's stands in `made`, if given.
  const float* source(const Signal& in, int b, int t, float* made = nullptr) {
    if (!is_conv()) {
      if (!in.spikes) return in.row(b, t);
      float* expanded = scratch(Room::map_before_pooling, round_up(in.features, 64));
      expand(in.frame(b, t), in.features, expanded);
      return expanded;
    }
    if (!made) made = scratch(Room::map_before_pooling, static_cast<std::size_t>(conv_.width) * conv_.height * conv_.length);
    if (in.spikes) {
      convolve_frame(in, b, t, unpooled_, conv_.length, made, nullptr);
    } else {
      const float* map = padded_map(conv_, in.row(b, t), scratch(Room::padded_map, conv_.row_bits() * conv_.height_in));
      for_each_channels(conv_,
                        [&]<int kCount>(std::size_t first) { convolve_values<kCount>(conv_, map, packed_->taps.data(), bias_.data(), first, made); });
    }
    return made;
  }

  void convolve_frame(const Signal& in, int b, int t, const PoolShape& shape, std::size_t spacing, float* to, std::uint8_t* which) {
    const Word* frame = padded_frame(conv_, in.frame(b, t), scratch<Word>(Room::padded_frame, conv_.padded_words() + 1));
    TableRow* rows = scratch<TableRow>(Room::window_rows, static_cast<std::size_t>(conv_.height_in) * conv_.width * conv_.groups + 8);
    window_rows(conv_, frame, rows);
    if (shape.kind == PoolKind::none)
      return for_each_channels(conv_, [&]<int kCount>(std::size_t first) {
        with_square(conv_,
                    [&]<int kSquare>() { convolve_plain<kCount, kSquare>(conv_, rows, packed_->table.data(), bias_.data(), first, spacing, to); });
      });
    for_each_channels(conv_, [&]<int kCount>(std::size_t first) {
      with_kind(shape.kind, [&]<PoolKind kKind>() {
        constexpr int kWhole = kCount <= 2 ? 4 : 1;  // as many places as there are registers for
        if (shape.size.h == 2 && shape.size.w == 2)
          with_square(conv_, [&]<int kSquare>() {
            convolve<kCount, kWhole, kKind, kSquare>(conv_, shape, rows, packed_->table.data(), bias_.data(), first, spacing, to, which);
          });
        else convolve<kCount, 1, kKind>(conv_, shape, rows, packed_->table.data(), bias_.data(), first, spacing, to, which);
      });
    });
  }

  // The gradient of the convolution's outputs: where the pool's windows chose, or everywhere.
  GradientMap routed(int b, int t) const {
    if (pool_.routes()) return {kept().row(b, t), static_cast<std::size_t>(pool_.channels), chosen(b, t)};
    return {unpooled(b, t), conv_.length, nullptr};
  }

  // Gradient of the map before pooling, [position][conv length].
  const float* unpooled(int b, int t) const {
    const std::size_t size = static_cast<std::size_t>(conv_.width) * conv_.height * conv_.length;
    float* to = scratch(Room::map_gradients, size);
    std::fill(to, to + size, 0.0f);
    unpool(pool_, kept().row(b, t), chosen(b, t), to);
    return to;
  }

  // Of the sums of the weights' gradient: [channel out][tap] where spikes meet what a pool chose, else [tap][channel out].
  std::size_t gradient_length() const { return by_channel_ ? conv_.channels * round_up(conv_.weights(), kLanes) : conv_.weights() * conv_.length; }

  void add_step(const Signal& in, int b, int t, float* sums, float* bias) {
    const GradientMap g = in.spikes ? routed(b, t) : GradientMap{unpooled(b, t), conv_.length, nullptr};
    const std::size_t count = in.spikes ? places_.base.size() : static_cast<std::size_t>(conv_.width) * conv_.height;
    for (std::size_t o = 0; o < conv_.length; o += kLanes) {
      Lanes sum = load(bias + o);
      for (std::size_t p = 0; p < count; ++p) sum = sum + load(g.values + p * g.spacing + o);
      store(bias + o, sum);
    }
    if (in.spikes) {
      const Word* frame = padded_frame(conv_, in.frame(b, t), scratch<Word>(Room::padded_frame, conv_.padded_words() + 1));
      if (!by_channel_) return add_events(frame, g, sums);
      Word* windows = scratch<Word>(Room::window_bits, window_words(conv_) * conv_.width * conv_.height + 1);
      window_bits(conv_, frame, windows);
      if (g.chosen) gather_all<true>(conv_, places_, windows, g, sums);
      else gather_all<false>(conv_, places_, windows, g, sums);
    } else {
      const float* map = padded_map(conv_, in.row(b, t), scratch(Room::padded_map, conv_.row_bits() * conv_.height_in));
      for_each_channels(conv_, [&]<int kCount>(std::size_t first) { gather_values<kCount>(conv_, map, g.values, first, sums); });
    }
  }

  void add_events(const Word* frame, const GradientMap& g, float* sums) {
    const SpikeLists lists(conv_, bordered_, frame);
    for_each_channels(conv_, [&]<int kCount>(std::size_t first) {
      float* map = scratch(Room::bordered_map, bordered_.rows() * kCount * kLanes);
      bordered_.fill<kCount>(conv_, g, first, map);
      gather_events<kCount>(conv_, bordered_, lists, map, first, sums);
    });
  }

  void write_gradients(const Split& split, const Array<float>& sums, const Array<float>& bias, const BackwardCall& call) const {
    const int area = conv_.kernel.h * conv_.kernel.w;
    const std::size_t size = sums.size() / split.parts, channel = by_channel_ ? round_up(conv_.weights(), kLanes) : 1,
                      tap = by_channel_ ? 1 : conv_.length;
    if (float* to = gradient(call, Weight::weight))
      for (int o = 0; o < conv_.channels; ++o)
        for (int i = 0; i < conv_.channels_in; ++i)
          for (int at = 0; at < area; ++at) {
            float sum = 0;
            for (int part = 0; part < split.parts; ++part)
              sum += sums[part * size + (static_cast<std::size_t>(at) * conv_.channels_in + i) * tap + o * channel];
            to[(static_cast<std::size_t>(o) * conv_.channels_in + i) * area + at] = sum;
          }
    if (float* to = gradient(call, Weight::bias))
      for (int o = 0; o < conv_.channels; ++o) {
        to[o] = 0;
        for (int part = 0; part < split.parts; ++part) to[o] += bias[part * conv_.length + o];
      }
  }

  ConvShape conv_;
  PoolShape pool_, unpooled_;
  GradientPlaces places_;
  BorderedMap bordered_;
  bool by_channel_ = false;
  int in_steps_ = 1;
  std::optional<TapsByOutput> by_output_;
  Array<float> bias_, turned_, no_bias_;  // `turned_` where gradients can go back by the transposed convolution
  std::shared_ptr<const PackedConv> packed_;
  Array<std::uint8_t> chosen_;
};

}  // namespace spikewise::SPIKEWISE_ISA
