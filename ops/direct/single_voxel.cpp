#include "ops/direct/single_voxel.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

#include "ops/direct/conv_maps.hpp"
#include "ops/direct/rows.hpp"
#include "ops/kernels/binary.hpp"

namespace lucid::direct {
namespace {

// The same elements in row-major order, where a sample's channels and taps are one row as the weight's are.
Tensor row_major(const Tensor& tensor) {
  if (tensor.is_contiguous()) return tensor;
  const Tensor out = empty(tensor.shape(), tensor.dtype());
  kernels::copy(out, tensor);
  return out;
}

// The values of `bias`, every one `times` in a row, and whole vectors of them; empty without a bias.
template <class T>
std::vector<T> repeated(const Tensor& bias, std::int64_t times) {
  std::vector<T> out;
  if (!bias.defined()) return out;
  out.resize(static_cast<std::size_t>(padded_to_lanes(bias.numel() * times, kLanes<T>)));
  for (std::int64_t c = 0; c < bias.numel(); ++c)
    std::fill_n(out.begin() + c * times, times, bias.data<T>()[c]);
  return out;
}

// Of the long sums: a block of kAtOnce samples stays in the first-level cache.
constexpr std::int64_t kBlock = 512;
constexpr std::int64_t kAtOnce = 8;  // samples whose sums are held in registers

// Rows of n elements, kAtOnce at a time: [rows / kAtOnce][n / kLanes][kAtOnce][kLanes], zeros behind the last
// row and element. What is multiplied in turn lies in turn: rows that are a power of two apart would displace
// each other from the first-level cache.
template <class T>
Tensor interleaved(const T* rows, std::int64_t count, std::int64_t n) {
  const std::int64_t groups = (count + kAtOnce - 1) / kAtOnce, vectors = (n + kLanes<T> - 1) / kLanes<T>;
  const Tensor out = empty({groups, vectors, kAtOnce, kLanes<T>}, dtype_of<T>());
  T* const to = out.data_to_write<T>();
  parallel_for(vectors, 64, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = 0; row < groups * kAtOnce; ++row)
      for (std::int64_t v = begin; v < end; ++v) {
        T* const at = to + ((row / kAtOnce * vectors + v) * kAtOnce + row % kAtOnce) * kLanes<T>;
        const std::int64_t used = row < count ? std::min(kLanes<T>, n - v * kLanes<T>) : 0;
        std::copy(rows + row * n + v * kLanes<T>, rows + row * n + v * kLanes<T> + used, at);
        std::fill(at + used, at + kLanes<T>, T(0));
      }
  });
  return out;
}

// sums[c * kAtOnce + i] += <a + c * a_row, row i of b> for some rows of a and kAtOnce interleaved rows of b,
// over `n` elements. The rows at `next` are fetched from memory meanwhile.
struct AddDots {
  template <int Bytes, class T>
  [[gnu::always_inline]] static void run(const T* a, std::int64_t a_row, std::int64_t count, const T* b,
                                         std::int64_t n, double* sums, const T* next) {
    // Of b, whose sums with two rows of a fill the registers.
    constexpr int kSamples = Bytes == kWideRegister ? 8 : 4;
    for (std::int64_t s = 0; s < kAtOnce; s += kSamples) {
      const T* const from = b + s * kLanes<T>;
      std::int64_t c = 0;
      for (; c + 2 <= count; c += 2)
        add<Bytes, 2, kSamples>(a + c * a_row, a_row, from, n, sums + c * kAtOnce + s, next);
      if (c < count) add<Bytes, 1, kSamples>(a + c * a_row, a_row, from, n, sums + c * kAtOnce + s, next);
    }
  }

 private:
  template <int Bytes, int A, int S, class T>
  [[gnu::always_inline]] static void add(const T* a, std::int64_t a_row, const T* b, std::int64_t n,
                                         double* sums, const T* next) {
    typedef T Lanes __attribute__((vector_size(Bytes)));
    constexpr std::int64_t lanes = Bytes / static_cast<std::int64_t>(sizeof(T));
    const std::int64_t whole = n / kLanes<T> * kLanes<T>;
    Lanes parts[A][S];
    for (int c = 0; c < A; ++c)
      for (int i = 0; i < S; ++i) std::memcpy(&parts[c][i], kZeros<T>, sizeof(Lanes));
    const T* from = b;
    for (std::int64_t k = 0; k < whole; k += kLanes<T>, from += kAtOnce * kLanes<T>) {
      for (int c = 0; c < A; ++c) __builtin_prefetch(next + c * a_row + k);
      for (std::int64_t part = 0; part < kLanes<T>; part += lanes) {
        Lanes x[A], y;
        for (int c = 0; c < A; ++c) std::memcpy(&x[c], a + c * a_row + k + part, sizeof(Lanes));
        for (int i = 0; i < S; ++i) {
          std::memcpy(&y, from + i * kLanes<T> + part, sizeof(Lanes));
          for (int c = 0; c < A; ++c) parts[c][i] += x[c] * y;
        }
      }
    }
    for (int c = 0; c < A; ++c)
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

// y (samples, channels) = rows (samples, n) @ weight (channels, n)^T + bias: few long sums, for which a
// general product packs more than it multiplies.
template <class T>
void multiply_long(const T* rows, const T* weight, const T* bias, T* y, std::int64_t samples,
                   std::int64_t channels, std::int64_t n) {
  const Tensor packed = interleaved(rows, samples, n);
  const T* const b = packed.data<T>();
  const std::int64_t groups = packed.size(0), group_size = packed.numel() / groups, padded = groups * kAtOnce;
  parallel_for(channels, 1, [&](std::int64_t begin, std::int64_t end) {
    // [channel pair][group][channel of the pair][kAtOnce]
    std::vector<double> sums(static_cast<std::size_t>((end - begin + 1) * padded), 0.0);
    const auto at = [&](std::int64_t c, std::int64_t group) {
      return sums.data() + (c - begin) * padded + group * 2 * kAtOnce;
    };
    for (std::int64_t k = 0; k < n; k += kBlock)
      for (std::int64_t group = 0; group < groups; ++group)
        for (std::int64_t c = begin; c < end; c += 2)
          run_for_registers<AddDots>(weight + c * n + k, n, std::min<std::int64_t>(2, end - c),
                                     b + group * group_size + k * kAtOnce, std::min(kBlock, n - k),
                                     at(c, group),
                                     weight + (c + 2 < end ? (c + 2) * n + k : begin * n + k + kBlock));
    for (std::int64_t c = begin; c < end; ++c)
      for (std::int64_t s = 0; s < samples; ++s)
        y[s * channels + c] =
            static_cast<T>(at(c - (c - begin) % 2, s / kAtOnce)[(c - begin) % 2 * kAtOnce + s % kAtOnce] +
                           (bias ? static_cast<double>(bias[c]) : 0.0));
  });
}

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

// multiply_long for many samples: the sums of a channel with a panel of samples are a row in registers, and
// the weight is read as it lies.
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

// A matrix in memory: element (i, k) at data[i * row + k * step].
template <class T>
struct Strided {
  const T* data;
  std::int64_t row, step;
};

// c (rows, columns) = a @ b + start for a (rows, depth) and b (depth, columns): short sums, for which a
// general product packs more than it multiplies. b is read once, a part of its columns at a time. `start` is
// of one row, empty for zeros.
template <class T>
void multiply_short(const Strided<T>& a, const T* b, T* c, std::int64_t rows, std::int64_t depth,
                    std::int64_t columns, const std::vector<T>& start = {}) {
  // Elements of b in a part, rows that are computed together, and rows of b that are fetched meanwhile.
  constexpr std::int64_t kCached = 1 << 15, kRows = 6, kRowsAhead = 4;
  const std::int64_t panel = depth * kPanel<T>, panels = (columns + kPanel<T> - 1) / kPanel<T>;
  const std::int64_t fair = (panels + num_threads() - 1) / num_threads(),
                     step = std::clamp<std::int64_t>(kCached / panel, 1, fair),
                     parts = (panels + step - 1) / step;
  parallel_for(parts, 1, [&](std::int64_t begin, std::int64_t end) {
    std::vector<T> packed(static_cast<std::size_t>(step * panel));
    for (std::int64_t part = begin; part < end; ++part) {
      const std::int64_t first = part * step * kPanel<T>, count = std::min(step * kPanel<T>, columns - first);
      for (std::int64_t k = 0; k < depth; ++k) {
        // A row is too short, and too far from the one before, for the processor to see it coming.
        const T* const ahead = b + std::min(k + kRowsAhead, depth - 1) * columns + first;
        for (std::int64_t i = 0; i < count; i += kLanes<T>) __builtin_prefetch(ahead + i);
        copy_panels(b + k * columns + first, count, packed.data() + k * kPanel<T>, panel);
      }
      for (std::int64_t m = 0; m < rows; m += kRows)
        store_product(RowsProduct<T>{.a = a.data + m * a.row,
                                     .a_row = a.row,
                                     .a_step = a.step,
                                     .b = packed.data(),
                                     .b_row = kPanel<T>,
                                     .c = c + m * columns + first,
                                     .c_row = columns,
                                     .rows = std::min(kRows, rows - m),
                                     .depth = depth,
                                     .columns = count,
                                     .b_panel = panel,
                                     .start = start.empty() ? nullptr : start.data() + first});
    }
  });
}

// c (rows, columns) = a @ b for few terms: a row of c is written along its whole length, where the lines of a
// block of rows that lie a power of two apart would displace each other.
struct StoreRows {
  template <int Bytes, class T>
  [[gnu::always_inline]] static void run(const Strided<T>& a, const T* b, std::int64_t b_row, T* c,
                                         std::int64_t c_row, std::int64_t rows, std::int64_t depth,
                                         std::int64_t columns) {
    for (std::int64_t m = 0; m < rows; m += kRows) {
      const std::int64_t left = std::min(kRows, rows - m);  // at the end the last row again
      const T* from[kRows];
      T* to[kRows];
      for (std::int64_t r = 0; r < kRows; ++r) {
        const std::int64_t row = m + std::min(r, left - 1);
        from[r] = a.data + row * a.row;
        to[r] = c + row * c_row;
      }
      store<Bytes>(from, a.step, b, b_row, to, depth, columns);
    }
  }

 private:
  static constexpr std::int64_t kRows = 2;

  template <int Bytes, class T>
  [[gnu::always_inline]] static void store(const T* const (&a)[kRows], std::int64_t a_step, const T* b,
                                           std::int64_t b_row, T* const (&c)[kRows], std::int64_t depth,
                                           std::int64_t columns) {
    typedef T Lanes __attribute__((vector_size(Bytes)));
    constexpr int kRegisters = 4;
    constexpr std::int64_t lanes = Bytes / static_cast<std::int64_t>(sizeof(T)), step = kRegisters * lanes;
    std::int64_t j = 0;
    for (; j + step <= columns; j += step) {
      Lanes sums[kRows][kRegisters] = {};
      for (std::int64_t k = 0; k < depth; ++k)
#pragma GCC unroll 4
        for (int v = 0; v < kRegisters; ++v) {
          Lanes row;
          std::memcpy(&row, b + k * b_row + j + v * lanes, sizeof(row));
          for (int r = 0; r < kRows; ++r) sums[r][v] += a[r][k * a_step] * row;
        }
      for (int r = 0; r < kRows; ++r) std::memcpy(c[r] + j, sums[r], sizeof(sums[r]));
    }
    for (; j < columns; ++j)
      for (int r = 0; r < kRows; ++r) {
        T sum(0);
        for (std::int64_t k = 0; k < depth; ++k) sum += a[r][k * a_step] * b[k * b_row + j];
        c[r][j] = sum;
      }
  }
};

// weight (channels, n) = y (samples, channels)^T @ rows (samples, n).
template <class T>
void multiply_samples(const T* y, const T* rows, T* weight, std::int64_t samples, std::int64_t channels,
                      std::int64_t n) {
  constexpr std::int64_t kFew = 4, kCached = 1 << 12;  // elements of rows that stay in a cache
  if (samples > kFew) return multiply_short<T>({y, 1, channels}, rows, weight, channels, samples, n);
  const std::int64_t part = kCached / samples / kPanel<T> * kPanel<T>;
  parallel_for(channels, grain_of(static_cast<double>(samples * channels * n), channels),
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t j = 0; j < n; j += part)
                   run_for_registers<StoreRows>(Strided<T>{y + begin, 1, channels}, rows + j, n,
                                                weight + begin * n + j, n, end - begin, samples,
                                                std::min(part, n - j));
               });
}

template <class T>
void run(const ConvProblem& p, ConvPass pass, const Tensor& x, const Tensor& weight, const Tensor& y,
         const Tensor& bias) {
  const std::int64_t taps = p.taps(), row = p.x_channels * taps;
  switch (pass) {
    case ConvPass::x: {
      const Tensor rows = empty(x.shape(), x.dtype()), w = row_major(weight);
      multiply_short<T>({y.data<T>(), p.y_channels, 1}, w.data<T>(), rows.data_to_write<T>(), p.batch,
                        p.y_channels, row, repeated<T>(bias, taps));
      return kernels::copy(x, rows);
    }
    case ConvPass::y: {
      const Tensor w = row_major(weight);
      const T* const b = bias.defined() ? bias.data<T>() : nullptr;
      if (p.batch > kAtOnce) return multiply_panels(x, w.data<T>(), b, y.data_to_write<T>(), p.y_channels);
      const Tensor rows = row_major(x);
      return multiply_long(rows.data<T>(), w.data<T>(), b, y.data_to_write<T>(), p.batch, p.y_channels, row);
    }
    case ConvPass::w: {
      const Tensor rows = row_major(x);
      return multiply_samples(y.data<T>(), rows.data<T>(), weight.data_to_write<T>(), p.batch, p.y_channels,
                              row);
    }
  }
}

}  // namespace

bool is_single_voxel(const ConvProblem& p) {
  const ops::ConvGeometry& g = p.geometry;
  if (g.groups != 1 || p.taps() == 1) return false;
  for (std::size_t i = 0; i < 3; ++i)
    if (g.y[i] != 1 || g.padding[i] != 0 || g.x[i] != g.kernel[i] || (g.dilation[i] != 1 && g.kernel[i] != 1))
      return false;
  return true;
}

void run_single_voxel(const ConvProblem& p, ConvPass pass, const Tensor& x, const Tensor& weight,
                      const Tensor& y, const Tensor& bias) {
  weight.dtype() == f64 ? run<double>(p, pass, x, weight, y, bias) : run<float>(p, pass, x, weight, y, bias);
}

}  // namespace lucid::direct
