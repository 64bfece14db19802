#include "ops/grid_sample.hpp"
#include "ops/options.hpp"
#include "ops/pool_windows.hpp"
#include "ops/registry.hpp"
#include "ops/samples.hpp"

namespace lucid {
namespace {

constexpr std::string_view kOp = "affine_grid";

struct AffineGridOptions {
  Shape size = {};
  std::optional<bool> align_corners = {};
};
LUCID_OPTIONS(AffineGridOptions, size, align_corners)

void require_arguments(const Tensor& theta, const Shape& size) {
  check(theta.defined(), kOp, "theta is undefined");
  check(size.size() == 4 || size.size() == 5, kOp, "size is ", size,
        "; (N, C, H, W) or (N, C, D, H, W) is required");
  const auto axes = static_cast<std::int64_t>(size.size()) - 2;
  check(theta.shape() == Shape{size[0], axes, axes + 1}, kOp, "theta has shape ", theta.shape(), ", size is ",
        size, "; theta (", size[0], ", ", axes, ", ", axes + 1, ") is required");
  check(is_floating(theta.dtype()), kOp, "theta has dtype ", theta.dtype(), "; a floating type is required");
  check(size[1] >= 0, kOp, "size is ", size, ", with fewer than 0 channels");
  for (std::size_t axis = 2; axis < size.size(); ++axis) {
    check(size[axis] >= 1, kOp, "size is ", size, "; spatial sizes of at least 1 are required");
    ops::require_listable(kOp, axis + 3 - size.size(), size[axis]);
  }
}

// The coordinates of the centres of `size` elements: of one element 0.
Tensor centres(std::int64_t size, bool align_corners, DType dtype) {
  std::vector<double> out(static_cast<std::size_t>(size), 0.0);
  const auto n = static_cast<double>(size);
  if (size > 1)
    for (std::size_t i = 0; i < out.size(); ++i) {
      const auto at = static_cast<double>(i);
      out[i] = align_corners ? 2 * at / (n - 1) - 1 : (2 * at + 1) / n - 1;
    }
  return Tensor::from(out, {size}).to(dtype);
}

}  // namespace

Tensor affine_grid(const Tensor& theta, const Shape& size, std::optional<bool> align_corners) {
  require_arguments(theta, size);
  if (theta.dtype() == bf16) return affine_grid(theta.to(f32), size, align_corners).to(bf16);
  const std::size_t axes = size.size() - 2;
  Shape places = Shape::filled(axes + 2, 1);
  places[0] = size[0];
  places[axes + 1] = static_cast<std::int64_t>(axes);
  checked_numel(kOp, size);
  // Column j of theta beside every place of axis j, counted from W; the outer axes are added first, so that
  // only the last sum is as large as the result.
  const auto column = [&](std::size_t j) {
    return theta.select(2, static_cast<std::int64_t>(j)).reshape(places);
  };
  Tensor out = column(axes);
  for (std::size_t j = axes; j-- > 0;) {
    const std::size_t axis = axes - j;
    Shape line = Shape::filled(axes + 2, 1);
    line[axis] = size[axis + 1];
    out =
        out + column(j) * centres(size[axis + 1], align_corners.value_or(false), theta.dtype()).reshape(line);
  }
  return out;
}

namespace ops {

Op affine_grid_op() {
  return {.name = "affine_grid",
          .doc =
              "the places that the affine maps theta (N, 2, 3) or (N, 3, 4) give an output of size "
              "(N, C, [D,] H, W), as grid_sample takes them: (N, [D,] H, W, 2 or 3)",
          .inputs = {{"theta"}},
          .defaults = default_options<AffineGridOptions>(),
          .call = [](const Tensors& in, const nlohmann::json& options) -> Tensors {
            const auto o = read_options<AffineGridOptions>(kOp, options);
            return {lucid::affine_grid(in[0], o.size, o.align_corners)};
          },
          .samples = [](Generator& g) -> std::vector<Sample> {
            return {{{normal({2, 2, 3}, g)}, {{"size", {2, 1, 3, 4}}}},
                    {{normal({1, 2, 3}, g)}, {{"size", {1, 5, 1, 2}}, {"align_corners", true}}},
                    {{normal({2, 3, 4}, g)}, {{"size", {2, 3, 2, 3, 4}}, {"align_corners", false}}},
                    {{normal({1, 3, 4}, g)}, {{"size", {1, 1, 3, 1, 2}}, {"align_corners", true}}}};
          },
          .errors = []() -> std::vector<ErrorCase> {
            const Tensor theta = ones({1, 2, 3}, f64);
            return {{{theta}, {{"size", {1, 1, 3}}}, "(1, 1, 3)"},
                    {{theta}, {{"size", {1, 1, 0, 3}}}, "(1, 1, 0, 3)"},
                    {{theta}, {{"size", {2, 1, 3, 3}}}, "(2, 1, 3, 3)"},
                    {{theta}, {{"size", {1, 1, 2, 3, 3}}}, "(1, 2, 3)"},
                    {{ones({1, 2, 3}, i64)}, {{"size", {1, 1, 3, 3}}}, "int64"}};
          },
          .linear_in = {0}};
}

}  // namespace ops
}  // namespace lucid
