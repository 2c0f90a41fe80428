// 3x3 convolutions with stride 1 that leave out what gates close, by Winograd's F(4x4, 3x3) as in
// Winograd.cpp: per image, only blocks with an open channel are transformed, only open channels are
// multiplied, and only open blocks of outputs are made.
//
// Activations lie in blocks of 8 channels, of which two that are open, wherever they are, share a
// register; where there is one, two tiles do. The tiles of an image are worked on in units: the open channels of its inputs, with zeros
// around, then their transforms, products, outputs.
#include "Skipping.h"

#if NAP_HAS_SKIPPING

#include "WinogradLines.h"

namespace {

NAP_LANES_BEGIN

constexpr int kPoints = 36;
// Tiles whose products with two registers of weights stay in registers, at most.
constexpr int kRows = 14;
// Bytes of transformed inputs, and of products, that a part of a core's cache holds.
constexpr int64_t kInputs = 640 << 10, kOutputs = 320 << 10;
// Products of 8 from which on it pays to wake a second thread.
constexpr int64_t kWorthThreads = 60000;

// What follows from the sizes.
struct Sizes {
  const nap_skipping &c;
  int64_t in, out;  // blocks of channels
  int64_t tall, wide, tiles;
  int64_t groups, units;  // of tiles: that are multiplied together; that go through all stages together

  explicit Sizes(const nap_skipping &c)
      : c(c), in(blocks_of(c.ic)), out(blocks_of(c.oc)), tall((c.oh + 3) / 4),
        wide((c.ow + 3) / 4), tiles(tall * wide), groups((tiles + kRows - 1) / kRows) {
    int64_t bytes = kPoints * kLanes * sizeof(float) * kRows;
    int64_t most = std::max<int64_t>(1, kInputs / (bytes * ((in + 1) / 2)));
    units = (groups + most - 1) / most;
  }

  int64_t group(int64_t k) const { return tiles * k / groups; }
  int64_t unit(int64_t k) const { return group(groups * k / units); }
};

// An open input: where a tile has it, and where its weights are.
struct Channel {
  int32_t value, weights;
};

// m[t][16 N] = sum over open channels of v[t][channel] u[channel][16], for R tiles.
template <int R, int N>
void product(
    const float *v, int64_t tile, const Channel *channels, int64_t count, const float *const *u,
    float *m, int64_t outputs) {
  lanes sum[R][N];
#pragma clang loop unroll(full)
  for (int t = 0; t < R; ++t)
#pragma clang loop unroll(full)
    for (int n = 0; n < N; ++n) sum[t][n] = 0;
  for (const Channel *c = channels; c != channels + count; ++c) {
    lanes w[N];
#pragma clang loop unroll(full)
    for (int n = 0; n < N; ++n)
      w[n] = join(load_eight(u[2 * n] + c->weights), load_eight(u[2 * n + 1] + c->weights));
    const float *x = v + c->value;
#pragma clang loop unroll(full)
    for (int t = 0; t < R; ++t)
#pragma clang loop unroll(full)
      for (int n = 0; n < N; ++n) sum[t][n] += w[n] * x[t * tile];
  }
#pragma clang loop unroll(full)
  for (int t = 0; t < R; ++t)
#pragma clang loop unroll(full)
    for (int n = 0; n < N; ++n) store(m + t * outputs + n * kLanes, sum[t][n]);
}

using Product = void (*)(
    const float *, int64_t, const Channel *, int64_t, const float *const *, float *, int64_t);
#define NAP_PRODUCTS(N)                                                                          \
  {nullptr, product<1, N>, product<2, N>, product<3, N>, product<4, N>, product<5, N>,           \
   product<6, N>, product<7, N>, product<8, N>, product<9, N>, product<10, N>, product<11, N>,   \
   product<12, N>, product<13, N>, product<14, N>}
constexpr Product kProducts[3][kRows + 1] = {{}, NAP_PRODUCTS(1), NAP_PRODUCTS(2)};
#undef NAP_PRODUCTS

// What a thread knows of the unit it works on; memory stays for the next.
struct Unit {
  int64_t image = -1, index;
  int64_t first, count;                  // of its tiles
  std::vector<int64_t> in, out, closed;  // blocks: open ones, and of outputs the others
  std::vector<Channel> channels;
  int64_t tile, point;                   // numbers from one to the next, of inputs
  bool is_transformed;
  std::vector<Line> copies, values, products;
};

struct SkippingWinograd {
  const nap_skipping_job &job;
  Sizes s;
  int64_t slices = 1;  // of a unit's outputs, which threads may take apart
  Items items{};
  Sums sums{nullptr, s.out, s.units};
  Bounds bounds{job};

  void find_open(Unit &unit) const {
    unit.in.clear(), unit.out.clear(), unit.closed.clear(), unit.channels.clear();
    for (int64_t b = 0; b < s.in; ++b) {
      if (!is_open(job.in_gates, s.c.ic, unit.image, b)) continue;
      for (int64_t c = b * kEight; c < std::min(s.c.ic, (b + 1) * kEight); ++c)
        if (!job.in_gates || job.in_gates[unit.image * s.c.ic + c] != 0)
          unit.channels.push_back(
              {int32_t(unit.in.size() * kEight + c % kEight), int32_t(c * kEight)});
      unit.in.push_back(b);
    }
    for (int64_t b = 0; b < s.out; ++b)
      (is_open(job.out_gates, s.c.oc, unit.image, b) ? unit.out : unit.closed).push_back(b);
  }

  // Rows of a block of an image, or of two, with zeros around; `row` is the first.
  template <int N>
  void copy(const float *const *blocks, int64_t row, int64_t rows, float *to) const {
    auto &c = s.c;
    int64_t wide = 4 * s.wide + 2, left = c.left, middle = std::min(c.iw, wide - left);
    for (int64_t y = row; y < row + rows; ++y, to += wide * N * kEight) {
      if (y < 0 || y >= c.ih) {
        std::memset(to, 0, wide * N * kEight * sizeof(float));
        continue;
      }
      std::memset(to, 0, left * N * kEight * sizeof(float));
      float *x = to + left * N * kEight;
      for (int64_t k = 0; k < middle; ++k)
        for (int n = 0; n < N; ++n, x += kEight)
          store(x, load_eight(blocks[n] + (y * c.iw + k) * kEight));
      std::memset(x, 0, (wide - left - middle) * N * kEight * sizeof(float));
    }
  }

  // N: how many blocks a register holds; if one, of two tiles.
  template <int N>
  void transform_inputs(Unit &unit) const {
    auto &c = s.c;
    int64_t wide = 4 * s.wide + 2;
    int64_t above = unit.first / s.wide, below = (unit.first + unit.count - 1) / s.wide;
    int64_t row = 4 * above - c.top, rows = 4 * (below - above + 1) + 2;
    int64_t blocks = unit.in.size(), plane = c.ih * c.iw * kEight;
    unit.tile = (blocks + N - 1) / N * N * kEight;
    // One cache line is left out after every point, or the points would share a few sets.
    unit.point = unit.count * unit.tile + kLanes;
    float *image = grown(unit.copies, rows * wide * N * kEight);
    float *v = grown(unit.values, kPoints * unit.point);
    auto place = [&](int64_t t) {
      int64_t y = (unit.first + t) / s.wide - above, x = (unit.first + t) % s.wide;
      return image + 4 * (y * wide + x) * N * kEight;
    };
    for (int64_t k = 0; k < blocks; k += N) {
      const float *planes[N];
      for (int n = 0; n < N; ++n)
        planes[n] = job.x + (unit.image * s.in + unit.in[std::min(k + n, blocks - 1)]) * plane;
      copy<N>(planes, row, rows, image);
      for (int64_t t = 0; t < unit.count; t += 3 - N) {
        int64_t next = std::min(t + 1, unit.count - 1);
        const float *a = place(t), *b = place(next);
        float *to = v + t * unit.tile + k * kEight, *other = v + next * unit.tile + k * kEight;
        lanes d[6], e[36], f[6];
        for (int j = 0; j < 6; ++j) {
          for (int i = 0; i < 6; ++i) {
            int64_t at = (i * wide + j) * N * kEight;
            d[i] = N == 2 ? load(a + at) : join(load_eight(a + at), load_eight(b + at));
          }
          input_line(d, e + j, 6);
        }
        for (int i = 0; i < 6; ++i) {
          input_line(e + 6 * i, f, 1);
          for (int j = 0; j < 6; ++j) {
            int64_t at = (6 * i + j) * unit.point;
            if (N == 2) store(to + at, f[j]);
            else store(to + at, f[j].lo), store(other + at, f[j].hi);
          }
        }
      }
    }
  }

  // Products of some open blocks of outputs, which lie one after another.
  void multiply(
      const Unit &unit, const int64_t *blocks, int64_t count, float *m, int64_t outputs,
      int64_t point) const {
    int64_t block = s.c.ic * kEight;
    int64_t begin = s.groups * unit.index / s.units, end = s.groups * (unit.index + 1) / s.units;
    auto *values = reinterpret_cast<const float *>(unit.values.data());
    for (int p = 0; p < kPoints; ++p)
      for (int64_t k = 0; k < count; k += 4) {
        const float *u[4];
        for (int n = 0; n < 4; ++n)
          u[n] = job.weights + (p * s.out + blocks[std::min(k + n, count - 1)]) * block;
        auto *products = kProducts[count - k > 2 ? 2 : 1];
        for (int64_t g = begin; g < end; ++g) {
          int64_t t = s.group(g) - unit.first, some = s.group(g + 1) - s.group(g);
          products[some](
              values + p * unit.point + t * unit.tile, unit.tile,
              unit.channels.data(), unit.channels.size(), u, m + p * point + t * outputs + k * kEight,
              outputs);
        }
      }
  }

  Output output(const Unit &unit, int64_t b) const {
    return {job, s.c.oc, unit.image, b, (unit.image * s.out + b) * s.c.oh * s.c.ow * kEight};
  }

  // N: as for inputs; with one block, tiles must be full.
  template <int N>
  void transform_outputs(const Unit &unit, const float *m, int64_t outputs, int64_t point, Pair &pair)
      const {
    auto &c = s.c;
    lanes bias = join(pair.outputs[0].bias, pair.outputs[1].bias);
    for (int64_t t = 0; t < unit.count; t += 3 - N) {
      int64_t next = N == 2 ? t : std::min(t + 1, unit.count - 1);
      const float *a = m + t * outputs, *b = m + next * outputs;
      lanes d[6], e[24], f[16], sum = pair.sum;
      for (int j = 0; j < 6; ++j) {
        for (int i = 0; i < 6; ++i) {
          int64_t at = (6 * i + j) * point;
          d[i] = N == 2 ? load(a + at) : join(load_eight(a + at), load_eight(b + at));
        }
        output_line(d, e + j, 6);
      }
      for (int i = 0; i < 4; ++i) output_line(e + 6 * i, f + 4 * i, 1);
      auto corner = [&](int64_t tile) {
        return (unit.first + tile) / s.wide * 4 * c.ow + (unit.first + tile) % s.wide * 4;
      };
      int64_t first = corner(t), second = corner(next);
      int rows = int(std::min<int64_t>(4, c.oh - first / c.ow));
      int columns = int(std::min<int64_t>(4, c.ow - first % c.ow));
      auto finish = [&](int i, int j) {
        int64_t at = i * c.ow + j;
        pair.finish(bounds, f[4 * i + j] + bias, first + at, second + at);
      };
      if (N == 1 || (rows == 4 && columns == 4)) {
        for (int i = 0; i < 4; ++i)
          for (int j = 0; j < 4; ++j) finish(i, j);
      } else {
        for (int i = 0; i < rows; ++i)
          for (int j = 0; j < columns; ++j) finish(i, j);
      }
      // The last tile was its own neighbour.
      if (N == 1 && next == t) pair.sum = join(pair.sum.lo, sum.hi);
    }
  }

  void compute(Unit &unit, const int64_t *blocks, int64_t count) const {
    int64_t outputs = (count + 1) / 2 * kLanes, point = unit.count * outputs + kLanes;
    float *m = grown(unit.products, kPoints * point);
    multiply(unit, blocks, count, m, outputs, point);
    for (int64_t k = 0; k < count; k += 2) {
      bool two = k + 1 < count;
      int64_t a = blocks[k], b = blocks[two ? k + 1 : k];
      const Output made[2] = {output(unit, a), output(unit, b)};
      Pair pair(made);
      const float *from = m + k * kEight;
      bool alone = !two && s.c.oh % 4 == 0 && s.c.ow % 4 == 0;
      if (alone) transform_outputs<1>(unit, from, outputs, point, pair);
      else transform_outputs<2>(unit, from, outputs, point, pair);
      sums.set(unit.image, a, unit.index, alone ? pair.sum.lo + pair.sum.hi : pair.sum.lo);
      if (two) sums.set(unit.image, b, unit.index, pair.sum.hi);
    }
  }

  void run(Unit &unit, int64_t item) const {
    int64_t slice = item % slices, index = item / slices % s.units, image = item / slices / s.units;
    if (unit.image != image || unit.index != index) {
      if (unit.image != image) {
        unit.image = image;
        find_open(unit);
      }
      unit.index = index;
      unit.first = s.unit(index), unit.count = s.unit(index + 1) - unit.first;
      unit.is_transformed = false;
    }
    // Closed blocks are a whole image's.
    int64_t closed = unit.closed.size(), shares = s.units * slices, share = item % shares;
    for (int64_t k = closed * share / shares; k < closed * (share + 1) / shares; ++k) {
      Output o = output(unit, unit.closed[k]);
      o.close(bounds, s.c.oh * s.c.ow);
      for (int64_t part = 0; part < s.units; ++part)
        sums.set(image, unit.closed[k], part, part ? eight(0) : o.sum);
    }
    int64_t open = unit.out.size(), pairs = (open + 1) / 2;
    int64_t begin = pairs * slice / slices * 2, end = std::min(pairs * (slice + 1) / slices * 2, open);
    int64_t bytes = kPoints * kLanes * sizeof(float) * unit.count;
    int64_t some = std::max<int64_t>(2, kOutputs / bytes / 2 * 2) * 2;
    if (begin < end && !unit.is_transformed) {
      if (unit.in.size() == 1) transform_inputs<1>(unit);
      else transform_inputs<2>(unit);
      unit.is_transformed = true;
    }
    for (int64_t k = begin; k < end; k += some)
      compute(unit, unit.out.data() + k, std::min(some, end - k));
  }

  static void part(void *pointer, int part, int parts) {
    auto &job = *static_cast<SkippingWinograd *>(pointer);
    static thread_local Unit unit;
    unit.image = -1;
    share(job.items.taken, part, parts, job.items.count, [&](int64_t k) { job.run(unit, k); });
  }

  // Of 8, that are not left out.
  int64_t products() const {
    return count_pairs(s.c, job) * kEight * kPoints * s.tiles;
  }

  void run() {
    static thread_local std::vector<Line> found;
    int64_t threads = nap_max_threads(), units = s.c.n * s.units;
    bool alone = threads == 1 || products() < kWorthThreads;
    if (!alone && units < 4 * threads)
      slices = std::min((4 * threads + units - 1) / units, (s.out + 1) / 2);
    if (job.means) sums.numbers = grown(found, units * s.out * kEight);
    Items::run(*this, units * slices, alone);
    if (job.means) sums.average(s.c, job.means);
  }
};

struct Transforming {
  const nap_skipping &c;
  const float *w;
  float *u;  // [points, blocks of outputs, inputs, 8 outputs]

  static void part(void *pointer, int part, int parts) {
    auto &job = *static_cast<Transforming *>(pointer);
    Sizes s(job.c);
    int64_t items = s.out * s.c.ic;
    for (int64_t k = items * part / parts; k < items * (part + 1) / parts; ++k) {
      int64_t b = k / s.c.ic, i = k % s.c.ic;
      float plain[9][kLanes] = {};
      for (int64_t o = b * kEight; o < std::min(s.c.oc, (b + 1) * kEight); ++o)
        for (int n = 0; n < 9; ++n) plain[n][o % kEight] = job.w[(o * s.c.ic + i) * 9 + n];
      lanes d[9], e[18], f[kPoints];
      for (int n = 0; n < 9; ++n) d[n] = load(plain[n]);
      for (int j = 0; j < 3; ++j) weight_line(d + j, 3, e + j, 3);
      for (int n = 0; n < 6; ++n) weight_line(e + 3 * n, 1, f + 6 * n, 1);
      for (int p = 0; p < kPoints; ++p) store(job.u + (p * items + k) * kEight, f[p].lo);
    }
  }
};

NAP_LANES_END

}  // namespace

size_t skipping_winograd_bytes(const nap_skipping *c) {
  return kPoints * ((c->oc + kEight - 1) / kEight) * c->ic * kEight * sizeof(float);
}

void skipping_winograd_weights(const nap_skipping *c, const float *w, float *transformed) {
  Transforming job{*c, w, transformed};
  nap_parallel(Transforming::part, &job);
}

void skipping_winograd_run(const nap_skipping *c, const nap_skipping_job *job) {
  SkippingWinograd{*job, Sizes(*c)}.run();
}

#endif
