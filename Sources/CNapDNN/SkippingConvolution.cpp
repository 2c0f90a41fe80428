// Convolutions that leave out what gates close: per image, blocks of 8 output channels are computed
// from blocks of 8 input channels, of which only the open ones are touched.
//
// A tile of some positions times some blocks of outputs stays in registers, while one goes over
// blocks of inputs and the kernel's positions (taps). An image is worked on in strips of rows.
// Where windows reach beyond it, strips are copied once, with zeros around. Every output is summed
// up in the same order, whatever tiles and threads it falls to.
#include "Lanes.h"
#include "Skipping.h"

#if NAP_HAS_SKIPPING

namespace {

NAP_EIGHTS_BEGIN

// Blocks of outputs in a tile, at most, and positions, at most.
constexpr int kMostBlocks = 6, kMostPositions = 14;
// Bytes of weights that the nearest cache holds while tiles go over them.
constexpr int64_t kNear = 16 << 10;
// Positions of a strip, about.
constexpr int64_t kStrip = 256;
// Products of 8 from which on it pays to wake a second thread.
constexpr int64_t kWorthThreads = 30000;

// What follows from the sizes.
struct Sizes {
  const nap_skipping &c;
  int64_t in, out;        // blocks of channels
  int64_t pair;           // numbers of weights between two blocks
  int64_t rows, strips;   // of outputs in a strip; strips of an image
  bool inside;            // no window reaches beyond the image
  int64_t wide;           // columns of inputs that are needed
  bool line;              // windows are single positions, one after another

  explicit Sizes(const nap_skipping &c)
      : c(c), in(blocks_of(c.ic)), out(blocks_of(c.oc)),
        pair(c.kernel[0] * c.kernel[1] * kEight * kEight) {
    strips = std::max<int64_t>(1, c.oh / std::max<int64_t>(1, kStrip / c.ow));
    rows = (c.oh + strips - 1) / strips;
    strips = (c.oh + rows - 1) / rows;
    wide = reach(1, c.ow);
    inside = c.top == 0 && c.left == 0 && reach(0, c.oh) <= c.ih && wide <= c.iw;
    line = inside && wide == c.ow && c.iw == c.ow && reach(0, c.oh) == c.oh;
  }

  // How many inputs along an axis so many outputs are made from.
  int64_t reach(int axis, int64_t outputs) const {
    return (outputs - 1) * c.strides[axis] + (c.kernel[axis] - 1) * c.dilations[axis] + 1;
  }
};

// A range of the kernel's rows or columns.
struct Taps {
  int64_t begin, end;
};

// Those that see something of an image for outputs `from` to `to`, along an axis.
Taps taps_of(const Sizes &s, int axis, int64_t from, int64_t to) {
  int64_t pad = axis ? s.c.left : s.c.top, size = axis ? s.c.iw : s.c.ih;
  int64_t stride = s.c.strides[axis], dilation = s.c.dilations[axis];
  int64_t before = pad - to * stride, behind = size + pad - from * stride;
  int64_t begin = before > 0 ? (before + dilation - 1) / dilation : 0;
  int64_t end = behind > 0 ? (behind + dilation - 1) / dilation : 0;
  end = std::min(end, s.c.kernel[axis]);
  return {std::min(begin, end), end};
}

// What is multiplied: a tap's inputs, 8 channels of a block, and where their weights are.
struct Step {
  const float *x;
  int64_t weights;
};

// Positions of a run, which is a row, or where tiles go over rows, all of a strip.
struct Tile {
  int64_t first, count;
  int64_t at[kMostPositions];  // where their windows begin
};

// What tiles have in common: some blocks of outputs made by some steps.
struct Group {
  Bounds bounds;
  Output outputs[kMostBlocks];
  const float *weights[kMostBlocks];
  float *sums;            // between the first and the last steps, [positions, outputs, 8]
  int64_t position, at;   // where a run begins, and its windows
  const Step *begin, *end;
  bool first, last;       // whether these are an output's first steps, its last
};

using Run = void (*)(Group &, const Tile &);

// The tiles of a processor.
struct Tiles {
  bool paired;                     // whether two blocks share a register
  int blocks;                      // of outputs, at most
  int positions[kMostBlocks + 1];  // at most, by blocks: what fits into its registers
  Run run[kMostBlocks + 1][kMostPositions + 1];
};

NAP_EIGHTS_END

// Registers are loaded in the order in which it is written here: compilers would load ahead, and then not
// have enough of them.
namespace eights {

NAP_EIGHTS_BEGIN

typedef eight vector;
constexpr int kJoined = 1;

NAP_INLINE vector load_now(const float *const *p, int64_t at) {
  vector x;
  asm volatile("vmovups %1, %0" : "=x"(x) : "m"(*(const eight *)(p[0] + at)));
  return x;
}

NAP_INLINE vector bias(const Output *o) { return o->bias; }

template <int R>
NAP_INLINE void finish(Group &g, int n, vector *y, int64_t position) {
  g.outputs[n].finish<R>(g.bounds, y, position);
}

#include "SkippingTile.h"

constexpr Tiles kTiles = {
    false, 3, {0, 8, 6, 4},
    {{},
     {nullptr, tile<1, 1>, tile<2, 1>, tile<3, 1>, tile<4, 1>, tile<5, 1>, tile<6, 1>, tile<7, 1>,
      tile<8, 1>},
     {nullptr, tile<1, 2>, tile<2, 2>, tile<3, 2>, tile<4, 2>, tile<5, 2>, tile<6, 2>},
     {nullptr, tile<1, 3>, tile<2, 3>, tile<3, 3>, tile<4, 3>}}};

NAP_EIGHTS_END

}  // namespace eights

// Two blocks, wherever they are, share a register.
namespace sixteens {

NAP_LANES_BEGIN

typedef lanes vector;
constexpr int kJoined = 2;

NAP_INLINE vector load_now(const float *const *p, int64_t at) {
  eight low;
  vector x;
  asm volatile("vmovups %1, %0" : "=v"(low) : "m"(*(const eight *)(p[0] + at)));
  asm volatile("vinsertf32x8 $1, %2, %1, %0"
               : "=v"(x)
               : "v"(__builtin_shufflevector(low, low, 0, 1, 2, 3, 4, 5, 6, 7, -1, -1, -1, -1, -1, -1, -1, -1)), "m"(*(const eight *)(p[1] + at)));
  return x;
}

NAP_INLINE vector bias(const Output *o) { return join(o[0].bias, o[1].bias); }

template <int R>
NAP_INLINE void finish(Group &g, int n, const vector *y, int64_t position) {
  Pair pair(g.outputs + n);
#pragma clang loop unroll(full)
  for (int r = 0; r < R; ++r) pair.finish(g.bounds, y[r], position + r, position + r);
  g.outputs[n].sum += pair.sum.lo;
  g.outputs[n + 1].sum += pair.sum.hi;
}

#include "SkippingTile.h"

#define NAP_TILES(N)                                                                            \
  nullptr, tile<1, N>, tile<2, N>, tile<3, N>, tile<4, N>, tile<5, N>, tile<6, N>, tile<7, N>,  \
      tile<8, N>, tile<9, N>
#define NAP_LONG_TILES(N) \
  NAP_TILES(N), tile<10, N>, tile<11, N>, tile<12, N>, tile<13, N>, tile<14, N>
constexpr Tiles kTiles = {
    true, 6, {0, 14, 14, 14, 14, 9, 9},
    {{}, {NAP_LONG_TILES(1)}, {NAP_LONG_TILES(2)}, {NAP_LONG_TILES(3)}, {NAP_LONG_TILES(4)},
     {NAP_TILES(5)}, {NAP_TILES(6)}}};
#undef NAP_TILES
#undef NAP_LONG_TILES

NAP_LANES_END

}  // namespace sixteens

NAP_EIGHTS_BEGIN

const Tiles &tiles_here() {
  static const bool wide = nap_winograd_supported();
  return wide ? sixteens::kTiles : eights::kTiles;
}

// What a thread knows of the strip it works on; memory stays for the next.
struct Strip {
  int64_t image, index;
  int64_t row, rows;                     // of outputs
  std::vector<int64_t> in, out, closed;  // blocks: open ones, and of outputs the others
  std::vector<const float *> planes;     // of open inputs
  int64_t down;                          // numbers from row to row
  std::vector<Step> steps;               // of all blocks of inputs, some at a time; and one to end
  std::vector<Tile> tiles[kMostBlocks + 1];  // of a run
  std::vector<Line> copies, sums;
};


struct Skipping {
  const nap_skipping_job &job;
  Sizes s;
  int64_t slices = 1;  // of a strip's outputs, which threads may take apart
  Items items{};
  Sums sums{nullptr, s.out, s.strips};
  Bounds bounds{job};
  const Tiles &kinds = tiles_here();
  // Blocks of inputs whose weights tiles go over before others follow.
  int64_t together = std::max<int64_t>(1, kNear / (kinds.blocks * s.pair * int64_t(sizeof(float))));

  // Of 8, that are not left out.
  int64_t products() const {
    return count_pairs(s.c, job) * s.pair / kEight * s.c.oh * s.c.ow;
  }

  // Which blocks are open; whether one of inputs is in part only.
  bool find_open(Strip &strip) const {
    bool partly = false;
    strip.in.clear(), strip.out.clear(), strip.closed.clear();
    for (int64_t b = 0; b < s.in; ++b) {
      if (!is_open(job.in_gates, s.c.ic, strip.image, b)) continue;
      strip.in.push_back(b);
      masks zero = job.in_gates ? gate(job.in_gates, s.c.ic, strip.image, b) == 0 : masks(0);
      partly |= any(zero & channels_of(s.c.ic, b));
    }
    for (int64_t b = 0; b < s.out; ++b)
      (is_open(job.out_gates, s.c.oc, strip.image, b) ? strip.out : strip.closed).push_back(b);
    return partly;
  }

  // The rows of the open inputs that a strip needs, with zeros where there is no image.
  void copy(Strip &strip) const {
    auto &c = s.c;
    int64_t tall = s.reach(0, strip.rows), row = strip.row * c.strides[0] - c.top;
    int64_t left = std::min(c.left, s.wide), middle = std::min(c.iw, s.wide - left);
    // A line apart, or planes of many sizes would share a few sets of the cache.
    int64_t plane = tall * s.wide * kEight + 16;
    float *to = grown(strip.copies, strip.in.size() * plane);
    strip.down = s.wide * kEight;
    for (size_t j = 0; j < strip.in.size(); ++j) {
      int64_t b = strip.in[j];
      masks open = -1;
      if (job.in_gates) open = gate(job.in_gates, c.ic, strip.image, b) != 0;
      const float *from = job.x + (strip.image * s.in + b) * c.ih * c.iw * kEight;
      float *p = to + j * plane, *next;
      strip.planes[j] = p;
      for (int64_t y = row; y < row + tall; ++y, p = next) {
        next = p + s.wide * kEight;
        if (y < 0 || y >= c.ih) {
          std::fill(p, next, 0.f);
          continue;
        }
        const float *x = from + y * c.iw * kEight;
        p = std::fill_n(p, left * kEight, 0.f);
        for (int64_t k = 0; k < middle; ++k, p += kEight)
          store(p, kept(load_eight(x + k * kEight), open));
        std::fill(p, next, 0.f);
      }
    }
  }

  // Positions of a run: tiles of very narrow images go over rows.
  int64_t run_of(const Strip &strip) const {
    return s.line || s.c.ow < 3 ? strip.rows * s.c.ow : s.c.ow;
  }

  void find_tiles(Strip &strip, int blocks) const {
    auto &c = s.c;
    int64_t run = run_of(strip), count = (run + kinds.positions[blocks] - 1) / kinds.positions[blocks];
    auto &tiles = strip.tiles[blocks];
    tiles.resize(count);
    int64_t y = 0, x = 0;
    for (int64_t k = 0; k < count; ++k) {
      auto &t = tiles[k];
      t.first = run * k / count, t.count = run * (k + 1) / count - t.first;
      for (int64_t r = 0; r < t.count; ++r) {
        t.at[r] = y * c.strides[0] * strip.down + x * c.strides[1] * kEight;
        if (++x == c.ow) x = 0, ++y;
      }
    }
  }

  // Kernel's rows come before blocks of inputs, so that a range of them can be left out.
  void find_steps(Strip &strip) const {
    auto &c = s.c;
    int64_t inputs = strip.in.size();
    Taps across = taps_of(s, 1, 0, c.ow - 1);
    strip.steps.clear();
    for (int64_t begin = 0; begin < inputs; begin += together)
      for (int64_t y = 0; y < c.kernel[0]; ++y)
        for (int64_t j = begin; j < std::min(begin + together, inputs); ++j)
          for (int64_t x = across.begin; x < across.end; ++x)
            strip.steps.push_back(
                {strip.planes[j] + y * c.dilations[0] * strip.down + x * c.dilations[1] * kEight,
                 strip.in[j] * s.pair + (y * c.kernel[1] + x) * kEight * kEight});
    strip.steps.push_back({job.x, 0});
  }

  void prepare(Strip &strip, int64_t image, int64_t index) const {
    auto &c = s.c;
    if (strip.image == image && strip.index == index) return;
    int64_t row = index * s.rows, rows = std::min(s.rows, c.oh - row);
    // Lines of the same length are the same tiles.
    bool known = s.line && strip.image >= 0 && rows == strip.rows;
    strip.image = image, strip.index = index;
    strip.row = row, strip.rows = rows;
    bool partly = find_open(strip);
    strip.planes.resize(strip.in.size());
    if (!known) for (auto &tiles : strip.tiles) tiles.clear();
    if (partly || !s.inside) {
      copy(strip);
    } else {
      strip.down = c.iw * kEight;
      for (size_t j = 0; j < strip.in.size(); ++j) {
        int64_t plane = image * s.in + strip.in[j];
        strip.planes[j] = job.x + (plane * c.ih + strip.row * c.strides[0]) * c.iw * kEight;
      }
    }
    find_steps(strip);
  }

  Output output(const Strip &strip, int64_t b) const {
    return {job, s.c.oc, strip.image, b,
            ((strip.image * s.out + b) * s.c.oh + strip.row) * s.c.ow * kEight};
  }

  void compute(Strip &strip, const int64_t *blocks, int count) const {
    Group g{bounds};
    for (int n = 0; n < kMostBlocks; ++n) {
      int64_t b = blocks[std::min(n, count - 1)];
      g.outputs[n] = output(strip, b);
      g.weights[n] = job.weights + b * s.in * s.pair;
    }
    if (strip.tiles[count].empty()) find_tiles(strip, count);
    g.sums = grown(strip.sums, strip.rows * s.c.ow * (count + 1) * kEight);
    int64_t inputs = strip.in.size(), run = run_of(strip), tall = run / s.c.ow;
    int64_t steps = inputs ? (strip.steps.size() - 1) / inputs / s.c.kernel[0] : 0;
    int64_t j = 0;
    do {
      int64_t some = std::min(together, inputs - j);
      g.first = j == 0, g.last = j + some == inputs;
      const Step *begin = strip.steps.data() + j * steps * s.c.kernel[0];
      for (int64_t row = 0; row < strip.rows; row += tall) {
        Taps taps = taps_of(s, 0, strip.row + row, strip.row + row + tall - 1);
        g.begin = begin + taps.begin * some * steps, g.end = begin + taps.end * some * steps;
        g.position = row * s.c.ow, g.at = row * s.c.strides[0] * strip.down;
        for (auto &t : strip.tiles[count]) kinds.run[count][t.count](g, t);
      }
      j += some;
    } while (j < inputs);
    for (int n = 0; n < count; ++n)
      sums.set(strip.image, blocks[n], strip.index, g.outputs[n].sum);
  }

  void run(Strip &strip, int64_t unit) const {
    int64_t slice = unit % slices, index = unit / slices % s.strips;
    prepare(strip, unit / slices / s.strips, index);
    int64_t closed = strip.closed.size(), open = strip.out.size();
    for (int64_t k = closed * slice / slices; k < closed * (slice + 1) / slices; ++k) {
      Output o = output(strip, strip.closed[k]);
      o.close(bounds, strip.rows * s.c.ow);
      sums.set(strip.image, strip.closed[k], index, o.sum);
    }
    // Only the last group has an odd number of blocks where they go in pairs.
    int64_t pairs = (open + 1) / 2, groups = (open + kinds.blocks - 1) / kinds.blocks;
    auto place = [&](int64_t k) {
      return !kinds.paired ? open * k / groups : std::min(pairs * k / groups * 2, open);
    };
    for (int64_t k = groups * slice / slices; k < groups * (slice + 1) / slices; ++k)
      compute(strip, strip.out.data() + place(k), int(place(k + 1) - place(k)));
  }

  static void part(void *pointer, int part, int parts) {
    auto &skipping = *static_cast<Skipping *>(pointer);
    static thread_local Strip strip;
    strip.image = -1;
    share(skipping.items.taken, part, parts, skipping.items.count, [&](int64_t k) { skipping.run(strip, k); });
  }

  void run() {
    static thread_local std::vector<Line> found;
    int threads = nap_max_threads();
    int64_t units = s.c.n * s.strips;
    bool alone = threads == 1 || products() < kWorthThreads;
    if (!alone && units < 4 * threads) slices = (4 * threads + units - 1) / units;
    if (job.means) sums.numbers = grown(found, units * s.out * kEight);
    Items::run(*this, units * slices, alone);
    if (job.means) sums.average(s.c, job.means);
  }
};

struct Packing {
  const nap_skipping &c;
  const float *w;
  float *packed;  // [blocks of outputs, blocks of inputs, kernel, 8 inputs, 8 outputs]

  static void part(void *pointer, int part, int parts) {
    auto &job = *static_cast<Packing *>(pointer);
    Sizes s(job.c);
    int64_t taps = s.pair / kEight / kEight;
    for (int64_t k = s.in * s.out * part / parts; k < s.in * s.out * (part + 1) / parts; ++k) {
      int64_t output = k / s.in * kEight, input = k % s.in * kEight;
      float *to = job.packed + k * s.pair;
      for (int64_t t = 0; t < taps; ++t)
        for (int64_t i = input; i < input + kEight; ++i)
          for (int64_t o = output; o < output + kEight; ++o)
            *to++ = i < s.c.ic && o < s.c.oc ? job.w[(o * s.c.ic + i) * taps + t] : 0;
    }
  }
};

NAP_EIGHTS_END

}  // namespace

extern "C" {

size_t nap_skipping_weights_bytes(const nap_skipping *c) {
  if (c->winograd) return skipping_winograd_bytes(c);
  Sizes s(*c);
  return s.in * s.out * s.pair * sizeof(float);
}

void nap_skipping_weights(const nap_skipping *c, const float *w, float *packed) {
  if (c->winograd) return skipping_winograd_weights(c, w, packed);
  Packing job{*c, w, packed};
  nap_parallel(Packing::part, &job);
}

void nap_skipping_run(const nap_skipping *c, const nap_skipping_job *job) {
  if (c->winograd) return skipping_winograd_run(c, job);
  Skipping{*job, Sizes(*c)}.run();
}

}  // extern "C"

extern "C" int nap_skipping_supported(void) {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

#else

extern "C" {
int nap_skipping_supported(void) { return 0; }
size_t nap_skipping_weights_bytes(const nap_skipping *) { return 0; }
void nap_skipping_weights(const nap_skipping *, const float *, float *) {}
void nap_skipping_run(const nap_skipping *, const nap_skipping_job *) {}
}

#endif
