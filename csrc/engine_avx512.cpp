#define SPIKEWISE_ISA avx512
#include "draw.h"
#include "engine.h"

namespace spikewise {
Kernels kernels_avx512() { return {&avx512::run_forward, &avx512::draw_bytes, &avx512::draw_uniform}; }
}  // namespace spikewise
