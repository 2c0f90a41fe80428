// Work that threads take from each other.
#ifndef NAP_SHARING_H
#define NAP_SHARING_H

#include <atomic>
#include <cstdint>

namespace {

// How many items of a thread's part have been taken; a cache line of its own.
struct alignas(64) Taken {
  std::atomic<int64_t> items{0};
};

// Calls `body` for every item, whichever thread does: those of its own part first, then what others
// have left of theirs, whose cores may be busy.
template <class Body>
static inline __attribute__((always_inline)) void share(
    Taken *taken, int part, int parts, int64_t items, const Body &body) {
  for (int turn = 0; turn < parts; ++turn) {
    int whose = (part + turn) % parts;
    int64_t start = items * whose / parts, end = items * (whose + 1) / parts;
    for (int64_t k; (k = start + taken[whose].items++) < end;) body(k);
  }
}

}  // namespace

#endif
