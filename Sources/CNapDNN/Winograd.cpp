// 3x3 convolutions with stride 1 by Winograd's F(4x4, 3x3), A. Lavin and S. Gray, "Fast Algorithms
// for Convolutional Neural Networks", CVPR 2016: tiles of 4x4 outputs from 6x6 inputs, 36 small
// matrix products instead of 144.
//
// Activations lie in blocks of 16 channels (aBcd16b), in float32 or bfloat16; arithmetic is float32.
// A block of tiles goes through all three stages, input transform, products and output transform,
// before the next one begins, so that what lies between them stays in the cache.
#include "CNapDNN.h"
#include "Lanes.h"

#include <algorithm>
#include <cstring>

#if NAP_HAS_LANES

namespace {

typedef uint32_t words __attribute__((ext_vector_type(16)));
typedef uint16_t halves __attribute__((ext_vector_type(16)));

constexpr int kPoints = 36;
// Tiles whose products stay in registers.
constexpr int kRows = 12;
// Bytes of an image batch that the caches are not likely to hold until it is read again.
constexpr int64_t kFar = 1 << 20;
// Between the scratch of two threads. Reading one's own in strides leads the prefetcher beyond it,
// and lines that the other writes would go back and forth between their caches.
constexpr int64_t kApart = (128 << 10) / sizeof(float);
constexpr float kInfinity = __builtin_inff();

NAP_LANES_BEGIN

NAP_INLINE lanes load(const uint16_t *p) {
  halves h;
  std::memcpy(&h, p, sizeof h);
  words w = __builtin_convertvector(h, words) << 16;
  return (lanes)w;
}

NAP_INLINE void store(uint16_t *p, lanes x) {
  words w = (words)x;
  w = (w + 0x7fff + ((w >> 16) & 1)) >> 16;
  halves h = __builtin_convertvector(w, halves);
  std::memcpy(p, &h, sizeof h);
}

// Stores four neighbours. Past the caches where `nearby` is false: whole lines that nobody reads
// soon need not be fetched before they are written.
NAP_INLINE void store_row(float *p, const lanes *x, bool nearby) {
  for (int j = 0; j < 4; ++j)
    if (nearby) store(p + j * kLanes, x[j]);
    else __builtin_nontemporal_store(x[j], (lanes *)(p + j * kLanes));
}

NAP_INLINE void store_row(uint16_t *p, const lanes *x, bool nearby) {
  if (nearby || uintptr_t(p) % 64 != 0) {
    for (int j = 0; j < 4; ++j) store(p + j * kLanes, x[j]);
  } else {
    for (int j = 0; j < 4; j += 2) {
      uint16_t line[2 * kLanes];
      store(line, x[j]);
      store(line + kLanes, x[j + 1]);
      words w;
      std::memcpy(&w, line, sizeof w);
      __builtin_nontemporal_store(w, (words *)(p + j * kLanes));
    }
  }
}

// The one-dimensional transforms for the points 0, ±a, ±b and infinity; 5/8 and 3/2 lose about a
// third of the digits that the textbook's 1 and 2 lose. `s` and `r` are steps between neighbours.
constexpr float kA = 0.625f, kB = 1.5f, kA2 = kA * kA, kB2 = kB * kB;
constexpr float kNearby = 1 / (2 * kA2 * (kA2 - kB2)), kDistant = 1 / (2 * kB2 * (kB2 - kA2));

NAP_INLINE void input_line(const lanes *d, int s, lanes *t, int r) {
  lanes a = d[4 * s] - kB2 * d[2 * s], b = kA * (d[3 * s] - kB2 * d[s]);
  lanes c = d[4 * s] - kA2 * d[2 * s], e = kB * (d[3 * s] - kA2 * d[s]);
  t[0] = kA2 * kB2 * d[0] - (kA2 + kB2) * d[2 * s] + d[4 * s];
  t[r] = a + b;
  t[2 * r] = a - b;
  t[3 * r] = c + e;
  t[4 * r] = c - e;
  t[5 * r] = kA2 * kB2 * d[s] - (kA2 + kB2) * d[3 * s] + d[5 * s];
}

NAP_INLINE void output_line(const lanes *m, int s, lanes *y, int r) {
  lanes a = m[s] + m[2 * s], b = m[s] - m[2 * s];
  lanes c = m[3 * s] + m[4 * s], d = m[3 * s] - m[4 * s];
  y[0] = m[0] + a + c;
  y[r] = kA * b + kB * d;
  y[2 * r] = kA2 * a + kB2 * c;
  y[3 * r] = kA2 * kA * b + kB2 * kB * d + m[5 * s];
}

NAP_INLINE void gradient_line(const lanes *y, int s, lanes *g, int r) {
  lanes a = y[0] + kA2 * y[2 * s], b = kA * (y[s] + kA2 * y[3 * s]);
  lanes c = y[0] + kB2 * y[2 * s], d = kB * (y[s] + kB2 * y[3 * s]);
  g[0] = y[0];
  g[r] = a + b;
  g[2 * r] = a - b;
  g[3 * r] = c + d;
  g[4 * r] = c - d;
  g[5 * r] = y[3 * s];
}

NAP_INLINE void weight_line(const lanes *w, int s, lanes *u, int r) {
  lanes a = kNearby * (w[0] + kA2 * w[2 * s]), b = kNearby * kA * w[s];
  lanes c = kDistant * (w[0] + kB2 * w[2 * s]), d = kDistant * kB * w[s];
  u[0] = 1 / (kA2 * kB2) * w[0];
  u[r] = a + b;
  u[2 * r] = a - b;
  u[3 * r] = c + d;
  u[4 * r] = c - d;
  u[5 * r] = w[2 * s];
}

NAP_INLINE void weight_gradient_line(const lanes *u, int s, lanes *w, int r) {
  lanes a = kNearby * (u[s] + u[2 * s]), b = kNearby * kA * (u[s] - u[2 * s]);
  lanes c = kDistant * (u[3 * s] + u[4 * s]), d = kDistant * kB * (u[3 * s] - u[4 * s]);
  w[0] = 1 / (kA2 * kB2) * u[0] + a + c;
  w[r] = b + d;
  w[2 * r] = kA2 * a + kB2 * c + u[5 * s];
}

// What follows from the sizes.
struct Sizes {
  const nap_winograd &c;
  int64_t in, out;  // blocks of channels
  int64_t tall, wide, tiles;
  int64_t block;  // tiles that go through the stages together

  explicit Sizes(const nap_winograd &c)
      : c(c), in((c.ic + kLanes - 1) / kLanes), out((c.oc + kLanes - 1) / kLanes),
        tall((c.oh + 3) / 4), wide((c.ow + 3) / 4), tiles(c.n * tall * wide) {
    // Half of a core's second-level cache for what lies between the stages.
    int64_t bytes = kPoints * kLanes * 4 * (in + out);
    block = std::clamp<int64_t>((240 << 10) / bytes / kRows, 1, 4) * kRows;
  }
  // From point to point; an odd number of cache lines, or the points would share a few sets.
  int64_t pitch(int64_t blocks) const { return (block * blocks + 1) * kLanes; }
  int64_t stage(int64_t blocks) const { return kPoints * pitch(blocks); }
  int64_t weights() const { return kPoints * out * in * kLanes * kLanes; }
};

// Tile `t` counts over images, rows and columns.
struct Place {
  int64_t image, row, column;
  Place(const Sizes &s, int64_t t)
      : image(t / (s.tall * s.wide)), row(t / s.wide % s.tall * 4), column(t % s.wide * 4) {}
};

alignas(64) constexpr float kZeros[kLanes] = {};

// A pixel of an image's plane; zeros beyond its edges.
template <class T>
NAP_INLINE lanes pixel(const T *plane, int64_t h, int64_t w, int64_t row, int64_t column) {
  bool inside = row >= 0 && row < h && column >= 0 && column < w;
  return load(inside ? plane + (row * w + column) * kLanes : (const T *)kZeros);
}

template <class T>
void transform_inputs(const Sizes &s, const T *x, int64_t first, int64_t count, float *v) {
  auto &c = s.c;
  int64_t channels = s.in * kLanes, plane = int64_t(c.ih) * c.iw * kLanes, pitch = s.pitch(s.in);
  for (int64_t t = 0; t < count; ++t) {
    Place place(s, first + t);
    for (int64_t b = 0; b < s.in; ++b) {
      const T *from = x + (place.image * s.in + b) * plane;
      float *to = v + t * channels + b * kLanes;
      lanes d[6], e[36];
      for (int j = 0; j < 6; ++j) {
        for (int i = 0; i < 6; ++i)
          d[i] = pixel(from, c.ih, c.iw, place.row - c.top + i, place.column - c.left + j);
        input_line(d, 1, e + j, 6);
      }
      for (int i = 0; i < 6; ++i) {
        input_line(e + 6 * i, 1, d, 1);
        for (int j = 0; j < 6; ++j) store(to + (6 * i + j) * pitch, d[j]);
      }
    }
  }
}

// m[t][16 N] = sum over c of v[t][c] u[c][16], for N blocks of outputs and R tiles.
template <int R, int N>
NAP_INLINE void product(
    const float *v, int64_t channels, const float *u, int64_t next, int64_t count, float *m,
    int64_t outputs) {
  lanes sum[R][N];
#pragma clang loop unroll(full)
  for (int t = 0; t < R; ++t)
#pragma clang loop unroll(full)
    for (int n = 0; n < N; ++n) sum[t][n] = 0;
  for (int64_t c = 0; c < count; ++c) {
    lanes w[N];
#pragma clang loop unroll(full)
    for (int n = 0; n < N; ++n) w[n] = load(u + n * next + c * kLanes);
#pragma clang loop unroll(full)
    for (int t = 0; t < R; ++t)
#pragma clang loop unroll(full)
      for (int n = 0; n < N; ++n) sum[t][n] += w[n] * v[t * channels + c];
  }
#pragma clang loop unroll(full)
  for (int t = 0; t < R; ++t)
#pragma clang loop unroll(full)
    for (int n = 0; n < N; ++n) store(m + t * outputs + n * kLanes, sum[t][n]);
}

void multiply(const Sizes &s, const float *v, const float *u, int64_t count, float *m) {
  int64_t channels = s.in * kLanes, outputs = s.out * kLanes, next = s.c.ic * kLanes;
  for (int p = 0; p < kPoints; ++p) {
    const float *from = v + p * s.pitch(s.in);
    float *to = m + p * s.pitch(s.out);
    for (int64_t b = 0; b < s.out;) {
      const float *weights = u + (p * s.out + b) * next;
      bool two = b + 1 < s.out;
      for (int64_t t = 0; t < count; t += kRows) {
        float *target = to + t * outputs + b * kLanes;
        if (two) product<kRows, 2>(from + t * channels, channels, weights, next, s.c.ic, target, outputs);
        else product<kRows, 1>(from + t * channels, channels, weights, next, s.c.ic, target, outputs);
      }
      b += two ? 2 : 1;
    }
  }
}

template <class T>
void transform_outputs(
    const Sizes &s, const float *m, int64_t first, int64_t count, const float *bias,
    const T *residual, float lower, float upper, T *y) {
  auto &c = s.c;
  int64_t outputs = s.out * kLanes, plane = int64_t(c.oh) * c.ow * kLanes, pitch = s.pitch(s.out);
  bool bounded = lower > -kInfinity || upper < kInfinity;
  bool nearby = c.n * s.out * plane * int64_t(sizeof(T)) < kFar;
  for (int64_t t = 0; t < count; ++t) {
    Place place(s, first + t);
    int rows = int(std::min<int64_t>(4, c.oh - place.row));
    int columns = int(std::min<int64_t>(4, c.ow - place.column));
    for (int64_t b = 0; b < s.out; ++b) {
      const float *from = m + t * outputs + b * kLanes;
      lanes d[6], e[24], f[16];
      for (int j = 0; j < 6; ++j) {
        for (int i = 0; i < 6; ++i) d[i] = load(from + (6 * i + j) * pitch);
        output_line(d, 1, e + j, 6);
      }
      for (int i = 0; i < 4; ++i) output_line(e + 6 * i, 1, f + 4 * i, 1);
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
          f[i] = __builtin_elementwise_min(
              __builtin_elementwise_max(f[i], lanes(lower)), lanes(upper));
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
template <class T>
void transform_gradients(
    const Sizes &s, const T *dy, int64_t first, int64_t count, float *g, float *sums) {
  auto &c = s.c;
  int64_t outputs = s.out * kLanes, plane = int64_t(c.oh) * c.ow * kLanes, pitch = s.pitch(s.out);
  for (int64_t t = 0; t < count; ++t) {
    Place place(s, first + t);
    for (int64_t b = 0; b < s.out; ++b) {
      const T *from = dy + (place.image * s.out + b) * plane;
      float *to = g + t * outputs + b * kLanes;
      lanes d[4], e[24], f[6], sum = 0;
      for (int j = 0; j < 4; ++j) {
        for (int i = 0; i < 4; ++i)
          sum += d[i] = pixel(from, c.oh, c.ow, place.row + i, place.column + j);
        gradient_line(d, 1, e + j, 4);
      }
      for (int i = 0; i < 6; ++i) {
        gradient_line(e + 4 * i, 1, f, 1);
        for (int j = 0; j < 6; ++j) store(to + (6 * i + j) * pitch, f[j]);
      }
      if (sums) store(sums + b * kLanes, load(sums + b * kLanes) + sum);
    }
  }
}

// du[p][b][c][16] += sum over t of v[p][t][c] g[p][t][b].
void accumulate(const Sizes &s, const float *v, const float *g, int64_t count, float *du) {
  int64_t channels = s.in * kLanes, outputs = s.out * kLanes;
  for (int p = 0; p < kPoints; ++p)
    for (int64_t b = 0; b < s.out; ++b)
      for (int64_t i = 0; i < s.in; ++i) {
        float *to = du + ((p * s.out + b) * s.in + i) * kLanes * kLanes;
        const float *left = v + p * s.pitch(s.in) + i * kLanes;
        const float *right = g + p * s.pitch(s.out) + b * kLanes;
        lanes sum[kLanes];
#pragma clang loop unroll(full)
        for (int k = 0; k < kLanes; ++k) sum[k] = load(to + k * kLanes);
        for (int64_t t = 0; t < count; ++t) {
          lanes y = load(right + t * outputs);
#pragma clang loop unroll(full)
          for (int k = 0; k < kLanes; ++k) sum[k] += y * left[t * channels + k];
        }
#pragma clang loop unroll(full)
        for (int k = 0; k < kLanes; ++k) store(to + k * kLanes, sum[k]);
      }
}

struct Weights {
  const nap_winograd *c;
  const float *w;
  int rotated;
  float *u;
};

// w is [outputs, inputs, 3, 3]; seen from behind when rotated: inputs and outputs change places and
// the window turns by 180 degrees.
void weights_part(void *pointer, int part, int parts) {
  auto &job = *static_cast<Weights *>(pointer);
  Sizes s(*job.c);
  int64_t ic = job.c->ic, oc = job.c->oc;
  for (int64_t i = ic * part / parts; i < ic * (part + 1) / parts; ++i)
    for (int64_t b = 0; b < s.out; ++b) {
      float plain[9][kLanes] = {};
      int64_t count = std::min<int64_t>(kLanes, oc - b * kLanes);
      for (int64_t o = 0; o < count; ++o) {
        int64_t output = b * kLanes + o;
        const float *from = job.w + (job.rotated ? i * oc + output : output * ic + i) * 9;
        for (int k = 0; k < 9; ++k) plain[job.rotated ? 8 - k : k][o] = from[k];
      }
      lanes d[9], e[18], f[36];
      for (int k = 0; k < 9; ++k) d[k] = load(plain[k]);
      for (int j = 0; j < 3; ++j) weight_line(d + j, 3, e + j, 3);
      for (int k = 0; k < 6; ++k) weight_line(e + 3 * k, 1, f + 6 * k, 1);
      for (int p = 0; p < kPoints; ++p) store(job.u + ((p * s.out + b) * ic + i) * kLanes, f[p]);
    }
}

struct Forward {
  const nap_winograd *c;
  const void *x;
  const float *u, *bias;
  const void *residual;
  float lower, upper;
  void *y;
  float *scratch;

  // Of each thread: both stages, and a gap.
  static int64_t floats(const Sizes &s) { return s.stage(s.in) + s.stage(s.out) + kApart; }
};

template <class T>
void forward_part(void *pointer, int part, int parts) {
  auto &job = *static_cast<Forward *>(pointer);
  Sizes s(*job.c);
  float *v = job.scratch + part * Forward::floats(s), *m = v + s.stage(s.in);
  int64_t blocks = (s.tiles + s.block - 1) / s.block;
  for (int64_t k = blocks * part / parts; k < blocks * (part + 1) / parts; ++k) {
    int64_t first = k * s.block, count = std::min(s.block, s.tiles - first);
    transform_inputs(s, (const T *)job.x, first, count, v);
    multiply(s, v, job.u, count, m);
    transform_outputs(
        s, m, first, count, job.bias, (const T *)job.residual, job.lower, job.upper, (T *)job.y);
  }
  __builtin_ia32_sfence();
}

struct WeightGradient {
  const nap_winograd *c;
  const void *x, *dy;
  float *dw, *db, *scratch;
  int parts;

  // Of each thread: both stages, the transformed gradient, the sums, and a gap.
  static int64_t floats(const Sizes &s) {
    return s.stage(s.in) + s.stage(s.out) + s.weights() + s.out * kLanes + kApart;
  }
};

template <class T>
void weight_gradient_part(void *pointer, int part, int parts) {
  auto &job = *static_cast<WeightGradient *>(pointer);
  Sizes s(*job.c);
  float *v = job.scratch + part * WeightGradient::floats(s);
  float *g = v + s.stage(s.in), *du = g + s.stage(s.out), *sums = du + s.weights();
  if (part == 0) job.parts = parts;
  std::memset(du, 0, (s.weights() + s.out * kLanes) * 4);
  int64_t blocks = (s.tiles + s.block - 1) / s.block;
  for (int64_t k = blocks * part / parts; k < blocks * (part + 1) / parts; ++k) {
    int64_t first = k * s.block, count = std::min(s.block, s.tiles - first);
    transform_inputs(s, (const T *)job.x, first, count, v);
    transform_gradients(s, (const T *)job.dy, first, count, g, job.db ? sums : nullptr);
    accumulate(s, v, g, count, du);
  }
}

// Adds what the threads found and transforms it back.
void collect_part(void *pointer, int part, int parts) {
  auto &job = *static_cast<WeightGradient *>(pointer);
  Sizes s(*job.c);
  int64_t ic = job.c->ic, oc = job.c->oc, each = WeightGradient::floats(s);
  const float *found = job.scratch + s.stage(s.in) + s.stage(s.out);
  for (int64_t i = ic * part / parts; i < ic * (part + 1) / parts; ++i)
    for (int64_t b = 0; b < s.out; ++b) {
      lanes d[36], e[18], f[9];
      for (int p = 0; p < kPoints; ++p) {
        d[p] = 0;
        int64_t place = ((p * s.out + b) * s.in * kLanes + i) * kLanes;
        for (int k = 0; k < job.parts; ++k) d[p] += load(found + k * each + place);
      }
      for (int j = 0; j < 6; ++j) weight_gradient_line(d + j, 6, e + j, 6);
      for (int k = 0; k < 3; ++k) weight_gradient_line(e + 6 * k, 1, f + 3 * k, 1);
      int64_t count = std::min<int64_t>(kLanes, oc - b * kLanes);
      for (int64_t o = 0; o < count; ++o)
        for (int k = 0; k < 9; ++k) job.dw[((b * kLanes + o) * ic + i) * 9 + k] = f[k][o];
    }
  if (part == 0 && job.db)
    for (int64_t o = 0; o < oc; ++o) {
      job.db[o] = 0;
      for (int k = 0; k < job.parts; ++k) job.db[o] += found[k * each + s.weights() + o];
    }
}

NAP_LANES_END

}  // namespace

extern "C" {

int nap_winograd_supported(void) {
  return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
}

size_t nap_winograd_weights_bytes(const nap_winograd *c) {
  Sizes s(*c);
  return kPoints * s.out * c->ic * kLanes * 4;
}

size_t nap_winograd_scratch_bytes(const nap_winograd *c, int gradient) {
  Sizes s(*c);
  int64_t each = gradient ? WeightGradient::floats(s) : Forward::floats(s);
  return nap_max_threads() * each * 4;
}

void nap_winograd_weights(const nap_winograd *c, const float *w, int rotated, float *u) {
  Weights job{c, w, rotated, u};
  nap_parallel(weights_part, &job);
}

void nap_winograd_forward(
    const nap_winograd *c, const void *x, const float *u, const float *bias, const void *residual,
    float lower, float upper, void *y, void *scratch) {
  Forward job{c, x, u, bias, residual, lower, upper, y, (float *)scratch};
  nap_parallel(c->type == NAP_FLOAT32 ? forward_part<float> : forward_part<uint16_t>, &job);
}

void nap_winograd_weight_gradient(
    const nap_winograd *c, const void *x, const void *dy, float *dw, float *db, void *scratch) {
  WeightGradient job{c, x, dy, dw, db, (float *)scratch, 1};
  nap_parallel(
      c->type == NAP_FLOAT32 ? weight_gradient_part<float> : weight_gradient_part<uint16_t>, &job);
  nap_parallel(collect_part, &job);
}

}  // extern "C"

#else

extern "C" {
int nap_winograd_supported(void) { return 0; }
size_t nap_winograd_weights_bytes(const nap_winograd *) { return 0; }
size_t nap_winograd_scratch_bytes(const nap_winograd *, int) { return 0; }
void nap_winograd_weights(const nap_winograd *, const float *, int, float *) {}
void nap_winograd_forward(
    const nap_winograd *, const void *, const float *, const float *, const void *, float, float,
    void *, void *) {}
void nap_winograd_weight_gradient(
    const nap_winograd *, const void *, const void *, float *, float *, void *) {}
}

#endif
