// gather and scatter_add: elements picked along one axis.

#include "ops/gather.hpp"

#include "autograd/record.hpp"
#include "ops/kernels/elementwise.hpp"
#include "ops/options.hpp"
#include "ops/picks.hpp"
#include "ops/registry.hpp"
#include "ops/samples.hpp"
#include "ops/view.hpp"

namespace lucid {
namespace {

using autograd::Backward;
using autograd::record;

// The input's shape and dtype are no options of the op.
struct GatherOptions {
  std::int64_t dim = 0;
  Shape shape = {};
};
LUCID_OPTIONS(GatherOptions, dim)

Tensors gather_backward(const Backward<GatherOptions>& b) {
  return {scatter_add(zeros(b.options.shape, b.grad().dtype()), b.options.dim, b.saved[0], b.grad()),
          Tensor()};
}

Tensors scatter_add_backward(const Backward<GatherOptions>& b) {
  Tensors out(3);
  out[0] = b.grad();
  if (b.wants[2]) out[2] = gather(b.grad(), b.options.dim, b.saved[0]);
  return out;
}

std::size_t gathered_axis(std::string_view op, const Tensor& input, std::int64_t dim, const Tensor& index) {
  check(input.defined() && index.defined(), op, input.defined() ? "index" : "input", " is undefined");
  const std::size_t axis = normalize_axis(op, dim, input.shape().size());
  bool fits = index.dim() == input.dim();
  for (std::size_t i = 0; fits && i < index.shape().size(); ++i)
    fits = i == axis || index.shape()[i] <= input.shape()[i];
  check(fits, op, "index has shape ", index.shape(), "; the rank of the input, ", input.shape(),
        ", and sizes no larger than its off axis ", axis, " are required");
  return axis;
}

// A scalar is read as one element, and so is a scalar among its indices.
Tensor as_list(const Tensor& tensor) { return tensor.defined() ? reshape(tensor, {-1}) : tensor; }
bool is_scalar(const Tensor& tensor) { return tensor.defined() && tensor.dim() == 0; }

}  // namespace

Tensor gather(const Tensor& input, std::int64_t dim, const Tensor& index) {
  const autograd::OpTimer timer("gather");
  if (is_scalar(input) && index.defined() && index.dim() <= 1)
    return reshape(gather(as_list(input), dim, as_list(index)), index.shape());
  const std::size_t axis = gathered_axis("gather", input, dim, index);
  const Tensor positions = ops::as_positions("gather", "index", index);
  const Tensor out = empty_like(positions, input.dtype());
  kernels::gather(out, input, axis, positions);
  return record("gather", out, {input, index}, {index}, GatherOptions{dim, input.shape()}, gather_backward);
}

Tensor scatter_add(const Tensor& input, std::int64_t dim, const Tensor& index, const Tensor& src) {
  const autograd::OpTimer timer("scatter_add");
  if (is_scalar(input) && index.defined() && index.dim() <= 1)
    return reshape(scatter_add(as_list(input), dim, as_list(index), as_list(src)), {});
  const std::size_t axis = gathered_axis("scatter_add", input, dim, index);
  const Tensor positions = ops::as_positions("scatter_add", "index", index);
  check(src.defined() && src.shape() == index.shape(), "scatter_add", "src has shape ",
        src.defined() ? src.shape() : Shape(), ", index ", index.shape(), "; they must be equal");
  check(src.dtype() == input.dtype(), "scatter_add", "src is ", src.dtype(), ", input ", input.dtype(),
        "; convert one with .to()");
  const DType dtype = input.dtype();
  // Where several numbers may meet in one place they are summed in float64.
  const bool may_meet = index.dim() > 0 && index.shape()[axis] > 1;
  Tensor out = empty_like(input, may_meet && is_floating(dtype) ? f64 : dtype);
  kernels::copy(out, input);
  {
    const no_grad guard;
    kernels::scatter_add(out, axis, positions, src.to(out.dtype()));
    out = out.to(dtype);
  }
  return record("scatter_add", out, {input, index, src}, {index}, GatherOptions{dim, {}},
                scatter_add_backward);
}

namespace ops {
namespace {

Tensor grid(const Shape& shape, std::int64_t high, Generator& generator) {
  return randint(0, high, shape, i64, &generator);
}

}  // namespace

Op gather_op() {
  return {.name = "gather",
          .doc = "input's elements at the positions index along dim; the result has index's shape",
          .inputs = {{"input"}, {"index"}},
          .defaults = default_options<GatherOptions>(),
          .call = [](const Tensors& in, const nlohmann::json& options) -> Tensors {
            return {lucid::gather(in[0], read_options<GatherOptions>("gather", options).dim, in[1])};
          },
          .samples = [](Generator& g) -> std::vector<Sample> {
            return {{{normal({3, 4}, g), grid({5, 3}, 3, g)}},
                    {{normal({2, 3, 2, 2, 2}, g), grid({2, 1, 2, 2, 2}, 3, g)}, {{"dim", 1}}},
                    {{normal({4}, g), grid({6}, 4, g)}, {{"dim", -1}}},
                    {{normal({2, 3, 2}, g), grid({1, 4, 2}, 3, g).to(i32)}, {{"dim", -2}}}};
          },
          .errors = []() -> std::vector<ErrorCase> {
            return {{{ones({3}, f64), full({1}, 3, i64)}, {}, "index 3"},
                    {{ones({3}, f64), full({1}, -1, i64)}, {}, "index -1"},
                    {{ones({3, 2}, f64), zeros({1, 3}, i64)}, {}, "(1, 3)"},
                    {{ones({3}, f64), ones({1}, f64)}, {}, "float64"}};
          },
          .linear_in = {0}};
}

Op scatter_add_op() {
  return {.name = "scatter_add",
          .doc = "input with src added at the positions index along dim",
          .inputs = {{"input"}, {"index"}, {"src"}},
          .defaults = default_options<GatherOptions>(),
          .call = [](const Tensors& in, const nlohmann::json& options) -> Tensors {
            const auto o = read_options<GatherOptions>("scatter_add", options);
            return {lucid::scatter_add(in[0], o.dim, in[1], in[2])};
          },
          .samples = [](Generator& g) -> std::vector<Sample> {
            return {{{normal({3, 4}, g), grid({5, 3}, 3, g), normal({5, 3}, g)}},
                    {{normal({2, 3, 2}, g), grid({2, 4, 2}, 3, g), normal({2, 4, 2}, g)}, {{"dim", 1}}},
                    {{normal({2, 3}, g), grid({1, 2}, 3, g).to(i32), normal({1, 2}, g)}, {{"dim", -1}}}};
          },
          .errors = []() -> std::vector<ErrorCase> {
            return {{{ones({3}, f64), full({1}, 3, i64), ones({1}, f64)}, {}, "index 3"},
                    {{ones({3}, f64), zeros({1}, i64), ones({2}, f64)}, {}, "(2)"},
                    {{ones({3}, f64), zeros({1}, i64), ones({1}, f32)}, {}, "float32"}};
          }};
}

}  // namespace ops
}  // namespace lucid
