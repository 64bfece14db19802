// An activation of more than 2^31 elements, forward and backward, checked against direct sums at sampled
// positions. Takes 12 GiB of memory.

#include <doctest/doctest.h>

#include <cmath>

#include "lucid/random.hpp"
#include "nn/functional.hpp"
#include "ops/slice.hpp"

using namespace lucid;
namespace F = lucid::nn::functional;

namespace {

struct Problem {
  Shape input, weight;
  ConvTranspose3dOptions options;
  std::int64_t period;  // of the output's planes that have a gradient
};

class Sums {
 public:
  Sums(const Problem& p, const Tensor& x, const Tensor& w, const Tensor& b)
      : p_(p), x_(x), w_(w), xs_(x.data<float>()), ws_(w.to_vector<double>()), bs_(b.to_vector<double>()) {}

  /// y[0, c, at] by definition.
  double output(std::int64_t c, const Dims3& at) const {
    double sum = bs_[static_cast<std::size_t>(c)];
    for_taps([&](const Dims3& k, std::int64_t tap) {
      Dims3 from = 0;
      if (!source(at, k, from)) return;
      for (std::int64_t i = 0; i < x_.size(1); ++i) sum += input(i, from) * weight(i, c, tap);
    });
    return sum;
  }

  /// The gradient of x[0, i, from], when that of y is `g`(c, at).
  template <class G>
  double input_gradient(std::int64_t i, const Dims3& from, const Dims3& size, G&& g) const {
    double sum = 0;
    for_taps([&](const Dims3& k, std::int64_t tap) {
      Dims3 at = 0;
      for (std::size_t axis = 0; axis < 3; ++axis) {
        at[axis] = from[axis] * p_.options.stride[axis] + k[axis] - p_.options.padding[axis];
        if (at[axis] < 0 || at[axis] >= size[axis]) return;
      }
      for (std::int64_t c = 0; c < w_.size(1); ++c) sum += g(c, at) * weight(i, c, tap);
    });
    return sum;
  }

 private:
  template <class F>
  void for_taps(F&& f) const {
    std::int64_t tap = 0;
    for (std::int64_t d = 0; d < w_.size(2); ++d)
      for (std::int64_t h = 0; h < w_.size(3); ++h)
        for (std::int64_t w = 0; w < w_.size(4); ++w) f(Dims3{d, h, w}, tap++);
  }
  bool source(const Dims3& at, const Dims3& k, Dims3& from) const {
    for (std::size_t axis = 0; axis < 3; ++axis) {
      const std::int64_t scaled = at[axis] + p_.options.padding[axis] - k[axis];
      from[axis] = scaled / p_.options.stride[axis];
      if (scaled < 0 || scaled % p_.options.stride[axis] != 0 ||
          from[axis] >= x_.size(static_cast<std::int64_t>(axis) + 2))
        return false;
    }
    return true;
  }
  double input(std::int64_t channel, const Dims3& at) const {
    const Strides& s = x_.strides();
    return static_cast<double>(xs_[channel * s[1] + at[0] * s[2] + at[1] * s[3] + at[2] * s[4]]);
  }
  double weight(std::int64_t i, std::int64_t c, std::int64_t tap) const {
    const std::int64_t taps = w_.size(2) * w_.size(3) * w_.size(4);
    return ws_[static_cast<std::size_t>((i * w_.size(1) + c) * taps + tap)];
  }

  const Problem& p_;
  const Tensor &x_, &w_;
  const float* xs_;
  std::vector<double> ws_, bs_;
};

std::int64_t pick(Generator& generator, std::int64_t size) {
  return static_cast<std::int64_t>(generator.uniform(0, static_cast<double>(size)));
}

// The loss sums every `period`-th plane of y, weighted by r: elements beyond 2^31 take part.
void prove(const Problem& p) {
  Generator generator(1);
  const Tensor x = randn(p.input, f32, &generator).channels_last().requires_grad_(),
               w = randn(p.weight, f32, &generator).requires_grad_(),
               b = randn({p.weight[1]}, f32, &generator).requires_grad_();
  Tensor y = F::conv_transpose3d(x, w, b, p.options);
  REQUIRE(y.numel() > (std::int64_t{1} << 31));
  const Dims3 size{y.size(2), y.size(3), y.size(4)};

  const Sums sums(p, x, w, b);
  const Strides& s = y.strides();
  for (int i = 0; i < 2000; ++i) {
    // Half of them in the last planes, which lie beyond 2^31 elements.
    const Dims3 at{i % 2 ? size[0] - 1 - pick(generator, 4) : pick(generator, size[0]),
                   pick(generator, size[1]), pick(generator, size[2])};
    const std::int64_t c = pick(generator, y.size(1));
    const double found = y.data<float>()[c * s[1] + at[0] * s[2] + at[1] * s[3] + at[2] * s[4]];
    CHECK(std::abs(found - sums.output(c, at)) <= 1e-4);
  }

  const Tensor planes = slice(y, 2, (size[0] - 1) % p.period, size[0], p.period).clone();  // lets go of y
  const Tensor r = randn(planes.shape(), f32, &generator).channels_last();
  const Tensor loss = (planes * r).sum();
  y = Tensor();
  loss.backward();

  const auto gradient = [&](std::int64_t c, const Dims3& at) {
    const std::int64_t first = (size[0] - 1) % p.period;
    if (at[0] < first || (at[0] - first) % p.period != 0) return 0.0;
    const Strides& t = r.strides();
    return static_cast<double>(
        r.data<float>()[c * t[1] + (at[0] - first) / p.period * t[2] + at[1] * t[3] + at[2] * t[4]]);
  };
  const Strides& t = x.grad().strides();
  for (int i = 0; i < 2000; ++i) {
    const Dims3 at{i % 2 ? x.size(2) - 1 - pick(generator, 2) : pick(generator, x.size(2)),
                   pick(generator, x.size(3)), pick(generator, x.size(4))};
    const std::int64_t c = pick(generator, x.size(1));
    const double found = x.grad().data<float>()[c * t[1] + at[0] * t[2] + at[1] * t[3] + at[2] * t[4]];
    CHECK(std::abs(found - sums.input_gradient(c, at, size, gradient)) <= 1e-4);
  }

  // <w, gw> = loss - <b, gb>, since y is linear in w up to the bias; and gb sums r.
  const auto dot = [](const Tensor& a, const Tensor& c) {
    return (a.detach().to(f64) * c.to(f64)).sum().item<double>();
  };
  const double magnitude = (r.abs()).sum().item<double>();
  CHECK(std::abs(dot(w, w.grad()) + dot(b, b.grad()) - loss.item<double>()) <= 1e-6 * magnitude);
  CHECK(std::abs(b.grad().to(f64).sum().item<double>() - r.to(f64).sum().item<double>()) <= 1e-6 * magnitude);
}

}  // namespace

TEST_CASE("kernel 2, stride 2 beyond 2^31 elements") {
  prove({{1, 4, 257, 256, 256}, {4, 16, 2, 2, 2}, {.stride = 2}, 37});
}

TEST_CASE("overlapping kernels beyond 2^31 elements run in slabs") {
  prove({{1, 2, 258, 256, 256}, {2, 16, 4, 4, 4}, {.stride = 2, .padding = 1}, 37});
}
