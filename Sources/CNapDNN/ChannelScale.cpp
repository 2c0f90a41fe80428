// Products of images with a number for every image and channel, as gates and attention to channels
// compute them, in whatever layout the images lie.
#include "CNapDNN.h"
#include "Clones.h"

#include <algorithm>

namespace {

// `kMost` channels at most lie side by side; of channels last, so many are taken at a time.
constexpr int64_t kMost = 16;

struct Scaling {
  const nap_channel_scale *c;
  const void *x;
  const float *scales;
  const void *dy;
  void *result;
  float *sums;
};

// Some channels that lie side by side, of an image's.
struct Group {
  int64_t first, count, place;  // of the first pixel, in numbers
};

__attribute__((always_inline)) inline Group group_at(const nap_channel_scale &c, int64_t index) {
  int64_t width = std::min(c.inner, kMost), groups = (c.channels + width - 1) / width;
  int64_t image = index / groups, channel = index % groups * width;
  int64_t blocks = (c.channels + c.inner - 1) / c.inner;
  int64_t block = channel / c.inner, inside = channel % c.inner;
  return {image * c.channels + channel, std::min(width, c.channels - channel),
          (image * blocks + block) * c.positions * c.inner + inside};
}

int64_t groups_of(const nap_channel_scale &c) {
  int64_t width = std::min(c.inner, kMost);
  return c.n * ((c.channels + width - 1) / width);
}

template <class T>
__attribute__((always_inline)) inline void scale_group(
    const nap_channel_scale &c, const Group &g, const T *x, const float *scales, T *y) {
  float scale[kMost] = {};
  std::memcpy(scale, scales + g.first, g.count * sizeof(float));
  int64_t width = std::min(c.inner, kMost);
  for (int64_t p = 0; p < c.positions; ++p) {
    const T *from = x + g.place + p * c.inner;
    T *to = y + g.place + p * c.inner;
    if (width == kMost && (c.inner == kMost || g.count == kMost))
      for (int k = 0; k < kMost; ++k) narrow(widen(from[k]) * scale[k], to[k]);
    else
      for (int64_t k = 0; k < (c.inner > kMost ? g.count : width); ++k)
        narrow(widen(from[k]) * scale[k], to[k]);
  }
}

// One channel whose pixels lie one after another, in several sums, as one would wait for itself.
template <class T>
__attribute__((always_inline)) inline float sum_line(int64_t n, const T *x, const T *dy) {
  constexpr int kSums = 16;
  float sums[kSums] = {}, sum = 0;
  int64_t p = 0;
  for (; p + kSums <= n; p += kSums)
    for (int k = 0; k < kSums; ++k) sums[k] += widen(x[p + k]) * widen(dy[p + k]);
  for (; p < n; ++p) sum += widen(x[p]) * widen(dy[p]);
  for (float s : sums) sum += s;
  return sum;
}

template <class T>
__attribute__((always_inline)) inline void sum_group(
    const nap_channel_scale &c, const Group &g, const T *x, const T *dy, float *sums) {
  if (c.inner == 1) {
    sums[g.first] = sum_line(c.positions, x + g.place, dy + g.place);
    return;
  }
  float sum[kMost] = {};
  int64_t width = c.inner > kMost ? g.count : c.inner;
  for (int64_t p = 0; p < c.positions; ++p) {
    const T *a = x + g.place + p * c.inner, *b = dy + g.place + p * c.inner;
    if (width == kMost)
      for (int k = 0; k < kMost; ++k) sum[k] += widen(a[k]) * widen(b[k]);
    else
      for (int64_t k = 0; k < width; ++k) sum[k] += widen(a[k]) * widen(b[k]);
  }
  std::memcpy(sums + g.first, sum, g.count * sizeof(float));
}

template <class T>
__attribute__((always_inline)) inline void part_of(const Scaling &s, int64_t from, int64_t to) {
  for (int64_t k = from; k < to; ++k) {
    Group g = group_at(*s.c, k);
    if (s.sums) sum_group(*s.c, g, (const T *)s.x, (const T *)s.dy, s.sums);
    if (s.result) scale_group(*s.c, g, (const T *)(s.dy ? s.dy : s.x), s.scales, (T *)s.result);
  }
}

NAP_CLONES void part_f32(const Scaling &s, int64_t from, int64_t to) { part_of<float>(s, from, to); }
NAP_CLONES void part_bf16(const Scaling &s, int64_t from, int64_t to) {
  part_of<uint16_t>(s, from, to);
}

void part(void *pointer, int part, int parts) {
  auto &s = *static_cast<Scaling *>(pointer);
  int64_t groups = groups_of(*s.c), from = groups * part / parts, to = groups * (part + 1) / parts;
  if (s.c->type == NAP_FLOAT32) part_f32(s, from, to);
  else part_bf16(s, from, to);
}

}  // namespace

extern "C" {

void nap_channel_scale_forward(
    const nap_channel_scale *c, const void *x, const float *scales, void *y) {
  Scaling job{c, x, scales, nullptr, y, nullptr};
  nap_parallel(part, &job);
}

void nap_channel_scale_backward(
    const nap_channel_scale *c, const void *x, const float *scales, const void *dy, void *dx,
    float *dscales) {
  Scaling job{c, x, scales, dy, dx, dscales};
  nap_parallel(part, &job);
}

}  // extern "C"
