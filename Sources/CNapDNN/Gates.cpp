// What decides which channels of a convolution are open, for one image at a time: a network so small
// that waking a second thread would take longer.
#include "CNapDNN.h"
#include "Clones.h"

#include <algorithm>

namespace {

constexpr int64_t kLanes = 8;

// y = relu(x w + b), w [inputs, outputs]; NaN stays NaN. Some outputs at a time stay in registers.
NAP_CLONES void relu_of_product(
    int64_t inputs, int64_t outputs, const float *x, const float *w, const float *b, float *y) {
  constexpr int64_t kSome = 16;
  for (int64_t from = 0; from < outputs; from += kSome) {
    float sum[kSome] = {};
    int64_t some = std::min(kSome, outputs - from);
    for (int64_t k = 0; b && k < some; ++k) sum[k] = b[from + k];
    for (int64_t i = 0; i < inputs; ++i) {
      const float *row = w + i * outputs + from;
      if (some == kSome)
        for (int64_t k = 0; k < kSome; ++k) sum[k] += x[i] * row[k];
      else
        for (int64_t k = 0; k < some; ++k) sum[k] += x[i] * row[k];
    }
    for (int64_t k = 0; k < some; ++k) y[from + k] = sum[k] < 0 ? 0 : sum[k];
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
    relu_of_product(g->inputs, g->hidden, g->means + i * g->inputs, g->w1, g->b1, hidden);
    relu_of_product(g->hidden, g->units, hidden, g->w2, g->b2, units);
    for (int64_t u = 0; u < g->units; ++u) {
      float m = units[u] > g->upper ? g->upper : units[u];
      units[u] = m <= g->threshold ? 0 : m;
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
