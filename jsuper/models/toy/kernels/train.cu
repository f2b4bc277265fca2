// K steps of toy models in one launch. A block of threads trains R models of one seed and one
// activation, which share the seed's draws; weights, moments and gradients stay in shared memory
// and registers between steps. `source.py` sets the constants between @s, and `slopes.py` writes
// the slope. Without a device the file is compiled by g++, with threads that take turns
// (tests/emulator.h).
//
// A warp works through tiles of columns. SPLIT lanes share a column's features, F each; ACROSS
// lanes stand side by side, with COLS columns each.
#ifndef EMULATED
#define DEVICE static __device__ __forceinline__
#define SHARED __shared__
DEVICE float max_nan(float a, float b) {
  float r;
  asm("max.NaN.f32 %0, %1, %2;" : "=f"(r) : "f"(a), "f"(b));
  return r;
}
DEVICE float min_nan(float a, float b) {
  float r;
  asm("min.NaN.f32 %0, %1, %2;" : "=f"(r) : "f"(a), "f"(b));
  return r;
}
// Weights of shared memory, read anew each time: kept from the pass before they would spill.
DEVICE unsigned address(const void* p) { return (unsigned)__cvta_generic_to_shared(p); }
DEVICE float fresh1(const float* p) {
  float v;
  asm volatile("ld.volatile.shared.f32 %0, [%1];" : "=f"(v) : "r"(address(p)));
  return v;
}
DEVICE float2 fresh2(const float* p) {
  float2 v;
  asm volatile("ld.volatile.shared.v2.f32 {%0, %1}, [%2];" : "=f"(v.x), "=f"(v.y) : "r"(address(p)));
  return v;
}
DEVICE float4 fresh4(const float4* p) {
  float4 v;
  asm volatile("ld.volatile.shared.v4.f32 {%0, %1, %2, %3}, [%4];"
               : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w) : "r"(address(p)));
  return v;
}
#ifndef INFINITY
#define INFINITY __int_as_float(0x7f800000)
#endif
#ifndef NAN
#define NAN __int_as_float(0x7fffffff)
#endif
#endif
DEVICE float sign_of(float z) { return z > 0.0f ? 1.0f : (z < 0.0f ? -1.0f : z); }

constexpr int N = @N@, M = @M@, B = @B@, R = @R@;
constexpr int WARPS = @WARPS@, COLS = @COLS@, SPLIT = @SPLIT@;
constexpr bool BATCHES = @BATCHES@;  // x of every row is given, not draws that all rows share
constexpr bool BIAS = @BIAS@, DECAY_BIAS = @DECAY_BIAS@;
constexpr float SCALE = @SCALE@;  // of the gradient: 1, or B N where the loss is a sum
constexpr float B1 = @B1@, B2 = @B2@, C1 = @C1@, C2 = @C2@, EPS = @EPS@;  // C is 1 - B, rounded once
constexpr int F = (N + SPLIT - 1) / SPLIT, ACROSS = 32 / SPLIT, OWN = M * F + F;
constexpr int THREADS = 32 * WARPS, P = M * N + N, TILE = ACROSS * COLS;
constexpr int ROW = (M + 2 + 3) / 4 * 4;  // of a feature: W[:, i], b_i, importance, padding
constexpr int PAD = OWN <= ACROSS ? ACROSS : OWN <= 32 ? 32 : OWN <= 64 ? 64 : OWN <= 128 ? 128 : 256;
constexpr int MINE = (R * P + THREADS - 1) / THREADS;  // parameters that a thread updates

@SLOPE@

// A parameter: j < M N is W[k][i], the others are b, which has k = M.
struct Place {
  int k, i;
  bool is_weight;
};
DEVICE Place place_of(int j) {
  const bool is_weight = j < M * N;
  return {is_weight ? j / N : M, is_weight ? j % N : j - M * N, is_weight};
}

// The first COUNT numbers of a feature's row in shared memory, in the fewest words.
template <int COUNT> DEVICE void words(const float4* __restrict__ w, int i, float* to) {
#pragma unroll
  for (int j = 0; j < COUNT / 4; ++j) {
    const float4 v = fresh4(w + i * (ROW / 4) + j);
    to[4 * j] = v.x; to[4 * j + 1] = v.y; to[4 * j + 2] = v.z; to[4 * j + 3] = v.w;
  }
  constexpr int DONE = COUNT / 4 * 4;
  const float* rest = reinterpret_cast<const float*>(w + i * (ROW / 4)) + DONE;
  if (COUNT - DONE >= 2) {
    const float2 v = fresh2(rest);
    to[DONE] = v.x; to[DONE + 1 < COUNT ? DONE + 1 : 0] = v.y;
  }
  if (COUNT % 2) to[COUNT - 1] = fresh1(rest + (COUNT - DONE - 1));
}

// COLS numbers from one address.
DEVICE void read(const float* __restrict__ from, float* to) {
  if (COLS == 1) to[0] = from[0];
  if (COLS == 2) {
    const float2 v = *reinterpret_cast<const float2*>(from);
    to[0] = v.x; to[COLS - 1] = v.y;
  }
  if (COLS == 4) {
    const float4 v = *reinterpret_cast<const float4*>(from);
    to[0] = v.x; to[COLS > 1] = v.y; to[COLS > 2 ? 2 : 0] = v.z; to[COLS - 1] = v.w;
  }
}

// Sums over the lanes side by side: a lane ends with PAD / ACROSS of the PAD sums.
template <int WIDTH> struct Fold {
  DEVICE void run(float* acc, int lane) {
    constexpr int H = WIDTH / 2, AWAY = H * ACROSS / PAD;
#pragma unroll
    for (int j = 0; j < H; ++j) {
      const bool upper = lane & AWAY;
      const float send = upper ? acc[j] : acc[j + H], keep = upper ? acc[j + H] : acc[j];
      acc[j] = keep + __shfl_xor_sync(0xffffffffu, send, AWAY);
    }
    Fold<H>::run(acc, lane);
  }
};
template <> struct Fold<PAD / ACROSS> {
  DEVICE void run(float*, int) {}
};

// The sum over the lanes that share a column.
DEVICE void together(float (&h)[COLS][M]) {
  if (SPLIT == 1) return;
#pragma unroll
  for (int c = 0; c < COLS; ++c)
#pragma unroll
    for (int k = 0; k < M; ++k) h[c][k] += __shfl_xor_sync(0xffffffffu, h[c][k], ACROSS);
}

// S seeds (blockIdx.x) and groups of at most R models (blockIdx.y), which stand at some of the A
// places of a seed; the others keep what they have. The models of a row share a batch. bad: the step at which a
// model would not have stayed finite, from where it is frozen; -1 until then.
extern "C" __global__ void __launch_bounds__(THREADS, 1) train(
    const float* __restrict__ data,    // (K, S, N, B) draws in order, active columns first, or
                                       // (K, S, ROWS, N, B) batches
    const int* __restrict__ active,    // (K, S, ROWS): columns with an active feature
    const int* __restrict__ place,     // (groups, used): of a model, or -1 for none
    const int* __restrict__ row,       // (A,): of a place
    const int* __restrict__ span,      // (5,): the first step, the number of steps, A, ROWS, used
    const float* __restrict__ factor,  // (K,): of the learning rate
    const float* __restrict__ density, const float* __restrict__ rate,      // (A,)
    const float* __restrict__ decay, const float* __restrict__ importance,  // (A,), (A, N)
    const float* __restrict__ W0, const float* __restrict__ b0, const int* __restrict__ count0,
    const float* __restrict__ mu_W0, const float* __restrict__ mu_b0,
    const float* __restrict__ nu_W0, const float* __restrict__ nu_b0, const int* __restrict__ bad0,
    float* __restrict__ W1, float* __restrict__ b1, int* __restrict__ count1,
    float* __restrict__ mu_W1, float* __restrict__ mu_b1,
    float* __restrict__ nu_W1, float* __restrict__ nu_b1, int* __restrict__ bad1) {
  SHARED __align__(16) float weights[R][SPLIT * F][ROW];
  SHARED float mu[R * P], nu[R * P], part[WARPS][R][P];
  SHARED int tiles[R + 1], at[R], mine[R], count[R], bad[R], broken[R];
  SHARED float correct1[R], correct2[R];
  const int t = threadIdx.x, lane = t & 31, warp = t >> 5;
  const int half = lane / ACROSS, across = lane % ACROSS;
  const int A = span[2], ROWS = span[3], used = span[4];

  if (N < SPLIT * F)
    for (int q = t; q < R * ROW; q += THREADS) weights[q / ROW][SPLIT * F - 1][q % ROW] = 0.0f;
  for (int q = t; q < used * P; q += THREADS) {
    const int r = q / P, j = q % P, a = max(place[blockIdx.y * used + r], 0), m = blockIdx.x * A + a;
    const Place p = place_of(j);
    weights[r][p.i][p.k] = p.is_weight ? W0[m * M * N + j] : b0[m * N + p.i];
    mu[q] = p.is_weight ? mu_W0[m * M * N + j] : mu_b0[m * N + p.i];
    nu[q] = p.is_weight ? nu_W0[m * M * N + j] : nu_b0[m * N + p.i];
    if (!p.is_weight) weights[r][p.i][M + 1] = importance[a * N + p.i];
  }
  if (t < R) {
    const int a = t < used ? place[blockIdx.y * used + t] : -1;
    at[t] = a;
    mine[t] = row[max(a, 0)];
    count[t] = count0[blockIdx.x * A + max(a, 0)];
    bad[t] = a < 0 ? 0 : bad0[blockIdx.x * A + a];
  }
  __syncthreads();

  for (int s = 0; s < span[1]; ++s) {
    const int* __restrict__ active_now = active + ((size_t)s * gridDim.x + blockIdx.x) * ROWS;
    if (t == 0) {
      int sum = 0;
      for (int r = 0; r < R; ++r) {  // one column more stands for all that are empty
        const int a = active_now[mine[r]];
        tiles[r] = sum;
        sum += bad[r] >= 0 ? 0 : ((a < B ? a + 1 : B) + TILE - 1) / TILE;
      }
      tiles[R] = sum;
    }
    if (t < R) {
      broken[t] = 0;
      const float c = (float)(count[t] + 1);
      correct1[t] = 1.0f / (1.0f - powf(B1, c));
      correct2[t] = 1.0f / (1.0f - powf(B2, c));
    }
    __syncthreads();

    // The tiles of all models form one list, of which every warp gets an even share.
    const int total = tiles[R], end = total * (warp + 1) / WARPS;
    int tile = total * warp / WARPS, r = 0;
    while (tile < end) {
      while (tile >= tiles[r + 1]) ++r;
      const int until = min(end, tiles[r + 1]), a = active_now[mine[r]];
      const size_t now = (size_t)s * gridDim.x + blockIdx.x, batch = BATCHES ? now * ROWS + mine[r] : now;
      const float* __restrict__ columns = data + batch * N * B;
      const float p = density[at[r]], scale = 1.0f / p, per_sample = 1.0f / B;
      float acc[PAD];
#pragma unroll
      for (int j = 0; j < PAD; ++j) acc[j] = 0.0f;
      const float4* __restrict__ w = reinterpret_cast<const float4*>(&weights[r][half * F][0]);
      for (; tile < until; ++tile) {
        float x[COLS][F], h[COLS][M], dh[COLS][M], weight[COLS];
        const int column = (tile - tiles[r]) * TILE + across * COLS;
        const float* __restrict__ here = columns + (N % SPLIT ? 0 : half * F * B) + min(column, B - COLS);
#pragma unroll
        for (int c = 0; c < COLS; ++c) {
          weight[c] = column + c < a ? per_sample : column + c == a ? (B - a) * per_sample : 0.0f;
#pragma unroll
          for (int k = 0; k < M; ++k) h[c][k] = dh[c][k] = 0.0f;
        }
#pragma unroll
        for (int i = 0; i < F; ++i) {
          float v[COLS], own[ROW];
          read(here + (N % SPLIT ? min(half * F + i, N - 1) : i) * B, v);
          words<M>(w, i, own);
#pragma unroll
          for (int c = 0; c < COLS; ++c) {  // from column `a` on no draw is below p: x is 0 there
            x[c][i] = BATCHES ? v[c] : v[c] < p ? v[c] * scale : 0.0f;
#pragma unroll
            for (int k = 0; k < M; ++k) h[c][k] += own[k] * x[c][i];
          }
        }
        together(h);
@BACKWARD@
        together(dh);
#pragma unroll
        for (int c = 0; c < COLS; ++c)
#pragma unroll
          for (int k = 0; k < M; ++k)
#pragma unroll
            for (int i = 0; i < F; ++i) acc[k * F + i] += dh[c][k] * x[c][i];
      }
      Fold<PAD>::run(acc, lane);
#pragma unroll
      for (int j = 0; j < PAD / ACROSS; ++j) {
        int number = 0, width = PAD;  // its bits, from the highest, are those of `across`
#pragma unroll
        for (int bit = ACROSS / 2; bit; bit >>= 1) {
          width >>= 1;
          if (across & bit) number += width;
        }
        number += j;
        const int k = number / F, i = half * F + number % F;
        if (k <= M && i < N) part[warp][r][k * N + i] = acc[j];
      }
    }
    __syncthreads();

    float new_p[MINE], new_mu[MINE], new_nu[MINE];
#pragma unroll
    for (int y = 0; y < MINE; ++y) {
      const int q = t + y * THREADS;
      if (q < used * P) {
        const int r = q / P, j = q % P;
        const Place p = place_of(j);
        float g = 0.0f;
        for (int v = 0; v < WARPS; ++v) {  // the warps that had tiles of this model, in order
          const int low = total * v / WARPS, high = total * (v + 1) / WARPS;
          if (max(low, tiles[r]) < min(high, tiles[r + 1])) g += part[v][r][j];
        }
        g = BIAS || p.is_weight ? g * SCALE : 0.0f;
        const float old = weights[r][p.i][p.k];
        const float shrink = DECAY_BIAS || p.is_weight ? decay[max(at[r], 0)] * old : 0.0f;
        new_mu[y] = C1 * g + B1 * mu[q];
        new_nu[y] = C2 * (g * g) + B2 * nu[q];
        const float away = (new_mu[y] * correct1[r]) / (sqrtf(new_nu[y] * correct2[r]) + EPS);
        new_p[y] = old - rate[max(at[r], 0)] * factor[s] * (away + shrink);
        if (!(isfinite(new_p[y]) && isfinite(new_mu[y]) && isfinite(new_nu[y]))) broken[r] = 1;
      }
    }
    __syncthreads();
#pragma unroll
    for (int y = 0; y < MINE; ++y) {
      const int q = t + y * THREADS;
      if (q < used * P) {
        const int r = q / P;
        const Place p = place_of(q % P);
        if (!broken[r] && bad[r] < 0) {
          weights[r][p.i][p.k] = new_p[y]; mu[q] = new_mu[y]; nu[q] = new_nu[y];
        }
      }
    }
    __syncthreads();
    if (t < R && bad[t] < 0) {
      if (broken[t]) bad[t] = span[0] + s;
      else ++count[t];
    }
    __syncthreads();
  }

  for (int q = t; q < used * P; q += THREADS) {
    const int r = q / P, j = q % P, m = blockIdx.x * A + at[r];
    const Place p = place_of(j);
    if (at[r] < 0) continue;
    (p.is_weight ? W1[m * M * N + j] : b1[m * N + p.i]) = weights[r][p.i][p.k];
    (p.is_weight ? mu_W1[m * M * N + j] : mu_b1[m * N + p.i]) = mu[q];
    (p.is_weight ? nu_W1[m * M * N + j] : nu_b1[m * N + p.i]) = nu[q];
  }
  if (t < R && at[t] >= 0) {
    count1[blockIdx.x * A + at[t]] = count[t];
    bad1[blockIdx.x * A + at[t]] = bad[t];
  }
}
