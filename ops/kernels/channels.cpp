#include "ops/kernels/channels.hpp"

#include <algorithm>
#include <numeric>

#include "lucid/parallel.hpp"
#include "ops/kernels/elementwise.hpp"
#include "ops/kernels/lanes.hpp"
#include "ops/kernels/volume.hpp"

namespace lucid::kernels {
namespace {

constexpr std::int64_t kStep = 16;               // columns whose sums are held in registers
constexpr std::int64_t kWidth = 64;              // least width of a wide row
constexpr std::int64_t kUnitElements = 1 << 14;  // of one unit of work

// Rows are joined to wide rows, a multiple of kStep elements, so that few channels vectorise as well as many
// do: element i of a wide row belongs to channel i % channels.
struct Walk {
  explicit Walk(const ChannelBlocks& given) : blocks(given) {
    if (blocks.columns() == 0 || blocks.rows == 0) return;
    joined = kStep / std::gcd(blocks.channels, kStep);
    while (joined * blocks.channels < kWidth) joined *= 2;
    joined = std::min(joined, blocks.rows);
    width = joined * blocks.channels;
    unit_rows = std::min(std::max<std::int64_t>(kUnitElements / width, 16) * joined, blocks.rows);
    units_per_block = (blocks.rows + unit_rows - 1) / unit_rows;
  }

  // Calls f(unit, block, first element, rows) for every unit, in parallel; `make` gives each thread its f.
  template <class Make>
  void run(Make&& make) const {
    const std::int64_t units = blocks.blocks * units_per_block;
    const std::int64_t elements = std::max<std::int64_t>(unit_rows * blocks.channels, 1);
    parallel_for(units, std::max<std::int64_t>(kElementGrain / elements, 1),
                 [&](std::int64_t begin, std::int64_t end) {
                   auto f = make();
                   for (std::int64_t unit = begin; unit < end; ++unit) {
                     const std::int64_t block = unit / units_per_block;
                     const std::int64_t row = unit % units_per_block * unit_rows;
                     f(unit, block, (block * blocks.rows + row) * blocks.channels,
                       std::min(unit_rows, blocks.rows - row));
                   }
                 });
  }

  std::int64_t units() const { return blocks.blocks * units_per_block; }

  ChannelBlocks blocks;
  std::int64_t joined = 1;  // rows in a wide row
  std::int64_t width = 0;   // elements in a wide row
  std::int64_t unit_rows = 1;
  std::int64_t units_per_block = 0;
};

// The first `count` values of `out` repeat `from`, `period` long.
template <class To, class From>
void repeat(To* out, const From* from, std::int64_t period, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) out[i] = static_cast<To>(from[i % period]);
}

// out[i % period] += from[i]
void fold(double* out, const double* from, std::int64_t period, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) out[i % period] += from[i];
}

template <class T>
double wide(T value) {
  return static_cast<double>(static_cast<Compute<T>>(value));
}

// to[i] += the lanes of a, then of b.
template <class Sums>
[[gnu::always_inline]] inline void add_up(const Sums& a, const Sums& b, double* to) {
  for (std::int64_t i = 0; i < kStep / 2; ++i) {
    to[i] += a[i];
    to[kStep / 2 + i] += b[i];
  }
}

// Adds, for each of `width` columns of `rows` rows, x - about to first and its square to second.
struct AddMoments {
  template <int Bytes, class T>
  [[gnu::always_inline]] static void run(const T* x, std::int64_t rows, std::int64_t width,
                                         const double* about, double* first, double* second) {
    using Sums = Lanes<double, Bytes, kStep / 2>;
    constexpr std::int64_t half = kStep / 2;
    std::int64_t column = 0;
    for (; column + kStep <= width; column += kStep) {
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
    using Sums = Lanes<double, Bytes, kStep / 2>;
    constexpr std::int64_t half = kStep / 2;
    std::int64_t column = 0;
    for (; column + kStep <= width; column += kStep) {
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

struct Identity {
  template <class C>
  [[gnu::always_inline]] C operator()(C value) const {
    return value;
  }
};

template <class C>
struct LeakyRelu {
  C slope;
  [[gnu::always_inline]] C operator()(C value) const { return value > 0 ? value : value * slope; }
};

struct Relu {
  template <class C>
  [[gnu::always_inline]] C operator()(C value) const {
    return value < 0 ? C(0) : value;  // a NaN stays
  }
};

// `then` is applied to each result.
template <class T, class C, class Then>
LUCID_VECTORIZED void map_rows(T* out, const T* x, std::int64_t rows, std::int64_t width, const C* mean,
                               const C* scale, const C* shift, Then then) {
  for (std::int64_t row = 0; row < rows; ++row, x += width, out += width)
    for (std::int64_t i = 0; i < width; ++i)
      out[i] = static_cast<T>(then((static_cast<C>(x[i]) - mean[i]) * scale[i] + shift[i]));
}

template <class T, class C>
LUCID_VECTORIZED void map_grad_rows(T* out, const T* g, const T* x, std::int64_t rows, std::int64_t width,
                                    const C* slope, const C* mean, const C* scale, const C* shift) {
  for (std::int64_t row = 0; row < rows; ++row, g += width, x += width, out += width)
    for (std::int64_t i = 0; i < width; ++i)
      out[i] = static_cast<T>(static_cast<C>(g[i]) * slope[i] + (static_cast<C>(x[i]) - mean[i]) * scale[i] +
                              shift[i]);
}

// The same with g times `leak` where (x - mean) * leaky_scale + leaky_shift is not positive.
template <class T, class C>
LUCID_VECTORIZED void map_leaky_grad_rows(T* out, const T* g, const T* x, std::int64_t rows,
                                          std::int64_t width, const C* slope, const C* mean, const C* scale,
                                          const C* shift, const C* leaky_scale, const C* leaky_shift,
                                          C leak) {
  for (std::int64_t row = 0; row < rows; ++row, g += width, x += width, out += width)
    for (std::int64_t i = 0; i < width; ++i) {
      const C off = static_cast<C>(x[i]) - mean[i], rate = slope[i];
      out[i] = static_cast<T>(static_cast<C>(g[i]) *
                                  (off * leaky_scale[i] + leaky_shift[i] > 0 ? rate : rate * leak) +
                              off * scale[i] + shift[i]);
    }
}

// g * slope, times `leak` where (x - mean) * scale + shift is not positive.
template <class T, class C>
LUCID_VECTORIZED void leak_grad_rows(T* out, const T* g, const T* x, std::int64_t rows, std::int64_t width,
                                     const C* slope, const C* mean, const C* scale, const C* shift, C leak) {
  for (std::int64_t row = 0; row < rows; ++row, g += width, x += width, out += width)
    for (std::int64_t i = 0; i < width; ++i) {
      const C rate = slope[i];
      out[i] =
          static_cast<T>(static_cast<C>(g[i]) *
                         ((static_cast<C>(x[i]) - mean[i]) * scale[i] + shift[i] > 0 ? rate : rate * leak));
    }
}

// A mean of 1e6 has an error of 0.03 in float32: what rounding takes from it goes into the shift.
template <class C>
struct Rounded {
  std::vector<C> mean, scale, shift;
  explicit Rounded(const Affine& from) {
    const std::size_t count = from.mean.size();
    mean.resize(count), scale.resize(count), shift.resize(count);
    for (std::size_t i = 0; i < count; ++i) {
      mean[i] = static_cast<C>(from.mean[i]);
      scale[i] = static_cast<C>(from.scale[i]);
      shift[i] =
          static_cast<C>(from.shift[i] - (from.mean[i] - static_cast<double>(mean[i])) * from.scale[i]);
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
  const Walk walk(channel_blocks(input));
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
  const Walk walk(channel_blocks(input));
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

namespace {

template <class T, class Then>
void affine(const Tensor& out, const Tensor& input, const Affine& coefficients, Then then) {
  using C = Compute<T>;
  const Walk walk(channel_blocks(input));
  const std::int64_t channels = walk.blocks.channels, width = walk.width;
  const T* x = input.data<T>();
  T* y = out.mutable_data<T>();
  const Rounded<C> rounded(coefficients);
  walk.run([&] {
    return [&, buffer = std::vector<C>(static_cast<std::size_t>(3 * width))](
               std::int64_t, std::int64_t block, std::int64_t at, std::int64_t rows) mutable {
      C *mean = buffer.data(), *scale = mean + width, *shift = scale + width;
      repeat(mean, rounded.mean.data() + block * channels, channels, width);
      repeat(scale, rounded.scale.data() + block * channels, channels, width);
      repeat(shift, rounded.shift.data() + block * channels, channels, width);
      const std::int64_t whole = rows / walk.joined, rest = rows % walk.joined * channels;
      map_rows(y + at, x + at, whole, width, mean, scale, shift, then);
      map_rows(y + at + whole * width, x + at + whole * width, 1, rest, mean, scale, shift, then);
    };
  });
}

}  // namespace

void channel_affine(const Tensor& out, const Tensor& input, const Affine& coefficients,
                    double negative_slope) {
  dispatch_floating("channel_affine", input.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    if (negative_slope == 1)
      affine<T>(out, input, coefficients, Identity());
    else if (negative_slope == 0)
      affine<T>(out, input, coefficients, Relu());
    else
      affine<T>(out, input, coefficients, LeakyRelu<C>{static_cast<C>(negative_slope)});
  });
}

void channel_affine_rectified(const Tensor& out, const Tensor& input, const Affine& coefficients,
                              const Rectifier& rectifier) {
  affine<float>(out, input, coefficients, rectifier);
}

namespace {

// T is the element type, C that of computation.
template <class T, class C>
void affine_grad(const Tensor& out, const Tensor& grad, const Tensor& input, const std::vector<double>& slope,
                 const Affine& coefficients, const Leaky* leaky) {
  const Walk walk(channel_blocks(input));
  const std::int64_t channels = walk.blocks.channels, width = walk.width;
  const T *x = input.data<T>(), *g = grad.data<T>();
  T* y = out.mutable_data<T>();
  const Rounded<C> rounded(coefficients), after(leaky ? leaky->map : Affine{});
  walk.run([&] {
    return [&, buffer = std::vector<C>(static_cast<std::size_t>(6 * width))](
               std::int64_t, std::int64_t block, std::int64_t at, std::int64_t rows) mutable {
      C *rate = buffer.data(), *mean = rate + width, *scale = mean + width, *shift = scale + width,
        *leaky_scale = shift + width, *leaky_shift = leaky_scale + width;
      if (leaky) {
        repeat(leaky_scale, after.scale.data() + block * channels, channels, width);
        repeat(leaky_shift, after.shift.data() + block * channels, channels, width);
      }
      const auto map = [&](std::int64_t from, std::int64_t count, std::int64_t columns) {
        if (leaky)
          map_leaky_grad_rows(y + from, g + from, x + from, count, columns, rate, mean, scale, shift,
                              leaky_scale, leaky_shift, static_cast<C>(leaky->negative_slope));
        else
          map_grad_rows(y + from, g + from, x + from, count, columns, rate, mean, scale, shift);
      };
      repeat(rate, slope.data() + block * channels, channels, width);
      repeat(mean, rounded.mean.data() + block * channels, channels, width);
      repeat(scale, rounded.scale.data() + block * channels, channels, width);
      repeat(shift, rounded.shift.data() + block * channels, channels, width);
      const std::int64_t whole = rows / walk.joined, rest = rows % walk.joined * channels;
      map(at, whole, width);
      map(at + whole * width, 1, rest);
    };
  });
}

}  // namespace

void channel_affine_grad(const Tensor& out, const Tensor& grad, const Tensor& input,
                         const std::vector<double>& slope, const Affine& coefficients, bool wide,
                         const Leaky* leaky) {
  dispatch_floating("channel_affine_grad", input.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    if (wide)
      affine_grad<T, double>(out, grad, input, slope, coefficients, leaky);
    else
      affine_grad<T, Compute<T>>(out, grad, input, slope, coefficients, leaky);
  });
}

void channel_leaky_grad(const Tensor& out, const Tensor& grad, const Tensor& input,
                        const std::vector<double>& slope, const Leaky& leaky) {
  const Walk walk(channel_blocks(input));
  const std::int64_t channels = walk.blocks.channels, width = walk.width;
  dispatch_floating("channel_leaky_grad", input.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    const T *x = input.data<T>(), *g = grad.data<T>();
    T* y = out.mutable_data<T>();
    const Rounded<C> map(leaky.map);
    const C leak = static_cast<C>(leaky.negative_slope);
    walk.run([&] {
      return [&, buffer = std::vector<C>(static_cast<std::size_t>(4 * width))](
                 std::int64_t, std::int64_t block, std::int64_t at, std::int64_t rows) mutable {
        C *rate = buffer.data(), *mean = rate + width, *scale = mean + width, *shift = scale + width;
        repeat(rate, slope.data() + block * channels, channels, width);
        repeat(mean, map.mean.data() + block * channels, channels, width);
        repeat(scale, map.scale.data() + block * channels, channels, width);
        repeat(shift, map.shift.data() + block * channels, channels, width);
        const std::int64_t whole = rows / walk.joined, last = at + whole * width;
        leak_grad_rows(y + at, g + at, x + at, whole, width, rate, mean, scale, shift, leak);
        leak_grad_rows(y + last, g + last, x + last, 1, rows % walk.joined * channels, rate, mean, scale,
                       shift, leak);
      };
    });
  });
}

}  // namespace lucid::kernels
