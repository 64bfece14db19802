// reshape, flatten, squeeze, unsqueeze.

#include "ops/view.hpp"

#include <optional>

#include "autograd/record.hpp"
#include "ops/kernels/elementwise.hpp"
#include "ops/options.hpp"
#include "ops/registry.hpp"
#include "ops/samples.hpp"

namespace lucid {
namespace {

using autograd::Backward;
using autograd::record;

// `input_shape` is what the gradient takes again; it is no option of the op.
struct ReshapeOptions {
  Shape shape;
  Shape input_shape;
};
LUCID_OPTIONS(ReshapeOptions, shape)

struct FlattenOptions {
  std::int64_t start_dim = 0;
  std::int64_t end_dim = -1;
  Shape input_shape;
};
LUCID_OPTIONS(FlattenOptions, start_dim, end_dim)

struct SqueezeOptions {
  std::optional<std::int64_t> dim;
  Shape input_shape;
};
LUCID_OPTIONS(SqueezeOptions, dim)

struct UnsqueezeOptions {
  std::int64_t dim = 0;
  Shape input_shape;
};
LUCID_OPTIONS(UnsqueezeOptions, dim)

template <class Options>
Tensors reshape_back(const Backward<Options>& b) {
  return {reshape(b.grad(), b.options.input_shape)};
}

// Replaces -1 by the size that the number of elements leaves.
Shape resolve_shape(std::string_view op, const Tensor& input, Shape shape) {
  const Shape wanted = shape;
  std::size_t open = shape.size();
  for (std::size_t i = 0; i < shape.size(); ++i) {
    check(shape[i] >= -1, op, "shape ", wanted, " has a negative size; only -1 has a meaning");
    if (shape[i] != -1) continue;
    check(open == shape.size(), op, "shape ", wanted, " has more than one -1; only one size can be inferred");
    open = i;
    shape[i] = 1;
  }
  const std::int64_t numel = checked_numel(op, shape);
  if (open < shape.size() && numel > 0 && input.numel() % numel == 0)
    shape[open] = input.numel() / numel;
  else
    check(open == shape.size() && numel == input.numel(), op, "shape ", wanted,
          " does not hold the elements of an input of shape ", input.shape(), " (", input.numel(), ")");
  return shape;
}

// Strides under which `shape` shows the input's memory in row-major order, or nothing when none do. Runs of
// input axes that are mutually contiguous are matched with runs of result axes of the same product.
std::optional<Strides> view_strides(const Tensor& input, const Shape& shape) {
  if (input.numel() == 0) return contiguous_strides(shape);
  Strides out = Shape::filled(shape.size(), 1);
  std::size_t to = shape.size();
  std::int64_t block = 1;   // elements of the run of input axes
  std::int64_t filled = 1;  // elements of the result axes given to this run
  std::int64_t base = input.dim() ? input.strides().back() : 1;
  for (std::size_t from = input.shape().size(); from-- > 0;) {
    block *= input.shape()[from];
    const bool ends =
        from == 0 || (input.shape()[from - 1] != 1 && input.strides()[from - 1] != block * base);
    if (!ends) continue;
    while (to > 0 && (filled < block || shape[to - 1] == 1)) {
      --to;
      out[to] = filled * base;
      filled *= shape[to];
    }
    if (filled != block) return std::nullopt;
    if (from > 0) base = input.strides()[from - 1];
    block = filled = 1;
  }
  if (input.dim() == 0) return out;
  return to == 0 ? std::optional(out) : std::nullopt;
}

// The result of reshape, not recorded.
Tensor reshaped(const Tensor& input, const Shape& shape) {
  if (const auto strides = view_strides(input, shape)) return alias(input, shape, *strides, input.offset());
  Tensor copy = empty(input.shape(), input.dtype());
  kernels::copy(copy, input);
  return alias(copy, shape, contiguous_strides(shape), 0);
}

// A stride for an axis of size 1 put before `axis`: as if it were the outer part of what follows.
std::int64_t stride_before(const Tensor& input, std::size_t axis) {
  if (axis == input.shape().size() || input.numel() == 0) return 1;
  return input.shape()[axis] * input.strides()[axis];
}

}  // namespace

Tensor reshape(const Tensor& input, const Shape& shape) {
  const autograd::OpTimer timer("reshape");
  check(input.defined(), "reshape", "the tensor is undefined");
  const Shape resolved = resolve_shape("reshape", input, shape);
  return record("reshape", reshaped(input, resolved), {input}, {}, ReshapeOptions{shape, input.shape()},
                reshape_back<ReshapeOptions>);
}

Tensor flatten(const Tensor& input, std::int64_t start_dim, std::int64_t end_dim) {
  const autograd::OpTimer timer("flatten");
  check(input.defined(), "flatten", "the tensor is undefined");
  const std::size_t first = normalize_axis("flatten", start_dim, input.shape().size());
  const std::size_t last = normalize_axis("flatten", end_dim, input.shape().size());
  check(first <= last, "flatten", "start_dim ", start_dim, " comes after end_dim ", end_dim,
        " for an input of shape ", input.shape());
  Shape shape;
  for (std::size_t i = 0; i < first; ++i) shape.push_back(input.shape()[i]);
  shape.push_back(1);
  for (std::size_t i = first; i < input.shape().size(); ++i)
    if (i <= last)
      shape[first] = checked_mul("flatten", "size", shape[first], input.shape()[i]);
    else
      shape.push_back(input.shape()[i]);
  return record("flatten", reshaped(input, shape), {input}, {},
                FlattenOptions{start_dim, end_dim, input.shape()}, reshape_back<FlattenOptions>);
}

Tensor squeeze(const Tensor& input) {
  const autograd::OpTimer timer("squeeze");
  check(input.defined(), "squeeze", "the tensor is undefined");
  Shape shape, strides;
  for (std::size_t i = 0; i < input.shape().size(); ++i) {
    if (input.shape()[i] == 1) continue;
    shape.push_back(input.shape()[i]);
    strides.push_back(input.strides()[i]);
  }
  return record("squeeze", alias(input, shape, strides, input.offset()), {input}, {},
                SqueezeOptions{std::nullopt, input.shape()}, reshape_back<SqueezeOptions>);
}

Tensor squeeze(const Tensor& input, std::int64_t dim) {
  const autograd::OpTimer timer("squeeze");
  check(input.defined(), "squeeze", "the tensor is undefined");
  const std::size_t axis = normalize_axis("squeeze", dim, input.shape().size());
  Shape shape = input.shape(), strides = input.strides();
  if (axis < shape.size() && shape[axis] == 1) {
    shape.erase(axis);
    strides.erase(axis);
  }
  return record("squeeze", alias(input, shape, strides, input.offset()), {input}, {},
                SqueezeOptions{dim, input.shape()}, reshape_back<SqueezeOptions>);
}

Tensor unsqueeze(const Tensor& input, std::int64_t dim) {
  const autograd::OpTimer timer("unsqueeze");
  check(input.defined(), "unsqueeze", "the tensor is undefined");
  const std::size_t axis = normalize_axis("unsqueeze", dim, input.shape().size() + 1);
  Shape shape = input.shape(), strides = input.strides();
  strides.insert(axis, stride_before(input, axis));
  shape.insert(axis, 1);
  return record("unsqueeze", alias(input, shape, strides, input.offset()), {input}, {},
                UnsqueezeOptions{dim, input.shape()}, reshape_back<UnsqueezeOptions>);
}

Tensor Tensor::reshape(const Shape& shape) const { return lucid::reshape(*this, shape); }
Tensor Tensor::flatten(std::int64_t start, std::int64_t end) const {
  return lucid::flatten(*this, start, end);
}
Tensor Tensor::squeeze() const { return lucid::squeeze(*this); }
Tensor Tensor::squeeze(std::int64_t dim) const { return lucid::squeeze(*this, dim); }
Tensor Tensor::unsqueeze(std::int64_t dim) const { return lucid::unsqueeze(*this, dim); }

namespace ops {

Op reshape_op() {
  return {.name = "reshape",
          .doc = "input's elements in row-major order under another shape; one size may be -1",
          .inputs = {{"input"}},
          .defaults = default_options<ReshapeOptions>(),
          .call = [](const Tensors& in, const nlohmann::json& options) -> Tensors {
            return {lucid::reshape(in[0], read_options<ReshapeOptions>("reshape", options).shape)};
          },
          .samples = [](Generator& generator) -> std::vector<Sample> {
            return {{{normal({2, 3, 4}, generator)}, {{"shape", {4, -1}}}},
                    {{normal({2, 3, 2, 3, 2}, generator)}, {{"shape", {2, 3, 12}}}},
                    {{normal({3, 4}, generator).transpose(0, 1)}, {{"shape", {2, 1, 6}}}},
                    {{normal({6}, generator)}, {{"shape", {1, 3, 2, 1}}}},
                    {{normal({1, 1}, generator)}, {{"shape", Shape{}}}},
                    {{normal({}, generator)}, {{"shape", {-1, 1}}}}};
          },
          .errors = []() -> std::vector<ErrorCase> {
            return {{{ones({2, 3}, f64)}, {{"shape", {-1, -1}}}, "(-1, -1)"},
                    {{ones({2, 3}, f64)}, {{"shape", {4, -1}}}, "(4, -1)"},
                    {{ones({2, 3}, f64)}, {{"shape", {-2, -3}}}, "(-2, -3)"},
                    {{ones({2, 3}, f64)}, {{"shape", {2, 2}}}, "(2, 2)"}};
          },
          .linear_in = {0}};
}

Op flatten_op() {
  return {.name = "flatten",
          .doc = "input with the axes start_dim to end_dim merged into one",
          .inputs = {{"input"}},
          .defaults = default_options<FlattenOptions>(),
          .call = [](const Tensors& in, const nlohmann::json& options) -> Tensors {
            const auto o = read_options<FlattenOptions>("flatten", options);
            return {lucid::flatten(in[0], o.start_dim, o.end_dim)};
          },
          .samples = [](Generator& generator) -> std::vector<Sample> {
            return {{{normal({2, 3, 4}, generator)}},
                    {{normal({2, 3, 2, 2, 2}, generator)}, {{"start_dim", 2}}},
                    {{normal({2, 3, 2}, generator)}, {{"start_dim", -3}, {"end_dim", 1}}},
                    {{normal({}, generator)}}};
          },
          .errors = []() -> std::vector<ErrorCase> {
            return {{{ones({2, 3}, f64)}, {{"start_dim", 2}}, "dim 2"},
                    {{ones({2, 3}, f64)}, {{"start_dim", 1}, {"end_dim", 0}}, "start_dim 1"}};
          },
          .linear_in = {0}};
}

Op squeeze_op() {
  return {.name = "squeeze",
          .doc = "input without its axes of size 1, or without the axis dim if its size is 1",
          .inputs = {{"input"}},
          .defaults = default_options<SqueezeOptions>(),
          .call = [](const Tensors& in, const nlohmann::json& options) -> Tensors {
            const auto o = read_options<SqueezeOptions>("squeeze", options);
            return {o.dim ? lucid::squeeze(in[0], *o.dim) : lucid::squeeze(in[0])};
          },
          .samples = [](Generator& generator) -> std::vector<Sample> {
            return {{{normal({2, 1, 3, 1}, generator)}},
                    {{normal({2, 1, 3, 1}, generator)}, {{"dim", -1}}},
                    {{normal({2, 1, 3, 1}, generator)}, {{"dim", 0}}},
                    {{normal({2, 1, 3, 1}, generator)}, {{"dim", 1}}},
                    {{normal({}, generator)}, {{"dim", 0}}}};
          },
          .errors = []() -> std::vector<ErrorCase> {
            return {{{ones({2, 1}, f64)}, {{"dim", 2}}, "dim 2"}};
          },
          .linear_in = {0}};
}

Op unsqueeze_op() {
  return {.name = "unsqueeze",
          .doc = "input with an axis of size 1 inserted before dim",
          .inputs = {{"input"}},
          .defaults = default_options<UnsqueezeOptions>(),
          .call = [](const Tensors& in, const nlohmann::json& options) -> Tensors {
            return {lucid::unsqueeze(in[0], read_options<UnsqueezeOptions>("unsqueeze", options).dim)};
          },
          .samples = [](Generator& generator) -> std::vector<Sample> {
            return {{{normal({2, 3}, generator)}},
                    {{normal({2, 3}, generator)}, {{"dim", -1}}},
                    {{normal({2, 3}, generator)}, {{"dim", -3}}},
                    {{normal({2, 3, 2, 2}, generator)}, {{"dim", 2}}},
                    {{normal({}, generator)}}};
          },
          .errors = []() -> std::vector<ErrorCase> {
            return {{{ones({2, 3}, f64)}, {{"dim", 3}}, "dim 3"}};
          },
          .linear_in = {0}};
}

}  // namespace ops
}  // namespace lucid
