#include "ops/kernels/channels.hpp"

#include <algorithm>

#include "ops/kernels/channel_walk.hpp"
#include "ops/kernels/lanes.hpp"
#include "ops/kernels/volume.hpp"

namespace lucid::kernels {
namespace {

// to[i] += the lanes of a, then of b.
template <class Sums>
[[gnu::always_inline]] inline void add_up(const Sums& a, const Sums& b, double* to) {
  for (std::int64_t i = 0; i < kChannelStep / 2; ++i) {
    to[i] += a[i];
    to[kChannelStep / 2 + i] += b[i];
  }
}

// Adds, for each of `width` columns of `rows` rows, x - about to first and its square to second.
struct AddMoments {
  template <int Bytes, class T>
  [[gnu::always_inline]] static void run(const T* x, std::int64_t rows, std::int64_t width,
                                         const double* about, double* first, double* second) {
    using Sums = Lanes<double, Bytes, kChannelStep / 2>;
    constexpr std::int64_t half = kChannelStep / 2;
    std::int64_t column = 0;
    for (; column + kChannelStep <= width; column += kChannelStep) {
      Sums a, b, aa, bb, shift_a, shift_b, value;
      shift_a.load(about + column);
      shift_b.load(about + column + half);
      const T* p = x + column;
      for (std::int64_t row = 0; row < rows; ++row, p += width) {
        value.load(p);
        value -= shift_a;
        a += value;
        aa.add_product(value, value);
        value.load(p + half);
        value -= shift_b;
        b += value;
        bb.add_product(value, value);
      }
      add_up(a, b, first + column);
      add_up(aa, bb, second + column);
    }
    for (; column < width; ++column)
      for (std::int64_t row = 0; row < rows; ++row) {
        const double value = wide(x[row * width + column]) - about[column];
        first[column] += value;
        second[column] += value * value;
      }
  }
};

// Adds, for each column, g to first and g * (x - mean) to second; with kLeaks, g times `slope` where (x -
// mean) * scale + shift is not positive.
template <bool kLeaks>
struct AddGrads {
  template <int Bytes, class T>
  [[gnu::always_inline]] static void run(const T* g, const T* x, std::int64_t rows, std::int64_t width,
                                         const double* mean, double* first, double* second,
                                         const double* scale, const double* shift, double slope) {
    using Sums = Lanes<double, Bytes, kChannelStep / 2>;
    constexpr std::int64_t half = kChannelStep / 2;
    std::int64_t column = 0;
    for (; column + kChannelStep <= width; column += kChannelStep) {
      Sums a, b, aa, bb, mean_a, mean_b, value, grad;
      mean_a.load(mean + column);
      mean_b.load(mean + column + half);
      for (std::int64_t row = 0, at = column; row < rows; ++row, at += width) {
        grad.load(g + at);
        value.load(x + at);
        value -= mean_a;
        leak(grad, value, scale + column, shift + column, slope);
        a += grad;
        aa.add_product(grad, value);
        grad.load(g + at + half);
        value.load(x + at + half);
        value -= mean_b;
        leak(grad, value, scale + column + half, shift + column + half, slope);
        b += grad;
        bb.add_product(grad, value);
      }
      add_up(a, b, first + column);
      add_up(aa, bb, second + column);
    }
    for (; column < width; ++column)
      for (std::int64_t row = 0; row < rows; ++row) {
        const double value = wide(x[row * width + column]) - mean[column];
        double grad = wide(g[row * width + column]);
        if (kLeaks && !(value * scale[column] + shift[column] > 0)) grad *= slope;
        first[column] += grad;
        second[column] += grad * value;
      }
  }

 private:
  template <class Values>
  [[gnu::always_inline]] static void leak(Values& grad, const Values& value, const double* scale,
                                          const double* shift, double slope) {
    if constexpr (kLeaks) {
      Values map, factor;
      map.load(shift);
      factor.load(scale);
      map.add_product(value, factor);
      grad.leak(map, slope);
    }
  }
};

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
    const T* x = input.data<T>();
    walk.run([&] {
      return [&, buffer = std::vector<double>(static_cast<std::size_t>(3 * walk.width))](
                 std::int64_t unit, std::int64_t, std::int64_t at, std::int64_t rows) mutable {
        double *about = buffer.data(), *first = about + walk.width, *second = first + walk.width;
        for (std::int64_t i = 0; i < channels; ++i) about[i] = wide(x[at + i]);
        repeat(about + channels, about, channels, walk.width - channels);
        std::fill(first, first + 2 * walk.width, 0.0);
        const std::int64_t whole = rows / walk.joined, rest = rows % walk.joined * channels;
        run_for_registers<AddMoments>(x + at, whole, walk.width, about, first, second);
        if (rest)
          run_for_registers<AddMoments>(x + at + whole * walk.width, std::int64_t{1}, rest, about, first,
                                        second);
        fold(first, first + channels, channels, walk.width - channels);
        fold(second, second + channels, channels, walk.width - channels);
        const auto count = static_cast<double>(rows);
        for (std::int64_t i = 0; i < channels; ++i) {
          const auto to = static_cast<std::size_t>(unit * channels + i);
          means[to] = about[i] + first[i] / count;
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
    const T *x = input.data<T>(), *g = grad.data<T>();
    walk.run([&] {
      return [&, buffer = std::vector<double>(static_cast<std::size_t>(5 * walk.width))](
                 std::int64_t unit, std::int64_t block, std::int64_t at, std::int64_t rows) mutable {
        double *about = buffer.data(), *first = about + walk.width, *second = first + walk.width,
               *scale = second + walk.width, *shift = scale + walk.width;
        if (leaky) {
          repeat(scale, leaky->map.scale.data() + block * channels, channels, walk.width);
          repeat(shift, leaky->map.shift.data() + block * channels, channels, walk.width);
        }
        const double slope = leaky ? leaky->negative_slope : 1;
        const auto add = [&](std::int64_t from, std::int64_t count, std::int64_t columns) {
          const auto call = [&]<class Kernel>(Kernel) {
            run_for_registers<Kernel>(g + from, x + from, count, columns, about, first, second, scale, shift,
                                      slope);
          };
          leaky ? call(AddGrads<true>()) : call(AddGrads<false>());
        };
        repeat(about, mean.data() + block * channels, channels, walk.width);
        std::fill(first, first + 2 * walk.width, 0.0);
        const std::int64_t whole = rows / walk.joined, rest = rows % walk.joined * channels;
        add(at, whole, walk.width);
        if (rest) add(at + whole * walk.width, 1, rest);
        fold(firsts.data() + unit * channels, first, channels, walk.width);
        fold(seconds.data() + unit * channels, second, channels, walk.width);
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
