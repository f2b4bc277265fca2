// CUDA's threads as coroutines of one CPU thread, so that a kernel's source runs unchanged, with its
// barriers and shuffles. ORDER permutes the warps: between barriers they may run in any order, and
// a kernel without races gives the same bits.
#define EMULATED
#include <ucontext.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#define DEVICE static inline __attribute__((always_inline))
#define SHARED static
#define __global__
#define __restrict__
#define __align__(n) __attribute__((aligned(n)))
#define __launch_bounds__(...)
using std::isfinite;
using std::max;
using std::min;
struct float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };
struct Dim { int x, y, z; };
static Dim threadIdx, blockIdx, gridDim;
static inline float fresh1(const float* p) { return *p; }
static inline float2 fresh2(const float* p) { return {p[0], p[1]}; }
static inline float4 fresh4(const float4* p) { return *p; }
static inline float max_nan(float a, float b) { return a != a ? a : b != b ? b : a > b ? a : b; }
static inline float min_nan(float a, float b) { return a != a ? a : b != b ? b : a < b ? a : b; }
template <typename To, typename From> static inline To bits(From from) {
  To to;
  memcpy(&to, &from, 4);
  return to;
}
static inline int __float_as_int(float f) { return bits<int>(f); }
static inline float __int_as_float(int i) { return bits<float>(i); }
static inline unsigned __float_as_uint(float f) { return bits<unsigned>(f); }
static inline float __uint_as_float(unsigned i) { return bits<float>(i); }
static inline float rsqrtf(float a) { return 1.0f / sqrtf(a); }

namespace emulator {
constexpr int MOST = 1024, STACK = 1 << 18;
struct Fiber { ucontext_t at; bool done; int parity; };
static Fiber fibers[MOST];
static ucontext_t home;
static int now, threads, arrived, generation, order;
static int warp_arrived[MOST / 32], warp_generation[MOST / 32];
static float slot[2][MOST];
static void (*body)();
static inline void yield() {
  swapcontext(&fibers[now].at, &home);
  threadIdx.x = now;
}
static void enter() {
  threadIdx.x = now;
  body();
  fibers[now].done = true;
  swapcontext(&fibers[now].at, &home);
}
// The thread whose turn is the i-th: warps rotated by ORDER, or from the last to the first.
static int turn(int i) {
  const int warps = threads / 32, warp = i / 32;
  const int chosen = order < 0 ? warps - 1 - warp : (warp + order) % warps;
  return chosen * 32 + i % 32;
}
static void launch(int grid_x, int grid_y, int block, void (*f)()) {
  static char* stacks = static_cast<char*>(malloc(static_cast<size_t>(MOST) * STACK));
  body = f;
  threads = block;
  gridDim = {grid_x, grid_y, 1};
  for (int b = 0; b < grid_x * grid_y; ++b) {
    blockIdx = {b % grid_x, b / grid_x, 0};
    arrived = 0;
    for (int i = 0; i < block / 32; ++i) warp_arrived[i] = 0;
    for (int i = 0; i < block; ++i) {
      getcontext(&fibers[i].at);
      fibers[i].at.uc_stack.ss_sp = stacks + static_cast<size_t>(i) * STACK;
      fibers[i].at.uc_stack.ss_size = STACK;
      fibers[i].at.uc_link = nullptr;
      fibers[i].done = false;
      fibers[i].parity = 0;
      makecontext(&fibers[i].at, enter, 0);
    }
    for (bool any = true; any;) {
      any = false;
      for (int i = 0; i < block; ++i)
        if (!fibers[turn(i)].done) {
          any = true;
          now = turn(i);
          swapcontext(&home, &fibers[now].at);
        }
    }
  }
}
}  // namespace emulator
static inline void __syncthreads() {
  using namespace emulator;
  const int g = generation;
  if (++arrived == threads) {
    arrived = 0;
    ++generation;
    return;
  }
  while (g == generation) yield();
}
static inline float __shfl_xor_sync(unsigned, float v, int away) {
  using namespace emulator;
  const int me = now, w = me / 32, g = warp_generation[w], p = fibers[me].parity ^= 1;
  slot[p][me] = v;
  if (++warp_arrived[w] == 32) {
    warp_arrived[w] = 0;
    ++warp_generation[w];
  } else {
    while (g == warp_generation[w]) yield();
  }
  return slot[p][me ^ away];
}
