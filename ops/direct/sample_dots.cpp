// Long sums: each channel of y is the dot product of a row with one of the weight.

#include <algorithm>
#include <cstring>

#include "ops/direct/conv_maps.hpp"
#include "ops/direct/rows.hpp"
#include "ops/direct/sample_products.hpp"
#include "ops/kernels/binary.hpp"

namespace lucid::direct {
namespace {

constexpr std::int64_t kAtOnce = kFewSamples;  // rows whose sums are held in registers

// Up to kAtOnce rows of n elements as [n / kLanes][kAtOnce][kLanes], zeros behind the last row and element.
// What is multiplied in turn lies in turn: rows that are a power of two apart would displace each other from
// the first-level cache.
template <class T>
Tensor interleaved(const T* rows, std::int64_t count, std::int64_t n) {
  const std::int64_t vectors = (n + kLanes<T> - 1) / kLanes<T>;
  const Tensor out = empty({vectors, kAtOnce, kLanes<T>}, dtype_of<T>());
  T* const to = out.data_to_write<T>();
  parallel_for(vectors, 64, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = 0; row < kAtOnce; ++row)
      for (std::int64_t v = begin; v < end; ++v) {
        T* const at = to + (v * kAtOnce + row) * kLanes<T>;
        const std::int64_t used = row < count ? std::min(kLanes<T>, n - v * kLanes<T>) : 0;
        std::copy(rows + row * n + v * kLanes<T>, rows + row * n + v * kLanes<T> + used, at);
        std::fill(at + used, at + kLanes<T>, T(0));
      }
  });
  return out;
}

// sums[c * kAtOnce + i] += <a + c * a_row, row i of b> for some rows of a and kAtOnce interleaved rows of b,
// of which the first `used` count, over `n` elements. The rows at `next` are fetched from memory meanwhile.
struct AddDots {
  template <int Bytes, class T>
  [[gnu::always_inline]] static void run(const T* a, std::int64_t a_row, std::int64_t count, const T* b,
                                         std::int64_t used, std::int64_t n, double* sums, const T* next) {
    // Rows of a and samples whose sums fill the registers.
    if (used <= 2) return add_all<Bytes, 4, 2>(a, a_row, count, b, used, n, sums, next);
    constexpr int kSamples = has_32_registers(Bytes) ? 8 : 4;
    add_all<Bytes, 2, kSamples>(a, a_row, count, b, used, n, sums, next);
  }

 private:
  template <int Bytes, int A, int S, class T>
  [[gnu::always_inline]] static void add_all(const T* a, std::int64_t a_row, std::int64_t count, const T* b,
                                             std::int64_t used, std::int64_t n, double* sums, const T* next) {
    for (std::int64_t s = 0; s < used; s += S) {
      const T* const from = b + s * kLanes<T>;
      std::int64_t c = 0;
      for (; c + A <= count; c += A)
        add<Bytes, A, S>(a + c * a_row, a_row, from, n, sums + c * kAtOnce + s, next + c * a_row);
      for (; c < count; ++c)
        add<Bytes, 1, S>(a + c * a_row, a_row, from, n, sums + c * kAtOnce + s, next + c * a_row);
    }
  }
  template <int Bytes, int A, int S, class T>
  [[gnu::always_inline]] static void add(const T* a, std::int64_t a_row, const T* b, std::int64_t n,
                                         double* sums, const T* next) {
    typedef T Lanes __attribute__((vector_size(Bytes)));
    constexpr std::int64_t lanes = Bytes / static_cast<std::int64_t>(sizeof(T));
    const std::int64_t whole = n / kLanes<T> * kLanes<T>;
    Lanes parts[A][S];
#pragma GCC unroll 4
    for (int c = 0; c < A; ++c)
#pragma GCC unroll 8
      for (int i = 0; i < S; ++i) parts[c][i] = Lanes{};
    const T* from = b;
    for (std::int64_t k = 0; k < whole; k += kLanes<T>, from += kAtOnce * kLanes<T>) {
#pragma GCC unroll 4
      for (int c = 0; c < A; ++c) __builtin_prefetch(next + c * a_row + k);
#pragma GCC unroll 4
      for (std::int64_t part = 0; part < kLanes<T>; part += lanes) {
        Lanes x[A], y;
#pragma GCC unroll 4
        for (int c = 0; c < A; ++c) std::memcpy(&x[c], a + c * a_row + k + part, sizeof(Lanes));
#pragma GCC unroll 8
        for (int i = 0; i < S; ++i) {
          std::memcpy(&y, from + i * kLanes<T> + part, sizeof(Lanes));
#pragma GCC unroll 4
          for (int c = 0; c < A; ++c) parts[c][i] += x[c] * y;
        }
      }
    }
#pragma GCC unroll 4
    for (int c = 0; c < A; ++c)
#pragma GCC unroll 8
      for (int i = 0; i < S; ++i) sums[c * kAtOnce + i] += static_cast<double>(sum_of<T>(parts[c][i]));
    for (int c = 0; c < A; ++c)
      for (std::int64_t i = 0; i < S; ++i)
        for (std::int64_t k = whole; k < n; ++k)
          sums[c * kAtOnce + i] += static_cast<double>(a[c * a_row + k]) *
                                   static_cast<double>(b[(whole * kAtOnce) + i * kLanes<T> + k - whole]);
  }

  template <class T, class Lanes>
  [[gnu::always_inline]] static T sum_of(const Lanes& values) {
    constexpr int lanes = sizeof(Lanes) / sizeof(T);
    T part[lanes];
    std::memcpy(part, &values, sizeof(Lanes));
    for (int half = lanes / 2; half > 0; half /= 2)
      for (int i = 0; i < half; ++i) part[i] += part[half + i];
    return part[0];
  }
};

// The samples of x side by side: [panel of samples][channel][tap][kPanel], zeros behind the last sample.
template <class T>
Tensor side_by_side(const Tensor& x) {
  const std::int64_t samples = x.size(0), row = x.numel() / samples;
  const std::int64_t panels = (samples + kPanel<T> - 1) / kPanel<T>;
  const Shape shape{panels, row, kPanel<T>};
  const Tensor out = samples % kPanel<T> ? zeros(shape, x.dtype()) : empty(shape, x.dtype());
  for (std::int64_t panel = 0; panel < panels; ++panel) {
    const std::int64_t first = panel * kPanel<T>, count = std::min(kPanel<T>, samples - first);
    Shape part = x.shape();
    part[0] = count;
    const std::int64_t width = x.size(4) * kPanel<T>, plane = x.size(3) * width;
    kernels::copy(alias(out, part, {1, x.size(2) * plane, plane, width, kPanel<T>}, panel * row * kPanel<T>),
                  alias(x, part, x.strides(), x.offset() + first * x.strides()[0]));
  }
  return out;
}

}  // namespace

template <class T>
void multiply_long(const T* rows, const T* weight, const T* bias, T* y, std::int64_t samples,
                   std::int64_t channels, std::int64_t n) {
  constexpr std::int64_t kQuad = 4;     // channels at once
  constexpr std::int64_t kBlock = 512;  // of so many elements the rows stay in the first-level cache
  const Tensor packed = interleaved(rows, samples, n);
  const T* const b = packed.data<T>();
  parallel_for(channels, 1, [&](std::int64_t begin, std::int64_t end) {
    std::vector<double> sums(static_cast<std::size_t>((end - begin) * kAtOnce), 0.0);  // [channel][kAtOnce]
    for (std::int64_t k = 0; k < n; k += kBlock)
      for (std::int64_t c = begin; c < end; c += kQuad)
        run_for_registers<AddDots>(weight + c * n + k, n, std::min(kQuad, end - c), b + k * kAtOnce, samples,
                                   std::min(kBlock, n - k), sums.data() + (c - begin) * kAtOnce,
                                   weight + (c + kQuad < end ? (c + kQuad) * n + k : begin * n + k + kBlock));
    for (std::int64_t c = begin; c < end; ++c)
      for (std::int64_t s = 0; s < samples; ++s)
        y[s * channels + c] = static_cast<T>(sums[static_cast<std::size_t>((c - begin) * kAtOnce + s)] +
                                             (bias ? static_cast<double>(bias[c]) : 0.0));
  });
}

// The sums of a channel with a panel of samples are a row in registers.
template <class T>
void multiply_panels(const Tensor& x, const T* weight, const T* bias, T* y, std::int64_t channels) {
  constexpr std::int64_t kDepth = 256;  // of a part of a panel that stays in the first-level cache
  const Tensor packed = side_by_side<T>(x);
  const T* const b = packed.data<T>();
  const std::int64_t samples = x.size(0), panels = packed.size(0), n = packed.size(1);
  parallel_for(channels, 1, [&](std::int64_t begin, std::int64_t end) {
    const std::int64_t count = end - begin;
    std::vector<T> sums(static_cast<std::size_t>(panels * count * kPanel<T>),
                        T(0));  // [panel][channel][kPanel]
    for (std::int64_t k = 0; k < n; k += kDepth)
      for (std::int64_t panel = 0; panel < panels; ++panel)
        add_product(RowsProduct<T>{.a = weight + begin * n + k,
                                   .a_row = n,
                                   .a_step = 1,
                                   .b = b + (panel * n + k) * kPanel<T>,
                                   .b_row = kPanel<T>,
                                   .c = sums.data() + panel * count * kPanel<T>,
                                   .c_row = kPanel<T>,
                                   .rows = count,
                                   .depth = std::min(kDepth, n - k),
                                   .columns = kPanel<T>});
    for (std::int64_t c = 0; c < count; ++c)
      for (std::int64_t s = 0; s < samples; ++s)
        y[s * channels + begin + c] =
            sums[static_cast<std::size_t>((s / kPanel<T> * count + c) * kPanel<T> + s % kPanel<T>)] +
            (bias ? bias[begin + c] : T(0));
  });
}

template void multiply_long(const float*, const float*, const float*, float*, std::int64_t, std::int64_t,
                            std::int64_t);
template void multiply_panels(const Tensor&, const float*, const float*, float*, std::int64_t);
template void multiply_long(const double*, const double*, const double*, double*, std::int64_t, std::int64_t,
                            std::int64_t);
template void multiply_panels(const Tensor&, const double*, const double*, double*, std::int64_t);

}  // namespace lucid::direct
