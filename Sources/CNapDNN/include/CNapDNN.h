// A small C interface over oneDNN: layouts, primitives bound to memory, and a few fused loops that
// oneDNN lacks. It hides how primitives are created (oneDNN 2.6 and 3.x differ there) and never
// throws: a function that can fail returns NULL or a non-zero status and leaves a sentence in
// nap_dnn_error().
#ifndef CNAPDNN_H
#define CNAPDNN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nap_layout nap_layout;
typedef struct nap_kernel nap_kernel;

enum nap_type { NAP_FLOAT32 = 0, NAP_BFLOAT16 = 1, NAP_UINT8 = 2 };

// What a kernel reads and writes; the same role names as oneDNN's execution arguments.
enum nap_argument {
  NAP_SRC,
  NAP_SRC_1,
  NAP_WEIGHTS,
  NAP_BIAS,
  NAP_DST,
  NAP_MEAN,
  NAP_VARIANCE,
  NAP_SCALE,
  NAP_SHIFT,
  NAP_WORKSPACE,
  NAP_SCRATCHPAD,
  NAP_DIFF_SRC,
  NAP_DIFF_WEIGHTS,
  NAP_DIFF_BIAS,
  NAP_DIFF_DST,
  NAP_DIFF_SCALE,
  NAP_DIFF_SHIFT,
};

enum nap_activation {
  NAP_NONE,
  NAP_RELU,         // alpha: slope of the negative side
  NAP_CLIP,         // alpha: lower, beta: upper bound
  NAP_LOGISTIC,
  NAP_TANH,
  NAP_HARDSWISH,
  NAP_LINEAR,       // alpha x + beta
  NAP_EXP,
  NAP_ABS,
  NAP_ELU,          // alpha: scale of the negative side
  NAP_GELU_ERF,
  NAP_GELU_TANH,
  NAP_MISH,
  NAP_SOFT_RELU,
  NAP_SQRT,
};

enum nap_binary { NAP_ADD, NAP_SUB, NAP_MUL, NAP_DIV };
enum nap_pooling { NAP_MAX, NAP_AVERAGE_INCLUDE_PADDING, NAP_AVERAGE_EXCLUDE_PADDING };

const char *nap_dnn_error(void);
int nap_dnn_has_bfloat16(void);
// The blocks of channels that this processor's kernels are made for, 16 or 8; 0 where that is not known.
// With other blocks oneDNN has plain loops alone, hundreds of times slower.
int nap_preferred_block(void);
// How many threads kernels use from now on, on whatever thread they are made and run.
void nap_use_threads(int count);
// Whether there is a pool of threads to share with oneDNN; without, nap's own loops are serial.
int nap_has_threads(void);
// Such as 3.7.2.
const char *nap_dnn_version(void);
// The best set of instructions that oneDNN knows of this processor's, as it is called there.
const char *nap_dnn_instructions(void);

// Layouts
nap_layout *nap_layout_dense(int rank, const int64_t *dims, int type);
nap_layout *nap_layout_any(int rank, const int64_t *dims, int type);
nap_layout *nap_layout_strided(int rank, const int64_t *dims, const int64_t *strides, int type);
// Images in blocks of 16 channels, aBcd16b.
nap_layout *nap_layout_blocked(const int64_t *dims, int type);
// Images [n, channels, ...], pixel after pixel: of one channel (`block` 1, dense), of blocks of 8 or 16
// channels, or of all channels (0, channels last).
nap_layout *nap_layout_images(int rank, const int64_t *dims, int block, int type);
// The block of such a layout; -1 for others.
int nap_layout_block(const nap_layout *layout);
void nap_layout_free(nap_layout *layout);
size_t nap_layout_bytes(const nap_layout *layout);
int nap_layout_equal(const nap_layout *a, const nap_layout *b);
int nap_layout_type(const nap_layout *layout);
int nap_layout_rank(const nap_layout *layout);
void nap_layout_dims(const nap_layout *layout, int64_t *dims);
// The same physical arrangement for another element type.
nap_layout *nap_layout_with_type(const nap_layout *layout, int type);
// The letters oneDNN uses, such as aBcd16b; "opaque" where it has none.
const char *nap_layout_name(const nap_layout *layout);

// Geometry of convolutions and pools, spatial axes only; dilation 1 means dense.
typedef struct {
  int rank;
  int64_t kernel[3];
  int64_t strides[3];
  int64_t dilations[3];
  int64_t pads_begin[3];
  int64_t pads_end[3];
} nap_window;

// Kernels. Layouts made by nap_layout_any let the kernel choose; ask nap_kernel_layout afterwards.
nap_kernel *nap_convolution_forward(
    const nap_layout *src, const nap_layout *weights, const nap_layout *bias, const nap_layout *dst,
    const nap_window *window, int winograd, int training, int sum, int activation, float alpha,
    float beta);
nap_kernel *nap_convolution_backward_data(
    const nap_layout *diff_src, const nap_layout *weights, const nap_layout *diff_dst,
    const nap_window *window, int winograd);
nap_kernel *nap_convolution_backward_weights(
    const nap_layout *src, const nap_layout *diff_weights, const nap_layout *diff_bias,
    const nap_layout *diff_dst, const nap_window *window, int winograd);
nap_kernel *nap_inner_product_forward(
    const nap_layout *src, const nap_layout *weights, const nap_layout *bias, const nap_layout *dst);
nap_kernel *nap_inner_product_backward_data(
    const nap_layout *diff_src, const nap_layout *weights, const nap_layout *diff_dst);
nap_kernel *nap_inner_product_backward_weights(
    const nap_layout *src, const nap_layout *diff_weights, const nap_layout *diff_bias,
    const nap_layout *diff_dst);
// global_statistics: mean and variance are inputs (inference and curvature), else outputs.
nap_kernel *nap_normalization_forward(
    const nap_layout *data, float epsilon, int global_statistics, int training, int relu);
nap_kernel *nap_normalization_backward(
    const nap_layout *data, const nap_layout *diff, float epsilon, int global_statistics, int relu);
nap_kernel *nap_activation_forward(const nap_layout *data, int activation, float alpha, float beta);
// Reads NAP_SRC, or NAP_DST for NAP_RELU; diff_dst and diff_src may be the same memory.
nap_kernel *nap_activation_backward(
    const nap_layout *data, const nap_layout *diff, int activation, float alpha, float beta);
// Along one axis of NAP_SRC; backward reads NAP_DST and NAP_DIFF_DST.
nap_kernel *nap_softmax_forward(const nap_layout *data, int axis, int logarithmic);
nap_kernel *nap_softmax_backward(const nap_layout *data, int axis, int logarithmic);
nap_kernel *nap_binary(
    const nap_layout *a, const nap_layout *b, const nap_layout *dst, int operation);
nap_kernel *nap_pooling_forward(
    const nap_layout *src, const nap_layout *dst, const nap_window *window, int kind, int training);
nap_kernel *nap_pooling_backward(
    const nap_layout *diff_src, const nap_layout *diff_dst, const nap_window *window, int kind);
nap_kernel *nap_reorder(const nap_layout *src, const nap_layout *dst);

// The layout a kernel settled on for one argument (owned by the caller); empty when unused.
nap_layout *nap_kernel_layout(const nap_kernel *kernel, int argument);
const char *nap_kernel_name(const nap_kernel *kernel);
int nap_kernel_bind(nap_kernel *kernel, int argument, void *memory);
int nap_kernel_run(nap_kernel *kernel);
void nap_kernel_free(nap_kernel *kernel);

// Loops over flat memory, parallel in oneDNN's own thread pool.
// out = mask > 0 ? a + b : 0; b may be NULL; out may be a. Elements of `type`.
void nap_add_mask(int type, size_t count, const void *a, const void *b, const void *mask, void *out);
// out = min(max(a + b, lower), upper), NaN where a + b is; b may be NULL; out may be a or b.
void nap_limit(
    int type, size_t count, const void *a, const void *b, float lower, float upper, void *out);
// Where the first NaN is, or the first infinite number too; -1 where there is none.
int64_t nap_find_not_finite(int type, size_t count, const void *x, int infinite);
// y = x where x is NaN.
void nap_keep_nan(int type, size_t count, const void *x, void *y);
// Runs body(context, part, parts) on every thread of oneDNN's pool and waits.
void nap_parallel(void (*body)(void *context, int part, int parts), void *context);
// How many parts that may be.
int nap_max_threads(void);

// A max pool over up to three axes, of planes of pixels that are `inner` numbers wide.
typedef struct {
  int type;
  int64_t outer, inner;
  int64_t in[3], out[3];
  int64_t kernel[3], strides[3], dilations[3], pads[3];
} nap_max_pool;

// The largest number a window sees; NaN where it sees one.
void nap_max_pool_forward(const nap_max_pool *p, const void *x, void *y);

// Images that are multiplied by a number for every image and channel, `inner` channels of a pixel side by
// side: a block's, or all.
typedef struct {
  int type;  // of images; scales are float32, [n, channels]
  int64_t n, channels, positions, inner;
} nap_channel_scale;

void nap_channel_scale_forward(
    const nap_channel_scale *c, const void *x, const float *scales, void *y);
// dx and dscales may be NULL.
void nap_channel_scale_backward(
    const nap_channel_scale *c, const void *x, const float *scales, const void *dy, void *dx,
    float *dscales);

// A 3x3 convolution with stride 1, without groups, between images in blocks of 16 channels.
typedef struct {
  int64_t n, ic, oc;
  int64_t ih, iw, oh, ow;
  int64_t top, left;  // padding; what is missing at the other sides follows from the sizes
  int type;           // of x, y and dy
  int products;       // of what numbers: float32; or bfloat16 of such images, if the processor can
} nap_winograd;

// Whether this processor can; nothing below may be called where it can't.
int nap_winograd_supported(void);
// Whether it can multiply bfloat16, too, which rounds to about a hundredth of the largest result.
int nap_winograd_bfloat16_products(void);
size_t nap_winograd_weights_bytes(const nap_winograd *c);
size_t nap_winograd_scratch_bytes(const nap_winograd *c, int gradient);
// Transforms the weights [oc, ic, 3, 3]. When `rotated`, they are those of the opposite direction,
// [ic, oc, 3, 3], so that the gradient of an input is computed like an output.
void nap_winograd_weights(const nap_winograd *c, const float *w, int rotated, void *u);
// y = min(max(conv(x) + bias + residual, lower), upper); bias and residual may be NULL.
void nap_winograd_forward(
    const nap_winograd *c, const void *x, const void *u, const float *bias, const void *residual,
    float lower, float upper, void *y, void *scratch);
// dw is [oc, ic, 3, 3]; db may be NULL.
void nap_winograd_weight_gradient(
    const nap_winograd *c, const void *x, const void *dy, float *dw, float *db, void *scratch);

// Sums that the second moments of 3x3 patches of images (stride 1, padded by 1) are made of; needs
// nap_winograd_supported(). Images x are float32 in blocks of 16 channels.
typedef struct {
  int64_t n, c, h, w;
} nap_correlation;

// Correlations between channels, each [blocks, blocks, 16, 16]: of pixels (y, x) and (y + dy, x + dx)
// for (0, 0...2), (1, -2...2), (2, -2...2); of the first and the last row for dx = 0...2; of the first
// and the last column for dy = 0...2; of the corners, row by row.
#define NAP_CORRELATIONS 29
// Sums of channels, each [blocks, 16]: of all pixels, the first and last row, the first and last
// column, the corners.
#define NAP_LINES 9

// What nap_correlation_add adds to, one after another, for each of nap_max_threads() threads.
size_t nap_correlation_floats(const nap_correlation *c);
void nap_correlation_add(const nap_correlation *c, const float *x, float *sums);

// A convolution without groups between images in blocks of 8 channels, the last one filled up with
// zeros, float32. It leaves out what gates close: blocks of channels whose gates are all 0.
typedef struct {
  int64_t n, ic, oc, ih, iw, oh, ow;
  int64_t kernel[2], strides[2], dilations[2];
  int64_t top, left;  // padding; what is missing at the other sides follows from the sizes
  // By Winograd's algorithm: needs nap_winograd_supported(), a kernel of 3x3, strides and dilations of 1, and
  // padding of 2 at most.
  int32_t winograd;
} nap_skipping;

// y = limit2(residual + gate * limit1(conv(x) + bias)).
typedef struct {
  const float *x, *weights;       // weights: as nap_skipping_weights left them
  const float *bias;              // [oc], or NULL
  const float *in_gates;          // [n, ic]; where 0, x counts as 0, whatever it is; NULL: all open
  const float *out_gates;         // [n, oc]; 0 whatever it is multiplied by; NULL: all are 1
  const float *residual;          // like y, or NULL; may be y itself
  float lower, upper;             // limits of conv + bias; infinite where there are none; NaN stays
  float last_lower, last_upper;   // limits of all
  float *y;                       // not x
  float *means;                   // [n, oc] of y over positions, or NULL
} nap_skipping_job;

// Whether this processor can; nothing of the above may be called where it can't.
int nap_skipping_supported(void);
size_t nap_skipping_weights_bytes(const nap_skipping *c);
// Arranges the weights [oc, ic, kernel].
void nap_skipping_weights(const nap_skipping *c, const float *w, float *packed);
// The result depends on the number of threads in no bit.
void nap_skipping_run(const nap_skipping *c, const nap_skipping_job *job);

// The gates of a convolution's channels, by a small network of the means of others:
// m = w2 relu(w1 means + b1) + b2 for every unit, limited to [lower, upper]; 0 where m is not above the
// threshold, and elsewhere m where the gate scales, 1 where not. Where m is NaN, so is what a gate
// scales by, and what it does not scale is closed.
typedef struct {
  int64_t n, inputs, hidden, units, oc;
  const float *w1, *b1;  // [inputs, hidden], [hidden] or NULL
  const float *w2, *b2;  // [hidden, units], [units] or NULL
  float lower, upper, threshold;
  int32_t scales;
  const int32_t *unit;   // [oc], the unit that each channel belongs to
  const float *means;    // [n, inputs]
  float *gates;          // [n, oc]
  float *scratch;        // hidden + units
} nap_gate;

void nap_gate_run(const nap_gate *g);
// means = [n, c] over positions of images in blocks of 8 channels.
void nap_block_means(int64_t n, int64_t c, int64_t positions, const float *x, float *means);

#ifdef __cplusplus
}
#endif
#endif
