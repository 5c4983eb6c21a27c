#define SPIKEWISE_ISA portable
#include "engine.h"

namespace spikewise {
Forward forward_portable() { return &portable::run_forward; }
}  // namespace spikewise
