// addmm and linear.

#include <cmath>

#include "autograd/record.hpp"
#include "ops/kernels/elementwise.hpp"
#include "ops/kernels/matmul.hpp"
#include "ops/matmul_shared.hpp"
#include "ops/options.hpp"
#include "ops/samples.hpp"
#include "ops/view.hpp"

namespace lucid {
namespace {

using autograd::Backward;
using autograd::NoOptions;
using autograd::record;
using ops::as_rows;
using ops::multiplied;

struct AddmmOptions {
  double beta = 1.0;
  double alpha = 1.0;
};
LUCID_OPTIONS(AddmmOptions, beta, alpha)

Tensors addmm_backward(const Backward<AddmmOptions>& b) {
  const AddmmOptions& o = b.options;
  Tensors out(3);
  if (b.wants[0]) out[0] = o.beta == 1.0 ? b.grad() : b.grad() * o.beta;
  const Tensor scaled = o.alpha == 1.0 || !(b.wants[1] || b.wants[2]) ? b.grad() : b.grad() * o.alpha;
  if (b.wants[1]) out[1] = multiplied({scaled}, {b.saved[1], true});
  if (b.wants[2]) out[2] = multiplied({b.saved[0], true}, {scaled});
  return out;
}

// The walker sums the bias' gradient over the leading axes.
Tensors linear_backward(const Backward<NoOptions>& b) {
  Tensors out(3);
  const Tensor &input = b.saved[0], &weight = b.saved[1];
  if (b.wants[0]) out[0] = multiplied({b.grad()}, {weight});
  if (b.wants[1]) out[1] = ops::product_of_rows(b.grad(), input);
  if (b.wants[2]) out[2] = b.grad();
  return out;
}

}  // namespace

Tensor addmm(const Tensor& input, const Tensor& mat1, const Tensor& mat2, double beta, double alpha) {
  const autograd::OpTimer timer("addmm");
  check(input.defined(), "addmm", "input is undefined");
  ops::require_matrices("addmm", mat1, mat2);
  check(mat1.dim() == 2 && mat2.dim() == 2, "addmm", "mat1 of shape ", mat1.shape(), " and mat2 of shape ",
        mat2.shape(), "; both need rank 2");
  ops::require_inner("addmm", mat1, mat2, mat1.size(1), mat2.size(0));
  check(input.dtype() == mat1.dtype(), "addmm", "input is ", input.dtype(), ", mat1 ", mat1.dtype(),
        "; convert one with .to()");
  const Tensor out = empty({mat1.size(0), mat2.size(1)}, mat1.dtype());
  check(broadcast_shapes("addmm", input.shape(), out.shape()) == out.shape(), "addmm", "input of shape ",
        input.shape(), " does not broadcast to ", out.shape());
  if (beta != 0) kernels::copy(out, input);
  kernels::matmul(out, {mat1}, {mat2}, alpha, beta);
  return record("addmm", out, {input, mat1, mat2}, {mat1, mat2}, AddmmOptions{beta, alpha}, addmm_backward);
}

Tensor linear(const Tensor& input, const Tensor& weight, const Tensor& bias) {
  const autograd::OpTimer timer("linear");
  if (weight.defined() && weight.dim() == 1 &&
      (!bias.defined() || bias.numel() == 1))  // one feature, no axis
    return squeeze(linear(input, unsqueeze(weight, 0), bias.defined() ? reshape(bias, {1}) : bias), -1);
  ops::require_matrices("linear", input, weight);
  check(input.dim() > 0 && weight.dim() == 2 && input.size(-1) == weight.size(1), "linear",
        "input has shape ", input.shape(), ", weight ", weight.shape(),
        "; (..., in_features) and (out_features, in_features) are required");
  if (bias.defined())
    check(bias.shape() == Shape{weight.size(0)} && bias.dtype() == weight.dtype(), "linear",
          "bias has shape ", bias.shape(), " and type ", bias.dtype(), ", weight ", weight.shape(),
          " of type ", weight.dtype(), " expects (", weight.size(0), ")");
  Shape shape = input.shape();
  shape[shape.size() - 1] = weight.size(0);
  const Tensor out = empty(shape, input.dtype());
  if (bias.defined()) kernels::copy(out, bias);
  const double beta = bias.defined() ? 1.0 : 0.0;
  if (input.dim() == 2) {
    kernels::matmul(out, {input}, {weight, true}, 1.0, beta);
  } else {
    const no_grad guard;
    kernels::matmul(as_rows(out), {as_rows(input)}, {weight, true}, 1.0, beta);
  }
  const Tensor none;  // each operand is kept for the other's gradient alone
  return record("linear", out, {input, weight, bias},
                {weight.requires_grad() ? input : none, input.requires_grad() ? weight : none}, NoOptions{},
                linear_backward);
}

namespace ops {

Op addmm_op() {
  return {.name = "addmm",
          .doc = "beta * input + alpha * mat1 (n, k) @ mat2 (k, m); input broadcasts to (n, m)",
          .inputs = {{"input"}, {"mat1"}, {"mat2"}},
          .defaults = default_options<AddmmOptions>(),
          .call = [](const Tensors& in, const nlohmann::json& options) -> Tensors {
            const auto o = read_options<AddmmOptions>("addmm", options);
            return {lucid::addmm(in[0], in[1], in[2], o.beta, o.alpha)};
          },
          .samples = [](Generator& g) -> std::vector<Sample> {
            return {
                {{normal({2, 4}, g), normal({2, 3}, g), normal({3, 4}, g)}},
                {{normal({4}, g), normal({2, 3}, g), normal({3, 4}, g)}, {{"beta", 0.2}, {"alpha", 0.6}}},
                {{normal({2, 1}, g), normal({2, 3}, g), normal({3, 4}, g)}, {{"beta", 0.0}, {"alpha", -1.0}}},
                {{full({4}, NAN, f64), normal({2, 3}, g), normal({3, 4}, g)}, {{"beta", 0.0}}}};
          },
          .errors = []() -> std::vector<ErrorCase> {
            const Tensor a = ones({2, 3}, f64), b = ones({3, 4}, f64);
            return {{{ones({3}, f64), a, b}, {}, "(3)"},
                    {{ones({4}, f64), a, a}, {}, "(2, 3) and (2, 3)"},
                    {{ones({4}, f32), a, b}, {}, "float32"}};
          },
          .cost = [](const Tensors& in, const nlohmann::json&) { return product_cost(in, 1); }};
}

Op linear_op() {
  return {.name = "linear",
          .doc = "input (..., in) @ weight (out, in)^T + bias (out)",
          .inputs = {{"input"}, {"weight"}, {"bias", true}},
          .call = [](const Tensors& in, const nlohmann::json& options) -> Tensors {
            read_options<autograd::NoOptions>("linear", options);
            return {lucid::linear(in[0], in[1], in[2])};
          },
          .samples = [](Generator& g) -> std::vector<Sample> {
            return {{{normal({5, 3}, g), normal({4, 3}, g), normal({4}, g)}},
                    {{normal({2, 3, 5}, g), normal({4, 5}, g), Tensor()}},
                    {{normal({3}, g), normal({2, 3}, g), normal({2}, g)}},
                    {{normal({2, 1, 2, 3}, g), normal({1, 3}, g), normal({1}, g)}}};
          },
          .errors = []() -> std::vector<ErrorCase> {
            const Tensor w = ones({5, 4}, f64);
            return {{{ones({2, 3}, f64), w, Tensor()}, {}, "(2, 3), weight (5, 4)"},
                    {{ones({2, 4}, f64), w, ones({4}, f64)}, {}, "(4)"}};
          },
          .cost =
              [](const Tensors& in, const nlohmann::json&) {
                return product_cost({in[0], in[1].transpose(0, 1)}, 0);
              }};
}

}  // namespace ops
}  // namespace lucid
