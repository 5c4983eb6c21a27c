// Weights that were packed for the kernels, kept from call to call. What is kept is found by the content of the weights it
// was made from, so it does not matter who changed them, nor how.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace spikewise {

// Of a run of floats; arrays that differ within eight bytes alone always differ here, others all but certainly.
using Fingerprint = std::array<std::uint64_t, 16>;

// Null if nothing packed from this content is kept for this stage of this plan.
std::shared_ptr<const void> find_packed(const void* plan, std::size_t stage, const Fingerprint& content);

// Each stage keeps the last two; all together keep at most 256 MiB, the longest unused go first.
void keep_packed(const void* plan, std::size_t stage, const Fingerprint& content, std::shared_ptr<const void> packed, std::size_t bytes);

// A plan is gone.
void forget_packed(const void* plan);

}  // namespace spikewise
