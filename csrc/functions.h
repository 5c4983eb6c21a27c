// Conventional activation functions and their slopes, as PyTorch has them.
#pragma once
#include <cmath>

#include "plan.h"

namespace spikewise::SPIKEWISE_ISA {

template <Function kFunction>
inline float value_of(float x) {
  if constexpr (kFunction == Function::relu) return x > 0 ? x : 0 * x;
  else if constexpr (kFunction == Function::leaky_relu) return x > 0 ? x : 0.01f * x;
  else if constexpr (kFunction == Function::sigmoid) return 1 / (1 + std::exp(-x));
  else if constexpr (kFunction == Function::tanh) return std::tanh(x);
  else if constexpr (kFunction == Function::softplus) return x > 20 ? x : std::log1p(std::exp(x));
  else return x * 0.5f * (1 + std::erf(x * static_cast<float>(M_SQRT1_2)));
}

template <Function kFunction>
inline float slope_of(float x) {
  if constexpr (kFunction == Function::relu) return x > 0 ? 1.0f : 0.0f;
  else if constexpr (kFunction == Function::leaky_relu) return x > 0 ? 1.0f : 0.01f;
  else if constexpr (kFunction == Function::sigmoid) {
    const float y = value_of<kFunction>(x);
    return y * (1 - y);
  } else if constexpr (kFunction == Function::tanh) {
    const float y = std::tanh(x);
    return 1 - y * y;
  } else if constexpr (kFunction == Function::softplus) return x > 20 ? 1.0f : 1 / (1 + std::exp(-x));
  else {
    constexpr float kDensity = 0.39894228f;  // of the normal distribution, at zero
    return 0.5f * (1 + std::erf(x * static_cast<float>(M_SQRT1_2))) + x * kDensity * std::exp(-0.5f * x * x);
  }
}

// Call work<function>() with the function named.
template <class Work>
void with_function(Function function, Work&& work) {
  switch (function) {
    case Function::relu: return work.template operator()<Function::relu>();
    case Function::leaky_relu: return work.template operator()<Function::leaky_relu>();
    case Function::sigmoid: return work.template operator()<Function::sigmoid>();
    case Function::tanh: return work.template operator()<Function::tanh>();
    case Function::softplus: return work.template operator()<Function::softplus>();
    case Function::gelu: return work.template operator()<Function::gelu>();
  }
}

}  // namespace spikewise::SPIKEWISE_ISA
