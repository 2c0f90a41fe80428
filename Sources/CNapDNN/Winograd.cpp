// 3x3 convolutions with stride 1 by Winograd's F(4x4, 3x3), A. Lavin and S. Gray, "Fast Algorithms
// for Convolutional Neural Networks", CVPR 2016: tiles of 4x4 outputs from 6x6 inputs, 36 small
// matrix products instead of 144.
//
// Activations lie in blocks of 16 channels (aBcd16b), in float32 or bfloat16. Transforms and sums are
// float32; what is multiplied may be rounded to bfloat16 for instructions that multiply and add pairs
// of such numbers. A block of tiles goes through all three stages, input transform, products and
// output transform, before the next one begins, so that what lies between them stays in the cache.
#include "CNapDNN.h"
#include "Lanes.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <vector>

#if NAP_HAS_LANES

#include <immintrin.h>

namespace {

typedef uint32_t words __attribute__((ext_vector_type(16)));
typedef uint16_t halves __attribute__((ext_vector_type(16)));

// bfloat16 where the processor has instructions for it; uint16_t is bfloat16 where it has not.
struct bfloat16 {
  uint16_t bits;
};

// Factors that lie side by side, as one instruction multiplies and adds them for each of its lanes.
template <class S>
constexpr int kTogether = 1;
template <>
constexpr int kTogether<bfloat16> = 2;

constexpr int kPoints = 36;
// Tiles whose products stay in registers.
constexpr int kRows = 12;
// Bytes of an image batch that the caches are not likely to hold until it is read again.
constexpr int64_t kFar = 1 << 20;
// Between the scratch of two threads. Reading one's own in strides leads the prefetcher beyond it,
// and lines that the other writes would go back and forth between their caches.
constexpr int64_t kApart = 128 << 10;
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

NAP_INLINE lanes load(const bfloat16 *p) { return load(&p->bits); }

NAP_INLINE void store(bfloat16 *p, lanes x) {
  auto h = _mm512_cvtneps_pbh((__m512)x);
  std::memcpy(p, &h, sizeof h);
}

// Factors for all lanes: those of `load_factors` lie as `store_factors` leaves them.
NAP_INLINE lanes load_factors(const float *p) { return load(p); }
NAP_INLINE lanes load_factors(const bfloat16 *p) { return load((const float *)p); }

NAP_INLINE void store_factors(float *p, const lanes *x) { store(p, x[0]); }

NAP_INLINE void store_factors(bfloat16 *p, const lanes *x) {
  const __m512i pairs = _mm512_set_epi16(
      31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8,  //
      23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  auto h = (__m512i)_mm512_cvtne2ps_pbh((__m512)x[1], (__m512)x[0]);
  _mm512_storeu_si512(p, _mm512_permutexvar_epi16(pairs, h));
}

// Adds products of `factors` with those at `p`, which are the same for all lanes.
NAP_INLINE lanes add_products(lanes sum, lanes factors, const float *p) {
  return sum + factors * *p;
}

NAP_INLINE lanes add_products(lanes sum, lanes factors, const bfloat16 *p) {
  int pair;
  std::memcpy(&pair, p, sizeof pair);
  return (lanes)_mm512_dpbf16_ps(
      (__m512)sum, (__m512bh)factors, (__m512bh)_mm512_set1_epi32(pair));
}

// Stores four neighbours. Past the caches where `nearby` is false: whole lines that nobody reads
// soon need not be fetched before they are written.
NAP_INLINE void store_row(float *p, const lanes *x, bool nearby) {
  for (int j = 0; j < 4; ++j)
    if (nearby) store(p + j * kLanes, x[j]);
    else __builtin_nontemporal_store(x[j], (lanes *)(p + j * kLanes));
}

template <class T>
NAP_INLINE void store_row(T *p, const lanes *x, bool nearby) {
  if (nearby || uintptr_t(p) % 64 != 0) {
    for (int j = 0; j < 4; ++j) store(p + j * kLanes, x[j]);
  } else {
    for (int j = 0; j < 4; j += 2) {
      T line[2 * kLanes];
      store(line, x[j]);
      store(line + kLanes, x[j + 1]);
      words w;
      std::memcpy(&w, line, sizeof w);
      __builtin_nontemporal_store(w, (words *)(p + j * kLanes));
    }
  }
}

// The one-dimensional transforms for the points 0, ±a, ±b and infinity; 5/8 and 3/2 lose about a
// third of the digits that the textbook's 1 and 2 lose. `s` and `r` are steps between neighbours, of
// what is read and of what is written.
constexpr float kA = 0.625f, kB = 1.5f, kA2 = kA * kA, kB2 = kB * kB;
constexpr float kNearby = 1 / (2 * kA2 * (kA2 - kB2)), kDistant = 1 / (2 * kB2 * (kB2 - kA2));

NAP_INLINE void input_line(const lanes *d, lanes *t, int r) {
  lanes a = d[4] - kB2 * d[2], b = kA * (d[3] - kB2 * d[1]);
  lanes c = d[4] - kA2 * d[2], e = kB * (d[3] - kA2 * d[1]);
  t[0] = kA2 * kB2 * d[0] - (kA2 + kB2) * d[2] + d[4];
  t[r] = a + b;
  t[2 * r] = a - b;
  t[3 * r] = c + e;
  t[4 * r] = c - e;
  t[5 * r] = kA2 * kB2 * d[1] - (kA2 + kB2) * d[3] + d[5];
}

NAP_INLINE void output_line(const lanes *m, lanes *y, int r) {
  lanes a = m[1] + m[2], b = m[1] - m[2];
  lanes c = m[3] + m[4], d = m[3] - m[4];
  y[0] = m[0] + a + c;
  y[r] = kA * b + kB * d;
  y[2 * r] = kA2 * a + kB2 * c;
  y[3 * r] = kA2 * kA * b + kB2 * kB * d + m[5];
}

NAP_INLINE void gradient_line(const lanes *y, lanes *g, int r) {
  lanes a = y[0] + kA2 * y[2], b = kA * (y[1] + kA2 * y[3]);
  lanes c = y[0] + kB2 * y[2], d = kB * (y[1] + kB2 * y[3]);
  g[0] = y[0];
  g[r] = a + b;
  g[2 * r] = a - b;
  g[3 * r] = c + d;
  g[4 * r] = c - d;
  g[5 * r] = y[3];
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

int64_t blocks_of(int64_t channels) { return (channels + kLanes - 1) / kLanes; }

// What follows from the sizes. Between the stages lie numbers `From` of inputs and `To` of outputs.
template <class From, class To>
struct Sizes {
  const nap_winograd &c;
  int64_t in, out;  // blocks of channels
  int64_t tall, wide, tiles;
  int64_t block;                   // tiles that go through the stages together, an even number
  int64_t from_pitch, to_pitch;    // numbers from point to point
  int64_t from_bytes, both_bytes;  // of the first stage, of both

  explicit Sizes(const nap_winograd &c)
      : c(c), in(blocks_of(c.ic)), out(blocks_of(c.oc)), tall((c.oh + 3) / 4),
        wide((c.ow + 3) / 4), tiles(c.n * tall * wide) {
    // Half of a core's second-level cache for what lies between the stages.
    int64_t bytes = kPoints * kLanes * (in * sizeof(From) + out * sizeof(To));
    block = std::clamp<int64_t>((240 << 10) / bytes / kRows, 1, 4) * kRows;
    // An odd number of cache lines, or the points would share a few sets.
    from_pitch = block * in * kLanes + 64 / sizeof(From);
    to_pitch = block * out * kLanes + 64 / sizeof(To);
    from_bytes = kPoints * from_pitch * sizeof(From);
    both_bytes = from_bytes + kPoints * to_pitch * sizeof(To);
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
  int64_t channels = s.in * kLanes, plane = int64_t(c.ih) * c.iw * kLanes;
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
      From *to = v + t * channels + b * kLanes * Tiles;
      for (int i = 0; i < 6; ++i) {
        lanes f[6][Tiles];
        for (int k = 0; k < Tiles; ++k) input_line(e[k] + 6 * i, f[0] + k, Tiles);
        for (int j = 0; j < 6; ++j) {
          From *p = to + (6 * i + j) * s.from_pitch;
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

template <class S>
void multiply(const Sizes<S, float> &s, const S *v, const S *u, int64_t count, float *m) {
  int64_t channels = s.in * kLanes, outputs = s.out * kLanes, next = weights_block<S>(s.c);
  for (int p = 0; p < kPoints; ++p) {
    const S *from = v + p * s.from_pitch;
    float *to = m + p * s.to_pitch;
    for (int64_t b = 0; b < s.out;) {
      const S *weights = u + (p * s.out + b) * next;
      bool two = b + 1 < s.out;
      for (int64_t t = 0; t < count; t += kRows) {
        float *target = to + t * outputs + b * kLanes;
        if (two) product<kRows, 2>(from + t * channels, channels, weights, next, target, outputs);
        else product<kRows, 1>(from + t * channels, channels, weights, next, target, outputs);
      }
      b += two ? 2 : 1;
    }
  }
}

template <class T, class S>
void transform_outputs(
    const Sizes<S, float> &s, const float *m, int64_t first, int64_t count, const float *bias,
    const T *residual, float lower, float upper, T *y) {
  auto &c = s.c;
  int64_t outputs = s.out * kLanes, plane = int64_t(c.oh) * c.ow * kLanes;
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
        for (int i = 0; i < 6; ++i) d[i] = load(from + (6 * i + j) * s.to_pitch);
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
template <class T, class S>
void transform_gradients(
    const Sizes<S, S> &s, const T *dy, int64_t first, int64_t count, S *g, float *sums) {
  constexpr int kTiles = kTogether<S>;
  auto &c = s.c;
  int64_t outputs = s.out * kLanes, plane = int64_t(c.oh) * c.ow * kLanes;
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
      S *to = g + t * outputs + b * kLanes * kTiles;
      for (int i = 0; i < 6; ++i) {
        lanes f[6][kTiles];
        for (int k = 0; k < kTiles; ++k) gradient_line(e[k] + 4 * i, f[0] + k, kTiles);
        for (int j = 0; j < 6; ++j) store_factors(to + (6 * i + j) * s.to_pitch, f[j]);
      }
      if (sums) store(sums + b * kLanes, load(sums + b * kLanes) + sum);
    }
  }
}

// du[p][b][c][16] += sum over t of v[p][t][c] g[p][t][b].
template <class S>
void accumulate(const Sizes<S, S> &s, const S *v, const S *g, int64_t count, float *du) {
  int64_t channels = s.in * kLanes, outputs = s.out * kLanes;
  for (int p = 0; p < kPoints; ++p)
    for (int64_t b = 0; b < s.out; ++b)
      for (int64_t i = 0; i < s.in; ++i) {
        float *to = du + ((p * s.out + b) * s.in + i) * kLanes * kLanes;
        const S *left = v + p * s.from_pitch + i * kLanes * kTogether<S>;
        const S *right = g + p * s.to_pitch + b * kLanes * kTogether<S>;
        lanes sum[kLanes];
#pragma clang loop unroll(full)
        for (int k = 0; k < kLanes; ++k) sum[k] = load(to + k * kLanes);
        for (int64_t t = 0; t < count; t += kTogether<S>) {
          lanes y = load_factors(right + t * outputs);
#pragma clang loop unroll(full)
          for (int k = 0; k < kLanes; ++k)
            sum[k] = add_products(sum[k], y, left + t * channels + k * kTogether<S>);
        }
#pragma clang loop unroll(full)
        for (int k = 0; k < kLanes; ++k) store(to + k * kLanes, sum[k]);
      }
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
  for (int64_t group = groups * part / parts; group < groups * (part + 1) / parts; ++group)
    for (int64_t b = 0; b < blocks; ++b) {
      lanes f[36][kTogether<S>] = {};
      for (int k = 0; k < kTogether<S> && group * kTogether<S> + k < ic; ++k) {
        int64_t i = group * kTogether<S> + k, count = std::min<int64_t>(kLanes, oc - b * kLanes);
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

// How many blocks of a thread's part have been taken; a cache line of its own.
struct alignas(64) Taken {
  std::atomic<int64_t> blocks{0};
};

struct Forward {
  const nap_winograd *c;
  const void *x, *u;
  const float *bias;
  const void *residual;
  float lower, upper;
  void *y;
  char *scratch;
  Taken *taken;  // by part

  // Of each thread: both stages, and a gap.
  int64_t bytes() const {
    return kApart + (c->products == NAP_FLOAT32 ? Sizes<float, float>(*c).both_bytes
                                                : Sizes<bfloat16, float>(*c).both_bytes);
  }
};

template <class T, class S>
void forward_part(void *pointer, int part, int parts) {
  auto &job = *static_cast<Forward *>(pointer);
  Sizes<S, float> s(*job.c);
  char *scratch = job.scratch + part * job.bytes();
  auto *v = (S *)scratch;
  auto *m = (float *)(scratch + s.from_bytes);
  int64_t blocks = (s.tiles + s.block - 1) / s.block;
  // Its own part first, then what others have left of theirs, whose cores may be busy.
  for (int turn = 0; turn < parts; ++turn) {
    int whose = (part + turn) % parts;
    int64_t start = blocks * whose / parts, end = blocks * (whose + 1) / parts;
    for (int64_t k; (k = start + job.taken[whose].blocks++) < end;) {
      int64_t first = k * s.block, count = std::min(s.block, s.tiles - first);
      transform_inputs<1>(s, (const T *)job.x, first, count, v);
      multiply(s, v, (const S *)job.u, count, m);
      transform_outputs(
          s, m, first, count, job.bias, (const T *)job.residual, job.lower, job.upper,
          (T *)job.y);
    }
  }
  __builtin_ia32_sfence();
}

struct WeightGradient {
  const nap_winograd *c;
  const void *x, *dy;
  float *dw, *db;
  char *scratch;
  int parts;

  int64_t in() const { return blocks_of(c->ic); }
  int64_t out() const { return blocks_of(c->oc); }
  // What each thread finds: the transformed gradient, then the sums.
  int64_t weights() const { return kPoints * out() * in() * kLanes * kLanes; }
  int64_t found() const { return weights() + out() * kLanes; }
  float *found_by(int part) const { return (float *)(scratch + part * bytes()); }

  // Of each thread: what it finds, both stages, and a gap.
  int64_t bytes() const {
    int64_t stages = c->products == NAP_FLOAT32 ? Sizes<float, float>(*c).both_bytes
                                                : Sizes<bfloat16, bfloat16>(*c).both_bytes;
    return found() * sizeof(float) + stages + kApart;
  }
};

template <class T, class S>
void weight_gradient_part(void *pointer, int part, int parts) {
  auto &job = *static_cast<WeightGradient *>(pointer);
  Sizes<S, S> s(*job.c);
  float *du = job.found_by(part), *sums = du + job.weights();
  auto *v = (S *)(du + job.found());
  auto *g = (S *)((char *)v + s.from_bytes);
  if (part == 0) job.parts = parts;
  std::memset(du, 0, job.found() * sizeof(float));
  int64_t blocks = (s.tiles + s.block - 1) / s.block;
  for (int64_t k = blocks * part / parts; k < blocks * (part + 1) / parts; ++k) {
    int64_t first = k * s.block, count = std::min(s.block, s.tiles - first);
    transform_inputs<kTogether<S>>(s, (const T *)job.x, first, count, v);
    transform_gradients(s, (const T *)job.dy, first, count, g, job.db ? sums : nullptr);
    accumulate(s, v, g, count, du);
  }
}

// Adds what the threads found and transforms it back.
void collect_part(void *pointer, int part, int parts) {
  auto &job = *static_cast<WeightGradient *>(pointer);
  int64_t ic = job.c->ic, oc = job.c->oc, in = job.in(), out = job.out();
  for (int64_t i = ic * part / parts; i < ic * (part + 1) / parts; ++i)
    for (int64_t b = 0; b < out; ++b) {
      lanes d[36], e[18], f[9];
      for (int p = 0; p < kPoints; ++p) {
        d[p] = 0;
        int64_t place = ((p * out + b) * in * kLanes + i) * kLanes;
        for (int k = 0; k < job.parts; ++k) d[p] += load(job.found_by(k) + place);
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
      for (int k = 0; k < job.parts; ++k) job.db[o] += job.found_by(k)[job.weights() + o];
    }
}

NAP_LANES_END

}  // namespace

extern "C" {

int nap_winograd_supported(void) {
  return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
}

int nap_winograd_bfloat16_products(void) { return __builtin_cpu_supports("avx512bf16"); }

size_t nap_winograd_weights_bytes(const nap_winograd *c) {
  int64_t points = kPoints * blocks_of(c->oc);
  return c->products == NAP_FLOAT32 ? points * weights_block<float>(*c) * sizeof(float)
                                    : points * weights_block<bfloat16>(*c) * sizeof(bfloat16);
}

size_t nap_winograd_scratch_bytes(const nap_winograd *c, int gradient) {
  WeightGradient job{c};
  return nap_max_threads() * (gradient ? job.bytes() : Forward{c}.bytes());
}

void nap_winograd_weights(const nap_winograd *c, const float *w, int rotated, void *u) {
  Weights job{c, w, rotated, u};
  nap_parallel(c->products == NAP_FLOAT32 ? weights_part<float> : weights_part<bfloat16>, &job);
}

void nap_winograd_forward(
    const nap_winograd *c, const void *x, const void *u, const float *bias, const void *residual,
    float lower, float upper, void *y, void *scratch) {
  std::vector<Taken> taken(nap_max_threads());
  Forward job{c, x, u, bias, residual, lower, upper, y, (char *)scratch, taken.data()};
  nap_parallel(
      c->type == NAP_FLOAT32                ? forward_part<float, float>
      : c->products == NAP_BFLOAT16         ? forward_part<bfloat16, bfloat16>
      : nap_winograd_bfloat16_products()    ? forward_part<bfloat16, float>
                                            : forward_part<uint16_t, float>,
      &job);
}

void nap_winograd_weight_gradient(
    const nap_winograd *c, const void *x, const void *dy, float *dw, float *db, void *scratch) {
  WeightGradient job{c, x, dy, dw, db, (char *)scratch, 1};
  nap_parallel(
      c->type == NAP_FLOAT32        ? weight_gradient_part<float, float>
      : c->products == NAP_BFLOAT16 ? weight_gradient_part<bfloat16, bfloat16>
                                    : weight_gradient_part<uint16_t, float>,
      &job);
  nap_parallel(collect_part, &job);
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
