// grid_sample closes on itself: the derivative of a sampled value along an axis is the same sum with the
// derivatives of the weights, and the gradient of the input the adjoint of that sum. So two maps that know
// the order of the derivative that they stand for, along each axis, give derivatives of any order.

#include "ops/grid_sample.hpp"

#include <algorithm>
#include <cmath>

#include "autograd/record.hpp"
#include "ops/join.hpp"
#include "ops/kernels/grid_sample.hpp"
#include "ops/kernels/volume.hpp"
#include "ops/options.hpp"
#include "ops/registry.hpp"
#include "ops/samples.hpp"

namespace lucid {

LUCID_OPTION_ENUM(GridSampleMode, {{GridSampleMode::bilinear, "bilinear"},
                                   {GridSampleMode::nearest, "nearest"},
                                   {GridSampleMode::bicubic, "bicubic"}})
LUCID_OPTION_ENUM(GridPaddingMode, {{GridPaddingMode::zeros, "zeros"},
                                    {GridPaddingMode::border, "border"},
                                    {GridPaddingMode::reflection, "reflection"}})
LUCID_OPTIONS(GridSampleOptions, mode, padding_mode, align_corners)

namespace {

using autograd::Backward;

constexpr std::string_view kOp = "grid_sample";

// One of the two maps.
struct GridNode {
  GridSampleOptions options;
  std::array<int, 3> order = {};  // of the derivative, along x, y, z
  Shape input_shape = {};
};
void to_json(nlohmann::json& out, const GridNode& node) {
  lucid::to_json(out, node.options);
  if (node.order != std::array<int, 3>{})
    ops::detail::write_option(out, "order", std::vector<std::int64_t>(node.order.begin(), node.order.end()));
}

kernels::GridSampling sampling_of(const GridNode& node) {
  return {node.options.mode, node.options.padding_mode, node.options.align_corners.value_or(false),
          node.order};
}

Tensor volume_of(const Tensor& tensor) { return kernels::as_volume(kOp, tensor, tensor.shape().size() - 2); }

// grid (N, [D',] H', W', 2 or 3) with all three axes. Not recorded.
Tensor places_of(const Tensor& grid) {
  if (grid.dim() == 5) return grid;
  Shape shape = grid.shape(), strides = grid.strides();
  shape.insert(1, 1);
  strides.insert(1, 0);
  return alias(grid, shape, strides, grid.offset());
}

Tensor sample(const Tensor& input, const Tensor& grid, const GridNode& node);
Tensor adjoint(const Tensor& grad, const Tensor& grid, const GridNode& node);

int degree(GridSampleMode mode) {
  return mode == GridSampleMode::nearest ? 0 : mode == GridSampleMode::bilinear ? 1 : 3;
}

// The gradient of <at_places, sample(on_input)> with respect to the grid.
Tensor slope(const Tensor& at_places, const Tensor& on_input, const Tensor& grid, const GridNode& node) {
  if (degree(node.options.mode) == 0) return zeros(grid.shape(), grid.dtype());
  if (!autograd::is_recording()) {
    const Tensor out = kernels::grid_sample_slope(volume_of(at_places), volume_of(on_input), places_of(grid),
                                                  sampling_of(node));
    return alias(out, grid.shape(), contiguous_strides(grid.shape()), 0);
  }
  Tensors parts;
  for (std::size_t axis = 0; axis < grid.shape().size() - 2; ++axis) {
    GridNode along = node;
    ++along.order[axis];
    if (along.order[axis] > degree(node.options.mode)) {
      Shape shape = grid.shape();
      shape.erase(shape.size() - 1);
      parts.push_back(zeros(shape, at_places.dtype()));
    } else {
      parts.push_back((at_places * sample(on_input, grid, along)).sum({1}));
    }
  }
  return stack(parts, -1);
}

Tensors sample_backward(const Backward<GridNode>& b) {
  const Tensor &input = b.saved[0], &grid = b.saved[1];
  Tensors out(2);
  if (b.wants[0]) out[0] = adjoint(b.grad(), grid, b.options);
  if (b.wants[1]) out[1] = slope(b.grad(), input, grid, b.options);
  return out;
}

Tensors adjoint_backward(const Backward<GridNode>& b) {
  const Tensor &grad = b.saved[0], &grid = b.saved[1];
  Tensors out(2);
  if (b.wants[0]) out[0] = sample(b.grad(), grid, b.options);
  if (b.wants[1]) out[1] = slope(grad, b.grad(), grid, b.options);
  return out;
}

Tensor sample(const Tensor& input, const Tensor& grid, const GridNode& node) {
  const autograd::OpTimer timer(kOp);
  const Tensor out =
      kernels::from_volume(kernels::grid_sample(volume_of(input), places_of(grid), sampling_of(node)),
                           input.shape().size() - 2, input.shape().size());
  return autograd::record(kOp, out, {input, grid}, {input, grid}, node, sample_backward);
}

Tensor adjoint(const Tensor& grad, const Tensor& grid, const GridNode& node) {
  const autograd::OpTimer timer("grid_sample_adjoint");
  const std::size_t axes = grad.shape().size() - 2;
  Shape shape = node.input_shape;
  while (shape.size() < 5) shape.insert(2, 1);
  const Tensor out = kernels::from_volume(
      kernels::grid_sample_adjoint(volume_of(grad), places_of(grid), shape, sampling_of(node)), axes,
      axes + 2);
  return autograd::record("grid_sample_adjoint", out, {grad, grid}, {grad, grid}, node, adjoint_backward);
}

void require_arguments(const Tensor& input, const Tensor& grid, const GridSampleOptions& options) {
  check(input.defined() && grid.defined(), kOp, input.defined() ? "the grid" : "the input", " is undefined");
  check(input.dim() == 4 || input.dim() == 5, kOp, "input has shape ", input.shape(),
        "; (N, C, H, W) or (N, C, D, H, W) is required");
  const std::int64_t axes = input.dim() - 2;
  check(grid.dim() == input.dim() && grid.size(-1) == axes && grid.size(0) == input.size(0), kOp,
        "grid has shape ", grid.shape(), ", input ", input.shape(), "; a grid (", input.size(0),
        axes == 2 ? ", H', W', 2)" : ", D', H', W', 3)", " is required");
  for (std::int64_t axis = 2; axis < input.dim(); ++axis)
    check(input.size(axis) >= 1, kOp, "input ", input.shape(), " has no elements along axis ", axis,
          "; spatial sizes of at least 1 are required");
  check(is_floating(input.dtype()), kOp, "input has dtype ", input.dtype(), "; a floating type is required");
  check(grid.dtype() == input.dtype() || (input.dtype() == bf16 && grid.dtype() == f32), kOp, "grid is ",
        grid.dtype(), ", input ", input.dtype(), "; convert one with .to()");
  check(axes == 2 || options.mode != GridSampleMode::bicubic, kOp, "mode is bicubic, input has shape ",
        input.shape(), "; bicubic takes (N, C, H, W) alone");
}

}  // namespace

Tensor grid_sample(const Tensor& input, const Tensor& grid, const GridSampleOptions& options) {
  require_arguments(input, grid, options);
  Shape shape = input.shape();
  for (std::size_t axis = 2; axis < shape.size(); ++axis) shape[axis] = grid.shape()[axis - 1];
  checked_numel(kOp, shape);
  return sample(input, grid, {.options = options, .input_shape = input.shape()});
}

namespace ops {
namespace {

struct Drawn {
  std::string mode, padding;
  bool align;
};

// A grid of places that reach past the input by two elements on either side and keep away from where a
// sampled value bends or jumps: integers and the halves between them.
Tensor smooth_grid(const Shape& input, Shape outputs, bool align_corners, Generator& generator) {
  const std::size_t axes = input.size() - 2;
  Tensors parts;
  outputs.insert(0, input[0]);
  for (std::size_t a = 0; a < axes; ++a) {
    const std::int64_t size = input[input.size() - 1 - a];
    const Tensor whole = randint(-2, size + 2, outputs, f64, &generator),
                 half = randint(0, 2, outputs, f64, &generator) * 0.5;
    const Tensor position = whole + half + uniform(outputs, 0.1, 0.4, generator);
    const double span = static_cast<double>(align_corners ? std::max<std::int64_t>(size - 1, 1) : size);
    parts.push_back(position * (2 / span) + ((align_corners ? 0 : 1) / span - 1));
  }
  return stack(parts, -1);
}

Sample grid_case(const Shape& input, const Shape& outputs, const Drawn& drawn, Generator& generator) {
  return {{normal(input, generator), smooth_grid(input, outputs, drawn.align, generator)},
          {{"mode", drawn.mode}, {"padding_mode", drawn.padding}, {"align_corners", drawn.align}}};
}

std::vector<Sample> grid_samples(Generator& g) {
  std::vector<Sample> out;
  for (const char* padding : {"zeros", "border", "reflection"})
    for (const bool align : {false, true}) {
      out.push_back(grid_case({2, 3, 3, 4}, {2, 3}, {"bilinear", padding, align}, g));
      out.push_back(grid_case({1, 2, 4, 3}, {3, 2}, {"bicubic", padding, align}, g));
      out.push_back(grid_case({1, 2, 3, 2}, {4, 2}, {"nearest", padding, align}, g));
      out.push_back(grid_case({2, 2, 3, 2, 4}, {1, 2, 2}, {"bilinear", padding, align}, g));
      out.push_back(grid_case({1, 3, 2, 3, 2}, {2, 2, 1}, {"nearest", padding, align}, g));
    }
  out.push_back(grid_case({1, 21, 2, 2, 3}, {1, 2, 2}, {"bilinear", "zeros", false}, g));
  out.push_back(grid_case({2, 1, 1, 1, 1}, {2, 1, 2}, {"bilinear", "border", true}, g));
  return out;
}

std::vector<ErrorCase> grid_errors() {
  const Tensor x = ones({2, 1, 3, 3}, f64), grid = zeros({2, 2, 2, 2}, f64);
  return {{{ones({2, 3, 3}, f64), grid}, {}, "(2, 3, 3)"},
          {{x, zeros({2, 2, 2, 3}, f64)}, {}, "(2, 2, 2, 3)"},
          {{x, zeros({1, 2, 2, 2}, f64)}, {}, "(1, 2, 2, 2)"},
          {{ones({2, 1, 3, 0}, f64), grid}, {}, "(2, 1, 3, 0)"},
          {{x, zeros({2, 2, 2, 2}, f32)}, {}, "float32"},
          {{ones({2, 1, 3, 3}, i64), grid}, {}, "int64"},
          {{ones({2, 1, 3, 3, 3}, f64), zeros({2, 1, 1, 1, 3}, f64)}, {{"mode", "bicubic"}}, "bicubic"},
          {{x, grid}, {{"mode", "trilinear"}}, "trilinear"},
          {{x, grid}, {{"padding_mode", "wrap"}}, "wrap"}};
}

}  // namespace

Op grid_sample_op() {
  return {.name = "grid_sample",
          .doc =
              "input (N, C, [D,] H, W) read at the places grid (N, [D',] H', W', 2 or 3) in [-1, 1]: "
              "bilinear, nearest or bicubic; zeros, border or reflection outside",
          .inputs = {{"input"}, {"grid"}},
          .defaults = default_options<GridSampleOptions>(),
          .call = [](const Tensors& in, const nlohmann::json& options) -> Tensors {
            return {lucid::grid_sample(in[0], in[1], read_options<GridSampleOptions>(kOp, options))};
          },
          .samples = grid_samples,
          .errors = grid_errors,
          .linear_in = {0},
          .cost = [](const Tensors& in, const nlohmann::json& options) -> Cost {
            const auto axes = static_cast<double>(in[0].dim() - 2);
            const auto mode = read_options<GridSampleOptions>(kOp, options).mode;
            const double places = static_cast<double>(in[1].numel()) / axes,
                         results = places * static_cast<double>(in[0].shape()[1]),
                         read = std::pow(degree(mode) + 1, axes);
            return {.flops = results * (2 * read - 1),
                    .bytes = (static_cast<double>(in[0].numel() + in[1].numel()) + results) *
                             static_cast<double>(size_of(in[0].dtype()))};
          }};
}

}  // namespace ops
}  // namespace lucid
