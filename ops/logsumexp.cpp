#include <cmath>
#include <limits>

#include "autograd/record.hpp"
#include "ops/compare.hpp"
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

// The sum of e^(x - largest), rescaled when a larger element comes.
template <class T>
struct LogsumexpReducer {
  struct State {
    double largest = -std::numeric_limits<double>::infinity(), sum = 0;
  };
  static constexpr bool kOrdered = false;
  T* out;
  State init(std::int64_t) const { return {}; }
  State fresh(const State&) const { return {}; }
  void step(State& state, T element, std::int64_t) const {
    combine(state, {static_cast<double>(element), 1});
  }
  void combine(State& state, const State& other) const {
    if (other.largest == state.largest)  // both may be infinite
      state.sum += other.sum;
    else if (other.largest < state.largest)
      state.sum += other.sum * std::exp(other.largest - state.largest);
    else
      state = {other.largest, other.sum + state.sum * std::exp(state.largest - other.largest)};
  }
  void store(const State& state, std::int64_t offset) const {
    const bool nothing = state.largest == -std::numeric_limits<double>::infinity();
    out[offset] = static_cast<T>(nothing ? state.largest : state.largest + std::log(state.sum));
  }
};

// saved: input. The derivative is softmax(x). That is e^(x - y) too, but y is rounded, and a large y
// coarsely; from the largest x the difference is exact. An infinite largest x is passed over: it would take
// the others with it.
Tensors logsumexp_backward(const Backward<LogsumexpOptions>& b) {
  const Tensor& x = b.saved[0];
  const DimList& dims = b.options.dim.dims;
  if (x.numel() == 0) return {zeros(x.shape(), x.dtype())};
  Tensor largest = amax(x.detach(), dims, true);
  largest = where(abs(largest) < std::numeric_limits<double>::infinity(), largest, 0.0);
  const Tensor powers = (x - largest).exp();
  const Tensor grad = ops::with_kept_dims(b.grad(), x.shape(), dims, b.options.keepdim);
  return {grad * (powers / sum(powers, dims, true))};
}

}  // namespace

Tensor logsumexp(const Tensor& input, const DimList& dim, bool keepdim) {
  const autograd::OpTimer timer("logsumexp");
  const kernels::Axes axes = ops::reduced_axes("logsumexp", input, dim);
  Tensor out = kernels::empty_reduced(input, axes, input.dtype());
  dispatch_floating("logsumexp", input.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    kernels::reduce<T>(out, input, axes, LogsumexpReducer<T>{out.data_to_write<T>()});
  });
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
