// Convolutions that leave out what gates close: per image, blocks of 8 output channels are computed
// from blocks of 8 input channels, of which only the open ones are touched.
//
// A tile of some positions times some blocks of outputs stays in registers, while one goes over
// blocks of inputs and the kernel's positions (taps). An image is worked on in strips of rows, which
// are copied once with zeros around them where windows reach beyond the image. Every output is
// summed up in the same order, whatever tiles and threads it falls to.
#include "CNapDNN.h"
#include "Clones.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <vector>

#if defined(__x86_64__) && defined(__clang__)

#define NAP_INLINE static inline __attribute__((always_inline))

_Pragma("clang attribute push(__attribute__((target(\"avx2,fma\"))), apply_to = function)")

namespace {

typedef float lanes __attribute__((ext_vector_type(8)));
typedef int32_t masks __attribute__((ext_vector_type(8)));

constexpr int kLanes = 8;
// Blocks of outputs in a tile, at most, and positions: what fits into 16 registers.
constexpr int kBlocks = 3, kPositions[] = {0, 8, 6, 4};
// Bytes of weights that the nearest cache holds while tiles go over them.
constexpr int64_t kNear = 16 << 10;
// Positions of a strip, about.
constexpr int64_t kStrip = 256;
// Products of 8 from which on a second thread pays.
constexpr int64_t kWorthThreads = 20000;
constexpr float kInfinity = __builtin_inff();

NAP_INLINE lanes load(const float *p) {
  lanes x;
  std::memcpy(&x, p, sizeof x);
  return x;
}

NAP_INLINE void store(float *p, lanes x) { std::memcpy(p, &x, sizeof x); }

// The first `count` of 8 numbers, and zeros.
NAP_INLINE lanes load_some(const float *p, int64_t count) {
  lanes x = 0;
  std::memcpy(&x, p, std::min<int64_t>(count, kLanes) * sizeof(float));
  return x;
}

NAP_INLINE lanes kept(lanes x, masks where) { return (lanes)((masks)x & where); }

NAP_INLINE bool any(masks m) { return __builtin_ia32_movmskps256((lanes)m) != 0; }
NAP_INLINE bool all(masks m) { return __builtin_ia32_movmskps256((lanes)m) == 255; }

// NaN stays NaN: such a number is neither below nor above another.
NAP_INLINE lanes limited(lanes x, float lower, float upper) {
  x = x < lanes(lower) ? lanes(lower) : x;
  return x > lanes(upper) ? lanes(upper) : x;
}

int64_t blocks_of(int64_t channels) { return (channels + kLanes - 1) / kLanes; }

// Of the last block, lanes that are channels.
masks channels_of(int64_t channels, int64_t block) {
  masks lane = {0, 1, 2, 3, 4, 5, 6, 7};
  return lane < masks(int32_t(channels - block * kLanes));
}

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
        pair(c.kernel[0] * c.kernel[1] * kLanes * kLanes) {
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

struct Tile {
  int64_t first, count;            // positions of its strip
  int64_t at[kPositions[1]];       // where their windows begin
  Taps down, across;
};

// Of a block of outputs.
struct Output {
  const float *weights;
  lanes bias, gates;
  masks open, channels;
  const float *residual;
  float *y;
  lanes sum;  // of y
};

// What tiles have in common: some blocks of outputs made from some blocks of inputs.
struct Group {
  const nap_skipping_job &job;
  Output outputs[kBlocks];
  const float *const *planes;      // of the inputs
  const int64_t *blocks;
  int64_t count, pair;
  int64_t down, across, wide;      // numbers from tap to tap, taps in a row
  bool first, last;                // of the blocks of inputs
  bool limit, limit_last;
  float *sums;                     // between the first and the last, [positions, outputs, 8]
};

NAP_INLINE lanes finished(const Group &g, const Output &o, lanes x, int64_t position) {
  if (g.limit) x = limited(x, g.job.lower, g.job.upper);
  x = kept(x * o.gates, o.open);
  if (o.residual) x += load(o.residual + position * kLanes);
  if (g.limit_last) x = limited(x, g.job.last_lower, g.job.last_upper);
  return kept(x, o.channels);
}

// In the order in which they are written: compilers would load ahead, and not have the registers.
NAP_INLINE lanes load_now(const float *p) {
  lanes x;
  asm volatile("vmovups %1, %0" : "=x"(x) : "m"(*(const lanes *)p));
  return x;
}

NAP_INLINE lanes repeat_now(const float *p) {
  lanes x;
  asm volatile("vbroadcastss %1, %0" : "=x"(x) : "m"(*p));
  return x;
}

NAP_INLINE void add_product_now(lanes &sum, lanes x, lanes y) {
  asm volatile("vfmadd231ps %1, %2, %0" : "+x"(sum) : "x"(x), "x"(y));
}

template <int R, int N>
void tile(Group &g, const Tile &t) {
  lanes sum[R][N];
  float *sums = g.sums + t.first * N * kLanes;
#pragma clang loop unroll(full)
  for (int r = 0; r < R; ++r)
#pragma clang loop unroll(full)
    for (int n = 0; n < N; ++n)
      sum[r][n] = g.first ? g.outputs[n].bias : load(sums + (r * N + n) * kLanes);
  int64_t at[R];
#pragma clang loop unroll(full)
  for (int r = 0; r < R; ++r) at[r] = t.at[r];
  for (int64_t j = 0; j < g.count; ++j) {
    const float *weights[N];
#pragma clang loop unroll(full)
    for (int n = 0; n < N; ++n) weights[n] = g.outputs[n].weights + g.blocks[j] * g.pair;
    for (int64_t y = t.down.begin; y < t.down.end; ++y)
      for (int64_t x = t.across.begin; x < t.across.end; ++x) {
        const float *from = g.planes[j] + y * g.down + x * g.across;
        int64_t tap = (y * g.wide + x) * kLanes * kLanes;
#pragma clang loop unroll(full)
        for (int c = 0; c < kLanes; ++c) {
          lanes w[N];
#pragma clang loop unroll(full)
          for (int n = 0; n < N; ++n) w[n] = load_now(weights[n] + tap + c * kLanes);
#pragma clang loop unroll(full)
          for (int r = 0; r < R; ++r) {
            lanes x = repeat_now(from + at[r] + c);
#pragma clang loop unroll(full)
            for (int n = 0; n < N; ++n) add_product_now(sum[r][n], x, w[n]);
          }
        }
      }
  }
  if (!g.last) {
#pragma clang loop unroll(full)
    for (int r = 0; r < R; ++r)
#pragma clang loop unroll(full)
      for (int n = 0; n < N; ++n) store(sums + (r * N + n) * kLanes, sum[r][n]);
    return;
  }
#pragma clang loop unroll(full)
  for (int n = 0; n < N; ++n) {
    Output &o = g.outputs[n];
    lanes y[R];
#pragma clang loop unroll(full)
    for (int r = 0; r < R; ++r) y[r] = finished(g, o, sum[r][n], t.first + r);
#pragma clang loop unroll(full)
    for (int r = 0; r < R; ++r) {
      store(o.y + (t.first + r) * kLanes, y[r]);
      o.sum += y[r];
    }
  }
}

using Run = void (*)(Group &, const Tile &);
constexpr Run kTiles[kBlocks + 1][kPositions[1] + 1] = {
    {},
    {nullptr, tile<1, 1>, tile<2, 1>, tile<3, 1>, tile<4, 1>, tile<5, 1>, tile<6, 1>, tile<7, 1>,
     tile<8, 1>},
    {nullptr, tile<1, 2>, tile<2, 2>, tile<3, 2>, tile<4, 2>, tile<5, 2>, tile<6, 2>},
    {nullptr, tile<1, 3>, tile<2, 3>, tile<3, 3>, tile<4, 3>},
};

struct alignas(64) Line {
  float numbers[16];
};

// What a thread knows of the strip it works on; memory stays for the next.
struct Strip {
  int64_t image, index;
  int64_t row, rows;                     // of outputs
  std::vector<int64_t> in, out, closed;  // blocks: open ones, and of outputs the others
  std::vector<const float *> planes;     // of open inputs
  int64_t down;                          // numbers from row to row
  std::vector<Tile> tiles[kBlocks + 1];
  std::vector<Line> copies, sums;
};

float *grown(std::vector<Line> &lines, int64_t numbers) {
  size_t count = (numbers + 15) / 16;
  if (lines.size() < count) lines.resize(count);
  return lines.data()->numbers;
}

struct alignas(64) Taken {
  std::atomic<int64_t> items{0};
};

struct Skipping {
  const nap_skipping_job &job;
  Sizes s;
  int64_t slices;  // of a strip's outputs, which threads may take apart
  Taken *taken;
  float *sums;     // of y, [n, blocks, strips, 8], where means are wanted

  // Which blocks of inputs are open; whether one is in part only.
  bool find_inputs(Strip &strip) const {
    bool partly = false;
    strip.in.clear();
    for (int64_t b = 0; b < s.in; ++b) {
      if (job.in_gates) {
        auto open = gate(job.in_gates, s.c.ic, strip.image, b) != 0;
        if (!any(open)) continue;
        partly |= !all(open == channels_of(s.c.ic, b));
      }
      strip.in.push_back(b);
    }
    return partly;
  }

  static lanes gate(const float *gates, int64_t channels, int64_t image, int64_t b) {
    return load_some(gates + image * channels + b * kLanes, channels - b * kLanes);
  }

  void find_outputs(Strip &strip) const {
    strip.out.clear(), strip.closed.clear();
    for (int64_t b = 0; b < s.out; ++b) {
      bool open = !job.out_gates || any(gate(job.out_gates, s.c.oc, strip.image, b) != 0);
      (open ? strip.out : strip.closed).push_back(b);
    }
  }

  // The rows of the open inputs that a strip needs, with zeros where there is no image.
  void copy(Strip &strip) const {
    auto &c = s.c;
    int64_t tall = s.reach(0, strip.rows), row = strip.row * c.strides[0] - c.top;
    int64_t left = std::min(c.left, s.wide), middle = std::min(c.iw, s.wide - left);
    // A line apart, or planes of many sizes would share a few sets of the cache.
    int64_t plane = tall * s.wide * kLanes + 16;
    float *to = grown(strip.copies, strip.in.size() * plane);
    strip.down = s.wide * kLanes;
    for (size_t j = 0; j < strip.in.size(); ++j) {
      int64_t b = strip.in[j];
      masks open = -1;
      if (job.in_gates) open = gate(job.in_gates, c.ic, strip.image, b) != 0;
      const float *from = job.x + (strip.image * s.in + b) * c.ih * c.iw * kLanes;
      float *p = to + j * plane, *next;
      strip.planes[j] = p;
      for (int64_t y = row; y < row + tall; ++y, p = next) {
        next = p + s.wide * kLanes;
        if (y < 0 || y >= c.ih) {
          std::fill(p, next, 0.f);
          continue;
        }
        const float *x = from + y * c.iw * kLanes;
        p = std::fill_n(p, left * kLanes, 0.f);
        for (int64_t k = 0; k < middle; ++k, p += kLanes) store(p, kept(load(x + k * kLanes), open));
        std::fill(p, next, 0.f);
      }
    }
  }

  void find_tiles(Strip &strip, int blocks) const {
    auto &c = s.c;
    auto &tiles = strip.tiles[blocks];
    int64_t positions = strip.rows * c.ow, most = kPositions[blocks];
    // Tiles of very narrow images go over rows.
    bool over = s.line || c.ow < 3;
    int64_t run = over ? positions : c.ow, count = (run + most - 1) / most;
    for (int64_t begin = 0; begin < positions; begin += run)
      for (int64_t k = 0; k < count; ++k) {
        tiles.emplace_back();
        auto &t = tiles.back();
        t.first = begin + run * k / count;
        t.count = begin + run * (k + 1) / count - t.first;
        int64_t y = t.first / c.ow, x = t.first % c.ow, row = strip.row + y, column = x;
        for (int64_t r = 0; r < t.count; ++r) {
          t.at[r] = y * c.strides[0] * strip.down + x * c.strides[1] * kLanes;
          if (++x == c.ow) x = 0, ++y;
        }
        int64_t last = t.first + t.count - 1;
        t.down = taps_of(s, 0, row, strip.row + last / c.ow);
        t.across = over ? taps_of(s, 1, 0, c.ow - 1) : taps_of(s, 1, column, column + t.count - 1);
      }
  }

  void prepare(Strip &strip, int64_t image, int64_t index) const {
    auto &c = s.c;
    if (strip.image == image && strip.index == index) return;
    strip.image = image, strip.index = index;
    strip.row = index * s.rows, strip.rows = std::min(s.rows, c.oh - strip.row);
    bool partly = find_inputs(strip);
    find_outputs(strip);
    strip.planes.resize(strip.in.size());
    for (auto &tiles : strip.tiles) tiles.clear();
    if (partly || !s.inside) return copy(strip);
    strip.down = c.iw * kLanes;
    for (size_t j = 0; j < strip.in.size(); ++j) {
      int64_t plane = image * s.in + strip.in[j];
      strip.planes[j] = job.x + (plane * c.ih + strip.row * c.strides[0]) * c.iw * kLanes;
    }
  }

  Output output(const Strip &strip, int64_t b) const {
    auto &c = s.c;
    int64_t at = ((strip.image * s.out + b) * c.oh + strip.row) * c.ow * kLanes;
    Output o{};
    o.weights = job.weights + b * s.in * s.pair;
    o.channels = channels_of(c.oc, b);
    if (job.bias) o.bias = load_some(job.bias + b * kLanes, c.oc - b * kLanes);
    o.gates = 1;
    if (job.out_gates) o.gates = gate(job.out_gates, c.oc, strip.image, b);
    o.open = o.gates != 0;
    if (job.residual) o.residual = job.residual + at;
    o.y = job.y + at;
    return o;
  }

  void add_sum(const Strip &strip, int64_t b, lanes sum) const {
    if (job.means) store(sums + ((strip.image * s.out + b) * s.strips + strip.index) * kLanes, sum);
  }

  Group group(const Strip &strip) const {
    Group g{job, {}, nullptr, nullptr, 0, 0, 0, 0, 0, false, false, false, false, nullptr};
    g.pair = s.pair;
    g.down = s.c.dilations[0] * strip.down, g.across = s.c.dilations[1] * kLanes;
    g.wide = s.c.kernel[1];
    g.limit = job.lower > -kInfinity || job.upper < kInfinity;
    g.limit_last = job.last_lower > -kInfinity || job.last_upper < kInfinity;
    return g;
  }

  void compute(Strip &strip, const int64_t *blocks, int count) const {
    Group g = group(strip);
    for (int n = 0; n < count; ++n) g.outputs[n] = output(strip, blocks[n]);
    if (strip.tiles[count].empty()) find_tiles(strip, count);
    g.sums = grown(strip.sums, strip.rows * s.c.ow * count * kLanes);
    int64_t inputs = strip.in.size();
    int64_t some = std::max<int64_t>(1, kNear / (count * s.pair * int64_t(sizeof(float))));
    int64_t j = 0;
    do {
      g.first = j == 0, g.last = j + some >= inputs;
      g.planes = strip.planes.data() + j, g.blocks = strip.in.data() + j;
      g.count = std::min(some, inputs - j);
      for (auto &t : strip.tiles[count]) kTiles[count][t.count](g, t);
      j += some;
    } while (j < inputs);
    for (int n = 0; n < count; ++n) add_sum(strip, blocks[n], g.outputs[n].sum);
  }

  void close(const Strip &strip, int64_t b) const {
    Group g = group(strip);
    Output o = output(strip, b);
    for (int64_t p = 0; p < strip.rows * s.c.ow; ++p) {
      lanes y = finished(g, o, 0, p);
      store(o.y + p * kLanes, y);
      o.sum += y;
    }
    add_sum(strip, b, o.sum);
  }

  void run(Strip &strip, int64_t unit) const {
    int64_t slice = unit % slices, index = unit / slices % s.strips;
    prepare(strip, unit / slices / s.strips, index);
    int64_t closed = strip.closed.size(), open = strip.out.size();
    for (int64_t k = closed * slice / slices; k < closed * (slice + 1) / slices; ++k)
      close(strip, strip.closed[k]);
    // Threes, and twos where a single one would be left.
    int64_t end = open * (slice + 1) / slices;
    for (int64_t k = open * slice / slices; k < end;) {
      int count = int(end - k == 4 ? 2 : std::min<int64_t>(end - k, kBlocks));
      compute(strip, strip.out.data() + k, count);
      k += count;
    }
  }

  // Items of a thread's own part first, then what others have left of theirs.
  static void part(void *pointer, int part, int parts) {
    auto &skipping = *static_cast<Skipping *>(pointer);
    static thread_local Strip strip;
    strip.image = -1;
    int64_t units = skipping.s.c.n * skipping.s.strips * skipping.slices;
    for (int turn = 0; turn < parts; ++turn) {
      int whose = (part + turn) % parts;
      int64_t start = units * whose / parts, end = units * (whose + 1) / parts;
      for (int64_t k; (k = start + skipping.taken[whose].items++) < end;) skipping.run(strip, k);
    }
  }

  void run() {
    static thread_local std::vector<Taken> all;
    static thread_local std::vector<Line> found;
    int threads = nap_max_threads();
    int64_t units = s.c.n * s.strips;
    bool alone = units * s.rows * s.c.ow * s.in * s.out * s.pair / kLanes < kWorthThreads;
    if (all.size() != size_t(threads)) all = std::vector<Taken>(threads);
    for (auto &t : all) t.items = 0;
    taken = all.data();
    slices = alone || threads == 1 ? 1 : std::max<int64_t>(1, 4 * threads / units);
    if (job.means) sums = grown(found, units * s.out * kLanes);
    if (alone) part(this, 0, 1);
    else nap_parallel(part, this);
    if (job.means) average();
  }

  void average() const {
    for (int64_t k = 0; k < s.c.n * s.out; ++k) {
      lanes sum = 0;
      for (int64_t i = 0; i < s.strips; ++i) sum += load(sums + (k * s.strips + i) * kLanes);
      sum /= float(s.c.oh * s.c.ow);
      int64_t channel = k % s.out * kLanes;
      std::memcpy(
          job.means + k / s.out * s.c.oc + channel, &sum,
          std::min<int64_t>(kLanes, s.c.oc - channel) * sizeof(float));
    }
  }
};

struct Packing {
  const nap_skipping &c;
  const float *w;
  float *packed;  // [blocks of outputs, blocks of inputs, kernel, 8 inputs, 8 outputs]

  static void part(void *pointer, int part, int parts) {
    auto &job = *static_cast<Packing *>(pointer);
    Sizes s(job.c);
    int64_t taps = s.pair / kLanes / kLanes;
    for (int64_t k = s.in * s.out * part / parts; k < s.in * s.out * (part + 1) / parts; ++k) {
      int64_t output = k / s.in * kLanes, input = k % s.in * kLanes;
      float *to = job.packed + k * s.pair;
      for (int64_t t = 0; t < taps; ++t)
        for (int64_t i = input; i < input + kLanes; ++i)
          for (int64_t o = output; o < output + kLanes; ++o)
            *to++ = i < s.c.ic && o < s.c.oc ? job.w[(o * s.c.ic + i) * taps + t] : 0;
    }
  }
};

}  // namespace

extern "C" {

size_t nap_skipping_weights_bytes(const nap_skipping *c) {
  Sizes s(*c);
  return s.in * s.out * s.pair * sizeof(float);
}

void nap_skipping_weights(const nap_skipping *c, const float *w, float *packed) {
  Packing job{*c, w, packed};
  nap_parallel(Packing::part, &job);
}

void nap_skipping_run(const nap_skipping *c, const nap_skipping_job *job) {
  Skipping{*job, Sizes(*c), 1, nullptr, nullptr}.run();
}

}  // extern "C"

_Pragma("clang attribute pop")

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
