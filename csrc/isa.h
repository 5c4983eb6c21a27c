// Which of the compiled versions of the engine this processor can run.
#pragma once
#include <string>
#include <vector>

#include "plan.h"

namespace spikewise {

struct Version {
  std::string name;
  Kernels kernels;
};

// The best first; the last runs everywhere.
std::vector<Version> versions();

}  // namespace spikewise
