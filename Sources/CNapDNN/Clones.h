// Loops over memory that are compiled for several processors, and bfloat16 in them.
#ifndef NAP_CLONES_H
#define NAP_CLONES_H

#include <cstdint>
#include <cstring>

// What chooses among them runs when a program is loaded, before the thread sanitizer is there.
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define NAP_CLONES
#endif
#endif

#if defined(NAP_CLONES)
#elif defined(__x86_64__)
#define NAP_CLONES __attribute__((target_clones("avx512bw", "avx2", "default")))
#else
#define NAP_CLONES
#endif

namespace {

inline float widen(float x) { return x; }

inline float widen(uint16_t x) {
  uint32_t bits = uint32_t(x) << 16;
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}

inline void narrow(float x, float &to) { to = x; }

// To the nearest; NaN stays NaN, whatever its bits, which rounding could carry over to zero.
inline void narrow(float x, uint16_t &to) {
  uint32_t bits;
  std::memcpy(&bits, &x, 4);
  to = x != x ? uint16_t(0x7fc0) : uint16_t((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

// A part of `count` elements: parts end on multiples of 64, so that no two threads share a cache line.
inline size_t part_begin(size_t count, int part, int parts) {
  size_t begin = (count + 63) / 64 * part / parts * 64;
  return begin < count ? begin : count;
}

}  // namespace

#endif
