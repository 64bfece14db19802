#include "ops/interpolate.hpp"

#include <algorithm>
#include <cmath>

#include "ops/json_options.hpp"
#include "ops/kernels/volume.hpp"
#include "ops/pool_windows.hpp"
#include "ops/registry.hpp"
#include "ops/samples.hpp"
#include "ops/spatial_node.hpp"

namespace lucid {

LUCID_OPTION_ENUM(InterpolateMode, {{InterpolateMode::nearest, "nearest"},
                                    {InterpolateMode::nearest_exact, "nearest-exact"},
                                    {InterpolateMode::linear, "linear"},
                                    {InterpolateMode::bilinear, "bilinear"},
                                    {InterpolateMode::trilinear, "trilinear"},
                                    {InterpolateMode::area, "area"}})

namespace {

using Mode = InterpolateMode;

constexpr std::string_view kOp = "interpolate";

bool is_linear(Mode mode) {
  return mode == Mode::linear || mode == Mode::bilinear || mode == Mode::trilinear;
}

std::string_view mode_name(Mode mode) {
  return ops::detail::name_of(choices_of(mode), static_cast<int>(mode));
}

std::string listed(const std::vector<double>& values) {
  std::string out;
  for (const double value : values) out += (out.empty() ? "(" : ", ") + str(value);
  return out + ")";
}

void require_mode(const Tensor& input, const InterpolateOptions& options) {
  const std::int64_t rank = input.dim();
  const std::int64_t needed = options.mode == Mode::linear      ? 3
                              : options.mode == Mode::bilinear  ? 4
                              : options.mode == Mode::trilinear ? 5
                                                                : rank;
  check(rank == needed, kOp, "mode ", mode_name(options.mode), " needs rank ", needed, ", input has shape ",
        input.shape());
  check(is_linear(options.mode) || !options.align_corners.has_value(), kOp, "align_corners is ",
        options.align_corners.value_or(false), ", which mode ", mode_name(options.mode),
        " has no use for; leave it empty");
}

// One of `values` for each spatial axis.
template <class T>
void require_count(const char* name, const std::vector<T>& values, std::size_t axes) {
  check(values.size() == 1 || values.size() == axes, kOp, name, " has ", values.size(), " values, input has ",
        axes, " spatial axes; 1 or ", axes, " are required");
}

// The volume's shape after resizing; sizes belong to the last `axes` axes.
Shape resized_shape(const Tensor& volume, std::size_t axes, const InterpolateOptions& options) {
  check(options.size.empty() != options.scale_factor.empty(), kOp, "size ",
        nlohmann::json(options.size).dump(), " and scale_factor ",
        nlohmann::json(options.scale_factor).dump(), " are given; exactly one of them is required");
  check(options.size.empty() || !options.recompute_scale_factor.value_or(false), kOp,
        "recompute_scale_factor is true, but size is given, so there is no factor to compute");
  Shape out = volume.shape();
  if (options.size.empty()) {
    require_count("scale_factor", options.scale_factor, axes);
    for (const double factor : options.scale_factor)
      check(std::isfinite(factor) && factor > 0, kOp, "scale_factor is ", listed(options.scale_factor),
            "; positive finite numbers are required");
  } else {
    require_count("size", options.size, axes);
  }
  for (std::size_t i = 0; i < axes; ++i) {
    const std::size_t axis = 5 - axes + i;
    const std::int64_t in = volume.shape()[axis];
    if (options.size.empty()) {
      const double factor = options.scale_factor[options.scale_factor.size() == 1 ? 0 : i];
      const double size = std::floor(static_cast<double>(in) * factor);
      check(size < 0x1p62, kOp, "scale_factor ", factor, " makes size ", in, " overflow");
      out[axis] = static_cast<std::int64_t>(size);
    } else {
      out[axis] = options.size[options.size.size() == 1 ? 0 : i];
    }
  }
  for (std::size_t axis = 2; axis < 5; ++axis) {
    check(volume.shape()[axis] >= 1 && out[axis] >= 1, kOp, "input ", volume.shape(), " would be resized to ",
          out, "; sizes of at least 1 are required");
    ops::require_listable(kOp, axis - 2, out[axis]);
  }
  checked_numel(kOp, out);
  return out;
}

// Elements of the input that one step in the result covers; `factor` is the given scale or 0. These and the
// positions below are PyTorch's (aten/src/ATen/native/UpSample.h).
double step_of(std::int64_t in, std::int64_t out, double factor) {
  return factor > 0 ? 1.0 / factor : static_cast<double>(in) / static_cast<double>(out);
}

kernels::AxisTaps nearest_taps(std::int64_t in, std::int64_t out, double factor, bool exact) {
  // In float whatever the input's type, as PyTorch has it: rounding decides between neighbours.
  const auto step = static_cast<float>(step_of(in, out, factor));
  kernels::AxisTaps taps{.inputs = in};
  for (std::int64_t o = 0; o < out; ++o) {
    const float position = (static_cast<float>(o) + (exact ? 0.5f : 0.0f)) * step;
    taps.add(std::min(static_cast<std::int64_t>(std::floor(position)), in - 1), 1.0);
    taps.finish_output();
  }
  return taps;
}

kernels::AxisTaps linear_taps(std::int64_t in, std::int64_t out, double factor, bool align_corners) {
  kernels::AxisTaps taps{.inputs = in};
  const double corner_step = out > 1 ? static_cast<double>(in - 1) / static_cast<double>(out - 1) : 0.0;
  const double step = align_corners ? corner_step : step_of(in, out, factor);
  for (std::int64_t o = 0; o < out; ++o) {
    const auto at = static_cast<double>(o);
    double source = align_corners ? step * at : std::max(step * (at + 0.5) - 0.5, 0.0);
    if (in == out) source = at;  // a factor that does not change the size changes nothing
    const std::int64_t low = std::min(static_cast<std::int64_t>(source), in - 1);
    const double share = std::clamp(source - static_cast<double>(low), 0.0, 1.0);
    if (low + 1 < in && share > 0) {
      taps.add(low, 1.0 - share);
      taps.add(low + 1, share);
    } else {
      taps.add(low, 1.0);
    }
    taps.finish_output();
  }
  return taps;
}

kernels::SpatialTaps make_taps(const Tensor& volume, const Shape& out, std::size_t axes,
                               const InterpolateOptions& options) {
  if (options.mode == Mode::area) return ops::adaptive_taps(volume, out);
  kernels::SpatialTaps taps;
  const bool keep = !options.scale_factor.empty() && !options.recompute_scale_factor.value_or(false);
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const std::int64_t from = volume.shape()[2 + axis], to = out[2 + axis];
    const bool resized = axis + axes >= 3;
    const std::size_t position = options.scale_factor.size() == 1 ? 0 : axis + axes - 3;
    const double factor = keep && resized ? options.scale_factor[position] : 0.0;
    taps[axis] = is_linear(options.mode)
                     ? linear_taps(from, to, factor, options.align_corners.value_or(false))
                     : nearest_taps(from, to, factor, options.mode == Mode::nearest_exact);
  }
  return taps;
}

}  // namespace

void to_json(nlohmann::json& out, const InterpolateOptions& options) {
  out = {{"size", options.size.empty() ? nlohmann::json() : nlohmann::json(options.size)},
         {"scale_factor",
          options.scale_factor.empty() ? nlohmann::json() : nlohmann::json(options.scale_factor)},
         {"mode", mode_name(options.mode)},
         {"align_corners", options.align_corners},
         {"recompute_scale_factor", options.recompute_scale_factor},
         {"antialias", false}};
}

void from_json(const nlohmann::json& in, InterpolateOptions& options) {
  using ops::detail::read_option;
  std::optional<Shape> size;
  read_option(in, "size", size);
  if (size) {
    options.size = size->to_vector();
    if (size->empty()) throw Error("option \"size\" is []: one size, or one for each axis, is required");
  }
  if (const auto found = in.find("scale_factor"); found != in.end() && !found->is_null()) {
    for (const auto& factor : found->is_array() ? *found : nlohmann::json::array({*found})) {
      if (!factor.is_number()) ops::detail::raise_option("scale_factor", *found, "numbers are required");
      options.scale_factor.push_back(factor.get<double>());
    }
    if (options.scale_factor.empty())
      ops::detail::raise_option("scale_factor", *found, "numbers are required");
  }
  read_option(in, "mode", options.mode);
  read_option(in, "align_corners", options.align_corners);
  read_option(in, "recompute_scale_factor", options.recompute_scale_factor);
  bool antialias = false;
  read_option(in, "antialias", antialias);
  if (antialias) ops::detail::raise_option("antialias", true, "only false is supported");
}

Tensor interpolate(const Tensor& input, const InterpolateOptions& options) {
  check(input.defined(), kOp, "the input is undefined");
  check(input.dim() >= 3 && input.dim() <= 5, kOp, "input has shape ", input.shape(),
        "; rank 3 to 5, (N, C, spatial...), is required");
  check(is_floating(input.dtype()), kOp, "input has dtype ", input.dtype(), "; a floating type is required");
  require_mode(input, options);
  const auto axes = static_cast<std::size_t>(input.dim() - 2);
  const Tensor volume = kernels::as_volume(kOp, input, axes);
  const Shape shape = resized_shape(volume, axes, options);
  ops::SpatialNode node{.op = kOp,
                        .adjoint = "interpolate_backward",
                        .options = ops::option_values(options),
                        .spatial_rank = axes,
                        .input_shape = input.shape()};
  if (input.numel() != 0)
    node.taps = std::make_shared<const kernels::SpatialTaps>(make_taps(volume, shape, axes, options));
  return ops::resample(input, ops::result_shape(input, axes, shape), std::move(node));
}

namespace ops {

Op interpolate_op() {
  return {
      .name = "interpolate",
      .doc =
          "(N, C, spatial...) resized to size or by scale_factor: nearest, nearest-exact, linear, bilinear, "
          "trilinear or area",
      .inputs = {{"input"}},
      .defaults = default_options<InterpolateOptions>(),
      .call = [](const Tensors& in, const nlohmann::json& options) -> Tensors {
        return {lucid::interpolate(in[0], read_options<InterpolateOptions>("interpolate", options))};
      },
      .samples = [](Generator& g) -> std::vector<Sample> {
        return {
            {{normal({2, 3, 2, 1, 3}, g)}, {{"scale_factor", 2}, {"mode", "trilinear"}}},
            {{normal({1, 5, 3, 3, 2}, g)},
             {{"scale_factor", {1.5, 0.7, 2.6}}, {"mode", "trilinear"}, {"recompute_scale_factor", true}}},
            {{normal({1, 2, 3, 4, 2}, g)},
             {{"size", {5, 2, 1}}, {"mode", "trilinear"}, {"align_corners", true}}},
            {{normal({2, 3, 3}, g)}, {{"scale_factor", 2.3}, {"mode", "nearest"}}},
            {{normal({1, 4, 2, 1, 3}, g)}, {{"size", 5}, {"mode", "nearest-exact"}}},
            {{normal({2, 2, 4, 5}, g)}, {{"size", {3, 7}}, {"mode", "bilinear"}, {"align_corners", false}}},
            {{normal({1, 2, 5}, g)}, {{"scale_factor", 1.7}, {"mode", "linear"}}},
            {{normal({1, 2, 4}, g)}, {{"scale_factor", 1.2}, {"mode", "linear"}}},  // 4 as before
            {{normal({1, 2, 4}, g)}, {{"scale_factor", 1.2}, {"mode", "nearest"}}},
            {{normal({1, 2, 3}, g)}, {{"size", 1}, {"mode", "linear"}, {"align_corners", true}}},
            {{normal({1, 2, 3, 1, 2}, g)}, {{"scale_factor", {2.4, 3.0, 0.8}}, {"mode", "trilinear"}}},
            {{normal({1, 2, 3, 2}, g)}, {{"scale_factor", {1.9, 2.7}}, {"mode", "nearest-exact"}}},
            {{normal({1, 2, 3, 4}, g)},
             {{"scale_factor", {1.5, 0.8}}, {"mode", "nearest"}, {"recompute_scale_factor", true}}},
            {{normal({1, 2, 3, 2}, g)}, {{"scale_factor", {1.7, 0.5}}, {"mode", "area"}}},
            {{normal({1, 2, 5, 3, 4}, g)}, {{"size", {3, 2, 4}}, {"mode", "area"}}}};
      },
      .errors = []() -> std::vector<ErrorCase> {
        const Tensor x = ones({1, 2, 4, 4, 4}, f64);
        return {{{x}, {{"size", {0, 4, 4}}, {"mode", "trilinear"}}, "(1, 2, 0, 4, 4)"},
                {{ones({1, 2, 4, 4}, f64)}, {{"size", {8, 8}}, {"mode", "trilinear"}}, "(1, 2, 4, 4)"},
                {{x}, {{"size", 3}, {"scale_factor", 2}}, "size [3] and scale_factor [2"},
                {{x}, {}, "size [] and scale_factor []"},
                {{x}, {{"scale_factor", -1.5}}, "-1.5"},
                {{x}, {{"size", {3, 3}}}, "size has 2 values"},
                {{x}, {{"size", 3}, {"align_corners", true}}, "align_corners is true"},
                {{x}, {{"size", 3}, {"mode", "cubic"}}, "cubic"}};
      },
      .linear_in = {0},
      .cost = [](const Tensors& in, const nlohmann::json& options) -> Cost {
        const Tensor volume = kernels::as_volume(kOp, in[0], in[0].shape().size() - 2);
        const auto out = static_cast<double>(checked_numel(
            kOp,
            resized_shape(volume, in[0].shape().size() - 2, read_options<InterpolateOptions>(kOp, options))));
        const auto bytes = static_cast<double>(size_of(in[0].dtype()));
        return {.flops = 15 * out, .bytes = (out + static_cast<double>(in[0].numel())) * bytes};
      }};
}

}  // namespace ops
}  // namespace lucid
