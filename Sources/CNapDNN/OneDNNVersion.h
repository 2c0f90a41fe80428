// All that differs between oneDNN 2.6 and 3.x. Version 3 has no descriptors of operations, tells the
// source of a pointwise primitive from its destination, and has made its second versions the first.
#ifndef NAP_ONEDNN_VERSION_H
#define NAP_ONEDNN_VERSION_H

#include <oneapi/dnnl/dnnl.hpp>

namespace onednn {

inline dnnl::engine &cpu() {
  static dnnl::engine value(dnnl::engine::kind::cpu, 0);
  return value;
}

#if DNNL_VERSION_MAJOR >= 3

using pooling_forward = dnnl::pooling_forward;
using pooling_backward = dnnl::pooling_backward;
using softmax_forward = dnnl::softmax_forward;
using softmax_backward = dnnl::softmax_backward;

constexpr bool has_faulty_products = false;

// The layout of a source, and of the destination that is like it.
#define NAP_SOURCE_AND_DESTINATION(layout) layout, layout

template <class Primitive, class... Arguments>
typename Primitive::primitive_desc describe(
    const dnnl::primitive_attr &attr, const Arguments &...arguments) {
  return {cpu(), arguments..., attr};
}

// Of a gradient; `forward` describes what it is the gradient of.
template <class Primitive, class Forward, class... Arguments>
typename Primitive::primitive_desc describe_gradient(
    const dnnl::primitive_attr &attr, const Forward &forward, const Arguments &...arguments) {
  return {cpu(), arguments..., forward, attr};
}

inline void append_eltwise(dnnl::post_ops &ops, dnnl::algorithm alg, float alpha, float beta) {
  ops.append_eltwise(alg, alpha, beta);
}

inline dnnl::memory::dims shape(const dnnl::memory::desc &d) { return d.get_dims(); }
inline dnnl::memory::data_type type(const dnnl::memory::desc &d) { return d.get_data_type(); }

inline bool has_tag(const dnnl::memory::desc &d, dnnl::memory::format_tag tag) {
  dnnl::memory::desc tagged(shape(d), type(d), tag, true);
  return tagged && tagged == d;
}

// The gradient of a normalization does not depend on the shift, and version 3 refuses it.
inline bool takes(const dnnl::primitive_desc_base &description, int argument) {
  auto gradient = description.query_md(dnnl::query::exec_arg_md, DNNL_ARG_DIFF_SHIFT);
  return argument != DNNL_ARG_SHIFT || gradient.get_size() == 0;
}

#else

using pooling_forward = dnnl::pooling_v2_forward;
using pooling_backward = dnnl::pooling_v2_backward;
using softmax_forward = dnnl::softmax_v2_forward;
using softmax_backward = dnnl::softmax_v2_backward;

// Of input gradients of few inputs and many outputs, by batched products.
constexpr bool has_faulty_products = true;

#define NAP_SOURCE_AND_DESTINATION(layout) layout

template <class Primitive, class... Arguments>
typename Primitive::primitive_desc describe(
    const dnnl::primitive_attr &attr, const Arguments &...arguments) {
  return {typename Primitive::desc(arguments...), attr, cpu()};
}

template <class Primitive, class Forward, class... Arguments>
typename Primitive::primitive_desc describe_gradient(
    const dnnl::primitive_attr &attr, const Forward &forward, const Arguments &...arguments) {
  return {typename Primitive::desc(arguments...), attr, cpu(), forward};
}

inline void append_eltwise(dnnl::post_ops &ops, dnnl::algorithm alg, float alpha, float beta) {
  ops.append_eltwise(1.f, alg, alpha, beta);
}

inline dnnl::memory::dims shape(const dnnl::memory::desc &d) { return d.dims(); }
inline dnnl::memory::data_type type(const dnnl::memory::desc &d) { return d.data_type(); }

inline bool has_tag(const dnnl::memory::desc &d, dnnl::memory::format_tag tag) {
  return dnnl::memory::desc(shape(d), type(d), tag, true) == d;
}

inline bool takes(const dnnl::primitive_desc_base &, int) { return true; }

#endif

}  // namespace onednn
#endif
