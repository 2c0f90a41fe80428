// Gradients of weights for which every thread goes through examples of its own.
#ifndef NAP_WEIGHT_GRADIENTS_H
#define NAP_WEIGHT_GRADIENTS_H

#include <vector>

#include "Kernel.h"

// oneDNN's threads add up their parts of a gradient in loops that never sleep while they wait for each
// other: where another process has one of the cores, whole time slices go. So each computes a gradient of
// its own examples by itself, and these are added up.
struct Shares : Work {
  struct Share {
    primitive_desc_base description;
    primitive work;
    std::unordered_map<int, memory> arguments;
    int64_t first, count;
  };

  std::vector<Share> all;

  // For the sums of all shares but the first, and for oneDNN's work on each.
  memory::desc layout(int code, const memory::desc &theirs) const override;
  void bind(int code, void *pointer) override;
  bool run() override;
};

#endif
