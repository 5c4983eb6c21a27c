// Gradient of a matrix whose inputs are spikes: for each input, the sum of the output gradients of its spikes.
//
// Five steps of an input are a pattern of 32, and an image's 32 partial sums of five steps' output gradients serve every
// input (`TimeRows`). Where spikes are rare, each one adds its step's gradient by itself.
#pragma once
#include "population.h"
#include "rows.h"

namespace spikewise::SPIKEWISE_ISA {

constexpr int kGroupSteps = 5, kGroupPatterns = 32, kGroupsPerBlock = 40;

// Spikes of `signal` seen `delay` steps later.
struct Spikes {
  const Signal* signal;
  int delay = 0;
  const Word* frame(int image, int step) const { return step < delay ? nullptr : signal->frame(image, step - delay); }
};

// Images are split into parts that sum separately; how many depends on sizes alone, never on the threads.
struct Split {
  int batch, parts;
  int first(int part) const { return static_cast<int>(static_cast<std::int64_t>(batch) * part / parts); }
};

// Blocks of whole images, and for each block and input the rows of that block's table that the input adds.
struct TimeRows {
  struct Block {
    int first, last, part;
    std::size_t rows;  // where its rows begin
  };
  std::vector<Block> blocks;
  std::vector<int> first_block;      // of each part, and the end
  int groups = 0;                    // of five steps, in one image
  bool use = false;                  // else the spikes one by one
  std::vector<std::uint32_t> start;  // [block][inputs + 1], relative to the block's rows
  Array<Row> rows;
  std::size_t inputs;

  TimeRows(const Spikes& in, const Split& split, int steps, int threads)
      : groups((steps + kGroupSteps - 1) / kGroupSteps), inputs(in.signal->features) {
    use = groups <= kGroupsPerBlock && worth_it(in, steps);
    if (!use) return;
    const int images = std::max(1, kGroupsPerBlock / groups);
    for (int part = 0; part < split.parts; ++part) {
      first_block.push_back(static_cast<int>(blocks.size()));
      for (int b = split.first(part); b < split.first(part + 1); b += images)
        blocks.push_back({b, std::min(b + images, split.first(part + 1)), part, 0});
    }
    first_block.push_back(static_cast<int>(blocks.size()));
    std::size_t room = 0;
    for (Block& block : blocks) block.rows = std::exchange(room, room + inputs * (block.last - block.first) * groups);
    rows = Array<Row>(room);
    start.resize(blocks.size() * (inputs + 1));
    parallel(static_cast<int>(blocks.size()), threads, [&](int i) { list(in, steps, i); });
  }

 private:
  // Additions by table: the tables themselves and about one row per seen pattern; by events two memory passes per spike.
  bool worth_it(const Spikes& in, int steps) const {
    const Signal& s = *in.signal;
    std::size_t events = 0;
    for (std::size_t w = 0; w < s.bits.size(); ++w) events += std::popcount(s.bits[w]);
    const double tables = static_cast<double>(s.batch) * groups * kGroupPatterns;
    const double most = static_cast<double>(s.batch) * groups * s.features;
    const double p = static_cast<double>(events) / (static_cast<double>(s.batch) * steps * s.features);
    return tables + most * (1 - std::pow(1 - p, kGroupSteps)) < 1.5 * static_cast<double>(events);
  }

  void list(const Spikes& in, int steps, int i) {
    const Block& block = blocks[i];
    std::uint32_t* from = &start[i * (inputs + 1)];
    Row* out = rows.data() + block.rows;
    std::uint32_t n = 0;
    std::uint8_t seen[kGroupsPerBlock][64];
    const int count = (block.last - block.first) * groups;
    for (std::size_t word = 0; word < in.signal->words; ++word) {
      for (int q = 0; q < count; ++q) patterns(in, block.first + q / groups, q % groups * kGroupSteps, steps, word, seen[q]);
      const std::size_t last = std::min<std::size_t>(64, inputs - 64 * word);
      for (std::size_t f = 0; f < last; ++f) {
        from[64 * word + f] = n;
        for (int q = 0; q < count; ++q) {
          out[n] = static_cast<Row>(q * kGroupPatterns + seen[q][f]);
          n += seen[q][f] != 0;
        }
      }
    }
    from[inputs] = n;
  }

  // The pattern of each of the 64 inputs of a word over five steps.
  static void patterns(const Spikes& in, int image, int step, int steps, std::size_t word, std::uint8_t* seen) {
    std::memset(seen, 0, 64);
    for (int k = 0; k < kGroupSteps && step + k < steps; ++k) {
      const Word* frame = in.frame(image, step + k);
      if (!frame || !frame[word]) continue;
      for (int f = 0; f < 64; ++f) seen[f] |= static_cast<std::uint8_t>((frame[word] >> f & 1) << k);
    }
  }
};

// Add the rows of every input to `sums` [inputs][kCount x 16], from the tables of one block.
template <int kCount>
void add_listed(const TimeRows& lists, int block, const float* tables, float* sums) {
  constexpr std::size_t kWidth = kCount * kLanes;
  const std::uint32_t* start = &lists.start[block * (lists.inputs + 1)];
  const Row* rows = lists.rows.data() + lists.blocks[block].rows;
  for (std::size_t i = 0; i < lists.inputs; ++i) {
    if (start[i] == start[i + 1]) continue;
    Lanes sum[kCount];
    for (int j = 0; j < kCount; ++j) sum[j] = load(sums + i * kWidth + kLanes * j);
    sum_rows<kCount>(tables, rows + start[i], start[i + 1] - start[i], sum);
    for (int j = 0; j < kCount; ++j) store(sums + i * kWidth + kLanes * j, sum[j]);
  }
}

// Add to `sums` [inputs][kCount x 16] what images [first, last) give; `gradient(image, step)` points at the first output.
template <int kCount, class Gradient>
void add_events(const Spikes& in, int first, int last, int steps, const Gradient& gradient, float* sums) {
  constexpr std::size_t kWidth = kCount * kLanes;
  for (int b = first; b < last; ++b)
    for (int t = in.delay; t < steps; ++t) {
      const float* g = gradient(b, t);
      Lanes row[kCount];
      for (int j = 0; j < kCount; ++j) row[j] = load(g + kLanes * j);
      for_each_bit(in.frame(b, t), in.signal->words, [&](std::size_t f) {
        for (int j = 0; j < kCount; ++j) add_to(sums + f * kWidth + kLanes * j, row[j]);
      });
    }
}

// The same by tables. `scratch` holds kGroupsPerBlock x kGroupPatterns rows.
template <int kCount, class Gradient>
void add_block(const TimeRows& lists, int block, int steps, const Gradient& gradient, float* scratch, float* sums) {
  constexpr std::size_t kWidth = kCount * kLanes;
  const TimeRows::Block& at = lists.blocks[block];
  for (int b = at.first, q = 0; b < at.last; ++b)
    for (int g = 0; g < lists.groups; ++g, ++q) {
      const int t = g * kGroupSteps, n = std::min(kGroupSteps, steps - t);
      tabulate<kCount>(gradient(b, t), static_cast<std::size_t>(gradient(b, t + (n > 1)) - gradient(b, t)), n,
                       scratch + q * kGroupPatterns * kWidth);
    }
  add_listed<kCount>(lists, block, scratch, sums);
}

}  // namespace spikewise::SPIKEWISE_ISA
