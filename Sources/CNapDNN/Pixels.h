// Sixteen neighbouring numbers, or eight, float32 or bfloat16 in memory, on whatever processor: what NAP_CLONES compiles.
#ifndef NAP_PIXELS_H
#define NAP_PIXELS_H

#include <cstdint>
#include <cstring>

#define NAP_INLINE __attribute__((always_inline)) inline

namespace {

template <int N>
struct vectors {
  typedef float numbers __attribute__((ext_vector_type(N)));
  typedef uint16_t halves __attribute__((ext_vector_type(N)));
  typedef uint32_t words __attribute__((ext_vector_type(N)));
};
template <int N>
using numbers = typename vectors<N>::numbers;
typedef numbers<16> lanes;

template <int N>
NAP_INLINE void load(const float *p, numbers<N> &x) {
  std::memcpy(&x, p, sizeof x);
}

template <int N>
NAP_INLINE void load(const uint16_t *p, numbers<N> &x) {
  typename vectors<N>::halves h;
  std::memcpy(&h, p, sizeof h);
  x = (numbers<N>)(__builtin_convertvector(h, typename vectors<N>::words) << 16);
}

template <int N>
NAP_INLINE void store(float *p, const numbers<N> &x) {
  std::memcpy(p, &x, sizeof x);
}

// To the nearest; NaN stays NaN.
template <int N>
NAP_INLINE void store(uint16_t *p, const numbers<N> &x) {
  typedef typename vectors<N>::words words;
  typedef typename vectors<N>::halves halves;
  words bits = (words)x;
  words rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  words isNumber = (words)(x == x);
  halves h = __builtin_convertvector((rounded & isNumber) | (0x7fc0 & ~isNumber), halves);
  std::memcpy(p, &h, sizeof h);
}

template <class T>
NAP_INLINE void load(const T *p, lanes &x) {
  load<16>(p, x);
}

template <class T>
NAP_INLINE void store(T *p, const lanes &x) {
  store<16>(p, x);
}

}  // namespace

#endif
