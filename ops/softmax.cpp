#include "ops/softmax.hpp"

#include "autograd/record.hpp"
#include "ops/kernels/softmax.hpp"
#include "ops/options.hpp"
#include "ops/reduce.hpp"
#include "ops/registry.hpp"
#include "ops/samples.hpp"

namespace lucid {
namespace {

using autograd::Backward;

struct SoftmaxOptions {
  std::int64_t dim = -1;
  std::optional<DType> dtype;
};
LUCID_OPTIONS(SoftmaxOptions, dim, dtype)

Tensor fused_backward(const Tensor& grad, const Tensor& y, std::int64_t dim, bool logarithm) {
  const Tensor out = empty_like(y);
  kernels::softmax_backward(out, grad, y, normalize_axis("softmax", dim, y.shape().size()), logarithm);
  return out;
}

// saved: the result
Tensors softmax_backward(const Backward<SoftmaxOptions>& b) {
  const Tensor& y = b.saved[0];
  const std::int64_t dim = b.options.dim;
  if (!autograd::is_recording()) return {fused_backward(b.grad(), y, dim, false)};
  const Tensor scaled = b.grad() * y;
  return {scaled - y * scaled.sum({dim}, true)};
}

Tensors log_softmax_backward(const Backward<SoftmaxOptions>& b) {
  const Tensor& y = b.saved[0];
  const std::int64_t dim = b.options.dim;
  if (!autograd::is_recording()) return {fused_backward(b.grad(), y, dim, true)};
  return {b.grad() - y.exp() * b.grad().sum({dim}, true)};
}

Tensor normalized(std::string_view op, const Tensor& given, std::int64_t dim, std::optional<DType> dtype,
                  bool logarithm, autograd::Rule<SoftmaxOptions> rule) {
  const autograd::OpTimer timer(op);
  check(given.defined(), op, "the tensor is undefined");
  const std::size_t axis = normalize_axis(op, dim, given.shape().size());
  const Tensor input = dtype ? given.to(*dtype) : given;
  check(is_floating(input.dtype()), op, "dtype ", input.dtype(),
        " is not floating; convert first, for example with .to(lucid::f32)");
  const Tensor out = empty_like(input);
  kernels::softmax(out, input, axis, logarithm);
  return autograd::record(op, out, {input}, {out}, SoftmaxOptions{dim, dtype}, rule);
}

}  // namespace

Tensor softmax(const Tensor& input, std::int64_t dim, std::optional<DType> dtype) {
  return normalized("softmax", input, dim, dtype, false, softmax_backward);
}
Tensor log_softmax(const Tensor& input, std::int64_t dim, std::optional<DType> dtype) {
  return normalized("log_softmax", input, dim, dtype, true, log_softmax_backward);
}
Tensor softmin(const Tensor& input, std::int64_t dim, std::optional<DType> dtype) {
  return softmax(-(dtype ? input.to(*dtype) : input), dim);
}

namespace ops {
namespace {

template <class Function>
Op softmax_like_op(std::string name, std::string doc, Function function) {
  Op op{.name = std::move(name), .doc = std::move(doc), .inputs = {{"input"}}};
  op.defaults = default_options<SoftmaxOptions>();
  op.call = [name = op.name, function](const Tensors& in, const nlohmann::json& given) -> Tensors {
    const auto options = read_options<SoftmaxOptions>(name, given);
    return {function(in[0], options.dim, options.dtype)};
  };
  op.samples = [](Generator& generator) -> std::vector<Sample> {
    return {{{normal({}, generator)}, {{"dim", 0}}},
            {{normal({6}, generator)}, {{"dim", 0}}},
            {{normal({2, 3, 2, 3, 4}, generator)}, {{"dim", 1}}},
            {{normal({2, 3, 2, 3, 4}, generator) * 30.0}, {{"dim", -2}}},
            {{normal({2, 130}, generator)}, {{"dim", -1}, {"dtype", "float64"}}},
            {{randint(-3, 4, {2, 3}, i64, &generator)}, {{"dtype", "float64"}}}};
  };
  op.errors = []() -> std::vector<ErrorCase> {
    return {{{ones({2, 3}, f64)}, {{"dim", 2}}, "dim 2"}, {{ones({2, 3}, i64)}, {{"dim", 1}}, "int64"}};
  };
  op.cost = [](const Tensors& in, const nlohmann::json&) -> Cost {
    return {5.0 * static_cast<double>(in[0].numel()), 2.0 * static_cast<double>(in[0].nbytes())};
  };
  return op;
}

}  // namespace

Op softmax_op() {
  return softmax_like_op("softmax", "e^input / sum(e^input) along dim; input's shape", lucid::softmax);
}
Op log_softmax_op() {
  return softmax_like_op("log_softmax", "log(softmax(input)) along dim; input's shape", lucid::log_softmax);
}

}  // namespace ops

Tensor Tensor::softmax(std::int64_t dim) const { return lucid::softmax(*this, dim); }
Tensor Tensor::log_softmax(std::int64_t dim) const { return lucid::log_softmax(*this, dim); }

}  // namespace lucid
