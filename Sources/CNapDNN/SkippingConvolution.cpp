// Convolutions that leave out what gates close: per image, blocks of 8 output channels are computed
// from blocks of 8 input channels, of which only the open ones are touched.
//
// A tile of some positions times some blocks of outputs stays in registers, while one goes over
// blocks of inputs and the kernel's positions (taps). An image is worked on in strips of rows.
// Where windows reach beyond it, strips are copied once, with zeros around. Every output is summed
// up in the same order, whatever tiles and threads it falls to.
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
// Products of 8 from which on it pays to wake a second thread.
constexpr int64_t kWorthThreads = 30000;
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
  int64_t some;           // blocks of inputs whose weights tiles go over before others follow

  explicit Sizes(const nap_skipping &c)
      : c(c), in(blocks_of(c.ic)), out(blocks_of(c.oc)),
        pair(c.kernel[0] * c.kernel[1] * kLanes * kLanes) {
    strips = std::max<int64_t>(1, c.oh / std::max<int64_t>(1, kStrip / c.ow));
    rows = (c.oh + strips - 1) / strips;
    strips = (c.oh + rows - 1) / rows;
    wide = reach(1, c.ow);
    inside = c.top == 0 && c.left == 0 && reach(0, c.oh) <= c.ih && wide <= c.iw;
    some = std::max<int64_t>(1, kNear / (kBlocks * pair * int64_t(sizeof(float))));
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
  int64_t at[kPositions[1]];  // where their windows begin
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

// What tiles have in common: some blocks of outputs made by some steps.
struct Group {
  const nap_skipping_job &job;
  bool limit, limit_last;
  Output outputs[kBlocks];
  float *sums;            // between the first and the last steps, [positions, outputs, 8]
  int64_t position, at;   // where a run begins, and its windows
  const Step *begin, *end;
  bool first, last;       // whether these are an output's first steps, its last

  explicit Group(const nap_skipping_job &job)
      : job(job), limit(job.lower > -kInfinity || job.upper < kInfinity),
        limit_last(job.last_lower > -kInfinity || job.last_upper < kInfinity) {}
};

// Makes R neighbouring outputs of sums.
template <int R>
NAP_INLINE void finish(const Group &g, Output &o, lanes *y, int64_t position) {
  if (g.limit)
    for (int r = 0; r < R; ++r) y[r] = limited(y[r], g.job.lower, g.job.upper);
  for (int r = 0; r < R; ++r) y[r] = kept(y[r] * o.gates, o.open);
  if (o.residual)
    for (int r = 0; r < R; ++r) y[r] += load(o.residual + (position + r) * kLanes);
  if (g.limit_last)
    for (int r = 0; r < R; ++r)
      y[r] = kept(limited(y[r], g.job.last_lower, g.job.last_upper), o.channels);
  lanes sum = o.sum;
  for (int r = 0; r < R; ++r) sum += y[r];
  o.sum = sum;
  for (int r = 0; r < R; ++r) store(o.y + (position + r) * kLanes, y[r]);
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
  int64_t position = g.position + t.first;
  float *sums = g.sums + position * N * kLanes;
#pragma clang loop unroll(full)
  for (int r = 0; r < R; ++r)
#pragma clang loop unroll(full)
    for (int n = 0; n < N; ++n)
      sum[r][n] = g.first ? g.outputs[n].bias : load(sums + (r * N + n) * kLanes);
  int64_t at[R];
  const float *weights[N];
#pragma clang loop unroll(full)
  for (int r = 0; r < R; ++r) at[r] = g.at + t.at[r];
#pragma clang loop unroll(full)
  for (int n = 0; n < N; ++n) weights[n] = g.outputs[n].weights;
  for (const Step *step = g.begin; step != g.end; ++step) {
    const float *from = step->x;
    int64_t next = step->weights;
    // Planes lie too far apart to be foreseen by the processor.
    __builtin_prefetch(step[1].x + at[0]);
    __builtin_prefetch(step[1].x + at[R - 1]);
#pragma clang loop unroll(full)
    for (int c = 0; c < kLanes; ++c) {
      lanes w[N];
#pragma clang loop unroll(full)
      for (int n = 0; n < N; ++n) w[n] = load_now(weights[n] + next + c * kLanes);
#pragma clang loop unroll(full)
      for (int r = 0; r < R; ++r) {
        lanes x = repeat_now(from + at[r] + c);
#pragma clang loop unroll(full)
        for (int n = 0; n < N; ++n) add_product_now(sum[r][n], x, w[n]);
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
    lanes y[R];
#pragma clang loop unroll(full)
    for (int r = 0; r < R; ++r) y[r] = sum[r][n];
    finish<R>(g, g.outputs[n], y, position);
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
  std::vector<Step> steps;               // of all blocks of inputs, some at a time; and one to end
  std::vector<Tile> tiles[kBlocks + 1];  // of a run
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

  static lanes gate(const float *gates, int64_t channels, int64_t image, int64_t b) {
    return load_some(gates + image * channels + b * kLanes, channels - b * kLanes);
  }

  static bool is_open(const float *gates, int64_t channels, int64_t image, int64_t b) {
    return !gates || any(gate(gates, channels, image, b) != 0);
  }

  int64_t count_open(const float *gates, int64_t channels, int64_t image) const {
    int64_t count = 0;
    for (int64_t b = 0; b < blocks_of(channels); ++b) count += is_open(gates, channels, image, b);
    return count;
  }

  // Of 8, that are not left out.
  int64_t products() const {
    int64_t pairs = 0;
    for (int64_t i = 0; i < s.c.n; ++i)
      pairs += count_open(job.in_gates, s.c.ic, i) * count_open(job.out_gates, s.c.oc, i);
    return pairs * s.pair / kLanes * s.c.oh * s.c.ow;
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
        for (int64_t k = 0; k < middle; ++k, p += kLanes)
          store(p, kept(load(x + k * kLanes), open));
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
    int64_t run = run_of(strip), count = (run + kPositions[blocks] - 1) / kPositions[blocks];
    auto &tiles = strip.tiles[blocks];
    tiles.resize(count);
    int64_t y = 0, x = 0;
    for (int64_t k = 0; k < count; ++k) {
      auto &t = tiles[k];
      t.first = run * k / count, t.count = run * (k + 1) / count - t.first;
      for (int64_t r = 0; r < t.count; ++r) {
        t.at[r] = y * c.strides[0] * strip.down + x * c.strides[1] * kLanes;
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
    for (int64_t begin = 0; begin < inputs; begin += s.some)
      for (int64_t y = 0; y < c.kernel[0]; ++y)
        for (int64_t j = begin; j < std::min(begin + s.some, inputs); ++j)
          for (int64_t x = across.begin; x < across.end; ++x)
            strip.steps.push_back(
                {strip.planes[j] + y * c.dilations[0] * strip.down + x * c.dilations[1] * kLanes,
                 strip.in[j] * s.pair + (y * c.kernel[1] + x) * kLanes * kLanes});
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
      strip.down = c.iw * kLanes;
      for (size_t j = 0; j < strip.in.size(); ++j) {
        int64_t plane = image * s.in + strip.in[j];
        strip.planes[j] = job.x + (plane * c.ih + strip.row * c.strides[0]) * c.iw * kLanes;
      }
    }
    find_steps(strip);
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
    o.open = o.channels & (o.gates != 0);
    if (job.residual) o.residual = job.residual + at;
    o.y = job.y + at;
    return o;
  }

  void add_sum(const Strip &strip, int64_t b, lanes sum) const {
    if (job.means) store(sums + ((strip.image * s.out + b) * s.strips + strip.index) * kLanes, sum);
  }

  void compute(Strip &strip, const int64_t *blocks, int count) const {
    Group g(job);
    for (int n = 0; n < count; ++n) g.outputs[n] = output(strip, blocks[n]);
    if (strip.tiles[count].empty()) find_tiles(strip, count);
    g.sums = grown(strip.sums, strip.rows * s.c.ow * count * kLanes);
    int64_t inputs = strip.in.size(), run = run_of(strip), tall = run / s.c.ow;
    int64_t steps = inputs ? (strip.steps.size() - 1) / inputs / s.c.kernel[0] : 0;
    int64_t j = 0;
    do {
      int64_t some = std::min(s.some, inputs - j);
      g.first = j == 0, g.last = j + some == inputs;
      const Step *begin = strip.steps.data() + j * steps * s.c.kernel[0];
      for (int64_t row = 0; row < strip.rows; row += tall) {
        Taps taps = taps_of(s, 0, strip.row + row, strip.row + row + tall - 1);
        g.begin = begin + taps.begin * some * steps, g.end = begin + taps.end * some * steps;
        g.position = row * s.c.ow, g.at = row * s.c.strides[0] * strip.down;
        for (auto &t : strip.tiles[count]) kTiles[count][t.count](g, t);
      }
      j += some;
    } while (j < inputs);
    for (int n = 0; n < count; ++n) add_sum(strip, blocks[n], g.outputs[n].sum);
  }

  void close(const Strip &strip, int64_t b) const {
    Group g(job);
    Output o = output(strip, b);
    int64_t positions = strip.rows * s.c.ow;
    lanes y = 0;
    if (o.residual)
      for (int64_t p = 0; p < positions; ++p, y = 0) finish<1>(g, o, &y, p);
    else {
      finish<1>(g, o, &y, 0);
      for (int64_t p = 1; p < positions; ++p) store(o.y + p * kLanes, y);
      o.sum = y * float(positions);
    }
    add_sum(strip, b, o.sum);
  }

  void run(Strip &strip, int64_t unit) const {
    int64_t slice = unit % slices, index = unit / slices % s.strips;
    prepare(strip, unit / slices / s.strips, index);
    int64_t closed = strip.closed.size(), open = strip.out.size();
    for (int64_t k = closed * slice / slices; k < closed * (slice + 1) / slices; ++k)
      close(strip, strip.closed[k]);
    int64_t groups = (open + kBlocks - 1) / kBlocks;
    for (int64_t k = groups * slice / slices; k < groups * (slice + 1) / slices; ++k) {
      int64_t begin = open * k / groups, end = open * (k + 1) / groups;
      compute(strip, strip.out.data() + begin, int(end - begin));
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
    bool alone = threads == 1 || products() < kWorthThreads;
    if (all.size() != size_t(threads)) all = std::vector<Taken>(threads);
    for (auto &t : all) t.items = 0;
    taken = all.data();
    slices = alone ? 1 : std::max<int64_t>(1, 2 * threads / units);
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
