// The maps of ops/kernels/channels.hpp: each element by its channel's coefficients.

#include <vector>

#include "lucid/cpu.hpp"
#include "ops/kernels/channel_walk.hpp"

namespace lucid::kernels {
namespace {

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

template <class T, class Then>
void affine(const Tensor& out, const Tensor& input, const Affine& coefficients, Then then) {
  using C = Compute<T>;
  const ChannelWalk walk(channel_blocks(input));
  const std::int64_t channels = walk.blocks.channels, width = walk.width;
  const T* x = input.data<T>();
  T* y = out.data_to_write<T>();
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
  const ChannelWalk walk(channel_blocks(input));
  const std::int64_t channels = walk.blocks.channels, width = walk.width;
  const T *x = input.data<T>(), *g = grad.data<T>();
  T* y = out.data_to_write<T>();
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
  const ChannelWalk walk(channel_blocks(input));
  const std::int64_t channels = walk.blocks.channels, width = walk.width;
  dispatch_floating("channel_leaky_grad", input.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    const T *x = input.data<T>(), *g = grad.data<T>();
    T* y = out.data_to_write<T>();
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
