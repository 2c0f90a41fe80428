// Batch normalization of images in blocks of 16 channels.
#ifndef NAP_NORMALIZATION_H
#define NAP_NORMALIZATION_H

#include "Kernel.h"

struct NormalizationOptions {
  float epsilon;
  // Whether mean and variance are those of the batch; else they are given.
  bool uses_batch;
  bool has_relu;
  bool is_gradient;
};

// Null where the images lie otherwise.
std::shared_ptr<Work> normalization(const nap_layout *data, NormalizationOptions options);

#endif
