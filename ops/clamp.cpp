// clamp, by numbers and by tensors.

#include <limits>

#include "autograd/record.hpp"
#include "ops/compare.hpp"
#include "ops/kernels/binary.hpp"
#include "ops/options.hpp"
#include "ops/registry.hpp"
#include "ops/samples.hpp"
#include "ops/select.hpp"

namespace lucid {
namespace {

using autograd::Backward;
using autograd::record;

struct ClampOptions {
  std::optional<Scalar> min;
  std::optional<Scalar> max;
};
LUCID_OPTIONS(ClampOptions, min, max)

template <class T>
constexpr T lowest() {
  if constexpr (std::numeric_limits<T>::has_infinity) return -std::numeric_limits<T>::infinity();
  return std::numeric_limits<T>::lowest();
}
template <class T>
constexpr T highest() {
  if constexpr (std::numeric_limits<T>::has_infinity) return std::numeric_limits<T>::infinity();
  return std::numeric_limits<T>::max();
}

// Bounds of tensors of T as numbers of its type of computation; a missing one excludes nothing.
template <class T>
struct Bounds {
  using C = Compute<T>;
  explicit Bounds(const ClampOptions& options)
      : low(options.min ? C(options.min->to<T>()) : lowest<C>()),
        high(options.max ? C(options.max->to<T>()) : highest<C>()) {}
  C low, high;
};

template <class T>
auto clamped(const Bounds<T>& bounds) {
  using C = Compute<T>;
  return [bounds](C value) {
    // A value that is NaN stays, a bound that is NaN is the result: low != low holds for NaN alone.
    value = ((value < bounds.low) | (bounds.low != bounds.low)) ? bounds.low : value;
    return ((value > bounds.high) | (bounds.high != bounds.high)) ? bounds.high : value;
  };
}

template <class T>
auto passed(const Bounds<T>& bounds) {
  using C = Compute<T>;
  return [bounds](C grad, C value) { return ((value >= bounds.low) & (value <= bounds.high)) ? grad : C(0); };
}

// The gradient passes where min <= input <= max. saved: input
Tensors clamp_backward(const Backward<ClampOptions>& b) {
  const Tensor &grad = b.grad(), &x = b.saved[0];
  if (autograd::is_recording()) {
    Tensor out = grad;
    if (b.options.min) out = where(x >= *b.options.min, out, 0.0);
    if (b.options.max) out = where(x <= *b.options.max, out, 0.0);
    return {out};
  }
  const Tensor out = kernels::empty_for(x.shape(), x.dtype(), {&x, &grad});
  dispatch_floating("clamp", x.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    kernels::map<T, T, T>(out, grad, x, passed(Bounds<T>(b.options)));
  });
  return {out};
}

// saved: input, min, max. Where the bounds cross, the result is max and so is the owner of the gradient.
Tensors clamp_to_tensors_backward(const Backward<ClampOptions>& b) {
  const Tensor &x = b.saved[0], &min = b.saved[1], &max = b.saved[2];
  Tensors out(3);
  if (b.wants[0]) {
    out[0] = b.grad();
    if (min.defined()) out[0] = where(x >= min, out[0], 0.0);
    if (max.defined()) out[0] = where(x <= max, out[0], 0.0);
  }
  if (b.wants[1]) {
    Tensor chosen = x < min;
    if (max.defined()) chosen = logical_and(chosen, min < max);
    out[1] = where(chosen, b.grad(), 0.0);
  }
  if (b.wants[2]) {
    Tensor chosen = x > max;
    if (min.defined()) chosen = logical_or(chosen, max < min);
    out[2] = where(chosen, b.grad(), 0.0);
  }
  return out;
}

void require_some(bool some) {
  check(some, "clamp", "neither min nor max is given; at least one is required");
}

bool is_floating_bound(const std::optional<Scalar>& bound) { return bound && bound->is_floating(); }

}  // namespace

Tensor clamp(const Tensor& input, const std::optional<Scalar>& min, const std::optional<Scalar>& max) {
  const autograd::OpTimer timer("clamp");
  check(input.defined(), "clamp", "the tensor is undefined");
  require_some(min || max);
  const ClampOptions options{min, max};
  const bool promotes = !is_floating(input.dtype()) && (is_floating_bound(min) || is_floating_bound(max));
  const Tensor x = promotes ? kernels::converted(input, f32) : input;
  for (const auto& bound : {min, max})
    if (bound) bound->require_fits("clamp", x.dtype());
  const Tensor out = empty_like(x);
  dispatch_numeric("clamp", x.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    kernels::map<T, T>(out, x, clamped(Bounds<T>(options)));
  });
  return record("clamp", out, {input}, {input}, options, clamp_backward);
}

Tensor clamp(const Tensor& input, const Tensor& min, const Tensor& max) {
  const autograd::OpTimer timer("clamp");
  check(input.defined(), "clamp", "the tensor is undefined");
  require_some(min.defined() || max.defined());
  for (const Tensor* bound : {&min, &max})
    if (bound->defined()) broadcast_shapes("clamp", input.shape(), bound->shape());
  Tensor out;
  {
    const no_grad guard;
    out = min.defined() ? maximum(input, min) : input;
    if (max.defined()) out = minimum(out, max);
  }
  return record("clamp", out, {input, min, max}, {input, min, max}, ClampOptions{},
                clamp_to_tensors_backward);
}

namespace ops {
namespace {

Tensors call_clamp(const Tensors& in, const nlohmann::json& given) {
  const auto options = read_options<ClampOptions>("clamp", given);
  if (!in[1].defined() && !in[2].defined()) return {lucid::clamp(in[0], options.min, options.max)};
  check(!(in[1].defined() && options.min) && !(in[2].defined() && options.max), "clamp",
        "a bound is given as a tensor and as a number; give one");
  const auto bound = [&](const Tensor& tensor, const std::optional<Scalar>& number) {
    return tensor.defined() || !number ? tensor : kernels::wrap_scalar(*number, in[0]);
  };
  return {lucid::clamp(in[0], bound(in[1], options.min), bound(in[2], options.max))};
}

// Integers, halves and quarters keep input and bounds apart.
std::vector<Sample> clamp_samples(Generator& generator) {
  const auto integers = [&](const Shape& shape) { return randint(-3, 4, shape, f64, &generator); };
  const auto halves = [&](const Shape& shape) { return randint(-3, 1, shape, f64, &generator) + 0.5; };
  const auto quarters = [&](const Shape& shape) { return randint(-1, 3, shape, f64, &generator) + 0.25; };
  return {{{integers({2, 3, 2, 3, 4})}, {{"min", -1.5}, {"max", 0.5}}},
          {{integers({7})}, {{"min", 0.5}}},
          {{integers({})}, {{"max", 0.5}}},
          {{integers({2, 5})}, {{"min", 1.5}, {"max", -0.5}}},
          {{integers({2, 3, 4}), halves({3, 4}), quarters({4})}},
          {{integers({3, 1}), halves({1, 4})}},
          {{integers({3, 4}), Tensor(), quarters({})}},
          {{integers({3, 4}), halves({4})}, {{"max", 1.25}}}};
}

}  // namespace

Op clamp_op() {
  return {.name = "clamp",
          .doc = "input held between min and max, which are numbers or tensors that broadcast",
          .inputs = {{"input"}, {"min", true}, {"max", true}},
          .defaults = default_options<ClampOptions>(),
          .call = call_clamp,
          .samples = clamp_samples,
          .errors = []() -> std::vector<ErrorCase> {
            return {{{ones({2})}, {}, "neither min nor max"},
                    {{ones({2}), ones({2})}, {{"min", 1.0}}, "as a number"},
                    {{ones({2}), ones({3})}, {}, "(2) and (3)"}};
          }};
}

}  // namespace ops
}  // namespace lucid
