#include <algorithm>

#include "autograd/record.hpp"
#include "ops/kernels/max_pool.hpp"
#include "ops/options.hpp"
#include "ops/pool.hpp"
#include "ops/registry.hpp"
#include "ops/samples.hpp"

namespace lucid {

LUCID_OPTIONS(MaxUnpool3dOptions, kernel_size, stride, padding, output_size)

namespace {

using autograd::Backward;
constexpr std::string_view kOp = "max_unpool3d";

struct Node : MaxUnpool3dOptions {
  Shape input_shape;
};

// (in - 1) stride - 2 padding + kernel on each axis.
Shape default_sizes(const Tensor& volume, const MaxUnpool3dOptions& options) {
  const Dims3 stride = options.stride.value_or(options.kernel_size);
  Shape sizes;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const std::int64_t steps = checked_mul(kOp, "stride", volume.shape()[2 + axis] - 1, stride[axis]);
    const std::int64_t padded = checked_add(kOp, "kernel_size", steps, options.kernel_size[axis]);
    const std::int64_t size =
        checked_add(kOp, "padding", padded, checked_mul(kOp, "padding", -2, options.padding[axis]));
    check(size >= 1, kOp, "kernel_size ", options.kernel_size, ", stride ", stride, " and padding ",
          options.padding, " make the result of size ", size, "; at least 1 is required");
    sizes.push_back(size);
  }
  return sizes;
}

// Sizes D, H, W of the result.
Shape unpooled_sizes(const Tensor& volume, const MaxUnpool3dOptions& options) {
  if (options.output_size.has_value()) {
    const Shape& given = *options.output_size;
    check(given.size() >= 3 && given.size() <= 5, kOp, "output_size is ", given,
          "; three spatial sizes, or all sizes, are required");
    const Shape sizes(std::span(given.end() - 3, 3));
    const Shape least = default_sizes(volume, options);
    for (std::size_t axis = 0; axis < 3; ++axis) {
      const std::int64_t stride = options.stride.value_or(options.kernel_size)[axis];
      check(sizes[axis] > least[axis] - stride && sizes[axis] < least[axis] + stride, kOp, "output_size is ",
            given, "; on axis ", axis, " ", std::max<std::int64_t>(least[axis] - stride + 1, 0), " to ",
            least[axis] + stride - 1, " can be reached");
    }
    return sizes;
  }
  return default_sizes(volume, options);
}

void require_inside(const Tensor& indices, std::int64_t positions) {
  const std::vector<std::int64_t> values = indices.to_vector<std::int64_t>();
  for (const std::int64_t index : values)
    check(index >= 0 && index < positions, kOp, "indices hold ", index, "; the result has ", positions,
          " positions, valid are 0 to ", positions - 1);
}

Tensors place_backward(const Backward<Node>& b);

// grad at the indices.
Tensors take_backward(const Backward<Node>& b) {
  const Tensor out =
      kernels::gather_positions(kernels::as_volume(kOp, b.grad(), 3), kernels::as_volume(kOp, b.saved[0], 3));
  Node back = b.options;
  back.input_shape = b.grad().shape();
  return {autograd::record("max_unpool3d_backward", kernels::from_volume(out, 3, b.grad().shape().size()),
                           {b.grad()}, {b.saved[0]}, back, place_backward)};
}

Tensor place(const Tensor& input, const Tensor& indices, const Shape& result_shape) {
  Shape sizes = kernels::as_volume(kOp, input, 3).shape();
  std::copy(result_shape.end() - 3, result_shape.end(), sizes.begin() + 2);
  return kernels::from_volume(
      kernels::place_positions(kernels::as_volume(kOp, input, 3), kernels::as_volume(kOp, indices, 3), sizes),
      3, input.shape().size());
}

Tensors place_backward(const Backward<Node>& b) {
  Node back = b.options;
  back.input_shape = b.grad().shape();
  return {autograd::record(kOp, place(b.grad(), b.saved[0], b.options.input_shape), {b.grad()}, {b.saved[0]},
                           back, take_backward)};
}

}  // namespace

Tensor max_unpool3d(const Tensor& input, const Tensor& indices, const MaxUnpool3dOptions& options) {
  const Tensor volume = kernels::as_volume(kOp, input, 3);
  check(is_floating(input.dtype()), kOp, "input has dtype ", input.dtype(), "; a floating type is required");
  check(indices.defined() && indices.dtype() == i64, kOp, "indices ",
        indices.defined() ? str("have dtype ", indices.dtype()) : std::string("are undefined"),
        "; int64 is required");
  check(indices.shape() == input.shape(), kOp, "indices have shape ", indices.shape(), ", input ",
        input.shape(), "; the same is required");
  const Shape sizes = unpooled_sizes(volume, options);
  require_inside(indices, checked_numel(kOp, sizes));
  Node node{options, input.shape()};
  return autograd::record(kOp, place(input, indices, sizes), {input}, {indices}, std::move(node),
                          take_backward);
}

namespace ops {

Op max_unpool3d_op() {
  return {
      .name = "max_unpool3d",
      .doc = "(N, C, D, H, W) put at the positions indices, from max_pool3d, of a larger volume of zeros",
      .inputs = {{"input"}, {"indices"}},
      .defaults = default_options<MaxUnpool3dOptions>(),
      .call = [](const Tensors& in, const nlohmann::json& options) -> Tensors {
        return {lucid::max_unpool3d(in[0], in[1], read_options<MaxUnpool3dOptions>("max_unpool3d", options))};
      },
      .samples = [](Generator& g) -> std::vector<Sample> {
        const auto [values, at] = max_pool3d_with_indices(normal({2, 3, 4, 4, 6}, g), {.kernel_size = 2});
        const auto [single, single_at] =
            max_pool3d_with_indices(normal({5, 5, 4, 3}, g), {.kernel_size = {2, 2, 3}});
        return {{{values, at}, {{"kernel_size", 2}}},
                {{single, single_at}, {{"kernel_size", {2, 2, 3}}, {"output_size", {5, 4, 3}}}}};
      },
      .errors = []() -> std::vector<ErrorCase> {
        const Tensor x = ones({1, 1, 1, 1, 1}, f64);
        return {{{x, full({1, 1, 1, 1, 1}, 8, i64)}, {{"kernel_size", 2}}, "indices hold 8"},
                {{x, full({1, 1, 1, 1, 1}, -1, i64)}, {{"kernel_size", 2}}, "indices hold -1"},
                {{x, zeros({1, 1, 1, 1, 2}, i64)}, {{"kernel_size", 2}}, "(1, 1, 1, 1, 2)"},
                {{x, zeros({1, 1, 1, 1, 1}, f64)}, {{"kernel_size", 2}}, "float64"}};
      },
      .linear_in = {0}};
}

}  // namespace ops
}  // namespace lucid
