// oneDNN's threads add up statistics in loops that never sleep while they wait for each other (see
// WeightGradients.h), and its ReLU drops NaN. Here threads meet where OpenMP's do, and images are read once
// for mean and variance.
#include "Normalization.h"

#include <cmath>
#include <vector>

#include "Clones.h"
#include "Pixels.h"

namespace {

constexpr int64_t kChannels = 16;
// Positions of a block that stay in the cache while they are read twice.
constexpr int64_t kPositions = 128;

// Numbers of each channel of a block: mean and squared deviations from it, or two sums.
struct Sums {
  double count, first[kChannels], second[kChannels];
};

// What the numbers of a channel are multiplied by, and so on, of a block.
struct Factors {
  lanes mean, factor, shift, constant, slope;
};

// Chan, Golub & LeVeque 1979: mean and squared deviations of two sets together.
NAP_INLINE void merge(double count, const double *mean, const double *squares, Sums &s) {
  double total = s.count + count;
  if (total == 0) return;
  for (int c = 0; c < kChannels; ++c) {
    double difference = mean[c] - s.first[c];
    s.first[c] += difference * count / total;
    s.second[c] += squares[c] + difference * difference * s.count * count / total;
  }
  s.count = total;
}

template <class T>
NAP_INLINE void moments_of(const T *x, int64_t positions, Sums &s) {
  for (int64_t from = 0; from < positions; from += kPositions) {
    int64_t count = positions - from < kPositions ? positions - from : kPositions;
    const T *p = x + from * kChannels;
    lanes a = 0, b = 0, v, w;
    int64_t i = 0;
    for (; i + 2 <= count; i += 2) {
      load(p + i * kChannels, v);
      load(p + (i + 1) * kChannels, w);
      a += v;
      b += w;
    }
    if (i < count) {
      load(p + i * kChannels, v);
      a += v;
    }
    lanes mean = (a + b) / float(count);
    a = b = 0;
    for (i = 0; i + 2 <= count; i += 2) {
      load(p + i * kChannels, v);
      load(p + (i + 1) * kChannels, w);
      v -= mean;
      w -= mean;
      a += v * v;
      b += w * w;
    }
    if (i < count) {
      load(p + i * kChannels, v);
      v -= mean;
      a += v * v;
    }
    a += b;
    double means[kChannels], squares[kChannels];
    for (int c = 0; c < kChannels; ++c) {
      means[c] = mean[c];
      squares[c] = a[c];
    }
    merge(double(count), means, squares, s);
  }
}

NAP_INLINE void relu_gradient(const Factors &f, const lanes &x, lanes &dy) {
  lanes y = (x - f.mean) * f.factor + f.shift;
  dy = y > 0 ? dy : 0;
}

template <class T>
NAP_INLINE void sums_of(
    const T *x, const T *dy, int64_t positions, const Factors &f, bool has_relu, Sums &s) {
  for (int64_t from = 0; from < positions; from += kPositions) {
    int64_t end = from + kPositions < positions ? from + kPositions : positions;
    lanes a = 0, b = 0, v, g;
    for (int64_t i = from; i < end; ++i) {
      load(x + i * kChannels, v);
      load(dy + i * kChannels, g);
      if (has_relu) relu_gradient(f, v, g);
      a += g;
      b += g * (v - f.mean);
    }
    for (int c = 0; c < kChannels; ++c) {
      s.first[c] += a[c];
      s.second[c] += b[c];
    }
  }
}

template <class T>
NAP_INLINE void normalize(const T *x, int64_t positions, const Factors &f, bool has_relu, T *y) {
  for (int64_t i = 0; i < positions; ++i) {
    lanes v;
    load(x + i * kChannels, v);
    v = (v - f.mean) * f.factor + f.shift;
    if (has_relu) v = v < 0 ? 0 : v;
    store(y + i * kChannels, v);
  }
}

template <class T>
NAP_INLINE void gradient(
    const T *x, const T *dy, int64_t positions, const Factors &f, bool has_relu, T *dx) {
  for (int64_t i = 0; i < positions; ++i) {
    lanes v, g;
    load(x + i * kChannels, v);
    load(dy + i * kChannels, g);
    if (has_relu) relu_gradient(f, v, g);
    g = f.factor * (g - f.constant - (v - f.mean) * f.slope);
    store(dx + i * kChannels, g);
  }
}

// The loops above, compiled for several processors.
#define NAP_LOOPS(T)                                                                               \
  NAP_CLONES void moments(const T *x, int64_t n, Sums &s) { moments_of(x, n, s); }                 \
  NAP_CLONES void add_sums(                                                                        \
      const T *x, const T *dy, int64_t n, const Factors &f, bool has_relu, Sums &s) {              \
    sums_of(x, dy, n, f, has_relu, s);                                                             \
  }                                                                                                \
  NAP_CLONES void write_normalized(const T *x, int64_t n, const Factors &f, bool has_relu, T *y) { \
    normalize(x, n, f, has_relu, y);                                                               \
  }                                                                                                \
  NAP_CLONES void write_gradient(                                                                  \
      const T *x, const T *dy, int64_t n, const Factors &f, bool has_relu, T *dx) {                \
    gradient(x, dy, n, f, has_relu, dx);                                                           \
  }

NAP_LOOPS(float)
NAP_LOOPS(uint16_t)

template <class T>
struct Normalization : Work {
  NormalizationOptions options;
  // A block is all positions of 16 channels of an example.
  int64_t channels, rows, positions, blocks;
  std::vector<Sums> sums;
  std::vector<Factors> factors;
  const T *x = nullptr, *dy = nullptr;
  const float *scale = nullptr, *shift = nullptr;
  T *result = nullptr;
  float *mean = nullptr, *variance = nullptr, *scale_gradient = nullptr, *shift_gradient = nullptr;
  int parts = nap_max_threads();

  memory::desc layout(int code, const memory::desc &theirs) const override {
    bool is_needed = code != DNNL_ARG_SCRATCHPAD && code != DNNL_ARG_WORKSPACE;
    return is_needed ? theirs : memory::desc();
  }

  void bind(int code, void *pointer) override {
    auto numbers = static_cast<float *>(pointer);
    switch (code) {
      case DNNL_ARG_SRC: x = static_cast<const T *>(pointer); break;
      case DNNL_ARG_DIFF_DST: dy = static_cast<const T *>(pointer); break;
      case DNNL_ARG_DST: case DNNL_ARG_DIFF_SRC: result = static_cast<T *>(pointer); break;
      case DNNL_ARG_MEAN: mean = numbers; break;
      case DNNL_ARG_VARIANCE: variance = numbers; break;
      case DNNL_ARG_SCALE: scale = numbers; break;
      case DNNL_ARG_SHIFT: shift = numbers; break;
      case DNNL_ARG_DIFF_SCALE: scale_gradient = numbers; break;
      case DNNL_ARG_DIFF_SHIFT: shift_gradient = numbers; break;
    }
  }

  bool run() override {
    if (options.is_gradient) settle_factors();
    if (options.is_gradient || options.uses_batch) {
      sums.assign(sums.size(), Sums{});
      each(&Normalization::sum_up);
      if (options.is_gradient) settle_gradient();
      else settle_moments();
    }
    if (!options.is_gradient) settle_factors();
    each(&Normalization::write);
    return true;
  }

 private:
  using Step = void (Normalization::*)(int64_t row, int64_t block, Sums *sums);

  struct Call {
    Normalization *self;
    Step step;
  };

  // Every thread, or what stands for it, takes neighbouring rows.
  void each(Step step) {
    Call call{this, step};
    nap_parallel(
        [](void *pointer, int thread, int threads) {
          auto &call = *static_cast<Call *>(pointer);
          auto &self = *call.self;
          for (int part = thread; part < self.parts; part += threads) {
            int64_t from = self.rows * part / self.parts, to = self.rows * (part + 1) / self.parts;
            Sums *sums = self.sums.data() + part * self.blocks;
            for (int64_t row = from; row < to; ++row)
              (self.*call.step)(row, row % self.blocks, sums);
          }
        },
        &call);
  }

  void sum_up(int64_t row, int64_t block, Sums *sums) {
    int64_t at = row * positions * kChannels;
    if (options.is_gradient)
      add_sums(x + at, dy + at, positions, factors[block], options.has_relu, sums[block]);
    else moments(x + at, positions, sums[block]);
  }

  void write(int64_t row, int64_t block, Sums *) {
    int64_t at = row * positions * kChannels;
    if (options.is_gradient)
      write_gradient(x + at, dy + at, positions, factors[block], options.has_relu, result + at);
    else write_normalized(x + at, positions, factors[block], options.has_relu, result + at);
  }

  double deviation(int64_t channel) const {
    return std::sqrt(double(variance[channel]) + double(options.epsilon));
  }

  // Lanes without a channel stay zero.
  template <class Body>
  void each_channel(Body body) {
    for (int64_t channel = 0; channel < channels; ++channel)
      body(channel, channel / kChannels, int(channel % kChannels));
  }

  void settle_factors() {
    each_channel([&](int64_t channel, int64_t block, int lane) {
      auto &f = factors[block];
      f.mean[lane] = mean[channel];
      f.factor[lane] = float(double(scale[channel]) / deviation(channel));
      f.shift[lane] = shift[channel];
    });
  }

  void settle_moments() {
    for (int part = 1; part < parts; ++part)
      for (int64_t block = 0; block < blocks; ++block) {
        auto &s = sums[part * blocks + block];
        merge(s.count, s.first, s.second, sums[block]);
      }
    each_channel([&](int64_t channel, int64_t block, int lane) {
      auto &s = sums[block];
      mean[channel] = float(s.first[lane]);
      variance[channel] = float(s.second[lane] / s.count);
    });
  }

  void settle_gradient() {
    double count = double(rows / blocks * positions);
    each_channel([&](int64_t channel, int64_t block, int lane) {
      double first = 0, second = 0;
      for (int part = 0; part < parts; ++part) {
        first += sums[part * blocks + block].first[lane];
        second += sums[part * blocks + block].second[lane];
      }
      double d = deviation(channel);
      if (scale_gradient) scale_gradient[channel] = float(second / d);
      if (shift_gradient) shift_gradient[channel] = float(first);
      if (!options.uses_batch) return;
      factors[block].constant[lane] = float(first / count);
      factors[block].slope[lane] = float(second / (d * d * count));
    });
  }
};

template <class T>
std::shared_ptr<Work> make(const nap_layout *data, NormalizationOptions options) {
  auto shape = onednn::shape(data->desc);
  auto result = std::make_shared<Normalization<T>>();
  result->options = options;
  result->channels = shape[1];
  result->blocks = (shape[1] + kChannels - 1) / kChannels;
  result->rows = shape[0] * result->blocks;
  result->positions = 1;
  for (size_t axis = 2; axis < shape.size(); ++axis) result->positions *= shape[axis];
  result->sums.resize(result->parts * result->blocks);
  result->factors.resize(result->blocks, Factors{0, 0, 0, 0, 0});
  return result;
}

}  // namespace

std::shared_ptr<Work> normalization(const nap_layout *data, NormalizationOptions options) {
  if (nap_layout_block(data) != kChannels) return nullptr;
  switch (nap_layout_type(data)) {
    case NAP_FLOAT32: return make<float>(data, options);
    case NAP_BFLOAT16: return make<uint16_t>(data, options);
    default: return nullptr;
  }
}
