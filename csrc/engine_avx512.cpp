#define SPIKEWISE_ISA avx512
#include "engine.h"

namespace spikewise {
Forward forward_avx512() { return &avx512::run_forward; }
}  // namespace spikewise
