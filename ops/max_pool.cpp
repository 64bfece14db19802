#include "ops/kernels/max_pool.hpp"

#include "ops/adaptive_options.hpp"
#include "ops/pool.hpp"
#include "ops/pool_windows.hpp"
#include "ops/registry.hpp"
#include "ops/samples.hpp"
#include "ops/spatial_node.hpp"

namespace lucid {

LUCID_OPTIONS(MaxPool3dOptions, kernel_size, stride, padding, dilation, ceil_mode, return_indices)
LUCID_OPTIONS(MaxPool2dOptions, kernel_size, stride, padding, dilation, ceil_mode, return_indices)
LUCID_OPTIONS(MaxPool1dOptions, kernel_size, stride, padding, dilation, ceil_mode, return_indices)

namespace {

using autograd::Backward;
using ops::SpatialNode;

Tensors gather_backward(const Backward<SpatialNode>& b);

// grad's elements added at the positions that the maxima were found at.
Tensors scatter_backward(const Backward<SpatialNode>& b) {
  const SpatialNode& node = b.options;
  const autograd::OpTimer timer(node.adjoint);
  if (!node.taps) return {zeros(node.input_shape, b.grad().dtype())};
  const auto volume = [&](const Tensor& tensor) {
    return kernels::as_volume(node.op, tensor, node.spatial_rank);
  };
  const Tensor out = kernels::scatter_positions(volume(b.grad()), volume(b.saved[0]), *node.taps);
  return {autograd::record(node.adjoint,
                           kernels::from_volume(out, node.spatial_rank, node.input_shape.size()), {b.grad()},
                           {b.saved[0]}, node, gather_backward)};
}

Tensors gather_backward(const Backward<SpatialNode>& b) {
  const SpatialNode& node = b.options;
  const autograd::OpTimer timer(node.adjoint);
  const auto volume = [&](const Tensor& tensor) {
    return kernels::as_volume(node.op, tensor, node.spatial_rank);
  };
  const Tensor out = kernels::gather_positions(volume(b.grad()), volume(b.saved[0]));
  return {autograd::record(node.adjoint,
                           kernels::from_volume(out, node.spatial_rank, node.input_shape.size()), {b.grad()},
                           {b.saved[0]}, node, scatter_backward)};
}

// `make_taps` builds the windows, given the volume. Positions are kept where somebody will ask for them.
template <class MakeTaps>
std::pair<Tensor, Tensor> pool(SpatialNode node, const Tensor& input, const Tensor& volume,
                               const Shape& shape, bool indices, MakeTaps&& make_taps) {
  const autograd::OpTimer timer(node.op);
  using kernels::Positions;
  check(is_floating(input.dtype()), node.op, "input has dtype ", input.dtype(),
        "; a floating type is required");
  const bool recorded = autograd::should_record(std::span(&input, 1));
  Tensor values, positions;
  if (volume.numel() == 0 || checked_numel(node.op, shape) == 0) {
    const Shape result = ops::result_shape(input, node.spatial_rank, shape);
    values = empty(result, input.dtype());
    positions = empty(result, i64);
  } else {
    auto taps = std::make_shared<const kernels::SpatialTaps>(make_taps());
    const Positions kind = indices ? Positions::wide : recorded ? Positions::narrow : Positions::none;
    const kernels::Maxima found = kernels::max_pool(volume, *taps, kind);
    const std::size_t rank = input.shape().size();
    values = kernels::from_volume(found.values, node.spatial_rank, rank);
    if (found.positions.defined()) positions = kernels::from_volume(found.positions, node.spatial_rank, rank);
    node.taps = std::move(taps);
  }
  node.input_shape = input.shape();
  const Tensor kept = recorded ? positions.detach() : Tensor();
  const std::string_view op = node.op;
  values = autograd::record(op, values, {input}, {kept}, std::move(node), scatter_backward);
  return {values, indices ? positions : Tensor()};
}

template <std::size_t N>
std::pair<Tensor, Tensor> max_pool(std::string_view op, std::string_view adjoint, const Tensor& input,
                                   MaxPoolOptions<N> options, bool indices) {
  options.return_indices = indices;
  const Tensor volume = kernels::as_volume(op, input, N);
  const ops::Windows windows{ops::on_three_axes(options.kernel_size, 1),
                             ops::on_three_axes(options.stride.value_or(options.kernel_size), 1),
                             ops::on_three_axes(options.padding, 0), ops::on_three_axes(options.dilation, 1),
                             options.ceil_mode};
  const Shape shape = ops::pooled_shape(op, volume, windows);
  return pool({.op = op, .adjoint = adjoint, .options = ops::option_values(options), .spatial_rank = N},
              input, volume, shape, indices, [&] { return ops::window_taps(volume, windows, shape); });
}

template <std::size_t N>
std::pair<Tensor, Tensor> adaptive_max_pool(std::string_view op, std::string_view adjoint,
                                            const Tensor& input, const OutputSize<N>& size, bool indices) {
  const Tensor volume = kernels::as_volume(op, input, N);
  const Shape shape = ops::adaptive_shape(op, volume, size);
  return pool({.op = op,
               .adjoint = adjoint,
               .options = ops::option_values(ops::AdaptiveMaxOptions<N>{size, indices}),
               .spatial_rank = N},
              input, volume, shape, indices, [&] { return ops::adaptive_taps(volume, shape); });
}

}  // namespace

#define LUCID_MAX_POOL(N)                                                                               \
  Tensor max_pool##N##d(const Tensor& input, const MaxPool##N##dOptions& options) {                     \
    return max_pool<N>("max_pool" #N "d", "max_pool" #N "d_backward", input, options, false).first;     \
  }                                                                                                     \
  std::pair<Tensor, Tensor> max_pool##N##d_with_indices(const Tensor& input,                            \
                                                        const MaxPool##N##dOptions& options) {          \
    return max_pool<N>("max_pool" #N "d", "max_pool" #N "d_backward", input, options, true);            \
  }                                                                                                     \
  Tensor adaptive_max_pool##N##d(const Tensor& input, const OutputSize<N>& output_size) {               \
    return adaptive_max_pool<N>("adaptive_max_pool" #N "d", "adaptive_max_pool" #N "d_backward", input, \
                                output_size, false)                                                     \
        .first;                                                                                         \
  }                                                                                                     \
  std::pair<Tensor, Tensor> adaptive_max_pool##N##d_with_indices(const Tensor& input,                   \
                                                                 const OutputSize<N>& output_size) {    \
    return adaptive_max_pool<N>("adaptive_max_pool" #N "d", "adaptive_max_pool" #N "d_backward", input, \
                                output_size, true);                                                     \
  }
LUCID_MAX_POOL(1)
LUCID_MAX_POOL(2)
LUCID_MAX_POOL(3)
#undef LUCID_MAX_POOL

namespace ops {
namespace {

Tensors listed(const std::pair<Tensor, Tensor>& found) {
  return found.second.defined() ? Tensors{found.first, found.second} : Tensors{found.first};
}

// Distinct values, at least 0.01 apart, so that no small step changes which one is largest.
Tensor shuffled(const Shape& shape, Generator& generator) {
  std::vector<double> values(static_cast<std::size_t>(checked_numel("shuffled", shape)));
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto j = static_cast<std::size_t>(generator.integer(0, static_cast<std::int64_t>(i) + 1));
    values[i] = values[j];
    values[j] = 0.01 * static_cast<double>(i) - 0.2;
  }
  return Tensor::from(values, shape);
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
Op max_pool_op(std::string name, const char* shapes,
               std::pair<Tensor, Tensor> (*function)(const Tensor&, MaxPoolOptions<N>)) {
  return {.name = name,
          .doc = str("the largest value of each window of ", shapes,
                     ", and its int64 position if return_indices"),
          .inputs = {{"input"}},
          .defaults = default_options<MaxPoolOptions<N>>(),
          .call = [name, function](const Tensors& in, const nlohmann::json& options) -> Tensors {
            return listed(function(in[0], read_options<MaxPoolOptions<N>>(name, options)));
          },
          .samples = [](Generator& g) -> std::vector<Sample> {
            const Shape sizes{5, 4, 6};
            Shape batch{2, 3}, single{2}, odd{1, 2};
            for (std::size_t i = 3 - N; i < 3; ++i) {
              batch.push_back(sizes[i]);
              single.push_back(sizes[i]);
              odd.push_back(5);
            }
            return {{{shuffled(batch, g)}, {{"kernel_size", 2}}},
                    {{shuffled(single, g)}, {{"kernel_size", 2}, {"stride", nullptr}, {"ceil_mode", true}}},
                    {{shuffled(batch, g)},
                     {{"kernel_size", 3}, {"stride", 1}, {"padding", 1}, {"return_indices", true}}},
                    {{shuffled(odd, g)},
                     {{"kernel_size", 2},
                      {"stride", 2},
                      {"dilation", 2},
                      {"padding", 1},
                      {"ceil_mode", true},
                      {"return_indices", true}}},
                    {{shuffled(single, g)},
                     {{"kernel_size", last_of({1, 2, 3}, N)},
                      {"stride", last_of({2, 1, 4}, N)},
                      {"padding", last_of({0, 1, 1}, N)},
                      {"dilation", last_of({1, 2, 1}, N)}}}};
          },
          .errors = []() -> std::vector<ErrorCase> {
            Shape shape{1, 2};
            for (std::size_t i = 0; i < N; ++i) shape.push_back(4);
            const Tensor x = ones(shape, f64);
            return {{{x}, {{"kernel_size", 2}, {"padding", 2}}, "padding is 2"},
                    {{x}, {{"kernel_size", 5}}, "kernel_size 5"},
                    {{x}, {{"kernel_size", 2}, {"stride", 0}}, "stride is 0"},
                    {{x}, {{"kernel_size", 2}, {"dilation", -1}}, "dilation is -1"},
                    {{ones({4}, f64)}, {{"kernel_size", 1}}, "(4)"}};
          },
          .cost = pool_cost};
}

template <std::size_t N>
Op adaptive_max_pool_op(std::string name, const char* shapes,
                        std::pair<Tensor, Tensor> (*function)(const Tensor&, AdaptiveMaxOptions<N>)) {
  return {.name = name,
          .doc = str("the largest values of ", shapes, " over output_size windows that cover it"),
          .inputs = {{"input"}},
          .defaults = default_options<AdaptiveMaxOptions<N>>(),
          .call = [name, function](const Tensors& in, const nlohmann::json& options) -> Tensors {
            return listed(function(in[0], read_options<AdaptiveMaxOptions<N>>(name, options)));
          },
          .samples = [](Generator& g) -> std::vector<Sample> {
            const Shape sizes{5, 4, 6};
            Shape batch{2, 3}, single{2};
            nlohmann::json some = nlohmann::json::array();
            for (std::size_t i = 3 - N; i < 3; ++i) {
              batch.push_back(sizes[i]);
              single.push_back(sizes[i]);
              some.push_back(i % 2 ? nlohmann::json(nullptr) : nlohmann::json(2));
            }
            return {{{shuffled(batch, g)}, {{"output_size", 3}}},
                    {{shuffled(single, g)}, {{"output_size", some}, {"return_indices", true}}},
                    {{shuffled(batch, g)}, {{"output_size", 1}}}};
          },
          .errors = []() -> std::vector<ErrorCase> {
            Shape shape{1, 2};
            for (std::size_t i = 0; i < N; ++i) shape.push_back(4);
            return {{{ones(shape, f64)}, {{"output_size", -1}}, "output_size is -1"},
                    {{ones({4}, f64)}, {{"output_size", 1}}, "(4)"}};
          },
          .cost = pool_cost};
}

}  // namespace

#define LUCID_MAX_POOL_OP(N, SHAPES)                                                                         \
  Op max_pool##N##d_op() {                                                                                   \
    return max_pool_op<N>("max_pool" #N "d", SHAPES, [](const Tensor& x, MaxPoolOptions<N> options) {        \
      return max_pool<N>("max_pool" #N "d", "max_pool" #N "d_backward", x, options, options.return_indices); \
    });                                                                                                      \
  }                                                                                                          \
  Op adaptive_max_pool##N##d_op() {                                                                          \
    return adaptive_max_pool_op<N>(                                                                          \
        "adaptive_max_pool" #N "d", SHAPES, [](const Tensor& x, AdaptiveMaxOptions<N> options) {             \
          return adaptive_max_pool<N>("adaptive_max_pool" #N "d", "adaptive_max_pool" #N "d_backward", x,    \
                                      options.output_size, options.return_indices);                          \
        });                                                                                                  \
  }
LUCID_MAX_POOL_OP(1, "(N, C, L)")
LUCID_MAX_POOL_OP(2, "(N, C, H, W)")
LUCID_MAX_POOL_OP(3, "(N, C, D, H, W)")
#undef LUCID_MAX_POOL_OP

}  // namespace ops
}  // namespace lucid
