/*
 * The kernels in C, by the formulas of src/core/kernels/kernels.ts, as a compiler makes them fast: plain loops,
 * one thread. Arrays and what they hold at first are those of bench/kernels.ts, and so must be the results.
 *
 * Commands on standard input, an answer each on standard output:
 *   prepare KERNEL N   ->  {"ok":true}     fills the arrays anew
 *   run TIMES          ->  {"ns":T}        processor time
 *   digest             ->  {"digest":D}    32 bits from every bit of the arrays
 *
 * Wants -ffp-contract=off (fused operations would give other bits), and -fno-math-errno (or a call for each root).
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BLOCK = 16384, GROUP = 512, LANES = 16 };

static const float SMALLEST = 0x1p-126f;

/* A function of its own: inlined into the long chain in `run` most would count as rarely used, and stay scalar. */
#define KERNEL static __attribute__((noinline))

static float flush(float x) { return fabsf(x) < SMALLEST ? 0 : x; }

KERNEL void add(float *restrict a, const float *restrict x, long n) {
  for (long i = 0; i < n; i++) a[i] = a[i] + x[i];
}

KERNEL void scale(float *a, long n, float factor) {
  for (long i = 0; i < n; i++) a[i] = a[i] * factor;
}

KERNEL void divide(float *a, long n, float divisor) {
  for (long i = 0; i < n; i++) a[i] = a[i] / divisor;
}

KERNEL void clip_value(float *a, long n, float limit) {
  for (long i = 0; i < n; i++) {
    float x = a[i] > limit ? limit : a[i];
    a[i] = x < -limit ? -limit : x;
  }
}

KERNEL void zero_non_finite(float *a, long n) {
  for (long i = 0; i < n; i++) a[i] = a[i] - a[i] == 0 ? a[i] : 0;
}

static void add_slowly(double sums[4], const float *x, long n) {
  for (long i = 0; i < n; i++) sums[i & 3] += (double)x[i] * (double)x[i];
}

static double sum_of_block(const float *x, long n) {
  double sums[4] = {0, 0, 0, 0};
  long at = 0;
  for (; at + GROUP <= n; at += GROUP) {
    float lanes[LANES] = {0};
    for (long i = at; i < at + GROUP; i += LANES)
      for (int k = 0; k < LANES; k++) lanes[k] += x[i + k] * x[i + k];
    for (int j = 0; j < 4; j++) sums[j] += (lanes[j] + lanes[j + 4]) + (lanes[j + 8] + lanes[j + 12]);
  }
  add_slowly(sums, x + at, n - at);
  double sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  if (isfinite(sum)) return sum;
  double slow[4] = {0, 0, 0, 0};
  add_slowly(slow, x, n);
  return (slow[0] + slow[1]) + (slow[2] + slow[3]);
}

KERNEL double sum_squares(const float *x, long n) {
  double total = 0;
  for (long at = 0; at < n; at += BLOCK) total += sum_of_block(x + at, n - at < BLOCK ? n - at : BLOCK);
  return total;
}

KERNEL void sgd(float *restrict p, const float *restrict g, long n, float rate) {
  for (long i = 0; i < n; i++) p[i] = p[i] - rate * g[i];
}

KERNEL void momentum(float *restrict p, const float *restrict g, float *restrict v, long n, float rate, float mu) {
  for (long i = 0; i < n; i++) {
    v[i] = flush(mu * v[i] - rate * g[i]);
    p[i] = p[i] + v[i];
  }
}

KERNEL void nesterov(float *restrict p, const float *restrict g, float *restrict v, long n, float rate, float mu) {
  for (long i = 0; i < n; i++) {
    float s = rate * g[i];
    v[i] = flush(mu * v[i] - s);
    p[i] = p[i] + (mu * v[i] - s);
  }
}

KERNEL void adagrad(float *restrict p, const float *restrict g, float *restrict a, long n, float rate, float eps) {
  for (long i = 0; i < n; i++) {
    a[i] = a[i] + g[i] * g[i];
    p[i] = p[i] - (rate * g[i]) / (sqrtf(a[i]) + eps);
  }
}

KERNEL void rmsprop(float *restrict p, const float *restrict g, float *restrict a, long n, float rate, float rho,
                    float eps) {
  float taken = 1 - rho;
  for (long i = 0; i < n; i++) {
    float mean = rho * a[i] + taken * (g[i] * g[i]);
    mean = mean < SMALLEST ? 0 : mean;
    a[i] = mean;
    p[i] = p[i] - (rate * g[i]) / (sqrtf(mean) + eps);
  }
}

KERNEL void adam(float *restrict p, const float *restrict g, float *restrict m, float *restrict v, long n, float beta1,
                 float beta2, float step, float correction, float eps) {
  float taken1 = 1 - beta1, taken2 = 1 - beta2;
  for (long i = 0; i < n; i++) {
    float first = flush(beta1 * m[i] + taken1 * g[i]);
    float second = beta2 * v[i] + taken2 * (g[i] * g[i]);
    second = second < SMALLEST ? 0 : second;
    m[i] = first;
    v[i] = second;
    p[i] = p[i] - (step * first) / (sqrtf(second) * correction + eps);
  }
}

static float with_sign_of(float x, float magnitude) { return x == 0 ? 0 : copysignf(magnitude, x); }

KERNEL void ftrl(float *restrict p, const float *restrict g, float *restrict z, float *restrict n, long length,
                 float rate, float beta, float l1, float l2) {
  float first_weight = beta * rate + l2, change = 0;
  for (long i = 0; i < length; i++) {
    float s = sqrtf(n[i]), sum = n[i] + g[i] * g[i], t = sqrtf(sum), at = p[i];
    float fresh = 0 - (at * first_weight + with_sign_of(at, l1));
    float carried = z[i] - ((beta + s) * change) * at;
    float next = ((s == 0 ? fresh : carried) + g[i]) - ((t - s) * rate) * at;
    float moved = (with_sign_of(next, l1) - next) / ((beta + t) * rate + l2);
    float held = fabsf(next) <= l1 ? 0 : moved;
    n[i] = sum;
    z[i] = next;
    p[i] = t == 0 ? at : held;
  }
}

static uint16_t bfloat16_of(uint32_t word) {
  uint32_t rounded = (word + 0x7fff + ((word >> 16) & 1)) >> 16;
  return (word & 0x7fffffff) > 0x7f800000 ? ((word >> 16) & 0x8000) | 0x7fc0 : rounded;
}

KERNEL void to_bfloat16(uint16_t *restrict out, const uint32_t *restrict x, long n) {
  for (long i = 0; i < n; i++) out[i] = bfloat16_of(x[i]);
}

KERNEL void from_bfloat16(uint32_t *restrict out, const uint16_t *restrict x, long n) {
  for (long i = 0; i < n; i++) out[i] = (uint32_t)x[i] << 16;
}

static float float_of(uint32_t word) {
  float x;
  memcpy(&x, &word, 4);
  return x;
}

static uint32_t word_of(float x) {
  uint32_t word;
  memcpy(&word, &x, 4);
  return word;
}

KERNEL void to_float16(uint16_t *restrict out, const uint32_t *restrict x, long n) {
  for (long i = 0; i < n; i++) {
    uint32_t magnitude = x[i] & 0x7fffffff;
    uint32_t bounded = magnitude < 0x47800000 ? magnitude : 0x47800000;
    uint32_t normal = (bounded - 0x38000000 + 0xfff + ((bounded >> 13) & 1)) >> 13;
    uint32_t subnormal = word_of(float_of(magnitude) + 0.5f) - 0x3f000000;
    uint32_t finite = magnitude < 0x38800000 ? subnormal : normal;
    out[i] = (magnitude > 0x7f800000 ? 0x7e00 : finite) | ((x[i] >> 16) & 0x8000);
  }
}

KERNEL void from_float16(uint32_t *restrict out, const uint16_t *restrict x, long n) {
  for (long i = 0; i < n; i++) {
    uint32_t magnitude = ((uint32_t)x[i] & 0x7fff) << 13, exponent = magnitude & 0x0f800000;
    uint32_t normal = magnitude + (exponent == 0x0f800000 ? 0x70000000 : 0x38000000);
    uint32_t subnormal = word_of(float_of(magnitude + 0x38800000) - 0x1p-14f);
    out[i] = (exponent == 0 ? subnormal : normal) | ((uint32_t)(x[i] & 0x8000) << 16);
  }
}

/* Parameter, gradient, slots; halves stand in the first slot's place. */
static float *arrays[4];
static long length;
static double sum;

static void run(const char *kernel) {
  float *p = arrays[0], *g = arrays[1], *a = arrays[2], *b = arrays[3];
  long n = length;
  if (!strcmp(kernel, "copy")) memcpy(p, g, n * 4);
  else if (!strcmp(kernel, "add")) add(p, g, n);
  else if (!strcmp(kernel, "scale")) scale(p, n, 1.0000001f);
  else if (!strcmp(kernel, "divide")) divide(p, n, 1.0000001f);
  else if (!strcmp(kernel, "clipValue")) clip_value(p, n, 0.5f);
  else if (!strcmp(kernel, "zeroNonFinite")) zero_non_finite(p, n);
  else if (!strcmp(kernel, "sumSquares")) sum = sum_squares(g, n);
  else if (!strcmp(kernel, "toBfloat16")) to_bfloat16((uint16_t *)a, (uint32_t *)g, n);
  else if (!strcmp(kernel, "fromBfloat16")) from_bfloat16((uint32_t *)p, (uint16_t *)a, n);
  else if (!strcmp(kernel, "toFloat16")) to_float16((uint16_t *)a, (uint32_t *)g, n);
  else if (!strcmp(kernel, "fromFloat16")) from_float16((uint32_t *)p, (uint16_t *)a, n);
  else if (!strcmp(kernel, "sgd")) sgd(p, g, n, 0.001f);
  else if (!strcmp(kernel, "momentum")) momentum(p, g, a, n, 0.001f, 0.9f);
  else if (!strcmp(kernel, "nesterov")) nesterov(p, g, a, n, 0.001f, 0.9f);
  else if (!strcmp(kernel, "adagrad")) adagrad(p, g, a, n, 0.001f, 1e-10f);
  else if (!strcmp(kernel, "rmsprop")) rmsprop(p, g, a, n, 0.001f, 0.9f, 1e-8f);
  else if (!strcmp(kernel, "adam")) adam(p, g, a, b, n, 0.9f, 0.999f, 0.001f, 31.6f, 1e-8f);
  else if (!strcmp(kernel, "ftrl")) ftrl(p, g, a, b, n, 1000, 1, 0.001f, 0.01f);
  else exit(2);
}

/* The same as `unit` in bench/kernels.ts: [0, 1) in steps of 2^-24. */
static float unit(uint32_t i, uint32_t array) {
  uint32_t x = i * 2654435761u + array * 2246822519u;
  x = (x ^ (x >> 15)) * 739982445u;
  x = (x ^ (x >> 12)) * 695872825u;
  return (float)((x ^ (x >> 15)) >> 8) * 0x1p-24f;
}

static void prepare(long n) {
  for (int k = 0; k < 4; k++) {
    free(arrays[k]);
    arrays[k] = aligned_alloc(64, (n * 4 + 127) / 64 * 64);
  }
  length = n;
  sum = 0;
  for (long i = 0; i < n; i++) {
    arrays[0][i] = 2 * unit(i, 0) - 1;
    arrays[1][i] = (2 * unit(i, 1) - 1) * 0.0625f;
    arrays[2][i] = unit(i, 2) * 0x1p-8f;
    arrays[3][i] = unit(i, 3) * 0x1p-16f;
  }
}

static uint32_t digest(void) {
  uint32_t hash = 2166136261u;
  for (int k = 0; k < 4; k++)
    for (long i = 0; i < length; i++) hash = (hash ^ word_of(arrays[k][i])) * 16777619u;
  uint32_t words[2];
  memcpy(words, &sum, 8);
  hash = (hash ^ words[0]) * 16777619u;
  return (hash ^ words[1]) * 16777619u;
}

int main(void) {
  char kernel[32], line[100];
  long n;
  while (fgets(line, sizeof line, stdin) != NULL) {
    if (sscanf(line, "prepare %31s %ld", kernel, &n) == 2) {
      prepare(n);
      puts("{\"ok\":true}");
    } else if (sscanf(line, "run %ld", &n) == 1) {
      struct timespec begin, end;
      clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begin);
      for (long i = 0; i < n; i++) run(kernel);
      clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
      printf("{\"ns\":%.0f}\n", (end.tv_sec - begin.tv_sec) * 1e9 + (end.tv_nsec - begin.tv_nsec));
    } else {
      printf("{\"digest\":%u}\n", digest());
    }
    fflush(stdout);
  }
  return 0;
}
