// What Winograd's kernels are made of: numbers in memory and in registers, and the one-dimensional
// transforms.
#ifndef NAP_WINOGRAD_LINES_H
#define NAP_WINOGRAD_LINES_H

#include "Lanes.h"

#if NAP_HAS_LANES

#include <immintrin.h>

#include <cstdint>
#include <cstring>

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

NAP_LANES_BEGIN

NAP_INLINE lanes load(const uint16_t *p) {
  halves h;
  std::memcpy(&h, p, sizeof h);
  words w = __builtin_convertvector(h, words) << 16;
  return (lanes)w;
}

NAP_INLINE void store(uint16_t *p, lanes x) {
  words w = (words)x;
  // Rounding could carry the bits of NaN over to zero.
  w = x == x ? (w + 0x7fff + ((w >> 16) & 1)) >> 16 : words(0x7fc0);
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

NAP_LANES_END

}  // namespace

#endif
#endif
