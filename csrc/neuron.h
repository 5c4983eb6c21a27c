// Neuron models, sixteen neurons at a time. To add one: a struct with `step` and `back`, and a line in `with_neuron`.
// The arithmetic and its order are those of spikewise/dynamics, so that exact inputs give exactly the same spikes.
#pragma once
#include <cmath>

#include "plan.h"
#include "simd.h"

namespace spikewise::SPIKEWISE_ISA {

// Parameters of sixteen neurons, or gradients for them.
struct LaneParameters {
  Lanes beta, threshold, adaptation, adaptation_decay;
};

// What a neuron carries from step to step (z: spikes of the last step, 0 or 1).
struct LaneState {
  Lanes v, z, a;
};

// What backward carries from a step to the one before it: gradients of the state it started from.
struct LaneBack {
  Lanes v, z, a;
};

// What backward knows of one step.
struct LaneStep {
  Lanes membrane;           // compared with the threshold
  Lanes a;                  // adaptation in this step
  LaneState before;         // state the step started from
  Lanes gradient_z, gradient_v;
};

// dz/dx of `spikewise.surrogates`.
INLINE Lanes bump(const NeuronSpec& n, Lanes x) {
  const Lanes one = splat(1.0f), first = splat(n.bump_first);
  switch (n.bump) {
    case Bump::fast_sigmoid: {
      const Lanes d = one + first * absolute(x);
      return one / (d * d);
    }
    case Bump::atan: {
      const Lanes s = splat(static_cast<float>(M_PI / 2) * n.bump_first) * x;
      return splat(n.bump_first / 2) / (one + s * s);
    }
    case Bump::triangle:
      return first * larger(one - absolute(x) / splat(n.bump_second), zero());
    case Bump::boxcar:
      return where(greater(first, absolute(x)), splat(1 / (2 * n.bump_first)));
    case Bump::sigmoid: {
      float s[kLanes];
      store(s, first * x);
      for (float& one_of : s) one_of = 1 / (1 + std::exp(-one_of));
      const Lanes y = load(s);
      return first * y * (one - y);
    }
    case Bump::straight_through:
      return one;
  }
  return one;
}

template <Reset kReset>
INLINE Lanes after_spikes(Lanes v, Lanes z, Lanes threshold) {
  if constexpr (kReset == Reset::subtract) return v - threshold * z;
  else if constexpr (kReset == Reset::zero) return v * (splat(1.0f) - z);
  else return v;
}

// IF, LIF and, with kAdapts, ALIF.
template <Reset kReset, bool kDelay, bool kAdapts>
struct Spiking {
  static constexpr bool kSpikes = true;
  static constexpr bool kHasAdaptation = kAdapts;

  INLINE static Lanes moving_threshold(Lanes a, const LaneParameters& p) {
    if constexpr (kAdapts) return p.threshold + p.adaptation * a;
    else return p.threshold;
  }

  INLINE static Lanes adapt(const LaneState& before, const LaneParameters& p) {
    if constexpr (kAdapts) return p.adaptation_decay * before.a + before.z;
    else return before.a;
  }

  // Membrane compared with the threshold; `s` becomes the next state.
  INLINE static Lanes step(LaneState& s, Lanes current, const LaneParameters& p, Mask& fired) {
    const Lanes a = adapt(s, p);
    Lanes v = p.beta * s.v + current;
    if constexpr (kDelay) v = after_spikes<kReset>(v, s.z, p.threshold);
    fired = greater(v - moving_threshold(a, p), zero());
    const Lanes z = where(fired, splat(1.0f));
    s = {kDelay ? v : after_spikes<kReset>(v, z, p.threshold), z, a};
    return v;
  }

  // The state after a step whose membrane and adaptation are known.
  INLINE static LaneState replay(Lanes membrane, Lanes a, const LaneParameters& p) {
    const Lanes z = where(greater(membrane - moving_threshold(a, p), zero()), splat(1.0f));
    return {kDelay ? membrane : after_spikes<kReset>(membrane, z, p.threshold), z, a};
  }

  // Gradient of the step's current; `back` becomes that of the state before, `g` collects those of the parameters.
  INLINE static Lanes back(const NeuronSpec& n, const LaneStep& at, const LaneParameters& p, LaneBack& back, LaneParameters& g) {
    const Lanes v = at.membrane, moving = moving_threshold(at.a, p), distance = v - moving;
    const Lanes z = where(greater(distance, zero()), splat(1.0f));
    const Lanes through_reset = splat(n.reset_gradient ? 1.0f : 0.0f);
    Lanes dz = at.gradient_z + back.z, dv = at.gradient_v;
    if constexpr (kDelay || kReset == Reset::none) dv = dv + back.v;
    else if constexpr (kReset == Reset::subtract) {
      dv = dv + back.v;
      dz = dz - through_reset * p.threshold * back.v;
      g.threshold = g.threshold - z * back.v;
    } else {
      dv = dv + back.v * (splat(1.0f) - z);
      dz = dz - through_reset * v * back.v;
    }
    Lanes slope;
    if (n.relative) {
      const Lanes scale = moving + splat(1e-5f);
      slope = dz * bump(n, distance / scale) / scale;
    } else slope = dz * bump(n, distance);
    dv = dv + slope;
    const Lanes gradient_moving = n.threshold_gradient ? zero() - slope : zero();
    g.threshold = g.threshold + gradient_moving;
    back.z = zero();
    if constexpr (kAdapts) {
      const Lanes da = p.adaptation * gradient_moving + back.a;
      g.adaptation = g.adaptation + gradient_moving * at.a;
      g.adaptation_decay = g.adaptation_decay + da * at.before.a;
      back.a = p.adaptation_decay * da;
      back.z = da;
    }
    if constexpr (kDelay && kReset == Reset::subtract) {
      back.z = back.z - through_reset * p.threshold * dv;
      g.threshold = g.threshold - at.before.z * dv;
    }
    if constexpr (kDelay && kReset == Reset::zero) dv = dv * (splat(1.0f) - at.before.z);
    g.beta = g.beta + dv * at.before.v;
    back.v = p.beta * dv;
    return dv;
  }
};

// A membrane that leaks and never spikes.
struct Integrator {
  static constexpr bool kSpikes = false;
  static constexpr bool kHasAdaptation = false;

  INLINE static Lanes adapt(const LaneState& before, const LaneParameters&) { return before.a; }
  INLINE static Lanes step(LaneState& s, Lanes current, const LaneParameters& p, Mask& fired) {
    s.v = p.beta * s.v + current;
    fired = greater(zero(), zero());
    return s.v;
  }
  INLINE static LaneState replay(Lanes membrane, Lanes, const LaneParameters&) { return {membrane, zero(), zero()}; }
  INLINE static Lanes back(const NeuronSpec&, const LaneStep& at, const LaneParameters& p, LaneBack& back, LaneParameters& g) {
    const Lanes dv = at.gradient_v + back.v;
    g.beta = g.beta + dv * at.before.v;
    back.v = p.beta * dv;
    return dv;
  }
};

// Call work(Model{}) with the model that `n` asks for.
template <class Work>
void with_neuron(const NeuronSpec& n, Work&& work) {
  if (n.kind == NeuronKind::integrator) return work(Integrator{});
  auto with_reset = [&]<Reset kReset>() {
    const bool adapts = n.kind == NeuronKind::adaptive;
    if (n.delay) return adapts ? work(Spiking<kReset, true, true>{}) : work(Spiking<kReset, true, false>{});
    return adapts ? work(Spiking<kReset, false, true>{}) : work(Spiking<kReset, false, false>{});
  };
  switch (n.reset) {
    case Reset::subtract: return with_reset.template operator()<Reset::subtract>();
    case Reset::zero: return with_reset.template operator()<Reset::zero>();
    case Reset::none: return with_reset.template operator()<Reset::none>();
  }
}

}  // namespace spikewise::SPIKEWISE_ISA
