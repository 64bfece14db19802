#include <cmath>
#include <limits>

#include "autograd/record.hpp"
#include "ops/compare.hpp"
#include "ops/kernels/binary.hpp"
#include "ops/kernels/math.hpp"
#include "ops/options.hpp"
#include "ops/reduce.hpp"
#include "ops/reduce_options.hpp"
#include "ops/samples.hpp"
#include "ops/select.hpp"
#include "ops/unary.hpp"

namespace lucid {
namespace {

using autograd::Backward;

struct LogsumexpOptions {
  ops::DimOption dim;
  bool keepdim = false;
};
LUCID_OPTIONS(LogsumexpOptions, dim, keepdim)

// The largest x of each result, from which the differences are exact: a large log of the sum is rounded
// coarsely. An infinite one is passed over, since it would take the others with it.
Tensor reference_points(const Tensor& x, const DimList& dims) {
  const Tensor largest = amax(x.detach(), dims, true);
  return where(abs(largest) < std::numeric_limits<double>::infinity(), largest, 0.0);
}

// e^(x - largest), and its sums over `axes`; not recorded.
struct Powers {
  Powers(const Tensor& x, const Tensor& largest, const kernels::Axes& axes)
      : values(empty_like(x)), sums(kernels::empty_reduced(x, axes, x.dtype())) {
    dispatch_floating("logsumexp", x.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      kernels::map<T, T, T>(values, x, largest, [](auto a, auto b) { return kernels::math::exp(a - b); });
    });
    kernels::sum(sums, values, axes);
  }
  Tensor values, sums;
};

// What bfloat16 holds of a power is too little to add up.
Tensor in_computed_type(const Tensor& x) {
  return kernels::converted(x, x.dtype() == bf16 ? f32 : x.dtype());
}

// saved: input. The derivative is softmax(x).
Tensors logsumexp_backward(const Backward<LogsumexpOptions>& b) {
  const Tensor& x = b.saved[0];
  const DimList& dims = b.options.dim.dims;
  if (x.numel() == 0) return {zeros(x.shape(), x.dtype())};
  const kernels::Axes axes = normalize_axes("logsumexp", dims, x.shape().size());
  const Tensor grad = ops::with_kept_dims(b.grad(), x.shape(), dims, b.options.keepdim);
  if (autograd::is_recording()) {
    const Tensor powers = (x - reference_points(x, dims)).exp();
    return {grad * (powers / sum(powers, dims, true))};
  }
  const Tensor given = in_computed_type(x);
  const Powers powers(given, reference_points(given, dims), axes);
  return {kernels::converted(powers.values.mul_(grad / powers.sums), x.dtype())};
}

}  // namespace

Tensor logsumexp(const Tensor& input, const DimList& dim, bool keepdim) {
  const autograd::OpTimer timer("logsumexp");
  const kernels::Axes axes = ops::reduced_axes("logsumexp", input, dim);
  check(is_floating(input.dtype()), "logsumexp", "dtype ", input.dtype(),
        " is not supported; use a floating type, for example .to(lucid::f32)");
  Tensor out = kernels::empty_reduced(input, axes, input.dtype());
  if (input.numel() == 0) {
    out.fill_(-std::numeric_limits<double>::infinity());
  } else {
    const no_grad guard;
    const Tensor x = in_computed_type(input), largest = reference_points(x, dim);
    const Powers powers(x, largest, axes);
    kernels::copy(out, powers.sums.log().add_(largest));
  }
  if (!keepdim) out = kernels::drop_axes(out, axes);
  return autograd::record("logsumexp", out, {input}, {input}, LogsumexpOptions{{dim}, keepdim},
                          logsumexp_backward);
}

namespace ops {

Op logsumexp_op() {
  return {.name = "logsumexp",
          .doc = "log(sum(exp(input))) over the axes dim, without overflow",
          .inputs = {{"input"}},
          .defaults = default_options<LogsumexpOptions>(),
          .call = [](const Tensors& in, const nlohmann::json& given) -> Tensors {
            const auto options = read_options<LogsumexpOptions>("logsumexp", given);
            return {lucid::logsumexp(in[0], options.dim.dims, options.keepdim)};
          },
          .samples =
              [](Generator& generator) {
                auto samples = reduction_samples(generator);
                samples.push_back({{normal({2, 3}, generator) * 5.0 + 1000.0}, {{"dim", 1}}});
                samples.push_back({{Tensor::from({1, -INFINITY, 0.5, 2}, {2, 2}, f64)}, {{"dim", 0}}});
                return samples;
              },
          .errors =
              [] {
                auto errors = reduction_errors();
                errors.push_back({{ones({2, 3}, i64)}, {}, "int64"});
                return errors;
              }};
}

}  // namespace ops
}  // namespace lucid
