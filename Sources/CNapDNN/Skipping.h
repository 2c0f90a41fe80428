// What kernels have in common that leave out closed blocks of 8 channels: which blocks are open, and what
// becomes of sums.
#ifndef NAP_SKIPPING_H
#define NAP_SKIPPING_H

#include "CNapDNN.h"
#include "Lanes.h"
#include "Sharing.h"

#if defined(__x86_64__) && defined(__clang__)
#define NAP_HAS_SKIPPING 1

#include <algorithm>
#include <cstring>
#include <vector>

// Between these two, functions are compiled for the processors that nap_skipping_supported() admits.
#define NAP_EIGHTS_BEGIN \
  _Pragma("clang attribute push(__attribute__((target(\"avx2,fma\"))), apply_to = function)")
#define NAP_EIGHTS_END _Pragma("clang attribute pop")

namespace {

typedef float eight __attribute__((ext_vector_type(8)));
typedef int32_t masks __attribute__((ext_vector_type(8)));

constexpr int kEight = 8;
constexpr float kInfinity = __builtin_inff();

NAP_EIGHTS_BEGIN

NAP_INLINE eight load_eight(const float *p) {
  eight x;
  std::memcpy(&x, p, sizeof x);
  return x;
}

NAP_INLINE void store(float *p, eight x) { std::memcpy(p, &x, sizeof x); }

// The first `count` of 8 numbers, and zeros.
NAP_INLINE eight load_some(const float *p, int64_t count) {
  eight x = 0;
  std::memcpy(&x, p, std::min<int64_t>(count, kEight) * sizeof(float));
  return x;
}

NAP_INLINE eight kept(eight x, masks where) { return (eight)((masks)x & where); }

NAP_INLINE bool any(masks m) { return __builtin_ia32_movmskps256((eight)m) != 0; }

// NaN stays NaN: such a number is neither below nor above another.
NAP_INLINE eight limited(eight x, float lower, float upper) {
  x = x < eight(lower) ? eight(lower) : x;
  return x > eight(upper) ? eight(upper) : x;
}

NAP_INLINE int64_t blocks_of(int64_t channels) { return (channels + kEight - 1) / kEight; }

// Of the last block, lanes that are channels.
NAP_INLINE masks channels_of(int64_t channels, int64_t block) {
  masks lane = {0, 1, 2, 3, 4, 5, 6, 7};
  return lane < masks(int32_t(channels - block * kEight));
}

// Of a block's channels.
NAP_INLINE eight gate(const float *gates, int64_t channels, int64_t image, int64_t block) {
  return load_some(gates + image * channels + block * kEight, channels - block * kEight);
}

NAP_INLINE bool is_open(const float *gates, int64_t channels, int64_t image, int64_t block) {
  return !gates || any(gate(gates, channels, image, block) != 0);
}

NAP_INLINE int64_t count_open(const float *gates, int64_t channels, int64_t image) {
  int64_t count = 0;
  for (int64_t b = 0; b < blocks_of(channels); ++b) count += is_open(gates, channels, image, b);
  return count;
}

// Pairs of open blocks, of inputs and of outputs, of all images.
NAP_INLINE int64_t count_pairs(const nap_skipping &c, const nap_skipping_job &job) {
  int64_t pairs = 0;
  for (int64_t i = 0; i < c.n; ++i)
    pairs += count_open(job.in_gates, c.ic, i) * count_open(job.out_gates, c.oc, i);
  return pairs;
}

// What outputs are limited to, before and after a residual is added.
struct Bounds {
  float lower, upper, last_lower, last_upper;
  bool limit, limit_last;

  explicit Bounds(const nap_skipping_job &job)
      : lower(job.lower), upper(job.upper), last_lower(job.last_lower), last_upper(job.last_upper),
        limit(lower > -kInfinity || upper < kInfinity),
        limit_last(last_lower > -kInfinity || last_upper < kInfinity) {}
};

// A block of an image's outputs.
struct Output {
  eight bias, gates;
  masks open, channels;
  const float *residual;
  float *y;
  eight sum;  // of y

  // `at` is where the block begins in y.
  Output() = default;
  Output(const nap_skipping_job &job, int64_t channels, int64_t image, int64_t b, int64_t at)
      : bias(0), gates(1), channels(channels_of(channels, b)),
        residual(job.residual ? job.residual + at : nullptr), y(job.y + at), sum(0) {
    if (job.bias) bias = load_some(job.bias + b * kEight, channels - b * kEight);
    if (job.out_gates) gates = gate(job.out_gates, channels, image, b);
    open = this->channels & (gates != 0);
  }

  // Makes R neighbouring outputs of sums.
  template <int R>
  NAP_INLINE_MEMBER void finish(const Bounds &bounds, eight *x, int64_t position) {
    if (bounds.limit)
      for (int r = 0; r < R; ++r) x[r] = limited(x[r], bounds.lower, bounds.upper);
    for (int r = 0; r < R; ++r) x[r] = kept(x[r] * gates, open);
    if (residual)
      for (int r = 0; r < R; ++r) x[r] += load_eight(residual + (position + r) * kEight);
    if (bounds.limit_last)
      for (int r = 0; r < R; ++r)
        x[r] = kept(limited(x[r], bounds.last_lower, bounds.last_upper), channels);
    eight all = sum;
    for (int r = 0; r < R; ++r) all += x[r];
    sum = all;
    for (int r = 0; r < R; ++r) store(y + (position + r) * kEight, x[r]);
  }

  // Outputs that nothing is computed for.
  void close(const Bounds &bounds, int64_t positions) {
    eight x = 0;
    if (residual) {
      for (int64_t p = 0; p < positions; ++p, x = 0) finish<1>(bounds, &x, p);
    } else {
      finish<1>(bounds, &x, 0);
      for (int64_t p = 1; p < positions; ++p) store(y + p * kEight, x);
      sum = x * float(positions);
    }
  }
};

struct alignas(64) Line {
  float numbers[16];
};

NAP_INLINE float *grown(std::vector<Line> &lines, int64_t numbers) {
  size_t count = (numbers + 15) / 16;
  if (lines.size() < count) lines.resize(count);
  // There may be none.
  return reinterpret_cast<float *>(lines.data());
}

// Sums of outputs, [n, blocks, parts of an image, 8], of which means are made.
struct Sums {
  float *numbers;
  int64_t blocks, parts;

  void set(int64_t image, int64_t block, int64_t part, eight sum) const {
    if (numbers) store(numbers + ((image * blocks + block) * parts + part) * kEight, sum);
  }

  void average(const nap_skipping &c, float *means) const {
    for (int64_t k = 0; k < c.n * blocks; ++k) {
      eight sum = 0;
      for (int64_t i = 0; i < parts; ++i) sum += load_eight(numbers + (k * parts + i) * kEight);
      sum /= float(c.oh * c.ow);
      int64_t channel = k % blocks * kEight;
      std::memcpy(
          means + k / blocks * c.oc + channel, &sum,
          std::min<int64_t>(kEight, c.oc - channel) * sizeof(float));
    }
  }
};

// Work that threads share.
struct Items {
  Taken *taken;
  int64_t count;

  // Runs `part` of a job that takes `items`, on all threads or, where that is not worth it, on one.
  template <class Job>
  static void run(Job &job, int64_t count, bool alone) {
    static thread_local std::vector<Taken> all;
    int threads = nap_max_threads();
    if (all.size() != size_t(threads)) all = std::vector<Taken>(threads);
    for (auto &t : all) t.items = 0;
    job.items = {all.data(), count};
    if (alone) Job::part(&job, 0, 1);
    else nap_parallel(Job::part, &job);
  }
};

NAP_EIGHTS_END

NAP_LANES_BEGIN

// Two blocks in one register.
NAP_INLINE lanes join(eight a, eight b) {
  return __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}

// Two blocks of outputs at once, or one twice.
struct Pair {
  typedef int32_t wide_masks __attribute__((ext_vector_type(16)));
  const Output *outputs;
  lanes gates, sum;
  wide_masks open, channels;

  explicit Pair(const Output *outputs)
      : outputs(outputs), gates(join(outputs[0].gates, outputs[1].gates)), sum(0),
        open((wide_masks)join((eight)outputs[0].open, (eight)outputs[1].open)),
        channels((wide_masks)join((eight)outputs[0].channels, (eight)outputs[1].channels)) {}

  // Makes an output of either block of sums.
  NAP_INLINE_MEMBER void finish(const Bounds &bounds, lanes x, int64_t first, int64_t second) {
    if (bounds.limit) x = limited(x, bounds.lower, bounds.upper);
    x = open ? x * gates : lanes(0);
    auto &a = outputs[0], &b = outputs[1];
    first *= kEight, second *= kEight;
    if (a.residual) x += join(load_eight(a.residual + first), load_eight(b.residual + second));
    if (bounds.limit_last)
      x = channels ? limited(x, bounds.last_lower, bounds.last_upper) : lanes(0);
    sum += x;
    store(a.y + first, x.lo);
    store(b.y + second, x.hi);
  }
};

NAP_LANES_END

}  // namespace

// What the functions of the same names in CNapDNN.h do by Winograd's algorithm.
size_t skipping_winograd_bytes(const nap_skipping *c);
void skipping_winograd_weights(const nap_skipping *c, const float *w, float *transformed);
void skipping_winograd_run(const nap_skipping *c, const nap_skipping_job *job);

#endif
#endif
