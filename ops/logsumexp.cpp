#include <cmath>
#include <limits>

#include "autograd/record.hpp"
#include "ops/compare.hpp"
#include "ops/kernels/logsumexp.hpp"
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

// saved: input. The derivative is softmax(x).
Tensors logsumexp_backward(const Backward<LogsumexpOptions>& b) {
  const Tensor& x = b.saved[0];
  const DimList& dims = b.options.dim.dims;
  if (x.numel() == 0) return {zeros(x.shape(), x.dtype())};
  const Tensor grad = ops::with_kept_dims(b.grad(), x.shape(), dims, b.options.keepdim);
  if (autograd::is_recording()) {
    // From the largest x the differences are exact, and nothing overflows.
    Tensor largest = amax(x.detach(), dims, true);
    largest = where(abs(largest) < std::numeric_limits<double>::infinity(), largest, 0.0);
    const Tensor powers = (x - largest).exp();
    return {grad * (powers / sum(powers, dims, true))};
  }
  const Tensor out = empty_like(x);
  kernels::logsumexp_backward(out, grad, x, normalize_axes("logsumexp", dims, x.shape().size()));
  return {out};
}

}  // namespace

Tensor logsumexp(const Tensor& input, const DimList& dim, bool keepdim) {
  const autograd::OpTimer timer("logsumexp");
  const kernels::Axes axes = ops::reduced_axes("logsumexp", input, dim);
  check(is_floating(input.dtype()), "logsumexp", "dtype ", input.dtype(),
        " is not supported; use a floating type, for example .to(lucid::f32)");
  Tensor out = kernels::empty_reduced(input, axes, input.dtype());
  if (input.numel() == 0)
    out.fill_(-std::numeric_limits<double>::infinity());
  else
    kernels::logsumexp(out, input, axes);
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
