// Max pools that keep NaN, which oneDNN's drop.
#include "CNapDNN.h"
#include "Clones.h"
#include "Pixels.h"

#include <algorithm>
#include <limits>
#include <vector>

namespace {

// The larger number of each pair; NaN where either is.
template <class X>
NAP_INLINE void take_larger(const X &x, X &most) {
  most = ((x > most) | (x != x)) ? x : most;
}

// Where a window begins along an axis, and which of its taps lie in the image.
struct Taps {
  int64_t start, first, last;
};

struct Pool {
  const nap_max_pool *p;
  const void *x;
  void *y;
  const Taps *taps[3];

  Pool(const nap_max_pool *p, const void *x, void *y) : p(p), x(x), y(y) {
    for (int axis = 0; axis < 3; ++axis) {
      for (int64_t at = 0; at < p->out[axis]; ++at) {
        int64_t start = at * p->strides[axis] - p->pads[axis], step = p->dilations[axis];
        all[axis].push_back(
            {start, start < 0 ? (step - 1 - start) / step : 0,
             std::min(p->kernel[axis], (p->in[axis] - start + step - 1) / step)});
      }
      taps[axis] = all[axis].data();
    }
  }

 private:
  std::vector<Taps> all[3];
};

// Calls `body` with every pixel that the window at three positions sees.
template <class T, class Body>
NAP_INLINE void for_each_tap(
    const nap_max_pool &p, const T *x, const Taps &d, const Taps &h, const Taps &w,
    const Body &body) {
  for (int64_t i = d.first; i < d.last; ++i)
    for (int64_t j = h.first; j < h.last; ++j) {
      int64_t row = (d.start + i * p.dilations[0]) * p.in[1] + h.start + j * p.dilations[1];
      const T *from = x + (row * p.in[2] + w.start) * p.inner;
      for (int64_t k = w.first; k < w.last; ++k) body(from + k * p.dilations[2] * p.inner);
    }
}

// The largest of N channels side by side, which stay in a register while the window is looked at.
template <int N, class T>
NAP_INLINE void pool_pixel(
    const nap_max_pool &p, const T *x, const Taps &d, const Taps &h, const Taps &w, T *y) {
  numbers<N> most = -std::numeric_limits<float>::infinity(), one;
  for_each_tap(p, x, d, h, w, [&](const T *from) __attribute__((always_inline)) {
    load<N>(from, one);
    take_larger(one, most);
  });
  store<N>(y, most);
}

template <class T>
NAP_INLINE void pool_plane(const Pool &pool, const T *x, T *y) {
  const nap_max_pool &p = *pool.p;
  const float lowest = -std::numeric_limits<float>::infinity();
  for (int64_t i = 0; i < p.out[0]; ++i)
    for (int64_t j = 0; j < p.out[1]; ++j)
      for (int64_t k = 0; k < p.out[2]; ++k) {
        const Taps &d = pool.taps[0][i], &h = pool.taps[1][j], &w = pool.taps[2][k];
        int64_t c = 0;
        for (; c + 16 <= p.inner; c += 16) pool_pixel<16>(p, x + c, d, h, w, y + c);
        for (; c + 8 <= p.inner; c += 8) pool_pixel<8>(p, x + c, d, h, w, y + c);
        for (; c < p.inner; ++c) {
          float most = lowest;
          for_each_tap(p, x + c, d, h, w, [&](const T *from) __attribute__((always_inline)) {
            take_larger(widen(*from), most);
          });
          narrow(most, y[c]);
        }
        y += p.inner;
      }
}

NAP_CLONES void pool_f32(const Pool &p, const float *x, float *y) { pool_plane(p, x, y); }
NAP_CLONES void pool_bf16(const Pool &p, const uint16_t *x, uint16_t *y) { pool_plane(p, x, y); }

void pool_part(void *pointer, int part, int parts) {
  auto &job = *static_cast<Pool *>(pointer);
  auto &p = *job.p;
  int64_t in = p.in[0] * p.in[1] * p.in[2] * p.inner;
  int64_t out = p.out[0] * p.out[1] * p.out[2] * p.inner;
  for (int64_t o = p.outer * part / parts; o < p.outer * (part + 1) / parts; ++o)
    if (p.type == NAP_FLOAT32) pool_f32(job, (const float *)job.x + o * in, (float *)job.y + o * out);
    else pool_bf16(job, (const uint16_t *)job.x + o * in, (uint16_t *)job.y + o * out);
}

}  // namespace

extern "C" void nap_max_pool_forward(const nap_max_pool *p, const void *x, void *y) {
  Pool job(p, x, y);
  nap_parallel(pool_part, &job);
}
