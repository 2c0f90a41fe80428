// Second moments of the 3x3 patches of images, by their translation structure: the product of two
// patch elements, summed over all positions, depends on the distance of the elements and on what the
// border cuts off. So 13 correlations between channels, of which the other 12 are transposes, and
// those of the outermost lines replace 81 products.
#include "CNapDNN.h"
#include "Lanes.h"

#include <algorithm>

#if NAP_HAS_LANES

namespace {

NAP_LANES_BEGIN

struct Range {
  int64_t top, bottom, left, right;
};

// to[k][16] += sum over the range of a[y][x][k] b[y + dy][x + dx][16].
void correlate(
    const float *a, const float *b, int64_t w, Range r, int64_t dy, int64_t dx, float *to) {
  lanes sum[kLanes];
#pragma clang loop unroll(full)
  for (int k = 0; k < kLanes; ++k) sum[k] = load(to + k * kLanes);
  for (int64_t y = r.top; y < r.bottom; ++y) {
    const float *pa = a + (y * w + r.left) * kLanes;
    const float *pb = b + ((y + dy) * w + r.left + dx) * kLanes;
    for (int64_t x = r.left; x < r.right; ++x, pa += kLanes, pb += kLanes) {
      lanes v = load(pb);
#pragma clang loop unroll(full)
      for (int k = 0; k < kLanes; ++k) sum[k] += v * pa[k];
    }
  }
#pragma clang loop unroll(full)
  for (int k = 0; k < kLanes; ++k) store(to + k * kLanes, sum[k]);
}

void add_up(const float *a, int64_t w, Range r, float *to) {
  lanes sum = load(to);
  for (int64_t y = r.top; y < r.bottom; ++y)
    for (int64_t x = r.left; x < r.right; ++x) sum += load(a + (y * w + x) * kLanes);
  store(to, sum);
}

struct Job {
  const nap_correlation *c;
  const float *x;
  float *sums;
  int64_t floats;  // of one part
};

void correlation_part(void *pointer, int part, int parts) {
  auto &job = *static_cast<Job *>(pointer);
  int64_t h = job.c->h, w = job.c->w, blocks = (job.c->c + kLanes - 1) / kLanes;
  int64_t plane = h * w * kLanes, square = blocks * blocks * kLanes * kLanes;
  float *sums = job.sums + part * job.floats, *lines = sums + NAP_CORRELATIONS * square;
  for (int64_t n = job.c->n * part / parts; n < job.c->n * (part + 1) / parts; ++n) {
    const float *image = job.x + n * blocks * plane;
    for (int64_t i = 0; i < blocks; ++i) {
      const float *a = image + i * plane;
      for (int64_t j = 0; j < blocks; ++j) {
        const float *b = image + j * plane;
        float *to = sums + (i * blocks + j) * kLanes * kLanes;
        auto next = [&](Range r, int64_t dy, int64_t dx) {
          if (r.bottom > r.top && r.right > r.left) correlate(a, b, w, r, dy, dx, to);
          to += square;
        };
        for (int64_t dy = 0; dy < 3; ++dy)
          for (int64_t dx = dy == 0 ? 0 : -2; dx < 3; ++dx)
            next({0, h - dy, std::max<int64_t>(0, -dx), w - std::max<int64_t>(0, dx)}, dy, dx);
        for (int64_t y : {int64_t(0), h - 1})
          for (int64_t dx = 0; dx < 3; ++dx) next({y, y + 1, 0, w - dx}, 0, dx);
        for (int64_t x : {int64_t(0), w - 1})
          for (int64_t dy = 0; dy < 3; ++dy) next({0, h - dy, x, x + 1}, dy, 0);
        for (int64_t y : {int64_t(0), h - 1})
          for (int64_t x : {int64_t(0), w - 1}) next({y, y + 1, x, x + 1}, 0, 0);
      }
      float *to = lines + i * kLanes;
      auto next = [&](Range r) {
        add_up(a, w, r, to);
        to += blocks * kLanes;
      };
      next({0, h, 0, w});
      for (int64_t y : {int64_t(0), h - 1}) next({y, y + 1, 0, w});
      for (int64_t x : {int64_t(0), w - 1}) next({0, h, x, x + 1});
      for (int64_t y : {int64_t(0), h - 1})
        for (int64_t x : {int64_t(0), w - 1}) next({y, y + 1, x, x + 1});
    }
  }
}

NAP_LANES_END

}  // namespace

extern "C" {

size_t nap_correlation_floats(const nap_correlation *c) {
  int64_t blocks = (c->c + kLanes - 1) / kLanes;
  return NAP_CORRELATIONS * blocks * blocks * kLanes * kLanes + NAP_LINES * blocks * kLanes;
}

void nap_correlation_add(const nap_correlation *c, const float *x, float *sums) {
  Job job{c, x, sums, int64_t(nap_correlation_floats(c))};
  nap_parallel(correlation_part, &job);
}

}  // extern "C"

#else

extern "C" {
size_t nap_correlation_floats(const nap_correlation *) { return 0; }
void nap_correlation_add(const nap_correlation *, const float *, float *) {}
}

#endif
