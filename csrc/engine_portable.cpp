#define SPIKEWISE_ISA portable
#include "draw.h"
#include "engine.h"

namespace spikewise {
Kernels kernels_portable() { return {&portable::run_forward, &portable::draw_bytes, &portable::draw_uniform}; }
}  // namespace spikewise
