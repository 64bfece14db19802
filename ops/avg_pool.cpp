#include "ops/adaptive_options.hpp"
#include "ops/kernels/volume.hpp"
#include "ops/pool.hpp"
#include "ops/pool_windows.hpp"
#include "ops/registry.hpp"
#include "ops/samples.hpp"
#include "ops/spatial_node.hpp"

namespace lucid {

LUCID_OPTIONS(AvgPool3dOptions, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)
LUCID_OPTIONS(AvgPool2dOptions, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)
LUCID_OPTIONS(AvgPool1dOptions, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)

namespace {

using ops::SpatialNode;

// `make_taps` builds the windows of a volume that has elements.
template <class MakeTaps>
Tensor average(SpatialNode node, const Tensor& input, const Shape& shape, MakeTaps&& make_taps) {
  check(is_floating(input.dtype()), node.op, "input has dtype ", input.dtype(),
        "; a floating type is required");
  if (input.numel() != 0 && checked_numel(node.op, shape) != 0)
    node.taps = std::make_shared<const kernels::SpatialTaps>(make_taps());
  node.input_shape = input.shape();
  const Shape result = ops::result_shape(input, node.spatial_rank, shape);
  return ops::resample(input, result, std::move(node));
}

template <std::size_t N>
Tensor avg_pool(std::string_view op, std::string_view adjoint, const Tensor& input,
                const AvgPoolOptions<N>& options) {
  const Tensor volume = kernels::as_volume(op, input, N);
  const ops::Windows windows{ops::on_three_axes(options.kernel_size, 1),
                             ops::on_three_axes(options.stride.value_or(options.kernel_size), 1),
                             ops::on_three_axes(options.padding, 0),
                             {1, 1, 1},
                             options.ceil_mode};
  check(options.divisor_override != 0, op, "divisor_override is 0; another number, or null, is required");
  const Shape shape = ops::pooled_shape(op, volume, windows);
  return average({.op = op, .adjoint = adjoint, .options = ops::option_values(options), .spatial_rank = N},
                 input, shape, [&] {
                   return ops::average_taps(volume, windows, shape,
                                            {options.count_include_pad, options.divisor_override});
                 });
}

template <std::size_t N>
Tensor adaptive_avg_pool(std::string_view op, std::string_view adjoint, const Tensor& input,
                         const OutputSize<N>& size) {
  const Tensor volume = kernels::as_volume(op, input, N);
  const Shape shape = ops::adaptive_shape(op, volume, size);
  return average({.op = op,
                  .adjoint = adjoint,
                  .options = ops::option_values(ops::AdaptiveAvgOptions<N>{size}),
                  .spatial_rank = N},
                 input, shape, [&] { return ops::adaptive_taps(volume, shape); });
}

}  // namespace

#define LUCID_AVG_POOL(N)                                                                               \
  Tensor avg_pool##N##d(const Tensor& input, const AvgPool##N##dOptions& options) {                     \
    return avg_pool<N>("avg_pool" #N "d", "avg_pool" #N "d_backward", input, options);                  \
  }                                                                                                     \
  Tensor adaptive_avg_pool##N##d(const Tensor& input, const OutputSize<N>& output_size) {               \
    return adaptive_avg_pool<N>("adaptive_avg_pool" #N "d", "adaptive_avg_pool" #N "d_backward", input, \
                                output_size);                                                           \
  }
LUCID_AVG_POOL(1)
LUCID_AVG_POOL(2)
LUCID_AVG_POOL(3)
#undef LUCID_AVG_POOL

namespace ops {
namespace {

Shape with_spatial(std::initializer_list<std::int64_t> front, std::size_t spatial_rank) {
  const std::int64_t sizes[] = {5, 4, 6};
  Shape shape(front);
  for (std::size_t i = 3 - spatial_rank; i < 3; ++i) shape.push_back(sizes[i]);
  return shape;
}

// One value for each axis.
std::vector<std::int64_t> last_of(std::initializer_list<std::int64_t> values, std::size_t axes) {
  return {values.end() - axes, values.end()};
}

Cost pool_cost(const Tensors& in, const nlohmann::json&) {
  const auto count = static_cast<double>(in[0].numel());
  return {.flops = count, .bytes = count * static_cast<double>(size_of(in[0].dtype()))};
}

template <std::size_t N>
Op avg_pool_op(std::string name, const char* shapes,
               Tensor (*function)(const Tensor&, const AvgPoolOptions<N>&)) {
  return {.name = name,
          .doc = str("the mean of each window of ", shapes),
          .inputs = {{"input"}},
          .defaults = default_options<AvgPoolOptions<N>>(),
          .call = [name, function](const Tensors& in, const nlohmann::json& options) -> Tensors {
            return {function(in[0], read_options<AvgPoolOptions<N>>(name, options))};
          },
          .samples = [](Generator& g) -> std::vector<Sample> {
            const Tensor batch = normal(with_spatial({2, 3}, N), g), single = normal(with_spatial({2}, N), g);
            return {
                {{batch}, {{"kernel_size", 2}}},
                {{single}, {{"kernel_size", 3}, {"stride", nullptr}, {"padding", 1}, {"ceil_mode", true}}},
                {{batch},
                 {{"kernel_size", 3},
                  {"stride", 2},
                  {"padding", 1},
                  {"ceil_mode", true},
                  {"count_include_pad", false}}},
                {{single}, {{"kernel_size", 2}, {"stride", 1}, {"divisor_override", 3}}},
                {{batch}, {{"kernel_size", 4}, {"stride", 3}}},
                {{single},
                 {{"kernel_size", last_of({1, 2, 3}, N)},
                  {"stride", last_of({2, 1, 4}, N)},
                  {"padding", last_of({0, 1, 1}, N)},
                  {"ceil_mode", true},
                  {"divisor_override", -2}}}};
          },
          .errors = []() -> std::vector<ErrorCase> {
            const Tensor x = ones(with_spatial({1, 2}, N), f64);
            return {{{x}, {{"kernel_size", 2}, {"padding", 2}}, "padding is 2"},
                    {{x}, {{"kernel_size", 7}}, "kernel_size 7"},
                    {{x}, {{"kernel_size", 0}}, "kernel_size is 0"},
                    {{x}, {{"kernel_size", 2}, {"divisor_override", 0}}, "divisor_override is 0"},
                    {{ones({4}, f64)}, {{"kernel_size", 1}}, "(4)"}};
          },
          .linear_in = {0},
          .cost = pool_cost};
}

template <std::size_t N>
Op adaptive_avg_pool_op(std::string name, const char* shapes,
                        Tensor (*function)(const Tensor&, const OutputSize<N>&)) {
  return {.name = name,
          .doc = str("means of ", shapes, " over output_size windows that cover it"),
          .inputs = {{"input"}},
          .defaults = default_options<AdaptiveAvgOptions<N>>(),
          .call = [name, function](const Tensors& in, const nlohmann::json& options) -> Tensors {
            return {function(in[0], read_options<AdaptiveAvgOptions<N>>(name, options).output_size)};
          },
          .samples = [](Generator& g) -> std::vector<Sample> {
            const Tensor batch = normal(with_spatial({2, 3}, N), g), single = normal(with_spatial({2}, N), g);
            nlohmann::json some = nlohmann::json::array();
            for (std::size_t i = 3 - N; i < 3; ++i)
              some.push_back(i % 2 ? nlohmann::json(nullptr) : nlohmann::json(7));
            return {{{batch}, {{"output_size", 3}}},
                    {{single}, {{"output_size", some}}},
                    {{batch}, {{"output_size", 1}}}};
          },
          .errors = []() -> std::vector<ErrorCase> {
            return {{{ones(with_spatial({1, 2}, N), f64)}, {{"output_size", -1}}, "output_size is -1"},
                    {{ones({4}, f64)}, {{"output_size", 1}}, "(4)"}};
          },
          .linear_in = {0},
          .cost = pool_cost};
}

}  // namespace

Op avg_pool1d_op() { return avg_pool_op<1>("avg_pool1d", "(N, C, L)", avg_pool1d); }
Op avg_pool2d_op() { return avg_pool_op<2>("avg_pool2d", "(N, C, H, W)", avg_pool2d); }
Op avg_pool3d_op() { return avg_pool_op<3>("avg_pool3d", "(N, C, D, H, W)", avg_pool3d); }
Op adaptive_avg_pool1d_op() {
  return adaptive_avg_pool_op<1>("adaptive_avg_pool1d", "(N, C, L)", adaptive_avg_pool1d);
}
Op adaptive_avg_pool2d_op() {
  return adaptive_avg_pool_op<2>("adaptive_avg_pool2d", "(N, C, H, W)", adaptive_avg_pool2d);
}
Op adaptive_avg_pool3d_op() {
  return adaptive_avg_pool_op<3>("adaptive_avg_pool3d", "(N, C, D, H, W)", adaptive_avg_pool3d);
}

}  // namespace ops
}  // namespace lucid
