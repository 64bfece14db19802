// index_select, index_add and index_select_backward: slices picked along one axis.

#include "autograd/record.hpp"
#include "ops/gather.hpp"
#include "ops/kernels/binary.hpp"
#include "ops/options.hpp"
#include "ops/picks.hpp"
#include "ops/registry.hpp"
#include "ops/samples.hpp"
#include "ops/view.hpp"

namespace lucid {

namespace ops {

Tensor as_positions(std::string_view op, std::string_view what, const Tensor& index) {
  check(index.defined(), op, what, " is undefined");
  check(index.dtype() == i64 || index.dtype() == i32, op, what, " has dtype ", index.dtype(),
        "; int64 or int32 is required");
  return kernels::converted(index, i64);
}

kernels::Picks read_picks(std::string_view op, std::string_view what, const Tensor& index,
                          std::int64_t size) {
  const Tensor positions = as_positions(op, what, index).contiguous();
  const auto* first = positions.data<std::int64_t>();
  kernels::Picks picks(first, first + positions.numel());
  for (const std::int64_t pick : picks)
    check(pick >= 0 && pick < size, op, what, " holds ", pick, ", which is out of range for size ", size);
  return picks;
}

}  // namespace ops

namespace {

using autograd::Backward;
using autograd::record;

struct SelectOptions {
  std::int64_t dim = 0;
  std::int64_t size = 0;  // of the input along dim; no option of the op
};
LUCID_OPTIONS(SelectOptions, dim)

struct SpreadOptions {
  std::int64_t dim = 0;
  std::int64_t size = 0;
};
LUCID_OPTIONS(SpreadOptions, dim, size)

struct AddOptions {
  std::int64_t dim = 0;
  double alpha = 1.0;
};
LUCID_OPTIONS(AddOptions, dim, alpha)

Tensors spread_backward(const Backward<SpreadOptions>& b) {
  return {index_select(b.grad(), b.options.dim, b.saved[0]), Tensor()};
}

Tensors add_backward(const Backward<AddOptions>& b) {
  Tensors out(3);
  out[0] = b.grad();
  if (b.wants[2]) {
    out[2] = index_select(b.grad(), b.options.dim, b.saved[0]);
    if (b.options.alpha != 1.0) out[2] = out[2] * b.options.alpha;
  }
  return out;
}

std::size_t picked_axis(std::string_view op, const Tensor& input, std::int64_t dim, const Tensor& index) {
  check(input.defined(), op, "the tensor is undefined");
  check(index.defined() && index.dim() <= 1, op, "index has shape ",
        index.defined() ? index.shape() : Shape(), "; rank 1 is required");
  return normalize_axis(op, dim, input.shape().size());
}

Tensors select_backward(const Backward<SelectOptions>& b) {
  return {ops::sum_selected(b.grad(), b.options.dim, b.saved[0], b.options.size), Tensor()};
}

}  // namespace

Tensor ops::sum_selected(const Tensor& source, std::int64_t dim, const Tensor& index, std::int64_t size) {
  const char* op = "index_select_backward";
  const autograd::OpTimer timer(op);
  const std::size_t axis = picked_axis(op, source, dim, index);
  check(size >= 0, op, "size ", size, " is negative");
  check(source.shape()[axis] == index.numel(), op, "a gradient of shape ", source.shape(), " does not have ",
        index.numel(), " slices along axis ", axis);
  const Tensor out = kernels::sum_slices(source, axis, ops::read_picks(op, "index", index, size), size);
  return record(op, out, {source, index}, {index}, SpreadOptions{dim, size}, spread_backward);
}

Tensor index_select(const Tensor& input, std::int64_t dim, const Tensor& index) {
  const autograd::OpTimer timer("index_select");
  if (input.defined() && input.dim() == 0) {  // read as one element, of which one can be picked
    check(index.defined() && index.numel() == 1, "index_select", "index has shape ",
          index.defined() ? index.shape() : Shape(), "; one position is required for a tensor of rank 0");
    return reshape(index_select(reshape(input, {1}), dim, index), {});
  }
  const std::size_t axis = picked_axis("index_select", input, dim, index);
  const std::int64_t size = input.shape()[axis];
  const Tensor out = kernels::pick_slices(input, axis, ops::read_picks("index_select", "index", index, size));
  return record("index_select", out, {input, index}, {index}, SelectOptions{dim, size}, select_backward);
}

Tensor index_add(const Tensor& input, std::int64_t dim, const Tensor& index, const Tensor& source,
                 double alpha) {
  const autograd::OpTimer timer("index_add");
  if (input.defined() && input.dim() == 0 && source.defined() && source.numel() == index.numel())
    return reshape(index_add(reshape(input, {1}), dim, index, reshape(source, {-1}), alpha), {});
  const std::size_t axis = picked_axis("index_add", input, dim, index);
  check(source.defined(), "index_add", "source is undefined");
  Shape expected = input.shape();
  expected[axis] = index.numel();
  check(source.shape() == expected && source.dtype() == input.dtype(), "index_add", "source has shape ",
        source.shape(), " and type ", source.dtype(), "; ", expected, " of type ", input.dtype(),
        " is required");
  Tensor out;
  {
    const no_grad guard;
    ops::read_picks("index_add", "index", index, input.shape()[axis]);
    const Tensor sums = ops::sum_selected(source, dim, index, input.shape()[axis]);
    out = input + (alpha == 1.0 ? sums : (sums * alpha).to(input.dtype()));
  }
  return record("index_add", out, {input, index, source}, {index}, AddOptions{dim, alpha}, add_backward);
}

namespace ops {
namespace {

Tensor positions(std::initializer_list<double> values) {
  return Tensor::from(values, {static_cast<std::int64_t>(values.size())}, i64);
}

}  // namespace

Op index_select_op() {
  return {
      .name = "index_select",
      .doc = "the slices of input along dim that index (rank 1) names",
      .inputs = {{"input"}, {"index"}},
      .defaults = default_options<SelectOptions>(),
      .call = [](const Tensors& in, const nlohmann::json& options) -> Tensors {
        return {lucid::index_select(in[0], read_options<SelectOptions>("index_select", options).dim, in[1])};
      },
      .samples = [](Generator& g) -> std::vector<Sample> {
        return {{{normal({4, 2}, g), positions({3, 0, 3})}},
                {{normal({2, 3, 2, 2, 2}, g), positions({2, 2, 1, 0})}, {{"dim", 1}}},
                {{normal({2, 3}, g), positions({1})}, {{"dim", -1}}},
                {{normal({4, 2}, g), full({}, 2, i64)}},
                {{normal({2, 4}, g), positions({0, 2}).to(i32)}, {{"dim", 1}}}};
      },
      .errors = []() -> std::vector<ErrorCase> {
        return {{{ones({3}, f64), positions({3})}, {}, "holds 3"},
                {{ones({3}, f64), positions({-1})}, {}, "holds -1"},
                {{ones({3}, f64), ones({1}, f64)}, {}, "float64"},
                {{ones({3}, f64), positions({1}).reshape({1, 1})}, {}, "(1, 1)"}};
      },
      .linear_in = {0}};
}

Op index_select_backward_op() {
  return {.name = "index_select_backward",
          .doc = "size slices along dim, each the sum of grad's slices that index sends there",
          .inputs = {{"grad"}, {"index"}},
          .defaults = default_options<SpreadOptions>(),
          .call = [](const Tensors& in, const nlohmann::json& options) -> Tensors {
            const auto o = read_options<SpreadOptions>("index_select_backward", options);
            return {sum_selected(in[0], o.dim, in[1], o.size)};
          },
          .samples = [](Generator& g) -> std::vector<Sample> {
            return {{{normal({3, 2}, g), positions({3, 0, 3})}, {{"size", 4}}},
                    {{normal({2, 4, 2, 2, 2}, g), positions({2, 2, 1, 0})}, {{"dim", 1}, {"size", 3}}},
                    {{normal({2, 3}, g), positions({1, 0, 1}).to(i32)}, {{"dim", -1}, {"size", 2}}}};
          },
          .errors = []() -> std::vector<ErrorCase> {
            return {{{ones({2}, f64), positions({0, 2})}, {{"size", 2}}, "holds 2"},
                    {{ones({2}, f64), positions({0})}, {{"size", 2}}, "(2)"},
                    {{ones({2}, f64), positions({0, 1})}, {{"size", -2}}, "size -2"}};
          },
          .linear_in = {0}};
}

Op index_add_op() {
  return {.name = "index_add",
          .doc = "input with alpha * source's slices added to the slices along dim that index names",
          .inputs = {{"input"}, {"index"}, {"source"}},
          .defaults = default_options<AddOptions>(),
          .call = [](const Tensors& in, const nlohmann::json& options) -> Tensors {
            const auto o = read_options<AddOptions>("index_add", options);
            return {lucid::index_add(in[0], o.dim, in[1], in[2], o.alpha)};
          },
          .samples = [](Generator& g) -> std::vector<Sample> {
            return {
                {{normal({4, 2}, g), positions({3, 0, 3}), normal({3, 2}, g)}},
                {{normal({2, 3}, g), positions({1, 1}), normal({2, 2}, g)}, {{"dim", 1}, {"alpha", -0.5}}},
                {{normal({2, 3, 2}, g), positions({2}).to(i32), normal({2, 1, 2}, g)}, {{"dim", -2}}},
                {{normal({3, 2}, g), full({}, 1, i64), normal({1, 2}, g)}}};
          },
          .errors = []() -> std::vector<ErrorCase> {
            return {{{ones({3}, f64), positions({3}), ones({1}, f64)}, {}, "holds 3"},
                    {{ones({3}, f64), positions({1}), ones({2}, f64)}, {}, "(2)"}};
          }};
}

}  // namespace ops
}  // namespace lucid
