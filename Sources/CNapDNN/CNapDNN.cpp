#include "CNapDNN.h"

#include <oneapi/dnnl/dnnl_debug.h>

#include "Clones.h"
#include "Kernel.h"
#include "Normalization.h"

namespace {

memory::data_type data_type(int type) {
  switch (type) {
    case NAP_BFLOAT16: return memory::data_type::bf16;
    case NAP_UINT8: return memory::data_type::u8;
    default: return memory::data_type::f32;
  }
}

memory::dims strides_of(int rank, const int64_t *dims) {
  memory::dims strides(rank, 1);
  for (int i = rank - 2; i >= 0; --i) strides[i] = strides[i + 1] * (dims[i + 1] > 0 ? dims[i + 1] : 1);
  return strides;
}

algorithm activation_algorithm(int activation) {
  switch (activation) {
    case NAP_RELU: return algorithm::eltwise_relu;
    case NAP_CLIP: return algorithm::eltwise_clip_v2;
    case NAP_LOGISTIC: return algorithm::eltwise_logistic;
    case NAP_TANH: return algorithm::eltwise_tanh;
    case NAP_HARDSWISH: return algorithm::eltwise_hardswish;
    case NAP_LINEAR: return algorithm::eltwise_linear;
    case NAP_ABS: return algorithm::eltwise_abs;
    case NAP_ELU: return algorithm::eltwise_elu;
    case NAP_GELU_ERF: return algorithm::eltwise_gelu_erf;
    case NAP_GELU_TANH: return algorithm::eltwise_gelu_tanh;
    case NAP_MISH: return algorithm::eltwise_mish;
    case NAP_SOFT_RELU: return algorithm::eltwise_soft_relu;
    case NAP_SQRT: return algorithm::eltwise_sqrt;
    default: return algorithm::eltwise_exp;
  }
}

int argument_code(int argument) {
  switch (argument) {
    case NAP_SRC: return DNNL_ARG_SRC;
    case NAP_SRC_1: return DNNL_ARG_SRC_1;
    case NAP_WEIGHTS: return DNNL_ARG_WEIGHTS;
    case NAP_BIAS: return DNNL_ARG_BIAS;
    case NAP_DST: return DNNL_ARG_DST;
    case NAP_MEAN: return DNNL_ARG_MEAN;
    case NAP_VARIANCE: return DNNL_ARG_VARIANCE;
    case NAP_SCALE: return DNNL_ARG_SCALE;
    case NAP_SHIFT: return DNNL_ARG_SHIFT;
    case NAP_WORKSPACE: return DNNL_ARG_WORKSPACE;
    case NAP_SCRATCHPAD: return DNNL_ARG_SCRATCHPAD;
    case NAP_DIFF_SRC: return DNNL_ARG_DIFF_SRC;
    case NAP_DIFF_WEIGHTS: return DNNL_ARG_DIFF_WEIGHTS;
    case NAP_DIFF_BIAS: return DNNL_ARG_DIFF_BIAS;
    case NAP_DIFF_DST: return DNNL_ARG_DIFF_DST;
    case NAP_DIFF_SCALE: return DNNL_ARG_DIFF_SCALE;
    default: return DNNL_ARG_DIFF_SHIFT;
  }
}

// Version 3 prefers batched products for gradients of strided convolutions. As measured with 3.2 and
// 3.7, its older kernels, where they can, take a fifth to 0.7 of the time.
template <class Describe>
auto without_batched_products(Describe describe) {
  auto found = describe();
  auto is = [&](const char *kind) {
    return std::string(found.impl_info_str()).rfind(kind, 0) == 0;
  };
  if (!is("brgconv_strided")) return found;
  while (found.next_impl())
    if (is("jit")) return found;
  return describe();
}

normalization_flags normalization_options(int global_statistics, int relu) {
  auto flags = normalization_flags::use_scale | normalization_flags::use_shift;
  if (global_statistics) flags |= normalization_flags::use_global_stats;
  if (relu) flags |= normalization_flags::fuse_norm_relu;
  return flags;
}

algorithm pooling_algorithm(int kind) {
  switch (kind) {
    case NAP_MAX: return algorithm::pooling_max;
    case NAP_AVERAGE_INCLUDE_PADDING: return algorithm::pooling_avg_include_padding;
    default: return algorithm::pooling_avg_exclude_padding;
  }
}

onednn::pooling_forward::primitive_desc pooling_hint(
    const memory::desc &src, const memory::desc &dst, const nap_window *w, int kind, bool training) {
  return describe<onednn::pooling_forward>(
      attributes(), training ? prop_kind::forward_training : prop_kind::forward_inference,
      pooling_algorithm(kind), src, dst, dims_of(w->rank, w->strides), dims_of(w->rank, w->kernel),
      dilations_of(w), dims_of(w->rank, w->pads_begin), dims_of(w->rank, w->pads_end));
}

batch_normalization_forward::primitive_desc normalization_hint(
    const memory::desc &data, float epsilon, normalization_flags flags, bool training) {
  return describe<batch_normalization_forward>(
      attributes(), training ? prop_kind::forward_training : prop_kind::forward_inference,
      NAP_SOURCE_AND_DESTINATION(data), epsilon, flags);
}

eltwise_forward::primitive_desc eltwise_hint(
    const memory::desc &data, algorithm alg, float alpha, float beta) {
  return describe<eltwise_forward>(
      attributes(), prop_kind::forward_training, alg, NAP_SOURCE_AND_DESTINATION(data), alpha, beta);
}

algorithm softmax_algorithm(int logarithmic) {
  return logarithmic ? algorithm::softmax_log : algorithm::softmax_accurate;
}

onednn::softmax_forward::primitive_desc softmax_hint(
    const memory::desc &data, algorithm alg, int axis) {
  return describe<onednn::softmax_forward>(
      attributes(), prop_kind::forward_training, alg, data, data, axis);
}

NAP_CLONES void add_mask_f32(
    size_t n, const float *__restrict a, const float *__restrict b, const float *__restrict mask,
    float *out) {
  for (size_t i = 0; i < n; ++i) out[i] = mask[i] > 0 ? a[i] + b[i] : 0.f;
}

NAP_CLONES void mask_f32(size_t n, const float *a, const float *__restrict mask, float *out) {
  for (size_t i = 0; i < n; ++i) out[i] = mask[i] > 0 ? a[i] : 0.f;
}

// A bfloat16 is positive when its bits, read as a signed integer, are.
NAP_CLONES void add_mask_bf16(
    size_t n, const uint16_t *__restrict a, const uint16_t *__restrict b,
    const int16_t *__restrict mask, uint16_t *__restrict out) {
  for (size_t i = 0; i < n; ++i) {
    uint16_t sum;
    narrow(widen(a[i]) + widen(b[i]), sum);
    out[i] = mask[i] > 0 ? sum : uint16_t(0);
  }
}

NAP_CLONES void mask_bf16(size_t n, const uint16_t *a, const int16_t *__restrict mask, uint16_t *out) {
  for (size_t i = 0; i < n; ++i) out[i] = mask[i] > 0 ? a[i] : uint16_t(0);
}

struct Loop {
  void (*body)(void *, int, int);
  void *context;
};

// The thread sanitizer does not see that threads of libgomp wait for each other, at a loop's begin and at its end:
// two places, or a part that begins when another has ended would seem to wait for it.
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
extern "C" void __tsan_acquire(void *);
extern "C" void __tsan_release(void *);
void comes_after(void *what) { __tsan_acquire(what); }
void comes_before(void *what) { __tsan_release(what); }
#define NAP_ORDERED
#endif
#endif
#ifndef NAP_ORDERED
void comes_after(void *) {}
void comes_before(void *) {}
#endif

void enter(void *pointer) {
  auto loop = static_cast<Loop *>(pointer);
  comes_after(&loop->body);
  loop->body(loop->context, openmp().thread(), openmp().count());
  comes_before(&loop->context);
}

struct Mask {
  int type;
  size_t count;
  const void *a, *b, *mask;
  void *out;
};

void mask_part(void *pointer, int part, int parts) {
  auto m = static_cast<Mask *>(pointer);
  size_t from = part_begin(m->count, part, parts), n = part_begin(m->count, part + 1, parts) - from;
  if (m->type == NAP_FLOAT32) {
    auto a = (const float *)m->a + from, mask = (const float *)m->mask + from;
    auto out = (float *)m->out + from;
    if (m->b) add_mask_f32(n, a, (const float *)m->b + from, mask, out);
    else mask_f32(n, a, mask, out);
  } else {
    auto a = (const uint16_t *)m->a + from;
    auto mask = (const int16_t *)m->mask + from;
    auto out = (uint16_t *)m->out + from;
    if (m->b) add_mask_bf16(n, a, (const uint16_t *)m->b + from, mask, out);
    else mask_bf16(n, a, mask, out);
  }
}

}  // namespace

extern "C" {

const char *nap_dnn_error(void) { return last_error.c_str(); }

int nap_dnn_has_bfloat16(void) {
  // AVX512-BF16 or AMX; without them oneDNN emulates bfloat16, slower than float32.
  // A set of instructions has the bits of those it includes, which newer versions' newer sets do, too.
  int isa = int(get_effective_cpu_isa()), needed = int(cpu_isa::avx512_core_bf16);
  return (isa & needed) == needed;
}

int nap_preferred_block(void) {
  int isa = int(get_effective_cpu_isa());
  auto has = [=](cpu_isa wanted) { return (isa & int(wanted)) == int(wanted); };
  return has(cpu_isa::avx512_core) ? 16 : has(cpu_isa::avx2) ? 8 : 0;
}

void nap_use_threads(int count) {
  wanted_threads() = count;
  follow_threads();
}

int nap_has_threads(void) { return openmp().isThere(); }

const char *nap_dnn_version(void) {
  static const std::string text = [] {
    const dnnl_version_t *v = dnnl_version();
    return std::to_string(v->major) + "." + std::to_string(v->minor) + "." +
           std::to_string(v->patch);
  }();
  return text.c_str();
}

const char *nap_dnn_instructions(void) { return dnnl_cpu_isa2str(dnnl_get_effective_cpu_isa()); }

nap_layout *nap_layout_strided(int rank, const int64_t *dims, const int64_t *strides, int type) {
  return guarded([&] {
    return new nap_layout{memory::desc(dims_of(rank, dims), data_type(type), dims_of(rank, strides))};
  });
}

nap_layout *nap_layout_dense(int rank, const int64_t *dims, int type) {
  auto strides = strides_of(rank, dims);
  return nap_layout_strided(rank, dims, strides.data(), type);
}

nap_layout *nap_layout_any(int rank, const int64_t *dims, int type) {
  return guarded([&] {
    return new nap_layout{
        memory::desc(dims_of(rank, dims), data_type(type), memory::format_tag::any)};
  });
}

nap_layout *nap_layout_blocked(const int64_t *dims, int type) {
  return nap_layout_images(4, dims, 16, type);
}

nap_layout *nap_layout_images(int rank, const int64_t *dims, int block, int type) {
  using tag = memory::format_tag;
  const tag last[] = {tag::acb, tag::acdb, tag::acdeb};
  const tag by16[] = {tag::aBc16b, tag::aBcd16b, tag::aBcde16b};
  const tag by8[] = {tag::aBc8b, tag::aBcd8b, tag::aBcde8b};
  if (block == 1) return nap_layout_dense(rank, dims, type);
  if (rank < 3 || rank > 5) return nullptr;
  auto &tags = block == 0 ? last : block == 16 ? by16 : by8;
  return guarded([&] {
    return new nap_layout{memory::desc(dims_of(rank, dims), data_type(type), tags[rank - 3])};
  });
}

int nap_layout_block(const nap_layout *layout) {
  int64_t dims[DNNL_MAX_NDIMS];
  nap_layout_dims(layout, dims);
  for (int block : {1, 16, 8, 0}) {
    auto other = nap_layout_images(nap_layout_rank(layout), dims, block, nap_layout_type(layout));
    bool same = other && nap_layout_equal(layout, other);
    nap_layout_free(other);
    if (same) return block;
  }
  return -1;
}

void nap_layout_free(nap_layout *layout) { delete layout; }
size_t nap_layout_bytes(const nap_layout *layout) { return layout->desc.get_size(); }
int nap_layout_equal(const nap_layout *a, const nap_layout *b) { return a->desc == b->desc; }
int nap_layout_rank(const nap_layout *layout) { return int(onednn::shape(layout->desc).size()); }

int nap_layout_type(const nap_layout *layout) {
  switch (onednn::type(layout->desc)) {
    case memory::data_type::bf16: return NAP_BFLOAT16;
    case memory::data_type::f32: return NAP_FLOAT32;
    default: return NAP_UINT8;
  }
}

void nap_layout_dims(const nap_layout *layout, int64_t *dims) {
  for (auto size : onednn::shape(layout->desc)) *dims++ = size;
}

nap_layout *nap_layout_with_type(const nap_layout *layout, int type) {
  auto &desc = layout->desc;
  if (nap_layout_type(layout) == type) return new nap_layout{desc};
  return guarded([&] {
    return new nap_layout{memory::desc(
        onednn::shape(desc), data_type(type), memory::format_tag(tag_of(desc)))};
  });
}

const char *nap_layout_name(const nap_layout *layout) {
  auto tag = tag_of(layout->desc);
  return tag == dnnl_format_tag_undef ? "opaque" : dnnl_fmt_tag2str(tag);
}

nap_kernel *nap_convolution_forward(
    const nap_layout *src, const nap_layout *weights, const nap_layout *bias, const nap_layout *dst,
    const nap_window *window, int winograd, int training, int sum, int activation, float alpha,
    float beta) {
  return guarded([&] {
    auto attr = attributes();
    post_ops ops;
    if (sum) ops.append_sum();
    if (activation != NAP_NONE)
      onednn::append_eltwise(ops, activation_algorithm(activation), alpha, beta);
    attr.set_post_ops(ops);
    return kernel<convolution_forward>(convolution_hint(
        src->desc, weights->desc, bias ? &bias->desc : nullptr, dst->desc, window,
        convolution_algorithm(winograd),
        training ? prop_kind::forward_training : prop_kind::forward_inference, attr));
  });
}

nap_kernel *nap_convolution_backward_data(
    const nap_layout *diff_src, const nap_layout *weights, const nap_layout *diff_dst,
    const nap_window *w, int winograd) {
  return guarded([&] {
    auto type = onednn::type(diff_dst->desc);
    auto alg = convolution_algorithm(winograd);
    auto hint = convolution_hint(
        any_like(diff_src->desc, type), any_like(weights->desc, type), nullptr,
        any_like(diff_dst->desc, type), w, alg, prop_kind::forward_training, attributes());
    return kernel<convolution_backward_data>(without_batched_products([&] {
      return describe_gradient<convolution_backward_data>(
          attributes(), hint, alg, diff_src->desc, weights->desc, diff_dst->desc,
          dims_of(w->rank, w->strides), dilations_of(w), dims_of(w->rank, w->pads_begin),
          dims_of(w->rank, w->pads_end));
    }));
  });
}

nap_kernel *nap_inner_product_forward(
    const nap_layout *src, const nap_layout *weights, const nap_layout *bias,
    const nap_layout *dst) {
  return guarded([&] {
    return kernel<inner_product_forward>(
        inner_product_hint(src->desc, weights->desc, bias ? &bias->desc : nullptr, dst->desc));
  });
}

nap_kernel *nap_inner_product_backward_data(
    const nap_layout *diff_src, const nap_layout *weights, const nap_layout *diff_dst) {
  return guarded([&] {
    auto type = onednn::type(diff_dst->desc);
    auto hint = inner_product_hint(
        any_like(diff_src->desc, type), any_like(weights->desc, type), nullptr,
        any_like(diff_dst->desc, type));
    // Version 2.6.3 reads from address 0 with 2 threads or more, up to 32 inputs and from 1536 outputs on,
    // whatever the batch (not with 1025 outputs, nor with 33 inputs). Dense weights are for another kernel.
    auto shape = onednn::shape(weights->desc);
    bool is_faulty = onednn::has_faulty_products && shape[1] < 64 && shape[0] > 1024;
    auto description = describe_gradient<inner_product_backward_data>(
        attributes(), hint, diff_src->desc,
        is_faulty ? memory::desc(shape, type, memory::format_tag::ab) : weights->desc, diff_dst->desc);
    return kernel<inner_product_backward_data>(description);
  });
}

nap_kernel *nap_normalization_forward(
    const nap_layout *data, float epsilon, int global_statistics, int training, int relu) {
  return guarded([&] {
    auto description = normalization_hint(
        data->desc, epsilon, normalization_options(global_statistics, relu), training);
    auto own = training ? normalization(data, {epsilon, !global_statistics, relu != 0, false}) : nullptr;
    if (own) return new nap_kernel{description, {}, {}, "blocks of 16", own};
    return kernel<batch_normalization_forward>(description);
  });
}

nap_kernel *nap_normalization_backward(
    const nap_layout *data, const nap_layout *diff, float epsilon, int global_statistics, int relu) {
  return guarded([&] {
    auto flags = normalization_options(global_statistics, relu);
    auto description = describe_gradient<batch_normalization_backward>(
        attributes(), normalization_hint(data->desc, epsilon, flags, true), prop_kind::backward,
        NAP_SOURCE_AND_DESTINATION(diff->desc), data->desc, epsilon, flags);
    auto own = nap_layout_equal(data, diff)
        ? normalization(data, {epsilon, !global_statistics, relu != 0, true}) : nullptr;
    if (own) return new nap_kernel{description, {}, {}, "blocks of 16", own};
    return kernel<batch_normalization_backward>(description);
  });
}

nap_kernel *nap_activation_forward(const nap_layout *data, int activation, float alpha, float beta) {
  return guarded([&] {
    return kernel<eltwise_forward>(
        eltwise_hint(data->desc, activation_algorithm(activation), alpha, beta));
  });
}

nap_kernel *nap_activation_backward(
    const nap_layout *data, const nap_layout *diff, int activation, float alpha, float beta) {
  return guarded([&] {
    auto alg = activation_algorithm(activation);
    return kernel<eltwise_backward>(describe_gradient<eltwise_backward>(
        attributes(), eltwise_hint(data->desc, alg, alpha, beta), alg,
        NAP_SOURCE_AND_DESTINATION(diff->desc), data->desc, alpha, beta));
  });
}

nap_kernel *nap_softmax_forward(const nap_layout *data, int axis, int logarithmic) {
  return guarded([&] {
    return kernel<onednn::softmax_forward>(
        softmax_hint(data->desc, softmax_algorithm(logarithmic), axis));
  });
}

nap_kernel *nap_softmax_backward(const nap_layout *data, int axis, int logarithmic) {
  return guarded([&] {
    auto alg = softmax_algorithm(logarithmic);
    return kernel<onednn::softmax_backward>(describe_gradient<onednn::softmax_backward>(
        attributes(), softmax_hint(data->desc, alg, axis), alg, data->desc, data->desc, data->desc,
        axis));
  });
}

nap_kernel *nap_binary(
    const nap_layout *a, const nap_layout *b, const nap_layout *dst, int operation) {
  return guarded([&] {
    auto alg = operation == NAP_ADD ? algorithm::binary_add
        : operation == NAP_SUB ? algorithm::binary_sub
        : operation == NAP_MUL ? algorithm::binary_mul : algorithm::binary_div;
    return kernel<binary>(describe<binary>(attributes(), alg, a->desc, b->desc, dst->desc));
  });
}

nap_kernel *nap_pooling_forward(
    const nap_layout *src, const nap_layout *dst, const nap_window *window, int kind, int training) {
  return guarded([&] {
    return kernel<onednn::pooling_forward>(
        pooling_hint(src->desc, dst->desc, window, kind, training));
  });
}

nap_kernel *nap_pooling_backward(
    const nap_layout *diff_src, const nap_layout *diff_dst, const nap_window *w, int kind) {
  return guarded([&] {
    auto hint = pooling_hint(diff_src->desc, diff_dst->desc, w, kind, true);
    return kernel<onednn::pooling_backward>(describe_gradient<onednn::pooling_backward>(
        attributes(), hint, pooling_algorithm(kind), diff_src->desc, diff_dst->desc,
        dims_of(w->rank, w->strides), dims_of(w->rank, w->kernel), dilations_of(w),
        dims_of(w->rank, w->pads_begin), dims_of(w->rank, w->pads_end)));
  });
}

nap_kernel *nap_reorder(const nap_layout *src, const nap_layout *dst) {
  return guarded([&] {
    return kernel<reorder>(
        reorder::primitive_desc(cpu(), src->desc, cpu(), dst->desc, attributes()));
  });
}

nap_layout *nap_kernel_layout(const nap_kernel *kernel, int argument) {
  return guarded([&] {
    int code = argument_code(argument);
    auto desc = kernel->description.query_md(query::exec_arg_md, code);
    return new nap_layout{kernel->own ? kernel->own->layout(code, desc) : desc};
  });
}

const char *nap_kernel_name(const nap_kernel *kernel) { return kernel->name.c_str(); }

int nap_kernel_bind(nap_kernel *kernel, int argument, void *pointer) {
  bool bound = guarded([&] {
    int code = argument_code(argument);
    if (kernel->own) {
      kernel->own->bind(code, pointer);
      return true;
    }
    if (!onednn::takes(kernel->description, code)) return true;
    auto desc = kernel->description.query_md(query::exec_arg_md, code);
    kernel->arguments[code] = memory(desc, cpu(), pointer);
    return true;
  });
  return bound ? 0 : 1;
}

int nap_kernel_run(nap_kernel *kernel) {
  follow_threads();
  if (kernel->own) return kernel->own->run() ? 0 : 1;
  bool done = guarded([&] {
    kernel->work.execute(queue(), kernel->arguments);
    return true;
  });
  return done ? 0 : 1;
}

void nap_kernel_free(nap_kernel *kernel) { delete kernel; }

void nap_parallel(void (*body)(void *, int, int), void *context) {
  if (nap_max_threads() > 1) {
    Loop loop{body, context};
    comes_before(&loop.body);
    openmp().parallel(enter, &loop, 0, 0);
    comes_after(&loop.context);
  } else {
    body(context, 0, 1);
  }
}

int nap_max_threads(void) {
  follow_threads();
  return openmp().isThere() ? openmp().most() : 1;
}

void nap_add_mask(
    int type, size_t count, const void *a, const void *b, const void *mask, void *out) {
  Mask work{type, count, a, b, mask, out};
  nap_parallel(mask_part, &work);
}

}  // extern "C"
