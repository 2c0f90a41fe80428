// What decides which channels of a convolution are open, for one image at a time: a network so
// small that waking a second thread would take longer.
#include "CNapDNN.h"
#include "Clones.h"

#include <algorithm>

namespace {

constexpr int64_t kLanes = 8;

// Some neighbouring outputs of max(lower, x w + b), whose sums stay in registers; NaN stays NaN.
template <int Some>
__attribute__((always_inline)) inline void limited_some(
    int64_t inputs, int64_t outputs, float lower, const float *x, const float *w, const float *b,
    float *y) {
  float sum[Some] = {};
  if (b)
    for (int k = 0; k < Some; ++k) sum[k] = b[k];
  for (int64_t i = 0; i < inputs; ++i)
    for (int k = 0; k < Some; ++k) sum[k] += x[i] * w[i * outputs + k];
  for (int k = 0; k < Some; ++k) y[k] = sum[k] < lower ? lower : sum[k];
}

// w is [inputs, outputs].
NAP_CLONES void limited_product(
    int64_t inputs, int64_t outputs, float lower, const float *x, const float *w, const float *b,
    float *y) {
  for (int64_t k = 0, some; k < outputs; k += some) {
    const float *bias = b ? b + k : nullptr;
    some = outputs - k >= 32 ? 32 : outputs - k >= 8 ? 8 : 1;
    if (some == 32) limited_some<32>(inputs, outputs, lower, x, w + k, bias, y + k);
    else if (some == 8) limited_some<8>(inputs, outputs, lower, x, w + k, bias, y + k);
    else limited_some<1>(inputs, outputs, lower, x, w + k, bias, y + k);
  }
}

// In several sums, as one would wait for itself.
NAP_CLONES void sum_of_block(int64_t positions, const float *x, float *sum) {
  constexpr int64_t kSums = 4 * kLanes;
  float sums[kSums] = {};
  int64_t k = 0, end = positions * kLanes;
  for (; k + kSums <= end; k += kSums)
    for (int64_t i = 0; i < kSums; ++i) sums[i] += x[k + i];
  for (; k < end; k += kLanes)
    for (int64_t i = 0; i < kLanes; ++i) sums[i] += x[k + i];
  for (int64_t i = 0; i < kLanes; ++i)
    sum[i] = sums[i] + sums[i + kLanes] + (sums[i + 2 * kLanes] + sums[i + 3 * kLanes]);
}

struct Means {
  int64_t n, c, positions;
  const float *x;
  float *means;

  static void part(void *pointer, int part, int parts) {
    auto &m = *static_cast<Means *>(pointer);
    int64_t blocks = (m.c + kLanes - 1) / kLanes, items = m.n * blocks;
    for (int64_t k = items * part / parts; k < items * (part + 1) / parts; ++k) {
      float sum[kLanes];
      sum_of_block(m.positions, m.x + k * m.positions * kLanes, sum);
      int64_t channel = k % blocks * kLanes;
      for (int64_t i = 0; i < std::min(kLanes, m.c - channel); ++i)
        m.means[k / blocks * m.c + channel + i] = sum[i] / float(m.positions);
    }
  }
};

}  // namespace

extern "C" {

void nap_gate_run(const nap_gate *g) {
  float *hidden = g->scratch, *units = hidden + g->hidden;
  for (int64_t i = 0; i < g->n; ++i) {
    limited_product(g->inputs, g->hidden, 0, g->means + i * g->inputs, g->w1, g->b1, hidden);
    limited_product(g->hidden, g->units, g->lower, hidden, g->w2, g->b2, units);
    for (int64_t u = 0; u < g->units; ++u) {
      float m = units[u] > g->upper ? g->upper : units[u];
      bool is_nan = g->scales && m != m;
      units[u] = m > g->threshold || is_nan ? (g->scales ? m : 1) : 0;
    }
    for (int64_t o = 0; o < g->oc; ++o) g->gates[i * g->oc + o] = units[g->unit[o]];
  }
}

void nap_block_means(int64_t n, int64_t c, int64_t positions, const float *x, float *means) {
  Means job{n, c, positions, x, means};
  // Where a second thread is not worth waking.
  if (n * c * positions < 1 << 16) Means::part(&job, 0, 1);
  else nap_parallel(Means::part, &job);
}

}  // extern "C"
