#define SPIKEWISE_ISA avx2
#include "draw.h"
#include "engine.h"

namespace spikewise {
Kernels kernels_avx2() { return {&avx2::run_forward, &avx2::draw_bytes, &avx2::draw_uniform}; }
}  // namespace spikewise
