// Gradient of a matrix whose inputs are spikes: for each input, the sum of the output gradients of its spikes.
//
// Five steps of an input are a pattern of 32, and an image's 32 partial sums of five steps' output gradients serve every
// input (`TimeRows`). Where spikes are rare, each one adds its step's gradient by itself.
#pragma once
#include "population.h"
#include "rows.h"

namespace spikewise::SPIKEWISE_ISA {

constexpr int kGroupSteps = 5, kGroupPatterns = 32, kGroupsPerBlock = 40;
constexpr int kMostTables = kGroupsPerBlock + kGroupsPerBlock / kGroupSteps;

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

// Blocks of whole images, and for each block and input the rows of that block's tables that the input adds and takes away.
// A block has a table for every five steps of an image, and one for every five images: of the sums over all steps of
// their gradients, for the inputs that are usually on (`usual_inputs`). Those list the steps they miss.
struct TimeRows {
  struct Block {
    int first, last, part;
    std::size_t rows;  // where its rows begin
  };
  std::vector<Block> blocks;
  std::vector<int> first_block;      // of each part, and the end
  int groups = 0;                    // of five steps, in one image
  bool use = false;                  // else the spikes one by one
  std::vector<std::uint32_t> start;  // [block][inputs x (added, taken away) + 1], relative to the block's rows
  Array<Row> rows;
  std::size_t inputs;

  TimeRows(const Spikes& in, const Split& split, int steps, int threads)
      : groups((steps + kGroupSteps - 1) / kGroupSteps), inputs(in.signal->features) {
    if (groups > kGroupsPerBlock) return;
    usual_ = in.delay ? Array<Word>(in.signal->batch * in.signal->words, true) : usual_inputs(*in.signal, threads);
    use = worth_it(in, steps);
    if (!use) return;
    const int images = std::max(1, kGroupsPerBlock / groups);
    for (int part = 0; part < split.parts; ++part) {
      first_block.push_back(static_cast<int>(blocks.size()));
      for (int b = split.first(part); b < split.first(part + 1); b += images)
        blocks.push_back({b, std::min(b + images, split.first(part + 1)), part, 0});
    }
    first_block.push_back(static_cast<int>(blocks.size()));
    std::size_t room = 0;
    for (Block& block : blocks) block.rows = std::exchange(room, room + inputs * tables(block));
    rows = Array<Row>(room);
    start.resize(blocks.size() * (2 * inputs + 1));
    parallel(static_cast<int>(blocks.size()), threads, [&](int i) { list(in, steps, i); });
  }
  // Of an image's steps, then of five images each.
  std::size_t tables(const Block& block) const {
    const int images = block.last - block.first;
    return static_cast<std::size_t>(images) * groups + (images + kGroupSteps - 1) / kGroupSteps;
  }

 private:
  // Additions by table: the tables themselves and about one row per seen pattern; by events two memory passes per spike.
  bool worth_it(const Spikes& in, int steps) const {
    const Signal& s = *in.signal;
    std::size_t events = 0, apart = 0;
    for (int b = 0; b < s.batch; ++b)
      for (int t = 0; t < s.steps; ++t)
        for (std::size_t w = 0; w < s.words; ++w) {
          const Word now = s.frame(b, t)[w];
          events += std::popcount(now), apart += std::popcount(now ^ usual_[b * s.words + w]);
        }
    const double tables = static_cast<double>(s.batch) * groups * kGroupPatterns;
    const double most = static_cast<double>(s.batch) * groups * s.features;
    const double p = static_cast<double>(apart) / (static_cast<double>(s.batch) * steps * s.features);
    return tables + most * (1 - std::pow(1 - p, kGroupSteps)) < 1.5 * static_cast<double>(events);
  }

  void list(const Spikes& in, int steps, int i) {
    const Block& block = blocks[i];
    std::uint32_t* from = &start[i * (2 * inputs + 1)];
    Row* out = rows.data() + block.rows;
    std::uint32_t n = 0;
    std::uint8_t more[kMostTables][64], less[kGroupsPerBlock][64];
    const int images = block.last - block.first, count = images * groups, all = static_cast<int>(tables(block));
    for (std::size_t word = 0; word < in.signal->words; ++word) {
      for (int q = 0; q < count; ++q) patterns(in, block.first + q / groups, q % groups * kGroupSteps, steps, word, more[q], less[q]);
      for (int q = count; q < all; ++q) usual_patterns(in, block, (q - count) * kGroupSteps, word, more[q]);
      const std::size_t last = std::min<std::size_t>(64, inputs - 64 * word);
      auto add = [&](const std::uint8_t (*seen)[64], int to, std::size_t f) {
        for (int q = 0; q < to; ++q) {
          out[n] = static_cast<Row>(q * kGroupPatterns + seen[q][f]);
          n += seen[q][f] != 0;
        }
      };
      Word usual = 0;
      for (int b = block.first; b < block.last; ++b) usual |= usual_[b * in.signal->words + word];
      for (std::size_t f = 0; f < last; ++f) {
        *from++ = n;
        add(more, usual >> f & 1 ? all : count, f);
        *from++ = n;
        if (usual >> f & 1) add(less, count, f);
      }
    }
    *from = n;
  }

  // The pattern over five steps of each of the 64 inputs of a word: of the spikes beside the usual ones, and of those missed.
  void patterns(const Spikes& in, int image, int step, int steps, std::size_t word, std::uint8_t* more, std::uint8_t* less) const {
    std::memset(more, 0, 64), std::memset(less, 0, 64);
    const Word usual = usual_[image * in.signal->words + word];
    for (int k = 0; k < kGroupSteps && step + k < steps; ++k) {
      const Word* frame = in.frame(image, step + k);
      const Word now = frame ? frame[word] : 0;
      spread(now & ~usual, k, more), spread(usual & ~now, k, less);
    }
  }
  void usual_patterns(const Spikes& in, const Block& block, int first, std::size_t word, std::uint8_t* seen) const {
    std::memset(seen, 0, 64);
    for (int k = 0; k < kGroupSteps && block.first + first + k < block.last; ++k)
      spread(usual_[(block.first + first + k) * in.signal->words + word], k, seen);
  }
  // Or bit f of a word into bit k of byte f.
  static void spread(Word word, int k, std::uint8_t* bytes) {
    if (!word) return;
    for (int f = 0; f < 64; ++f) bytes[f] |= static_cast<std::uint8_t>((word >> f & 1) << k);
  }

  Array<Word> usual_;  // [image][words]
};

// Add the rows of every input to `sums` [inputs][kCount x 16], from the tables of one block.
template <int kCount>
void add_listed(const TimeRows& lists, int block, const float* tables, float* sums) {
  constexpr std::size_t kWidth = kCount * kLanes;
  const std::uint32_t* at = &lists.start[block * (2 * lists.inputs + 1)];
  const Row* rows = lists.rows.data() + lists.blocks[block].rows;
  for (std::size_t i = 0; i < lists.inputs; ++i, at += 2) {
    if (at[0] == at[2]) continue;
    Lanes sum[kCount];
    for (int j = 0; j < kCount; ++j) sum[j] = load(sums + i * kWidth + kLanes * j);
    sum_rows<kCount>(tables, rows + at[0], at[1] - at[0], sum);
    if (at[1] != at[2]) sum_rows<kCount, true>(tables, rows + at[1], at[2] - at[1], sum);
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

// The same by tables. `scratch` holds kMostTables x kGroupPatterns rows.
template <int kCount, class Gradient>
void add_block(const TimeRows& lists, int block, int steps, const Gradient& gradient, float* scratch, float* sums) {
  constexpr std::size_t kWidth = kCount * kLanes, kTable = kGroupPatterns * kWidth;
  const TimeRows::Block& at = lists.blocks[block];
  float whole[kGroupSteps * kWidth];  // sums over all steps, of up to five images
  float *table = scratch, *image_table = scratch + static_cast<std::size_t>(at.last - at.first) * lists.groups * kTable;
  for (int b = at.first, k = 0; b < at.last; ++b) {
    float* sum = whole + k * kWidth;
    std::fill(sum, sum + kWidth, 0.0f);
    for (int g = 0; g < lists.groups; ++g, table += kTable) {
      const int t = g * kGroupSteps, n = std::min(kGroupSteps, steps - t);
      tabulate<kCount>(gradient(b, t), static_cast<std::size_t>(gradient(b, t + (n > 1)) - gradient(b, t)), n, table);
      for (std::size_t j = 0; j < kWidth; j += kLanes) add_to(sum + j, load(table + ((std::size_t{1} << n) - 1) * kWidth + j));
    }
    if (++k < kGroupSteps && b + 1 < at.last) continue;
    tabulate<kCount>(whole, kWidth, k, image_table);
    image_table += kTable, k = 0;
  }
  add_listed<kCount>(lists, block, scratch, sums);
}

}  // namespace spikewise::SPIKEWISE_ISA
