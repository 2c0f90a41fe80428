// Pointwise loops that keep NaN. oneDNN's own ReLU and clip make their lower bound of it, its
// exponential infinity: their instructions return the second of two numbers that cannot be compared.
#include "CNapDNN.h"
#include "Clones.h"

namespace {

struct Limit {
  int type;
  size_t count;
  const void *a, *b;
  float lower, upper;
  void *out;
};

template <class T>
__attribute__((always_inline)) inline void limit_loop(
    size_t n, const T *a, const T *b, float lower, float upper, T *out) {
  T low, high;
  narrow(lower, low);
  narrow(upper, high);
  // The comparisons are false for NaN, which stays.
  auto limited = [=](T x) { return widen(x) < lower ? low : widen(x) > upper ? high : x; };
  if (!b) {
    for (size_t i = 0; i < n; ++i) out[i] = limited(a[i]);
    return;
  }
  for (size_t i = 0; i < n; ++i) {
    T sum;
    narrow(widen(a[i]) + widen(b[i]), sum);
    out[i] = limited(sum);
  }
}

NAP_CLONES void limit_f32(
    size_t n, const float *a, const float *b, float lower, float upper, float *out) {
  limit_loop(n, a, b, lower, upper, out);
}

NAP_CLONES void limit_bf16(
    size_t n, const uint16_t *a, const uint16_t *b, float lower, float upper, uint16_t *out) {
  limit_loop(n, a, b, lower, upper, out);
}

void limit_part(void *pointer, int part, int parts) {
  auto &w = *static_cast<Limit *>(pointer);
  size_t from = part_begin(w.count, part, parts), n = part_begin(w.count, part + 1, parts) - from;
  if (w.type == NAP_FLOAT32)
    limit_f32(
        n, (const float *)w.a + from, w.b ? (const float *)w.b + from : nullptr, w.lower, w.upper,
        (float *)w.out + from);
  else
    limit_bf16(
        n, (const uint16_t *)w.a + from, w.b ? (const uint16_t *)w.b + from : nullptr, w.lower,
        w.upper, (uint16_t *)w.out + from);
}

struct Keep {
  int type;
  size_t count;
  const void *x;
  void *y;
};

template <class T>
__attribute__((always_inline)) inline void keep_loop(size_t n, const T *x, T *y) {
  for (size_t i = 0; i < n; ++i) y[i] = widen(x[i]) == widen(x[i]) ? y[i] : x[i];
}

NAP_CLONES void keep_f32(size_t n, const float *x, float *y) { keep_loop(n, x, y); }
NAP_CLONES void keep_bf16(size_t n, const uint16_t *x, uint16_t *y) { keep_loop(n, x, y); }

void keep_part(void *pointer, int part, int parts) {
  auto &w = *static_cast<Keep *>(pointer);
  size_t from = part_begin(w.count, part, parts), n = part_begin(w.count, part + 1, parts) - from;
  if (w.type == NAP_FLOAT32) keep_f32(n, (const float *)w.x + from, (float *)w.y + from);
  else keep_bf16(n, (const uint16_t *)w.x + from, (uint16_t *)w.y + from);
}

// NaN and infinity are those whose bits, without the sign, are the largest.
template <class Bits>
__attribute__((always_inline)) inline bool exceeds(size_t n, const Bits *x, Bits largest) {
  const Bits sign = Bits(1) << (8 * sizeof(Bits) - 1);
  Bits found = 0;
  for (size_t i = 0; i < n; ++i) found |= Bits(x[i] & Bits(~sign)) > largest;
  return found;
}

NAP_CLONES bool exceeds_f32(size_t n, const uint32_t *x, uint32_t largest) {
  return exceeds(n, x, largest);
}

NAP_CLONES bool exceeds_bf16(size_t n, const uint16_t *x, uint16_t largest) {
  return exceeds(n, x, largest);
}

}  // namespace

extern "C" {

int64_t nap_find_not_finite(int type, size_t count, const void *x, int infinite) {
  const size_t chunk = 4096;
  auto found = [&](size_t from, size_t n) {
    return type == NAP_FLOAT32
        ? exceeds_f32(n, (const uint32_t *)x + from, infinite ? 0x7f7fffff : 0x7f800000)
        : exceeds_bf16(n, (const uint16_t *)x + from, infinite ? 0x7f7f : 0x7f80);
  };
  for (size_t from = 0; from < count; from += chunk) {
    size_t n = count - from < chunk ? count - from : chunk;
    if (!found(from, n)) continue;
    for (size_t i = from; i < from + n; ++i)
      if (found(i, 1)) return int64_t(i);
  }
  return -1;
}

void nap_limit(
    int type, size_t count, const void *a, const void *b, float lower, float upper, void *out) {
  Limit work{type, count, a, b, lower, upper, out};
  nap_parallel(limit_part, &work);
}

void nap_keep_nan(int type, size_t count, const void *x, void *y) {
  Keep work{type, count, x, y};
  nap_parallel(keep_part, &work);
}

}  // extern "C"
