// 3x3 convolutions with stride 1 by Winograd's F(4x4, 3x3), A. Lavin and S. Gray, "Fast Algorithms
// for Convolutional Neural Networks", CVPR 2016: tiles of 4x4 outputs from 6x6 inputs, 36 small
// matrix products instead of 144.
//
// Activations lie in blocks of 16 channels (aBcd16b), in float32 or bfloat16. Transforms and sums are
// float32; what is multiplied may be rounded to bfloat16 for instructions that multiply and add pairs
// of such numbers. A block of tiles goes through all three stages, input transform, products and
// output transform, before the next one begins, so that what lies between them stays in the cache.
// Where there are more weights than a core's cache holds, all threads work on the same block, which
// then is a larger one, and the weights are read less often.
#include "CNapDNN.h"
#include "Sharing.h"
#include "WinogradLines.h"

#include <algorithm>
#include <cstring>
#include <vector>

#if NAP_HAS_LANES

namespace {

constexpr int kPoints = 36;
// Tiles whose products stay in registers.
constexpr int kRows = 12;
// Bytes of an image batch that the caches are not likely to hold until it is read again.
constexpr int64_t kFar = 1 << 20;
// Between the scratch of two threads. Reading one's own in strides leads the prefetcher beyond it,
// and lines that the other writes would go back and forth between their caches.
constexpr int64_t kApart = 128 << 10;
// Pairs of blocks of channels from which on it pays, as measured, that all threads work on the same
// tiles: in a forward pass, for a gradient of weights.
constexpr int64_t kWide = 512, kWideGradient = 256;
// Blocks of inputs, and of outputs, whose gradients of weights a thread sums up together, as they read
// the same numbers from far caches.
constexpr int64_t kSide = 2;
constexpr float kInfinity = __builtin_inff();

NAP_LANES_BEGIN

int64_t blocks_of(int64_t channels) { return (channels + kLanes - 1) / kLanes; }

// Numbers from one point, tile or block of channels to the next.
struct Strides {
  int64_t point, tile, block;
};

// What follows from the sizes. Between the stages lie numbers `From` of inputs and `To` of outputs.
template <class From, class To>
struct Sizes {
  const nap_winograd &c;
  int64_t in, out;  // blocks of channels
  int64_t tall, wide, tiles;
  bool joint;                      // all threads work on one block of tiles, not each on its own
  int64_t block;                   // tiles that go through the stages together, an even number
  Strides from, to;
  int64_t from_bytes, both_bytes;  // of the first stage, of both

  Sizes(const nap_winograd &c, bool gradient)
      : c(c), in(blocks_of(c.ic)), out(blocks_of(c.oc)), tall((c.oh + 3) / 4),
        wide((c.ow + 3) / 4), tiles(c.n * tall * wide) {
    joint = in * out >= (gradient ? kWideGradient : kWide);
    // What lies between the stages stays in a part of a core's cache, or of the one they share.
    int64_t bytes = kPoints * kLanes * (in * sizeof(From) + out * sizeof(To));
    int64_t rows = (joint ? 12 << 20 : 240 << 10) / bytes / kRows;
    block = std::clamp<int64_t>(rows, 1, joint ? (tiles + kRows - 1) / kRows : 4) * kRows;
    from_bytes = arrange(from, in, sizeof(From), gradient);
    both_bytes = from_bytes + arrange(to, out, sizeof(To), gradient);
  }

 private:
  // One cache line is left out after every point, or the points would share a few sets.
  int64_t arrange(Strides &strides, int64_t blocks, int64_t size, bool gradient) const {
    if (gradient && joint) {
      int64_t point = block * kLanes + 64 / size;
      strides = {point, kLanes, kPoints * point};
      return blocks * strides.block * size;
    }
    strides = {block * blocks * kLanes + 64 / size, blocks * kLanes,
               gradient ? kLanes * kTogether<From> : kLanes};
    return kPoints * strides.point * size;
  }
};

// Tile `t` counts over images, rows and columns.
struct Place {
  int64_t image, row, column;
  template <class From, class To>
  Place(const Sizes<From, To> &s, int64_t t)
      : image(t / (s.tall * s.wide)), row(t / s.wide % s.tall * 4), column(t % s.wide * 4) {}
};

alignas(64) constexpr float kZeros[kLanes] = {};

// A pixel of an image's plane; zeros beyond its edges.
template <class T>
NAP_INLINE lanes pixel(const T *plane, int64_t h, int64_t w, int64_t row, int64_t column) {
  bool inside = row >= 0 && row < h && column >= 0 && column < w;
  return load(inside ? plane + (row * w + column) * kLanes : (const T *)kZeros);
}

// Two tiles lie element by element, as factors.
template <int Tiles, class T, class From, class To>
void transform_inputs(
    const Sizes<From, To> &s, const T *x, int64_t first, int64_t count, From *v) {
  auto &c = s.c;
  int64_t plane = int64_t(c.ih) * c.iw * kLanes;
  for (int64_t t = 0; t < count; t += Tiles) {
    // A tile too many is weighed by no gradient.
    const Place places[] = {{s, first + t}, {s, first + std::min(t + 1, count - 1)}};
    for (int64_t b = 0; b < s.in; ++b) {
      lanes d[6], e[Tiles][36];
      for (int k = 0; k < Tiles; ++k) {
        const Place &place = places[k];
        const T *from = x + (place.image * s.in + b) * plane;
        for (int j = 0; j < 6; ++j) {
          for (int i = 0; i < 6; ++i)
            d[i] = pixel(from, c.ih, c.iw, place.row - c.top + i, place.column - c.left + j);
          input_line(d, e[k] + j, 6);
        }
      }
      From *to = v + t * s.from.tile + b * s.from.block;
      for (int i = 0; i < 6; ++i) {
        lanes f[6][Tiles];
        for (int k = 0; k < Tiles; ++k) input_line(e[k] + 6 * i, f[0] + k, Tiles);
        for (int j = 0; j < 6; ++j) {
          From *p = to + (6 * i + j) * s.from.point;
          if constexpr (Tiles == 1) store(p, f[j][0]);
          else store_factors(p, f[j]);
        }
      }
    }
  }
}

// m[t][16 N] = sum over c of v[t][c] u[c][16], for N blocks of outputs and R tiles.
template <int R, int N, class S>
NAP_INLINE void product(
    const S *v, int64_t channels, const S *u, int64_t next, float *m, int64_t outputs) {
  lanes sum[R][N];
#pragma clang loop unroll(full)
  for (int t = 0; t < R; ++t)
#pragma clang loop unroll(full)
    for (int n = 0; n < N; ++n) sum[t][n] = 0;
  for (int64_t c = 0; c * kLanes < next; c += kTogether<S>) {
    lanes w[N];
#pragma clang loop unroll(full)
    for (int n = 0; n < N; ++n) w[n] = load_factors(u + n * next + c * kLanes);
#pragma clang loop unroll(full)
    for (int t = 0; t < R; ++t)
#pragma clang loop unroll(full)
      for (int n = 0; n < N; ++n) sum[t][n] = add_products(sum[t][n], w[n], v + t * channels + c);
  }
#pragma clang loop unroll(full)
  for (int t = 0; t < R; ++t)
#pragma clang loop unroll(full)
    for (int n = 0; n < N; ++n) store(m + t * outputs + n * kLanes, sum[t][n]);
}

// Numbers of a block of transformed weights.
template <class S>
int64_t weights_block(const nap_winograd &c) {
  return (c.ic + kTogether<S> - 1) / kTogether<S> * kTogether<S> * kLanes;
}

// The products of point `p` for block `b` of outputs and the one after it.
template <class S>
void multiply(
    const Sizes<S, float> &s, int64_t p, int64_t b, const S *v, const S *u, int64_t count,
    float *m) {
  int64_t channels = s.from.tile, outputs = s.to.tile, next = weights_block<S>(s.c);
  const S *weights = u + (p * s.out + b) * next;
  bool two = b + 1 < s.out;
  for (int64_t t = 0; t < count; t += kRows) {
    const S *from = v + p * s.from.point + t * channels;
    float *to = m + p * s.to.point + t * outputs + b * kLanes;
    if (two) product<kRows, 2>(from, channels, weights, next, to, outputs);
    else product<kRows, 1>(from, channels, weights, next, to, outputs);
  }
}

template <class T, class S>
void transform_outputs(
    const Sizes<S, float> &s, const float *m, int64_t first, int64_t count, const float *bias,
    const T *residual, float lower, float upper, T *y) {
  auto &c = s.c;
  int64_t plane = int64_t(c.oh) * c.ow * kLanes;
  bool bounded = lower > -kInfinity || upper < kInfinity;
  bool nearby = c.n * s.out * plane * int64_t(sizeof(T)) < kFar;
  for (int64_t t = 0; t < count; ++t) {
    Place place(s, first + t);
    int rows = int(std::min<int64_t>(4, c.oh - place.row));
    int columns = int(std::min<int64_t>(4, c.ow - place.column));
    for (int64_t b = 0; b < s.out; ++b) {
      const float *from = m + t * s.to.tile + b * s.to.block;
      lanes d[6], e[24], f[16];
      for (int j = 0; j < 6; ++j) {
        for (int i = 0; i < 6; ++i) d[i] = load(from + (6 * i + j) * s.to.point);
        output_line(d, e + j, 6);
      }
      for (int i = 0; i < 4; ++i) output_line(e + 6 * i, f + 4 * i, 1);
      if (bias) {
        lanes shift = 0;
        std::memcpy(&shift, bias + b * kLanes, std::min<int64_t>(kLanes, c.oc - b * kLanes) * 4);
        for (int i = 0; i < 16; ++i) f[i] += shift;
      }
      int64_t corner =
          (place.image * s.out + b) * plane + (place.row * c.ow + place.column) * kLanes;
      if (residual)
        for (int i = 0; i < rows; ++i)
          for (int j = 0; j < columns; ++j)
            f[4 * i + j] += load(residual + corner + (i * c.ow + j) * kLanes);
      if (bounded)
        for (int i = 0; i < 16; ++i)
          f[i] = limited(f[i], lower, upper);
      T *to = y + corner;
      if (rows == 4 && columns == 4) {
        for (int i = 0; i < 4; ++i) store_row(to + i * c.ow * kLanes, f + 4 * i, nearby);
      } else {
        for (int i = 0; i < rows; ++i)
          for (int j = 0; j < columns; ++j) store(to + (i * c.ow + j) * kLanes, f[4 * i + j]);
      }
    }
  }
}

// The gradients of a block's outputs, and their sums where `sums` is given.
template <class T, class S>
void transform_gradients(
    const Sizes<S, S> &s, const T *dy, int64_t first, int64_t count, S *g, float *sums) {
  constexpr int kTiles = kTogether<S>;
  auto &c = s.c;
  int64_t plane = int64_t(c.oh) * c.ow * kLanes;
  for (int64_t t = 0; t < count; t += kTiles) {
    const Place places[] = {{s, first + t}, {s, first + t + 1}};
    for (int64_t b = 0; b < s.out; ++b) {
      lanes d[4], e[kTiles][24], sum = 0;
      for (int k = 0; k < kTiles; ++k) {
        if (t + k >= count) {
          for (auto &x : e[k]) x = 0;
          continue;
        }
        const Place &place = places[k];
        const T *from = dy + (place.image * s.out + b) * plane;
        for (int j = 0; j < 4; ++j) {
          for (int i = 0; i < 4; ++i)
            sum += d[i] = pixel(from, c.oh, c.ow, place.row + i, place.column + j);
          gradient_line(d, e[k] + j, 4);
        }
      }
      S *to = g + t * s.to.tile + b * s.to.block;
      for (int i = 0; i < 6; ++i) {
        lanes f[6][kTiles];
        for (int k = 0; k < kTiles; ++k) gradient_line(e[k] + 4 * i, f[0] + k, kTiles);
        for (int j = 0; j < 6; ++j) store_factors(to + (6 * i + j) * s.to.point, f[j]);
      }
      if (sums) store(sums + b * kLanes, load(sums + b * kLanes) + sum);
    }
  }
}

// Adds to du[c][16] the sum over t of v[t][c] g[t][16], of point `p` and two blocks of channels.
template <class S>
NAP_INLINE void accumulate(
    const Sizes<S, S> &s, int64_t p, int64_t b, int64_t i, const S *v, const S *g, int64_t count,
    float *du) {
  const S *left = v + p * s.from.point + i * s.from.block;
  const S *right = g + p * s.to.point + b * s.to.block;
  lanes sum[kLanes];
#pragma clang loop unroll(full)
  for (int k = 0; k < kLanes; ++k) sum[k] = load(du + k * kLanes);
  for (int64_t t = 0; t < count; t += kTogether<S>) {
    lanes y = load_factors(right + t * s.to.tile);
#pragma clang loop unroll(full)
    for (int k = 0; k < kLanes; ++k)
      sum[k] = add_products(sum[k], y, left + t * s.from.tile + k * kTogether<S>);
  }
#pragma clang loop unroll(full)
  for (int k = 0; k < kLanes; ++k) store(du + k * kLanes, sum[k]);
}

struct Weights {
  const nap_winograd *c;
  const float *w;
  int rotated;
  void *u;
};

// w is [outputs, inputs, 3, 3]; seen from behind when rotated: inputs and outputs change places and
// the window turns by 180 degrees.
template <class S>
void weights_part(void *pointer, int part, int parts) {
  auto &job = *static_cast<Weights *>(pointer);
  int64_t ic = job.c->ic, oc = job.c->oc, blocks = blocks_of(oc);
  int64_t next = weights_block<S>(*job.c), groups = next / kLanes / kTogether<S>;
  int64_t items = blocks * groups;
  for (int64_t item = items * part / parts; item < items * (part + 1) / parts; ++item) {
    int64_t b = item / groups, group = item % groups;
    int64_t count = std::min<int64_t>(kLanes, oc - b * kLanes);
    lanes f[36][kTogether<S>] = {};
    for (int k = 0; k < kTogether<S> && group * kTogether<S> + k < ic; ++k) {
      int64_t i = group * kTogether<S> + k;
      float plain[9][kLanes] = {};
      for (int64_t o = 0; o < count; ++o) {
        int64_t output = b * kLanes + o;
        const float *from = job.w + (job.rotated ? i * oc + output : output * ic + i) * 9;
        for (int n = 0; n < 9; ++n) plain[job.rotated ? 8 - n : n][o] = from[n];
      }
      lanes d[9], e[18];
      for (int n = 0; n < 9; ++n) d[n] = load(plain[n]);
      for (int j = 0; j < 3; ++j) weight_line(d + j, 3, e + j, 3);
      for (int n = 0; n < 6; ++n) weight_line(e + 3 * n, 1, f[6 * n] + k, kTogether<S>);
    }
    S *u = (S *)job.u + b * next + group * kTogether<S> * kLanes;
    for (int p = 0; p < kPoints; ++p) store_factors(u + p * blocks * next, f[p]);
  }
}

// What threads need to know to work on the same tiles.
struct Shared {
  std::vector<Taken> taken;  // by part
  int stage;
  int64_t first;  // tile of the block that all work on

  // Runs `body` on all threads, when nothing has been taken yet.
  template <class Job>
  static void run(void (*body)(void *, int, int), Job &job) {
    job.shared.taken = std::vector<Taken>(nap_max_threads());
    nap_parallel(body, &job);
  }

  // The same for every stage of every block of tiles.
  template <class Job>
  static void run(
      void (*body)(void *, int, int), Job &job, int64_t tiles, int64_t block, int stages) {
    for (job.shared.first = 0; job.shared.first < tiles; job.shared.first += block)
      for (job.shared.stage = 0; job.shared.stage < stages; ++job.shared.stage) run(body, job);
  }
};

struct Forward {
  const nap_winograd *c;
  const void *x, *u;
  const float *bias;
  const void *residual;
  float lower, upper;
  void *y;
  char *scratch;
  Shared shared;
};

template <class T, class S>
struct Forwards {
  Forward &job;
  Sizes<S, float> s{*job.c, false};

  // Of each thread, or of all: both stages, and a gap.
  int64_t bytes() const { return kApart + s.both_bytes; }

  void inputs(int64_t first, int64_t count, S *v) const {
    transform_inputs<1>(s, (const T *)job.x, first, count, v);
  }

  void products(int64_t p, int64_t pair, const S *v, int64_t count, float *m) const {
    multiply(s, p, 2 * pair, v, (const S *)job.u, count, m);
  }

  void outputs(const float *m, int64_t first, int64_t count) const {
    transform_outputs(
        s, m, first, count, job.bias, (const T *)job.residual, job.lower, job.upper, (T *)job.y);
  }

  // All stages of blocks of its own.
  static void alone(void *pointer, int part, int parts) {
    Forwards f{*static_cast<Forward *>(pointer)};
    auto &s = f.s;
    char *scratch = f.job.scratch + part * f.bytes();
    auto *v = (S *)scratch;
    auto *m = (float *)(scratch + s.from_bytes);
    int64_t blocks = (s.tiles + s.block - 1) / s.block;
    share(f.job.shared.taken.data(), part, parts, blocks, [&](int64_t k) {
      int64_t first = k * s.block, count = std::min(s.block, s.tiles - first);
      f.inputs(first, count, v);
      for (int p = 0; p < kPoints; ++p)
        for (int64_t pair = 0; 2 * pair < s.out; ++pair) f.products(p, pair, v, count, m);
      f.outputs(m, first, count);
    });
    __builtin_ia32_sfence();
  }

  // One stage of a block of all.
  static void jointly(void *pointer, int part, int parts) {
    Forwards f{*static_cast<Forward *>(pointer)};
    auto &s = f.s;
    auto *v = (S *)f.job.scratch;
    auto *m = (float *)(f.job.scratch + s.from_bytes);
    int64_t first = f.job.shared.first, count = std::min(s.block, s.tiles - first);
    int64_t pairs = (s.out + 1) / 2, rows = (count + kRows - 1) / kRows;
    int64_t items = f.job.shared.stage == 1 ? kPoints * pairs : rows;
    share(f.job.shared.taken.data(), part, parts, items, [&](int64_t k) {
      if (f.job.shared.stage == 1) return f.products(k / pairs, k % pairs, v, count, m);
      int64_t t = k * kRows, some = std::min<int64_t>(kRows, count - t);
      if (f.job.shared.stage == 0) f.inputs(first + t, some, v + t * s.from.tile);
      else f.outputs(m + t * s.to.tile, first + t, some);
    });
    __builtin_ia32_sfence();
  }

  void run() {
    if (s.joint) Shared::run(jointly, job, s.tiles, s.block, 3);
    else Shared::run(alone, job);
  }
};

struct WeightGradient {
  const nap_winograd *c;
  const void *x, *dy;
  float *dw, *db;
  char *scratch;
  int parts;  // whose sums count
  Shared shared;
};

template <class T, class S>
struct WeightGradients {
  WeightGradient &job;
  Sizes<S, S> s{*job.c, true};

  // What each thread has: sums of transformed gradients, of all pairs of blocks or of those it works
  // on, then sums of outputs' gradients.
  static constexpr int64_t kPair = kPoints * kLanes * kLanes;
  int64_t weights() const { return kPair * (s.joint ? kSide * kSide : s.in * s.out); }
  int64_t found() const { return weights() + s.out * kLanes; }
  float *found_by(int part) const { return (float *)(job.scratch + part * thread_bytes()); }

  // And both stages, if nobody else works on its tiles, and a gap.
  int64_t thread_bytes() const {
    return found() * sizeof(float) + (s.joint ? 0 : s.both_bytes) + kApart;
  }

  // What they share: both stages, and what is summed up from block to block.
  bool at_once() const { return s.block >= s.tiles; }
  int64_t bytes() const {
    int64_t shared = s.both_bytes + (at_once() ? 0 : s.in * s.out * kPair * sizeof(float));
    return nap_max_threads() * thread_bytes() + (s.joint ? shared : 0);
  }

  void transform(int64_t first, int64_t count, S *v, S *g, float *sums) const {
    transform_inputs<kTogether<S>>(s, (const T *)job.x, first, count, v);
    transform_gradients(s, (const T *)job.dy, first, count, g, job.db ? sums : nullptr);
  }

  // Transforms the sums for the blocks `i` of inputs and `b` of outputs back: those of `threads`, which
  // lie `apart`, with their points `next` to each other.
  void collect(
      int64_t i, int64_t b, const float *du, int threads, int64_t apart, int64_t next) const {
    float plain[kLanes][9][kLanes];
    int64_t inputs = std::min<int64_t>(kLanes, s.c.ic - i * kLanes);
    int64_t outputs = std::min<int64_t>(kLanes, s.c.oc - b * kLanes);
    for (int64_t j = 0; j < inputs; ++j) {
      lanes d[36], e[18], f[9];
      for (int p = 0; p < kPoints; ++p) {
        d[p] = 0;
        for (int k = 0; k < threads; ++k) d[p] += load(du + k * apart + p * next + j * kLanes);
      }
      for (int n = 0; n < 6; ++n) weight_gradient_line(d + n, 6, e + n, 6);
      for (int n = 0; n < 3; ++n) weight_gradient_line(e + 6 * n, 1, f + 3 * n, 1);
      for (int n = 0; n < 9; ++n) store(plain[j][n], f[n]);
    }
    for (int64_t o = 0; o < outputs; ++o) {
      float *to = job.dw + ((b * kLanes + o) * s.c.ic + i * kLanes) * 9;
      for (int64_t j = 0; j < inputs; ++j)
        for (int n = 0; n < 9; ++n) *to++ = plain[j][n][o];
    }
  }

  // All tiles of a part.
  static void alone(void *pointer, int part, int parts) {
    WeightGradients w{*static_cast<WeightGradient *>(pointer)};
    auto &s = w.s;
    float *du = w.found_by(part), *sums = du + w.weights();
    auto *v = (S *)(du + w.found());
    auto *g = (S *)((char *)v + s.from_bytes);
    if (part == 0) w.job.parts = parts;
    std::memset(du, 0, w.found() * sizeof(float));
    int64_t blocks = (s.tiles + s.block - 1) / s.block;
    for (int64_t k = blocks * part / parts; k < blocks * (part + 1) / parts; ++k) {
      int64_t first = k * s.block, count = std::min(s.block, s.tiles - first);
      w.transform(first, count, v, g, sums);
      for (int p = 0; p < kPoints; ++p)
        for (int64_t b = 0; b < s.out; ++b)
          for (int64_t i = 0; i < s.in; ++i)
            accumulate(
                s, p, b, i, v, g, count, du + ((p * s.out + b) * s.in + i) * kLanes * kLanes);
    }
  }

  // Adds what the threads found.
  static void collect_all(void *pointer, int part, int parts) {
    WeightGradients w{*static_cast<WeightGradient *>(pointer)};
    int64_t apart = w.thread_bytes() / sizeof(float), pairs = w.s.in * w.s.out;
    for (int64_t k = pairs * part / parts; k < pairs * (part + 1) / parts; ++k)
      w.collect(
          k % w.s.in, k / w.s.in, w.found_by(0) + k * kLanes * kLanes, w.job.parts, apart,
          pairs * kLanes * kLanes);
  }

  // One stage of a block of all.
  static void jointly(void *pointer, int part, int parts) {
    WeightGradients w{*static_cast<WeightGradient *>(pointer)};
    auto &s = w.s;
    float *own = w.found_by(part), *sums = own + w.weights();
    auto *v = (S *)w.found_by(nap_max_threads());
    auto *g = (S *)((char *)v + s.from_bytes);
    auto *all = (float *)((char *)v + s.both_bytes);
    auto *taken = w.job.shared.taken.data();
    int64_t first = w.job.shared.first, count = std::min(s.block, s.tiles - first);
    if (w.job.shared.stage == 0) {
      // Nobody takes over: what a thread sums up must not depend on who was faster.
      int64_t rows = (count + kRows - 1) / kRows;
      int64_t t = rows * part / parts * kRows;
      int64_t end = std::min(rows * (part + 1) / parts * kRows, count);
      return w.transform(first + t, end - t, v + t * s.from.tile, g + t * s.to.tile, sums);
    }
    int64_t across = (s.in + kSide - 1) / kSide, down = (s.out + kSide - 1) / kSide;
    share(taken, part, parts, across * down, [&](int64_t k) {
      int64_t i = k % across * kSide, b = k / across * kSide;
      auto each = [&](auto &&body) {
        for (int64_t y = b; y < std::min(b + kSide, s.out); ++y)
          for (int64_t x = i; x < std::min(i + kSide, s.in); ++x)
            body(x, y, w.at_once() ? own + ((y - b) * kSide + x - i) * kPair
                                   : all + (y * s.in + x) * kPair);
      };
      if (first == 0)
        each([](int64_t, int64_t, float *du) { std::memset(du, 0, kPair * sizeof(float)); });
      for (int p = 0; p < kPoints; ++p)
        each([&](int64_t x, int64_t y, float *du) {
          accumulate(s, p, y, x, v, g, count, du + p * kLanes * kLanes);
        });
      if (first + count >= s.tiles)
        each([&](int64_t x, int64_t y, float *du) {
          w.collect(x, y, du, 1, 0, kLanes * kLanes);
        });
    });
  }

  void run() {
    if (!s.joint) {
      nap_parallel(alone, &job);
      nap_parallel(collect_all, &job);
    } else {
      job.parts = nap_max_threads();
      for (int k = 0; k < job.parts; ++k)
        std::memset(found_by(k) + weights(), 0, s.out * kLanes * sizeof(float));
      Shared::run(jointly, job, s.tiles, s.block, 2);
    }
    for (int64_t o = 0; job.db && o < s.c.oc; ++o) {
      job.db[o] = 0;
      for (int k = 0; k < job.parts; ++k) job.db[o] += found_by(k)[weights() + o];
    }
  }
};

// Calls `body` with the numbers of images and of what is multiplied.
template <class Body>
auto with_types(const nap_winograd &c, const Body &body) {
  if (c.type == NAP_FLOAT32) return body(float(), float());
  if (c.products == NAP_BFLOAT16) return body(bfloat16(), bfloat16());
  return nap_winograd_bfloat16_products() ? body(bfloat16(), float()) : body(uint16_t(), float());
}

NAP_LANES_END

}  // namespace

extern "C" {

int nap_winograd_supported(void) {
  return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl");
}

int nap_winograd_bfloat16_products(void) { return __builtin_cpu_supports("avx512bf16"); }

size_t nap_winograd_weights_bytes(const nap_winograd *c) {
  return with_types(*c, [&](auto, auto s) -> size_t {
    return kPoints * blocks_of(c->oc) * weights_block<decltype(s)>(*c) * sizeof s;
  });
}

size_t nap_winograd_scratch_bytes(const nap_winograd *c, int gradient) {
  return with_types(*c, [&](auto t, auto s) {
    Forward forward{c};
    WeightGradient weights{c};
    Forwards<decltype(t), decltype(s)> f{forward};
    int64_t each = f.s.joint ? 1 : nap_max_threads();
    return gradient ? WeightGradients<decltype(t), decltype(s)>{weights}.bytes() : each * f.bytes();
  });
}

void nap_winograd_weights(const nap_winograd *c, const float *w, int rotated, void *u) {
  Weights job{c, w, rotated, u};
  with_types(*c, [&](auto, auto s) { nap_parallel(weights_part<decltype(s)>, &job); });
}

void nap_winograd_forward(
    const nap_winograd *c, const void *x, const void *u, const float *bias, const void *residual,
    float lower, float upper, void *y, void *scratch) {
  Forward job{c, x, u, bias, residual, lower, upper, y, (char *)scratch};
  with_types(*c, [&](auto t, auto s) { Forwards<decltype(t), decltype(s)>{job}.run(); });
}

void nap_winograd_weight_gradient(
    const nap_winograd *c, const void *x, const void *dy, float *dw, float *db, void *scratch) {
  WeightGradient job{c, x, dy, dw, db, (char *)scratch};
  with_types(*c, [&](auto t, auto s) { WeightGradients<decltype(t), decltype(s)>{job}.run(); });
}

}  // extern "C"

#else

extern "C" {
int nap_winograd_supported(void) { return 0; }
int nap_winograd_bfloat16_products(void) { return 0; }
size_t nap_winograd_weights_bytes(const nap_winograd *) { return 0; }
size_t nap_winograd_scratch_bytes(const nap_winograd *, int) { return 0; }
void nap_winograd_weights(const nap_winograd *, const float *, int, void *) {}
void nap_winograd_forward(
    const nap_winograd *, const void *, const void *, const float *, const void *, float, float,
    void *, void *) {}
void nap_winograd_weight_gradient(
    const nap_winograd *, const void *, const void *, float *, float *, void *) {}
}

#endif
