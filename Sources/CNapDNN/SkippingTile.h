// The innermost loop of convolutions that leave out closed channels. Included once for every width of
// registers, between functions for them: `vector` holds `kJoined` blocks of 8 outputs of one position.

NAP_INLINE vector repeat_now(const float *p) {
  vector x;
  asm volatile("vbroadcastss %1, %0" : "=v"(x) : "m"(*p));
  return x;
}

NAP_INLINE void add_product_now(vector &sum, vector x, vector y) {
  asm volatile("vfmadd231ps %1, %2, %0" : "+v"(sum) : "v"(x), "v"(y));
}

// R positions and N blocks.
template <int R, int N>
void tile(Group &g, const Tile &t) {
  constexpr int kVectors = (N + kJoined - 1) / kJoined;
  vector sum[R][kVectors];
  int64_t position = g.position + t.first;
  float *sums = g.sums + position * kVectors * kJoined * kEight;
#pragma clang loop unroll(full)
  for (int r = 0; r < R; ++r)
#pragma clang loop unroll(full)
    for (int n = 0; n < kVectors; ++n) {
      if (g.first) sum[r][n] = bias(g.outputs + n * kJoined);
      else std::memcpy(&sum[r][n], sums + (r * kVectors + n) * kJoined * kEight, sizeof(vector));
    }
  int64_t at[R];
  const float *weights[kVectors * kJoined];
#pragma clang loop unroll(full)
  for (int r = 0; r < R; ++r) at[r] = g.at + t.at[r];
#pragma clang loop unroll(full)
  for (int n = 0; n < kVectors * kJoined; ++n) weights[n] = g.weights[n];
  for (const Step *step = g.begin; step != g.end; ++step) {
    const float *from = step->x;
    int64_t next = step->weights;
    // Planes lie too far apart to be foreseen by the processor.
    __builtin_prefetch(step[1].x + at[0]);
    __builtin_prefetch(step[1].x + at[R - 1]);
#pragma clang loop unroll(full)
    for (int c = 0; c < kEight; ++c) {
      vector w[kVectors];
#pragma clang loop unroll(full)
      for (int n = 0; n < kVectors; ++n) w[n] = load_now(weights + n * kJoined, next + c * kEight);
#pragma clang loop unroll(full)
      for (int r = 0; r < R; ++r) {
        vector x = repeat_now(from + at[r] + c);
#pragma clang loop unroll(full)
        for (int n = 0; n < kVectors; ++n) add_product_now(sum[r][n], x, w[n]);
      }
    }
  }
  if (!g.last) {
#pragma clang loop unroll(full)
    for (int r = 0; r < R; ++r)
#pragma clang loop unroll(full)
      for (int n = 0; n < kVectors; ++n)
        std::memcpy(sums + (r * kVectors + n) * kJoined * kEight, &sum[r][n], sizeof(vector));
    return;
  }
#pragma clang loop unroll(full)
  for (int n = 0; n < kVectors; ++n) {
    vector y[R];
#pragma clang loop unroll(full)
    for (int r = 0; r < R; ++r) y[r] = sum[r][n];
    finish<R>(g, n * kJoined, y, position);
  }
}
