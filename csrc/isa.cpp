#include "isa.h"

namespace spikewise {

Kernels kernels_portable();
Kernels kernels_avx2();
Kernels kernels_avx512();

std::vector<Version> versions() {
  std::vector<Version> out;
#if defined(SPIKEWISE_HAS_AVX2) || defined(SPIKEWISE_HAS_AVX512)
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
#endif
#if defined(SPIKEWISE_HAS_AVX512)
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vl");
  if (avx2 && avx512) out.push_back({"avx512", kernels_avx512()});
#endif
#if defined(SPIKEWISE_HAS_AVX2)
  if (avx2) out.push_back({"avx2", kernels_avx2()});
#endif
#if defined(SPIKEWISE_HAS_PORTABLE)
  out.push_back({"portable", kernels_portable()});
#endif
  return out;
}

}  // namespace spikewise
