#include "isa.h"

namespace spikewise {

Forward forward_portable();
#if defined(SPIKEWISE_X86)
Forward forward_avx2();
Forward forward_avx512();
#endif

std::vector<Version> versions() {
  std::vector<Version> out;
#if defined(SPIKEWISE_X86)
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vl");
  if (avx2 && avx512) out.push_back({"avx512", forward_avx512()});
  if (avx2) out.push_back({"avx2", forward_avx2()});
#endif
  out.push_back({"portable", forward_portable()});
  return out;
}

}  // namespace spikewise
