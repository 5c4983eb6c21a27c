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
static_assert(kMostTables % 16 == 0);

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

// The patterns that the 64 inputs of a word show to each table of a block.
class Seen {
 public:
  std::uint8_t* of(int table) { return by_table_[table]; }
  // The patterns of `tables` tables stand; they can be listed now.
  void ready(int tables) {
#if defined(__AVX2__)
    tables_ = static_cast<int>(round_up(tables, 16));
    for (int q = tables; q < tables_; ++q) std::memset(by_table_[q], 0, 64);
    for (int q = 0; q < tables_; q += 16) turn(q);
#else
    tables_ = tables;
#endif
  }
  // Append the row of each table that shows something to input f; where the next one goes.
  Row* list(std::size_t f, Row* to) const {
#if defined(__AVX512F__)
    for (int q = 0; q < tables_; q += 16) {
      const __m128i seen = _mm_load_si128(reinterpret_cast<const __m128i*>(by_input_[q / 16][f]));
      const __m512i row = _mm512_add_epi32(_mm512_cvtepu8_epi32(seen), counting(q * kGroupPatterns, kGroupPatterns));
      to = append(to, row, _mm_test_epi8_mask(seen, seen));
    }
#elif defined(__AVX2__)
    const __m128i lane = _mm_setr_epi16(0, 32, 64, 96, 128, 160, 192, 224);
    static_assert(kGroupPatterns == 32);
    for (int q = 0; q < tables_; q += 8) {
      const __m128i seen = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(by_input_[q / 16][f] + q % 16));
      const unsigned empty = static_cast<unsigned>(_mm_movemask_epi8(_mm_cmpeq_epi8(seen, _mm_setzero_si128())));
      const __m128i first = _mm_add_epi16(lane, _mm_set1_epi16(static_cast<short>(q * kGroupPatterns)));
      to = append(to, _mm_add_epi16(first, _mm_cvtepu8_epi16(seen)), ~empty & 0xff);
    }
#else
    for (int q = 0; q < tables_; ++q) {
      *to = static_cast<Row>(q * kGroupPatterns + by_table_[q][f]);
      to += by_table_[q][f] != 0;
    }
#endif
    return to;
  }

 private:
#if defined(__AVX512F__)
  // Sixteen tables from [table][input] to [input][table], within each quarter of the inputs.
  void turn(int first) {
    __m512i a[16], b[16];
    for (int i = 0; i < 16; ++i) a[i] = _mm512_load_si512(by_table_[first + i]);
    // Tables far apart are joined first, so that neighbours stand side by side in the end.
    for (int i = 0; i < 8; ++i) b[2 * i] = _mm512_unpacklo_epi8(a[i], a[i + 8]), b[2 * i + 1] = _mm512_unpackhi_epi8(a[i], a[i + 8]);
    for (int i = 0; i < 8; ++i) a[2 * i] = _mm512_unpacklo_epi8(b[i], b[i + 8]), a[2 * i + 1] = _mm512_unpackhi_epi8(b[i], b[i + 8]);
    for (int i = 0; i < 8; ++i) b[2 * i] = _mm512_unpacklo_epi8(a[i], a[i + 8]), b[2 * i + 1] = _mm512_unpackhi_epi8(a[i], a[i + 8]);
    for (int i = 0; i < 8; ++i) a[2 * i] = _mm512_unpacklo_epi8(b[i], b[i + 8]), a[2 * i + 1] = _mm512_unpackhi_epi8(b[i], b[i + 8]);
    for (int i = 0; i < 16; ++i)
      for (int quarter = 0; quarter < 4; ++quarter) {
        const __m512i moved = _mm512_maskz_compress_epi64(static_cast<__mmask8>(3 << 2 * quarter), a[i]);
        _mm_store_si128(reinterpret_cast<__m128i*>(by_input_[first / 16][16 * quarter + i]), _mm512_castsi512_si128(moved));
      }
  }
#elif defined(__AVX2__)
  // The same, sixteen inputs after the other.
  void turn(int first) {
    for (int quarter = 0; quarter < 4; ++quarter) {
      __m128i a[16], b[16];
      for (int i = 0; i < 16; ++i) a[i] = _mm_load_si128(reinterpret_cast<const __m128i*>(by_table_[first + i] + 16 * quarter));
      for (int round = 0; round < 2; ++round) {
        for (int i = 0; i < 8; ++i) b[2 * i] = _mm_unpacklo_epi8(a[i], a[i + 8]), b[2 * i + 1] = _mm_unpackhi_epi8(a[i], a[i + 8]);
        for (int i = 0; i < 8; ++i) a[2 * i] = _mm_unpacklo_epi8(b[i], b[i + 8]), a[2 * i + 1] = _mm_unpackhi_epi8(b[i], b[i + 8]);
      }
      for (int i = 0; i < 16; ++i) _mm_store_si128(reinterpret_cast<__m128i*>(by_input_[first / 16][16 * quarter + i]), a[i]);
    }
  }
#endif
#if defined(__AVX2__)
  alignas(64) std::uint8_t by_input_[kMostTables / 16][64][16];
#endif
  alignas(64) std::uint8_t by_table_[kMostTables][64];
  int tables_ = 0;
};

// Blocks of whole images, and for each block and input the rows of that block's tables that the input adds and takes away.
// A block has a table for every five steps of an image, and one for every five images: of the sums over all steps of
// their gradients, for the inputs that are usually on (`find_usual`). Those list the steps they miss.
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
    usual_ = Array<Word>(in.signal->batch * in.signal->words, true);
    if (!in.delay) parallel(in.signal->batch, threads, [&](int b) { find_usual(*in.signal, b, &usual_[b * in.signal->words]); });
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
    for (Block& block : blocks) block.rows = std::exchange(room, room + inputs * tables(block) + kLanes);  // `append` writes behind the last
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
    Row *const out = rows.data() + block.rows, *to = out;
    Seen more, less;
    const int images = block.last - block.first, count = images * groups, all = static_cast<int>(tables(block));
    for (std::size_t word = 0; word < in.signal->words; ++word) {
      for (int q = 0; q < count; ++q) patterns(in, block.first + q / groups, q % groups * kGroupSteps, steps, word, more.of(q), less.of(q));
      for (int q = count; q < all; ++q) usual_patterns(in, block, (q - count) * kGroupSteps, word, more.of(q));
      Word usual = 0;
      for (int b = block.first; b < block.last; ++b) usual |= usual_[b * in.signal->words + word];
      more.ready(usual ? all : count);
      if (usual) less.ready(count);
      const std::size_t last = std::min<std::size_t>(64, inputs - 64 * word);
      for (std::size_t f = 0; f < last; ++f) {
        *from++ = static_cast<std::uint32_t>(to - out);
        to = more.list(f, to);
        *from++ = static_cast<std::uint32_t>(to - out);
        if (usual >> f & 1) to = less.list(f, to);
      }
    }
    *from = static_cast<std::uint32_t>(to - out);
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
#if defined(__AVX512BW__)
    const __m512i seen = _mm512_loadu_si512(bytes), now = _mm512_maskz_set1_epi8(word, static_cast<char>(1 << k));
    _mm512_storeu_si512(bytes, _mm512_or_si512(seen, now));
#elif defined(__AVX2__)
    const __m256i bit = _mm256_set1_epi64x(static_cast<long long>(0x8040201008040201u)), one = _mm256_set1_epi8(static_cast<char>(1 << k));
    // Byte i of 32 bits to the eight bytes 8i, ...
    const __m256i order = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    for (int from = 0; from < 64; from += 32) {
      const __m256i repeated = _mm256_shuffle_epi8(_mm256_set1_epi32(static_cast<int>(word >> from)), order);
      const __m256i now = _mm256_and_si256(_mm256_cmpeq_epi8(_mm256_and_si256(repeated, bit), bit), one);
      __m256i* to = reinterpret_cast<__m256i*>(bytes + from);
      _mm256_storeu_si256(to, _mm256_or_si256(_mm256_loadu_si256(to), now));
    }
#else
    for (int f = 0; f < 64; ++f) bytes[f] |= static_cast<std::uint8_t>((word >> f & 1) << k);
#endif
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
