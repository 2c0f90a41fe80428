// Sixteen neighbouring numbers, float32 or bfloat16 in memory, on whatever processor: what NAP_CLONES compiles.
#ifndef NAP_PIXELS_H
#define NAP_PIXELS_H

#include <cstdint>
#include <cstring>

#define NAP_INLINE __attribute__((always_inline)) inline

namespace {

typedef float lanes __attribute__((ext_vector_type(16)));
typedef uint16_t halves __attribute__((ext_vector_type(16)));
typedef uint32_t words __attribute__((ext_vector_type(16)));

NAP_INLINE void load(const float *p, lanes &x) { std::memcpy(&x, p, sizeof x); }

NAP_INLINE void load(const uint16_t *p, lanes &x) {
  halves h;
  std::memcpy(&h, p, sizeof h);
  x = (lanes)(__builtin_convertvector(h, words) << 16);
}

NAP_INLINE void store(float *p, const lanes &x) { std::memcpy(p, &x, sizeof x); }

// To the nearest; NaN stays NaN.
NAP_INLINE void store(uint16_t *p, const lanes &x) {
  words bits = (words)x;
  words rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  words isNumber = (words)(x == x);
  halves h = __builtin_convertvector((rounded & isNumber) | (0x7fc0 & ~isNumber), halves);
  std::memcpy(p, &h, sizeof h);
}

}  // namespace

#endif
