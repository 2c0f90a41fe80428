// What all files that prepare kernels of oneDNN's have in common.
#ifndef NAP_KERNEL_H
#define NAP_KERNEL_H

#include <dlfcn.h>

#include <atomic>
#include <memory>
#include <string>
#include <unordered_map>

#include "CNapDNN.h"
#include "OneDNNVersion.h"

using namespace dnnl;
using onednn::cpu, onednn::describe, onednn::describe_gradient;

struct nap_layout {
  memory::desc desc;
};

// Work that a primitive of oneDNN's does not do, or not alone.
struct Work {
  virtual ~Work() = default;
  // Of an argument, which oneDNN would have like this.
  virtual memory::desc layout(int code, const memory::desc &theirs) const = 0;
  virtual void bind(int code, void *pointer) = 0;
  virtual bool run() = 0;
};

struct nap_kernel {
  primitive_desc_base description;
  primitive work;
  std::unordered_map<int, memory> arguments;
  std::string name;
  // Instead of the primitive, which is empty then.
  std::shared_ptr<Work> own;
};

inline thread_local std::string last_error;

inline stream &queue() {
  static stream value(cpu());
  return value;
}

// The OpenMP runtime that oneDNN was built with. Its entry points are looked up, not linked, so
// that the loops below share oneDNN's threads where it uses OpenMP and run serially elsewhere.
struct OpenMP {
  using Parallel = void (*)(void (*)(void *), void *, unsigned, unsigned);
  using Number = int (*)();
  using SetNumber = void (*)(int);
  Number most = (Number)dlsym(RTLD_DEFAULT, "omp_get_max_threads");
  Parallel parallel = (Parallel)dlsym(RTLD_DEFAULT, "GOMP_parallel");
  Number thread = (Number)dlsym(RTLD_DEFAULT, "omp_get_thread_num");
  Number count = (Number)dlsym(RTLD_DEFAULT, "omp_get_num_threads");
  SetNumber set = (SetNumber)dlsym(RTLD_DEFAULT, "omp_set_num_threads");

  bool isThere() const { return most && parallel && thread && count && set; }
};

inline const OpenMP &openmp() {
  static OpenMP value;
  return value;
}

// How many threads are asked for; 0 for as many as OpenMP takes by itself.
inline std::atomic<int> &wanted_threads() {
  static std::atomic<int> value{0};
  return value;
}

// OpenMP keeps the number for every thread that calls it apart: what was asked on one is to hold on all.
inline void follow_threads() {
  static thread_local int followed = 0;
  int wanted = wanted_threads().load(std::memory_order_relaxed);
  if (wanted == followed) return;
  followed = wanted;
  if (openmp().isThere()) openmp().set(wanted);
}

template <class Body>
auto guarded(Body body) -> decltype(body()) {
  follow_threads();
  try {
    return body();
  } catch (const error &e) {
    last_error = std::string("oneDNN: ") + e.what();
  } catch (const std::exception &e) {
    last_error = e.what();
  }
  return {};
}

inline memory::dims dims_of(int rank, const int64_t *dims) { return memory::dims(dims, dims + rank); }

// Scratch memory is planned by the engine, so that running allocates nothing.
inline primitive_attr attributes() {
  primitive_attr attr;
  attr.set_scratchpad_mode(scratchpad_mode::user);
  return attr;
}

template <class Primitive, class Description>
nap_kernel *kernel(const Description &description) {
  return new nap_kernel{description, Primitive(description), {}, description.impl_info_str(), nullptr};
}

// oneDNN counts dilation from 0, ONNX from 1.
inline memory::dims dilations_of(const nap_window *w) {
  memory::dims result(w->rank);
  for (int i = 0; i < w->rank; ++i) result[i] = w->dilations[i] - 1;
  return result;
}

inline algorithm convolution_algorithm(int winograd) {
  return winograd ? algorithm::convolution_winograd : algorithm::convolution_direct;
}

inline convolution_forward::primitive_desc convolution_hint(
    const memory::desc &src, const memory::desc &weights, const memory::desc *bias,
    const memory::desc &dst, const nap_window *w, algorithm alg, prop_kind kind,
    const primitive_attr &attr) {
  auto strides = dims_of(w->rank, w->strides), begin = dims_of(w->rank, w->pads_begin),
       end = dims_of(w->rank, w->pads_end), dilations = dilations_of(w);
  if (bias)
    return describe<convolution_forward>(
        attr, kind, alg, src, weights, *bias, dst, strides, dilations, begin, end);
  return describe<convolution_forward>(
      attr, kind, alg, src, weights, dst, strides, dilations, begin, end);
}

inline memory::desc any_like(const memory::desc &d, memory::data_type type) {
  return memory::desc(onednn::shape(d), type, memory::format_tag::any);
}

// The tag of a layout, by which it can be named and had for another element type: version 3 lets
// nobody change one. Undef where it has none, as only layouts of weights may.
inline dnnl_format_tag_t tag_of(const memory::desc &d) {
  for (int i = dnnl_format_tag_any; i < dnnl_format_tag_last; ++i)
    if (onednn::has_tag(d, memory::format_tag(i))) return dnnl_format_tag_t(i);
  return dnnl_format_tag_undef;
}

inline inner_product_forward::primitive_desc inner_product_hint(
    const memory::desc &src, const memory::desc &weights, const memory::desc *bias,
    const memory::desc &dst) {
  auto kind = prop_kind::forward_training;
  if (bias) return describe<inner_product_forward>(attributes(), kind, src, weights, *bias, dst);
  return describe<inner_product_forward>(attributes(), kind, src, weights, dst);
}

#endif
