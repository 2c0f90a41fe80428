#include "WeightGradients.h"

#include <oneapi/dnnl/dnnl_debug.h>

#include <atomic>

#include "Clones.h"

namespace {

const int sums[] = {DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_BIAS};

size_t lines(size_t bytes) { return (bytes + 63) / 64 * 64; }

memory::desc layout_in(const Shares::Share &share, int code) {
  return share.description.query_md(query::exec_arg_md, code);
}

// The tag of a layout whose examples lie one behind another; else undef.
dnnl_format_tag_t tag_of_examples(const memory::desc &d) {
  auto tag = tag_of(d);
  bool is_first = tag != dnnl_format_tag_undef && dnnl_fmt_tag2str(tag)[0] == 'a';
  return is_first ? tag : dnnl_format_tag_undef;
}

// The layout of other examples, as many as there are.
memory::desc with_examples(const memory::desc &d, dnnl_format_tag_t tag, int64_t count) {
  auto shape = onednn::shape(d);
  shape[0] = count;
  return memory::desc(shape, onednn::type(d), memory::format_tag(tag));
}

// `describe` takes the layouts of what is read and of the gradient of what is written.
template <class Primitive, class Description, class Describe>
std::shared_ptr<Shares> shares_of(const Description &whole, Describe describe) {
  auto src = whole.src_desc(), dst = whole.diff_dst_desc(), weights = whole.diff_weights_desc();
  int64_t examples = onednn::shape(src)[0];
  int threads = nap_max_threads();
  // Where weights are more than what they read and write, sums of every thread's own cost more than waiting.
  bool pays = (threads - 1) * weights.get_size() <= src.get_size() + dst.get_size();
  if (threads < 2 || examples < threads || !pays || onednn::type(weights) != memory::data_type::f32)
    return nullptr;
  auto src_tag = tag_of_examples(src), dst_tag = tag_of_examples(dst);
  if (src_tag == dnnl_format_tag_undef || dst_tag == dnnl_format_tag_undef) return nullptr;
  auto result = std::make_shared<Shares>();
  // The number of threads is settled when a kernel is prepared.
  openmp().set(1);
  bool made = guarded([&] {
    for (int i = 0; i < threads; ++i) {
      int64_t first = examples * i / threads, count = examples * (i + 1) / threads - first;
      auto description =
          describe(with_examples(src, src_tag, count), weights, with_examples(dst, dst_tag, count));
      result->all.push_back({description, Primitive(description), {}, first, count});
    }
    return true;
  });
  openmp().set(threads);
  return made ? result : nullptr;
}

template <class Primitive, class Describe>
nap_kernel *weight_gradient(
    const nap_layout *src, const nap_layout *weights, const nap_layout *dst, bool is_shared,
    Describe describe) {
  auto whole = describe(src->desc, weights->desc, dst->desc);
  auto shares = is_shared ? shares_of<Primitive>(whole, describe) : nullptr;
  if (!shares) return kernel<Primitive>(whole);
  std::string name = whole.impl_info_str();
  return new nap_kernel{whole, {}, {}, name, shares};
}

NAP_CLONES void add(size_t n, const float *__restrict a, float *__restrict sum) {
  for (size_t i = 0; i < n; ++i) sum[i] += a[i];
}

struct Run {
  Shares *shares;
  std::atomic<bool> failed{false};
};

void compute(void *pointer, int part, int parts) {
  auto run = static_cast<Run *>(pointer);
  auto &all = run->shares->all;
  for (size_t i = part; i < all.size(); i += parts) {
    bool done = guarded([&] {
      all[i].work.execute(queue(), all[i].arguments);
      return true;
    });
    if (!done) run->failed = true;
  }
}

void add_up(void *pointer, int part, int parts) {
  auto &all = static_cast<Run *>(pointer)->shares->all;
  for (int code : sums) {
    if (!all[0].arguments.count(code)) continue;
    size_t count = layout_in(all[0], code).get_size() / sizeof(float);
    size_t from = part_begin(count, part, parts), n = part_begin(count, part + 1, parts) - from;
    auto sum = (float *)all[0].arguments[code].get_data_handle() + from;
    for (size_t i = 1; i < all.size(); ++i)
      add(n, (const float *)all[i].arguments[code].get_data_handle() + from, sum);
  }
}

}  // namespace

memory::desc Shares::layout(int code, const memory::desc &theirs) const {
  if (code != DNNL_ARG_SCRATCHPAD) return theirs;
  size_t bytes = 0;
  for (auto &share : all) {
    bytes += lines(layout_in(share, DNNL_ARG_SCRATCHPAD).get_size());
    if (share.first == 0) continue;
    for (int code : sums) bytes += lines(layout_in(share, code).get_size());
  }
  return memory::desc({int64_t(bytes)}, memory::data_type::u8, memory::format_tag::a);
}

void Shares::bind(int code, void *pointer) {
  auto at = static_cast<char *>(pointer);
  bool is_sum = code == sums[0] || code == sums[1];
  for (auto &share : all) {
    auto set = [&](int code, void *where) {
      share.arguments[code] = memory(layout_in(share, code), cpu(), where);
    };
    auto take = [&](int code) {
      size_t bytes = layout_in(share, code).get_size();
      if (bytes > 0) set(code, at);
      at += lines(bytes);
    };
    if (code == DNNL_ARG_SCRATCHPAD) {
      take(code);
      if (share.first > 0)
        for (int sum : sums) take(sum);
    } else if (is_sum) {
      if (share.first == 0) set(code, pointer);
    } else {
      set(code, at + layout_in(share, code).get_size() / share.count * share.first);
    }
  }
}

bool Shares::run() {
  Run run{this};
  nap_parallel(compute, &run);
  nap_parallel(add_up, &run);
  return !run.failed;
}

extern "C" {

nap_kernel *nap_convolution_backward_weights(
    const nap_layout *src, const nap_layout *diff_weights, const nap_layout *diff_bias,
    const nap_layout *diff_dst, const nap_window *w, int winograd) {
  return guarded([&] {
    auto type = onednn::type(src->desc);
    auto alg = convolution_algorithm(winograd);
    auto strides = dims_of(w->rank, w->strides), begin = dims_of(w->rank, w->pads_begin),
         end = dims_of(w->rank, w->pads_end), dilations = dilations_of(w);
    using Backward = convolution_backward_weights;
    auto describe = [&](const memory::desc &x, const memory::desc &dw, const memory::desc &dy) {
      auto hint = convolution_hint(
          any_like(x, type), any_like(dw, type), nullptr, any_like(dy, type), w, alg,
          prop_kind::forward_training, attributes());
      return diff_bias
          ? describe_gradient<Backward>(
                attributes(), hint, alg, x, dw, diff_bias->desc, dy, strides, dilations, begin, end)
          : describe_gradient<Backward>(
                attributes(), hint, alg, x, dw, dy, strides, dilations, begin, end);
    };
    return weight_gradient<Backward>(src, diff_weights, diff_dst, !winograd, describe);
  });
}

nap_kernel *nap_inner_product_backward_weights(
    const nap_layout *src, const nap_layout *diff_weights, const nap_layout *diff_bias,
    const nap_layout *diff_dst) {
  return guarded([&] {
    auto type = onednn::type(src->desc);
    using Backward = inner_product_backward_weights;
    auto describe = [&](const memory::desc &x, const memory::desc &dw, const memory::desc &dy) {
      auto hint = inner_product_hint(
          any_like(x, type), any_like(dw, type), nullptr, any_like(dy, type));
      return diff_bias
          ? describe_gradient<Backward>(attributes(), hint, x, dw, diff_bias->desc, dy)
          : describe_gradient<Backward>(attributes(), hint, x, dw, dy);
    };
    return weight_gradient<Backward>(src, diff_weights, diff_dst, true, describe);
  });
}

}  // extern "C"
