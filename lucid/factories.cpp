#include <algorithm>
#include <cmath>
#include <numbers>

#include "lucid/parallel.hpp"
#include "lucid/random.hpp"
#include "lucid/small_blocks.hpp"
#include "lucid/tensor.hpp"

namespace lucid {
namespace {

constexpr std::int64_t kGrain = 1 << 15;

// `numel`: of `shape`, checked.
Tensor make(std::int64_t numel, const Shape& shape, const Strides& strides, DType dtype) {
  auto impl = detail::make_small<TensorImpl>();
  impl->numel = numel;
  impl->storage = detail::make_small<Storage>(checked_mul("tensor", "bytes", numel, size_of(dtype)));
  impl->shape = shape;
  impl->strides = strides;
  impl->dtype = dtype;
  return Tensor(std::move(impl));
}

// Fills in blocks of four 32-bit words: write(words, first element, count) for each four elements.
template <class Write>
void fill_random(const Tensor& out, Generator* given, const Write& write) {
  Generator& generator = given ? *given : default_generator();
  const std::int64_t blocks = (out.numel() + 3) / 4;
  const std::uint64_t first = generator.reserve(static_cast<std::uint64_t>(blocks));
  parallel_for(blocks, kGrain / 16, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i)
      write(generator.block(first + static_cast<std::uint64_t>(i)), 4 * i,
            std::min<std::int64_t>(4, out.numel() - 4 * i));
  });
}

double unit(std::uint32_t word) { return word * 0x1p-32; }                   // [0, 1)
double positive_unit(std::uint32_t word) { return (word + 1.0) * 0x1p-32; }  // (0, 1]

}  // namespace

Tensor empty(const Shape& shape, DType dtype) {
  const std::int64_t numel = checked_numel("empty", shape);
  return make(numel, shape, contiguous_strides(shape), dtype);
}

Tensor empty_strided(const Shape& shape, const Strides& strides, DType dtype) {
  const std::int64_t numel = checked_numel("empty_strided", shape);
  check(is_dense(shape, strides), "empty_strided", "strides ", strides, " leave gaps or overlap for shape ",
        shape);
  return make(numel, shape, strides, dtype);
}

Tensor empty_like(const Tensor& like, DType dtype) {
  const Shape& shape = like.shape();
  if (like.is_dense()) return make(like.numel(), shape, like.strides(), dtype);
  const bool has_order = !repeats_elements(shape, like.strides());
  return make(like.numel(), shape,
              has_order ? strides_in_order(shape, like.strides()) : contiguous_strides(shape), dtype);
}

Tensor empty_like(const Tensor& like) { return empty_like(like, like.dtype()); }

void Scalar::require_fits(std::string_view op, DType dtype) const {
  dispatch_all(dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
      constexpr auto least = std::numeric_limits<T>::min(), most = std::numeric_limits<T>::max();
      // As a double the largest 64-bit integer is one more.
      const double whole = std::trunc(floating_);
      const bool fits =
          is_floating() ? whole >= static_cast<double>(least) && whole < 2 * static_cast<double>(most / 2 + 1)
                        : integer_ >= least && integer_ <= most;
      check(fits, op, "value ", is_floating() ? str(floating_) : str(integer_), " does not fit dtype ", dtype,
            ", which holds ", std::int64_t{least}, " to ", std::int64_t{most});
    }
  });
}

Tensor full(const Shape& shape, const Scalar& value, DType dtype) {
  value.require_fits("full", dtype);
  Tensor out = empty(shape, dtype);
  dispatch_all(dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    T* data = out.data_to_write<T>();
    const T element = value.to<T>();
    parallel_for(out.numel(), kGrain,
                 [&](std::int64_t begin, std::int64_t end) { std::fill(data + begin, data + end, element); });
  });
  return out;
}

Tensor zeros(const Shape& shape, DType dtype) { return full(shape, 0, dtype); }
Tensor ones(const Shape& shape, DType dtype) { return full(shape, 1, dtype); }
Tensor scalar_tensor(const Scalar& value, DType dtype) { return full({}, value, dtype); }

Tensor zeros_like(const Tensor& like) {
  Tensor out = empty_like(like);
  out.fill_(0);
  return out;
}

Tensor ones_like(const Tensor& like) {
  Tensor out = empty_like(like);
  out.fill_(1);
  return out;
}

Tensor arange(std::int64_t end, DType dtype) { return arange(0, static_cast<double>(end), 1, dtype); }

Tensor arange(double start, double end, double step, DType dtype) {
  check(step != 0 && std::isfinite(start) && std::isfinite(end) && std::isfinite(step), "arange", "start ",
        start, ", end ", end, ", step ", step, ": all must be finite and step not 0");
  const double count = std::max(0.0, std::ceil((end - start) / step));
  check(count < 0x1p62, "arange", count, " elements are too many");
  Tensor out = empty({static_cast<std::int64_t>(count)}, dtype);
  dispatch_all(dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    T* data = out.data_to_write<T>();
    for (std::int64_t i = 0; i < out.numel(); ++i)
      data[i] = static_cast<T>(start + static_cast<double>(i) * step);
  });
  return out;
}

Tensor rand(const Shape& shape, DType dtype, Generator* generator) {
  Tensor out = empty(shape, dtype);
  dispatch_floating("rand", dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    T* data = out.data_to_write<T>();
    // 24 bits for float32 so that 1.0 cannot appear by rounding; 8 for bfloat16
    constexpr int kBits = sizeof(T) == 2 ? 8 : sizeof(T) == 4 ? 24 : 32;
    fill_random(out, generator, [=](const auto& words, std::int64_t at, std::int64_t count) {
      for (std::int64_t i = 0; i < count; ++i)
        data[at + i] = static_cast<T>(
            static_cast<Compute<T>>(std::ldexp(static_cast<double>(words[i] >> (32 - kBits)), -kBits)));
    });
  });
  return out;
}

Tensor randn(const Shape& shape, DType dtype, Generator* generator) {
  Tensor out = empty(shape, dtype);
  dispatch_floating("randn", dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    T* data = out.data_to_write<T>();
    fill_random(out, generator, [=](const auto& words, std::int64_t at, std::int64_t count) {
      for (std::int64_t i = 0; i < count; i += 2) {  // Box and Muller: two uniforms give two normals
        const double radius = std::sqrt(-2.0 * std::log(positive_unit(words[i])));
        const double angle = 2.0 * std::numbers::pi * unit(words[i + 1]);
        data[at + i] = static_cast<T>(static_cast<Compute<T>>(radius * std::cos(angle)));
        if (i + 1 < count)
          data[at + i + 1] = static_cast<T>(static_cast<Compute<T>>(radius * std::sin(angle)));
      }
    });
  });
  return out;
}

Tensor randint(std::int64_t low, std::int64_t high, const Shape& shape, DType dtype, Generator* given) {
  check(low < high, "randint", "the range [", low, ", ", high, ") is empty");
  Generator& generator = given ? *given : default_generator();
  Tensor out = empty(shape, dtype);
  dispatch_all(dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    T* data = out.data_to_write<T>();
    for (std::int64_t i = 0; i < out.numel(); ++i) data[i] = static_cast<T>(generator.integer(low, high));
  });
  return out;
}

}  // namespace lucid
