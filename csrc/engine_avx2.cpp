#define SPIKEWISE_ISA avx2
#include "engine.h"

namespace spikewise {
Forward forward_avx2() { return &avx2::run_forward; }
}  // namespace spikewise
