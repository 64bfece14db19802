#include "ops/kernels/channels.hpp"

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "ops/kernels/channel_walk.hpp"
#include "ops/kernels/elementwise.hpp"
#include "ops/kernels/lanes.hpp"
#include "ops/kernels/volume.hpp"

namespace lucid::kernels {
namespace {

// Of many rows, sums of so many are held in the type of computation before they are added in double; of few,
// whose sums no other rows even out, everything is in double.
constexpr std::int64_t kRowsAtOnce = 32, kManyRows = 512;

// Calls f(first row, rows) for parts of `rows` rows.
template <class F>
[[gnu::always_inline]] inline void for_parts(std::int64_t rows, F&& f) {
  for (std::int64_t row = 0; row < rows; row += kRowsAtOnce) f(row, std::min(kRowsAtOnce, rows - row));
}

// Adds, for each of `width` columns of `rows` rows, x - about to first and its square to second.
struct AddMoments {
  template <int Bytes, class T, class C>
  [[gnu::always_inline]] static void run(const T* x, std::int64_t rows, std::int64_t width, const C* about,
                                         double* first, double* second) {
    constexpr int kStep = 64 / sizeof(C);
    using Values = Lanes<C, Bytes, kStep>;
    std::int64_t column = 0;
    for (; column + kStep <= width; column += kStep) {
      Values shift;
      shift.load(about + column);
      for_parts(
          rows, [&](std::int64_t row, std::int64_t count) __attribute__((always_inline)) {
            Values sum, squares, value;
            const T* p = x + row * width + column;
            for (std::int64_t i = 0; i < count; ++i, p += width) {
              value.load(p);
              value -= shift;
              sum += value;
              squares.add_product(value, value);
            }
            sum.add_to(first + column);
            squares.add_to(second + column);
          });
    }
    for (; column < width; ++column)
      for (std::int64_t row = 0; row < rows; ++row) {
        const double value = wide(x[row * width + column]) - static_cast<double>(about[column]);
        first[column] += value;
        second[column] += value * value;
      }
  }
};

// Adds, for each column, g to first and g * (x - mean) to second; with kLeaks, g times `slope` where (x -
// mean) * scale + shift is not positive.
template <bool kLeaks>
struct AddGrads {
  template <int Bytes, class T, class C>
  [[gnu::always_inline]] static void run(const T* g, const T* x, std::int64_t rows, std::int64_t width,
                                         const C* mean, double* first, double* second, const C* scale,
                                         const C* shift, C slope) {
    constexpr int kStep = 64 / sizeof(C);
    using Values = Lanes<C, Bytes, kStep>;
    std::int64_t column = 0;
    for (; column + kStep <= width; column += kStep) {
      Values about, factor, offset;
      about.load(mean + column);
      if (kLeaks) factor.load(scale + column), offset.load(shift + column);
      for_parts(
          rows, [&](std::int64_t row, std::int64_t count) __attribute__((always_inline)) {
            Values sum, products, value, grad;
            std::int64_t at = row * width + column;
            for (std::int64_t i = 0; i < count; ++i, at += width) {
              grad.load(g + at);
              value.load(x + at);
              value -= about;
              if constexpr (kLeaks) {
                Values map = offset;
                map.add_product(value, factor);
                grad.leak(map, slope);
              }
              sum += grad;
              products.add_product(grad, value);
            }
            sum.add_to(first + column);
            products.add_to(second + column);
          });
    }
    for (; column < width; ++column)
      for (std::int64_t row = 0; row < rows; ++row) {
        const C value = static_cast<C>(x[row * width + column]) - mean[column];
        C grad = static_cast<C>(g[row * width + column]);
        if (kLeaks && !(value * scale[column] + shift[column] > 0)) grad *= slope;
        first[column] += static_cast<double>(grad);
        second[column] += static_cast<double>(grad) * static_cast<double>(value);
      }
  }
};

// The mean of a few rows all over a unit, as a value that its elements lie about: the first may be far off.
template <class T>
double value_about(const T* x, std::int64_t rows, std::int64_t channels) {
  constexpr std::int64_t kSampled = 32;
  const std::int64_t count = std::min(rows, kSampled);
  double sum = 0;
  for (std::int64_t i = 0; i < count; ++i) sum += wide(x[i * rows / count * channels]);
  return sum / static_cast<double>(count);
}

bool are_finite(const double* values, std::int64_t count) {
  return std::all_of(values, values + count, [](double value) { return std::isfinite(value); });
}

}  // namespace

ChannelBlocks channel_blocks(const Tensor& tensor) {
  const Shape& shape = tensor.shape();
  std::int64_t rows = 1;
  for (std::size_t i = 2; i < shape.size(); ++i) rows *= shape[i];
  if (rows == 1 || tensor.is_channels_last()) return {shape[0], rows, shape[1]};
  return {shape[0] * shape[1], rows, 1};
}

Tensor channel_ordered(const Tensor& tensor) {
  if (tensor.is_contiguous() || tensor.is_channels_last()) return tensor;
  return arranged(tensor, channels_innermost(tensor));
}

Tensor ordered_like(const Tensor& tensor, const Tensor& like) {
  const bool fits = like.is_channels_last() ? tensor.is_channels_last() : tensor.is_contiguous();
  if (fits && tensor.dtype() == like.dtype()) return tensor;
  Tensor out = empty_like(like);
  copy(out, tensor);
  return out;
}

Moments channel_moments(const Tensor& input) {
  const ChannelWalk walk(channel_blocks(input));
  const std::int64_t channels = walk.blocks.channels;
  std::vector<double> means(static_cast<std::size_t>(walk.units() * channels)), squares(means.size());
  dispatch_floating("channel_moments", input.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    const T* x = input.data<T>();
    walk.run([&] {
      return [&, values = std::vector<C>(static_cast<std::size_t>(walk.width)),
              sums = std::vector<double>(static_cast<std::size_t>(2 * walk.width))](
                 std::int64_t unit, std::int64_t, std::int64_t at, std::int64_t rows) mutable {
        C* about = values.data();
        double *first = sums.data(), *second = first + walk.width;
        for (std::int64_t i = 0; i < channels; ++i)
          about[i] = static_cast<C>(value_about(x + at + i, rows, channels));
        repeat(about + channels, about, channels, walk.width - channels);
        const std::int64_t whole = rows / walk.joined, rest = rows % walk.joined * channels;
        const auto add = [&](const auto* value) {
          std::fill(first, first + 2 * walk.width, 0.0);
          run_for_registers<AddMoments>(x + at, whole, walk.width, value, first, second);
          if (rest)
            run_for_registers<AddMoments>(x + at + whole * walk.width, std::int64_t{1}, rest, value, first,
                                          second);
        };
        const bool is_rough = !std::is_same_v<C, double> && walk.blocks.rows >= kManyRows;
        if (is_rough) add(about);
        if (!is_rough || !are_finite(first, 2 * walk.width))  // squares beyond float
          add(std::vector<double>(about, about + walk.width).data());
        fold(first, first + channels, channels, walk.width - channels);
        fold(second, second + channels, channels, walk.width - channels);
        const auto count = static_cast<double>(rows);
        for (std::int64_t i = 0; i < channels; ++i) {
          const auto to = static_cast<std::size_t>(unit * channels + i);
          means[to] = static_cast<double>(about[i]) + first[i] / count;
          squares[to] = std::max(second[i] - first[i] * first[i] / count, 0.0);
        }
      };
    });
  });

  Moments out;
  const auto columns = static_cast<std::size_t>(walk.blocks.columns());
  out.mean.resize(columns), out.squares.resize(columns);
  for (std::int64_t block = 0; block < walk.blocks.blocks; ++block)
    for (std::int64_t part = 0; part < walk.units_per_block; ++part) {
      // T. Chan, G. Golub, R. LeVeque (1979): moments of a union
      const auto before = static_cast<double>(part * walk.unit_rows);
      const auto count =
          static_cast<double>(std::min(walk.unit_rows, walk.blocks.rows - part * walk.unit_rows));
      for (std::int64_t i = 0; i < channels; ++i) {
        const auto from = static_cast<std::size_t>((block * walk.units_per_block + part) * channels + i);
        const auto to = static_cast<std::size_t>(block * channels + i);
        const double delta = means[from] - out.mean[to];
        out.mean[to] += delta * (count / (before + count));
        out.squares[to] += squares[from] + delta * delta * (before * count / (before + count));
      }
    }
  return out;
}

GradSums channel_grad_sums(const Tensor& grad, const Tensor& input, const std::vector<double>& mean,
                           const Leaky* leaky) {
  const ChannelWalk walk(channel_blocks(input));
  const std::int64_t channels = walk.blocks.channels;
  std::vector<double> firsts(static_cast<std::size_t>(walk.units() * channels)), seconds(firsts.size());
  dispatch_floating("channel_grad_sums", input.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    const T *x = input.data<T>(), *g = grad.data<T>();
    const Affine affine = leaky ? leaky->map : Affine{};
    const Rounded<C> map(affine);
    const Rounded<double> exact_map(affine);
    walk.run([&] {
      return [&, values = std::vector<C>(static_cast<std::size_t>(3 * walk.width)),
              sums = std::vector<double>(static_cast<std::size_t>(2 * walk.width))](
                 std::int64_t unit, std::int64_t block, std::int64_t at, std::int64_t rows) mutable {
        double *first = sums.data(), *second = first + walk.width;
        const std::int64_t whole = rows / walk.joined, rest = rows % walk.joined * channels;
        // In the type of V, for which `rounded` are the leaky_relu's coefficients.
        const auto add = [&]<class V>(std::vector<V>& to, const Rounded<V>& rounded) {
          V *about = to.data(), *scale = about + walk.width, *shift = scale + walk.width;
          repeat(about, mean.data() + block * channels, channels, walk.width);
          if (leaky) {
            repeat(scale, rounded.scale.data() + block * channels, channels, walk.width);
            repeat(shift, rounded.shift.data() + block * channels, channels, walk.width);
          }
          std::fill(first, first + 2 * walk.width, 0.0);
          const auto call = [&](std::int64_t from, std::int64_t count, std::int64_t columns) {
            const V slope = static_cast<V>(leaky ? leaky->negative_slope : 1);
            if (leaky)
              run_for_registers<AddGrads<true>>(g + from, x + from, count, columns, about, first, second,
                                                scale, shift, slope);
            else
              run_for_registers<AddGrads<false>>(g + from, x + from, count, columns, about, first, second,
                                                 scale, shift, slope);
          };
          call(at, whole, walk.width);
          if (rest) call(at + whole * walk.width, 1, rest);
        };
        double *const grads = firsts.data() + unit * channels, *const products =
                                                                   seconds.data() + unit * channels;
        bool is_rough = !std::is_same_v<C, double> && walk.blocks.rows >= kManyRows;
        if (is_rough) {
          add(values, map);
          is_rough = are_finite(first, 2 * walk.width);  // else beyond float
        }
        if (!is_rough) {
          std::vector<double> exact(values.size());
          add(exact, exact_map);
        }
        fold(grads, first, channels, walk.width);
        fold(products, second, channels, walk.width);
        for (std::int64_t i = 0; i < channels && is_rough; ++i) {
          const double rounding = static_cast<double>(values[static_cast<std::size_t>(i)]) -
                                  mean[static_cast<std::size_t>(block * channels + i)];
          if (rounding != 0) products[i] += rounding * grads[i];
        }
      };
    });
  });

  GradSums out;
  const auto columns = static_cast<std::size_t>(walk.blocks.columns());
  out.grad.resize(columns), out.product.resize(columns);
  for (std::int64_t unit = 0; unit < walk.units(); ++unit)
    for (std::int64_t i = 0; i < channels; ++i) {
      const auto to = static_cast<std::size_t>(unit / walk.units_per_block * channels + i);
      out.grad[to] += firsts[static_cast<std::size_t>(unit * channels + i)];
      out.product[to] += seconds[static_cast<std::size_t>(unit * channels + i)];
    }
  return out;
}

}  // namespace lucid::kernels
