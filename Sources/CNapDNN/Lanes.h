// Registers of 16 channels, as images in blocks of 16 channels are worked on.
#ifndef NAP_LANES_H
#define NAP_LANES_H

#if defined(__x86_64__) && defined(__clang__)
#define NAP_HAS_LANES 1

#include <cstring>

#define NAP_INLINE static inline __attribute__((always_inline))
#define NAP_INLINE_MEMBER inline __attribute__((always_inline))
// Between these two, functions are compiled for the processors that nap_winograd_supported() admits,
// and may call instructions for bfloat16 by name.
#define NAP_LANES_BEGIN          \
  _Pragma("clang attribute push( \
    __attribute__((target(\"avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,fma\"))), apply_to = function)")
#define NAP_LANES_END _Pragma("clang attribute pop")

namespace {

typedef float lanes __attribute__((ext_vector_type(16)));
constexpr int kLanes = 16;

NAP_LANES_BEGIN

NAP_INLINE lanes load(const float *p) {
  lanes x;
  std::memcpy(&x, p, sizeof x);
  return x;
}

NAP_INLINE void store(float *p, lanes x) { std::memcpy(p, &x, sizeof x); }

// NaN stays NaN: such a number is neither below nor above another.
NAP_INLINE lanes limited(lanes x, float lower, float upper) {
  x = x < lanes(lower) ? lanes(lower) : x;
  return x > lanes(upper) ? lanes(upper) : x;
}

NAP_LANES_END

}  // namespace

#endif
#endif
