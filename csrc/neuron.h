// Neuron models, sixteen neurons at a time. To add one: a struct like those here, and a line in `with_neuron`.
// The arithmetic and its order are those of spikewise/dynamics, so that exact inputs give exactly the same spikes.
#pragma once
#include <cmath>

#include "plan.h"
#include "simd.h"

namespace spikewise::SPIKEWISE_ISA {

using P = NeuronParameter;
using S = StateVariable;

// Parameters of sixteen neurons, or gradients for them.
using LaneParameters = ByEnum<P, Lanes>;

// What a neuron carries from step to step (z: spikes of the last step, 0 or 1); backward, the gradients of that.
using LaneState = ByEnum<S, Lanes>;

// What backward knows of one step.
struct LaneStep {
  Lanes membrane;    // compared with the threshold
  Lanes traced;      // the model's traced variable after this step
  LaneState before;  // state the step started from
  Lanes gradient_z, gradient_v;
};

// dz/dx of `spikewise.surrogates`.
INLINE Lanes surrogate_slope(const NeuronSpec& n, Lanes x) {
  const Lanes one = splat(1.0f), first = splat(n.surrogate_first);
  switch (n.surrogate) {
    case Surrogate::fast_sigmoid: {
      const Lanes d = one + first * absolute(x);
      return one / (d * d);
    }
    case Surrogate::atan: {
      const Lanes s = splat(static_cast<float>(M_PI / 2) * n.surrogate_first) * x;
      return splat(n.surrogate_first / 2) / (one + s * s);
    }
    case Surrogate::triangle: return first * larger(one - absolute(x) / splat(n.surrogate_second), zero());
    case Surrogate::boxcar: return where(greater(first, absolute(x)), splat(1 / (2 * n.surrogate_first)));
    case Surrogate::sigmoid: {
      float s[kLanes];
      store(s, first * x);
      for (float& one_of : s) one_of = 1 / (1 + std::exp(-one_of));
      const Lanes y = load(s);
      return first * y * (one - y);
    }
    case Surrogate::straight_through: return one;
  }
  return one;
}

template <Reset kReset>
INLINE Lanes after_spikes(Lanes v, Lanes z, Lanes threshold) {
  if constexpr (kReset == Reset::subtract) return v - threshold * z;
  else if constexpr (kReset == Reset::zero) return v * (splat(1.0f) - z);
  else return v;
}

// Sixteen neurons' variables, all zero.
INLINE LaneState no_state() {
  LaneState s;
  for (Lanes& one : s.values) one = zero();
  return s;
}
INLINE LaneParameters no_gradients() {
  LaneParameters g;
  for (Lanes& one : g.values) one = zero();
  return g;
}

// A model says which parameters and state variables it has, and which variable backward needs beside the membranes (`kTraced`;
// `count` is none). It is kept by forward (`kKeepsTraced`), or found from the membranes once more.

// IF and LIF, and what they may have besides: a threshold that adapts (ALIF), or a current that decays (CubaLIF).
enum class Besides { nothing, adaptation, current };

template <Reset kReset, bool kDelay, Besides kBesides>
struct Spiking {
  static constexpr bool kAdapts = kBesides == Besides::adaptation, kDecays = kBesides == Besides::current;
  static constexpr S kTraced = kAdapts ? S::a : kDecays ? S::i : S::count;
  static constexpr bool kKeepsTraced = kDecays;  // a reset to zero leaves no trace of it in the membrane
  static constexpr auto variables() {
    if constexpr (kAdapts) return std::array{S::v, S::z, S::a};
    else if constexpr (kDecays) return std::array{S::v, S::z, S::i};
    else return std::array{S::v, S::z};
  }
  static constexpr auto parameters() {
    if constexpr (kAdapts) return std::array{P::beta, P::threshold, P::adaptation, P::adaptation_decay};
    else if constexpr (kDecays) return std::array{P::alpha, P::beta, P::threshold};
    else return std::array{P::beta, P::threshold};
  }
  INLINE static LaneState rest(const NeuronSpec&) { return no_state(); }

  INLINE static Lanes moving_threshold(Lanes a, const LaneParameters& p) {
    if constexpr (kAdapts) return p[P::threshold] + p[P::adaptation] * a;
    else return p[P::threshold];
  }

  // The traced variable after a step that starts from `before`.
  INLINE static Lanes trace(const NeuronSpec&, const LaneState& before, const LaneParameters& p) {
    if constexpr (kAdapts) return p[P::adaptation_decay] * before[S::a] + before[S::z];
    else return zero();
  }

  // Membrane compared with the threshold; `s` becomes the next state.
  INLINE static Lanes step(const NeuronSpec& n, LaneState& s, Lanes current, const LaneParameters& p, Mask& fired) {
    const Lanes a = trace(n, s, p);
    if constexpr (kDecays) s[S::i] = current = p[P::alpha] * s[S::i] + current;
    Lanes v = p[P::beta] * s[S::v] + current;
    if constexpr (kDelay) v = after_spikes<kReset>(v, s[S::z], p[P::threshold]);
    fired = greater(v - moving_threshold(a, p), zero());
    s[S::z] = where(fired, splat(1.0f));
    s[S::v] = kDelay ? v : after_spikes<kReset>(v, s[S::z], p[P::threshold]);
    if constexpr (kAdapts) s[S::a] = a;
    return v;
  }

  // The state after a step whose membrane and traced variable are known.
  INLINE static LaneState replay(const NeuronSpec&, Lanes membrane, Lanes traced, const LaneParameters& p) {
    LaneState s = no_state();
    s[S::z] = where(greater(membrane - moving_threshold(traced, p), zero()), splat(1.0f));
    s[S::v] = kDelay ? membrane : after_spikes<kReset>(membrane, s[S::z], p[P::threshold]);
    if constexpr (kTraced != S::count) s[kTraced] = traced;
    return s;
  }

  // Gradient of the step's current; `back` becomes that of the state before, `g` collects those of the parameters.
  INLINE static Lanes back(const NeuronSpec& n, const LaneStep& at, const LaneParameters& p, LaneState& back, LaneParameters& g) {
    const Lanes v = at.membrane, moving = moving_threshold(at.traced, p), distance = v - moving;
    const Lanes z = where(greater(distance, zero()), splat(1.0f));
    const Lanes through_reset = splat(n.reset_gradient ? 1.0f : 0.0f);
    Lanes dz = at.gradient_z + back[S::z], dv = at.gradient_v;
    if constexpr (kDelay || kReset == Reset::none) dv = dv + back[S::v];
    else if constexpr (kReset == Reset::subtract) {
      dv = dv + back[S::v];
      dz = dz - through_reset * p[P::threshold] * back[S::v];
      g[P::threshold] = g[P::threshold] - z * back[S::v];
    } else {
      dv = dv + back[S::v] * (splat(1.0f) - z);
      dz = dz - through_reset * v * back[S::v];
    }
    Lanes slope;
    if (n.relative) {
      const Lanes scale = moving + splat(1e-5f);
      slope = dz * surrogate_slope(n, distance / scale) / scale;
    } else slope = dz * surrogate_slope(n, distance);
    dv = dv + slope;
    const Lanes gradient_moving = n.threshold_gradient ? zero() - slope : zero();
    g[P::threshold] = g[P::threshold] + gradient_moving;
    back[S::z] = zero();
    if constexpr (kAdapts) {
      const Lanes da = p[P::adaptation] * gradient_moving + back[S::a];
      g[P::adaptation] = g[P::adaptation] + gradient_moving * at.traced;
      g[P::adaptation_decay] = g[P::adaptation_decay] + da * at.before[S::a];
      back[S::a] = p[P::adaptation_decay] * da;
      back[S::z] = da;
    }
    if constexpr (kDelay && kReset == Reset::subtract) {
      back[S::z] = back[S::z] - through_reset * p[P::threshold] * dv;
      g[P::threshold] = g[P::threshold] - at.before[S::z] * dv;
    }
    if constexpr (kDelay && kReset == Reset::zero) dv = dv * (splat(1.0f) - at.before[S::z]);
    g[P::beta] = g[P::beta] + dv * at.before[S::v];
    back[S::v] = p[P::beta] * dv;
    if constexpr (kDecays) {
      dv = dv + back[S::i];
      g[P::alpha] = g[P::alpha] + dv * at.before[S::i];
      back[S::i] = p[P::alpha] * dv;
    }
    return dv;
  }
};

// Izhikevich's neuron; its reset belongs to the step after the spike, and no gradient passes it.
struct Izhikevich {
  static constexpr S kTraced = S::u;
  static constexpr bool kKeepsTraced = false;
  static constexpr float kAbovePeak = 1000;  // where the membrane is cut off
  static constexpr auto variables() { return std::array{S::v, S::z, S::u}; }
  static constexpr auto parameters() { return std::array{P::gain}; }
  INLINE static LaneState rest(const NeuronSpec& n) {
    LaneState s = no_state();
    s[S::v] = splat(n.izhikevich.v_rest);
    return s;
  }

  INLINE static Lanes trace(const NeuronSpec& n, const LaneState& before, const LaneParameters&) {
    const IzhikevichSpec& c = n.izhikevich;
    const Lanes u = before[S::u];
    return u + splat(c.recovery) * (splat(c.b) * (before[S::v] - splat(c.v_rest)) - u) + splat(c.d) * before[S::z];
  }
  INLINE static Lanes quadratic(const IzhikevichSpec& c, Lanes v) { return splat(c.k) * (v - splat(c.v_rest)) * (v - splat(c.v_threshold)); }
  INLINE static Lanes step(const NeuronSpec& n, LaneState& s, Lanes current, const LaneParameters& p, Mask& fired) {
    const IzhikevichSpec& c = n.izhikevich;
    const Lanes u = trace(n, s, p), drift = quadratic(c, s[S::v]) - s[S::u] + p[P::gain] * current;
    Lanes v = where(greater(s[S::z], zero()), splat(c.c), s[S::v] + splat(c.rate) * drift);
    const Lanes most = splat(c.v_peak + kAbovePeak);
    v = where(greater(v, most), most, v);
    fired = greater(v - splat(c.v_peak), zero());
    s[S::v] = v, s[S::z] = where(fired, splat(1.0f)), s[S::u] = u;
    return v;
  }
  INLINE static LaneState replay(const NeuronSpec& n, Lanes membrane, Lanes traced, const LaneParameters&) {
    LaneState s = no_state();
    s[S::v] = membrane, s[S::z] = where(greater(membrane - splat(n.izhikevich.v_peak), zero()), splat(1.0f)), s[S::u] = traced;
    return s;
  }
  INLINE static Lanes back(const NeuronSpec& n, const LaneStep& at, const LaneParameters& p, LaneState& back, LaneParameters& g) {
    const IzhikevichSpec& c = n.izhikevich;
    const Lanes before = at.before[S::v], du = back[S::u], one = splat(1.0f);
    Lanes dv = at.gradient_v + back[S::v] + at.gradient_z * surrogate_slope(n, at.membrane - splat(c.v_peak));
    // Where it was cut off, or reset, the membrane tells nothing of the state before.
    const Mask passes = greater(splat(c.v_peak + kAbovePeak), at.membrane);
    dv = where(greater(at.before[S::z], zero()), zero(), where(passes, dv));
    const Lanes drift = splat(c.rate) * dv;
    const Lanes current = ((at.membrane - before) / splat(c.rate) - quadratic(c, before) + at.before[S::u]) / p[P::gain];
    g[P::gain] = g[P::gain] + drift * current;
    back[S::v] = dv + drift * splat(c.k) * (before + before - splat(c.v_rest + c.v_threshold)) + du * splat(c.recovery * c.b);
    back[S::u] = du * (one - splat(c.recovery)) - drift;
    back[S::z] = zero();
    return drift * p[P::gain];
  }
};

// A membrane that leaks and never spikes.
struct Integrator {
  static constexpr S kTraced = S::count;
  static constexpr bool kKeepsTraced = false;
  INLINE static LaneState rest(const NeuronSpec&) { return no_state(); }
  static constexpr auto variables() { return std::array{S::v}; }
  static constexpr auto parameters() { return std::array{P::beta}; }

  INLINE static Lanes step(const NeuronSpec&, LaneState& s, Lanes current, const LaneParameters& p, Mask& fired) {
    s[S::v] = p[P::beta] * s[S::v] + current;
    fired = greater(zero(), zero());
    return s[S::v];
  }
  INLINE static LaneState replay(const NeuronSpec&, Lanes membrane, Lanes, const LaneParameters&) {
    LaneState s = no_state();
    s[S::v] = membrane;
    return s;
  }
  INLINE static Lanes back(const NeuronSpec&, const LaneStep& at, const LaneParameters& p, LaneState& back, LaneParameters& g) {
    const Lanes dv = at.gradient_v + back[S::v];
    g[P::beta] = g[P::beta] + dv * at.before[S::v];
    back[S::v] = p[P::beta] * dv;
    return dv;
  }
};

// Call work(Model{}) with the model that `n` asks for.
template <class Work>
auto with_neuron(const NeuronSpec& n, Work&& work) {
  if (n.kind == NeuronKind::integrator) return work(Integrator{});
  if (n.kind == NeuronKind::izhikevich) return work(Izhikevich{});
  auto with_delay = [&]<Reset kReset, Besides kBesides>() {
    return n.delay ? work(Spiking<kReset, true, kBesides>{}) : work(Spiking<kReset, false, kBesides>{});
  };
  auto with_reset = [&]<Reset kReset>() {
    if (n.kind == NeuronKind::adaptive) return with_delay.template operator()<kReset, Besides::adaptation>();
    if (n.kind == NeuronKind::current_based) return with_delay.template operator()<kReset, Besides::current>();
    return with_delay.template operator()<kReset, Besides::nothing>();
  };
  switch (n.reset) {
    case Reset::subtract: return with_reset.template operator()<Reset::subtract>();
    case Reset::zero: return with_reset.template operator()<Reset::zero>();
    case Reset::none: break;
  }
  return with_reset.template operator()<Reset::none>();
}

}  // namespace spikewise::SPIKEWISE_ISA
