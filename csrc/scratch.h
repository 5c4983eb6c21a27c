// Memory of one thread that is not given back. What two functions hold at the same time has two names here.
#pragma once
#include "enums.h"
#include "memory.h"

namespace spikewise::SPIKEWISE_ISA {

enum class Room {
  currents,             // of a task: a tile's, or an image's
  tables,               // of a tile's weights
  usual_currents,       // of a tile's images: what their usual inputs add up to
  time_tables,          // of the output gradients' partial sums
  matrix_sums,          // of a tile's gradient
  map_before_pooling,   // numbers
  padded_map,           // numbers
  padded_frame,         // bits
  window_rows,          // rows of tables
  window_bits,          // bits of each window
  spread_windows,       // the same as numbers
  total_current,        // of one step of a recurrent layer
  spike_gradients,      // of a piece of a stage's output, or of an image's
  membrane_gradients,   // the same of its membranes
  traced,               // the neurons' traced variable
  fed_back,             // gradients that reach a step's spikes through the recurrent matrix
  map_gradients,        // before pooling
  bordered_map,         // the same with zeros around
  listed_rows,          // of the map that a convolution's spikes meet
  list_lengths,         // of those
  input_map_gradients,  // of a padded map
  whole_row,            // of a gradient of which a part is wanted
  listed_values,        // numbers that are not zero
  listed_starts,        // where the weights of each begin
  joined_gradients,     // that reach an output from all that read it
  other_gradients,      // from one of them
  expanded_spikes,      // as numbers
  channel_sums,         // of one row
  count
};

template <class T = float>
T* scratch(Room room, std::size_t count) {
  thread_local ByEnum<Room, Array<T>> arrays;
  Array<T>& array = arrays[room];
  if (array.size() < count) array = Array<T>(count);
  return array.data();
}

}  // namespace spikewise::SPIKEWISE_ISA
