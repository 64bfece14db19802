#include <algorithm>
#include <span>

#include "autograd/record.hpp"
#include "ops/kernels/max_pool.hpp"
#include "ops/options.hpp"
#include "ops/pool.hpp"
#include "ops/registry.hpp"
#include "ops/samples.hpp"

namespace lucid {

LUCID_OPTIONS(MaxUnpool3dOptions, kernel_size, stride, padding, output_size)
LUCID_OPTIONS(MaxUnpool2dOptions, kernel_size, stride, padding, output_size)
LUCID_OPTIONS(MaxUnpool1dOptions, kernel_size, stride, padding, output_size)

namespace {

using autograd::Backward;

template <std::size_t N>
struct Names;
#define LUCID_UNPOOL_NAMES(N)                                                 \
  template <>                                                                 \
  struct Names<N> {                                                           \
    static constexpr std::string_view op = "max_unpool" #N "d";               \
    static constexpr std::string_view adjoint = "max_unpool" #N "d_backward"; \
  };
LUCID_UNPOOL_NAMES(1)
LUCID_UNPOOL_NAMES(2)
LUCID_UNPOOL_NAMES(3)
#undef LUCID_UNPOOL_NAMES

template <std::size_t N>
struct Node : MaxUnpoolOptions<N> {
  Shape input_shape;
};

void require_at_least(std::string_view op, const char* name, std::span<const std::int64_t> values,
                      std::int64_t least) {
  for (const std::int64_t value : values)
    check(value >= least, op, name, " is ", value, "; at least ", least, " is required on every axis");
}

template <std::size_t N>
void require_windows(const MaxUnpoolOptions<N>& options) {
  require_at_least(Names<N>::op, "kernel_size", options.kernel_size, 1);
  if (options.stride.has_value()) require_at_least(Names<N>::op, "stride", *options.stride, 1);
  require_at_least(Names<N>::op, "padding", options.padding, 0);
}

// (in - 1) stride - 2 padding + kernel on each axis, which may be less than 1.
template <std::size_t N>
Dims<N> default_sizes(const Tensor& volume, const MaxUnpoolOptions<N>& options, const Dims<N>& stride) {
  constexpr std::string_view op = Names<N>::op;
  Dims<N> sizes;
  for (std::size_t axis = 0; axis < N; ++axis) {
    const std::int64_t steps = checked_mul(op, "stride", volume.shape()[5 - N + axis] - 1, stride[axis]);
    const std::int64_t padded = checked_add(op, "kernel_size", steps, options.kernel_size[axis]);
    sizes[axis] = checked_add(op, "padding", padded, checked_mul(op, "padding", -2, options.padding[axis]));
  }
  return sizes;
}

// The N spatial sizes of the result: the default, or on each axis less than a stride more or less.
template <std::size_t N>
Shape unpooled_sizes(const Tensor& volume, const MaxUnpoolOptions<N>& options) {
  constexpr std::string_view op = Names<N>::op;
  const bool chosen = options.output_size.has_value();
  const Dims<N> stride = options.stride.value_or(options.kernel_size);
  const Dims<N> usual = default_sizes(volume, options, stride);
  Dims<N> least = usual, most = usual;
  for (std::size_t axis = 0; axis < N; ++axis) {
    if (chosen) {
      least[axis] = std::max<std::int64_t>(checked_add(op, "stride", usual[axis], 1 - stride[axis]), 1);
      most[axis] = checked_add(op, "stride", usual[axis], stride[axis] - 1);
    }
    check(most[axis] >= 1, op, "kernel_size ", options.kernel_size, ", stride ", stride, " and padding ",
          options.padding, " make the result of size ", most[axis], chosen ? " at most" : "",
          "; at least 1 is required");
  }
  if (!chosen) return Shape(std::span<const std::int64_t>(usual));
  const Shape& given = *options.output_size;
  check(given.size() >= N && given.size() <= N + 2, op, "output_size is ", given, "; ", N,
        " spatial sizes, or all sizes, are required");
  const Shape sizes(std::span(given.end() - N, N));
  for (std::size_t axis = 0; axis < N; ++axis)
    check(sizes[axis] >= least[axis] && sizes[axis] <= most[axis], op, "output_size is ", given, "; on axis ",
          axis, ": ", least[axis], " to ", most[axis], " can be reached");
  return sizes;
}

void require_inside(std::string_view op, const Tensor& indices, std::int64_t positions) {
  const std::vector<std::int64_t> values = indices.to_vector<std::int64_t>();
  for (const std::int64_t index : values)
    check(index >= 0 && index < positions, op, "indices hold ", index, "; the result has ", positions,
          " positions, valid are 0 to ", positions - 1);
}

template <std::size_t N>
Tensor volume_of(const Tensor& tensor) {
  return kernels::as_volume(Names<N>::op, tensor, N);
}

template <std::size_t N>
Tensors place_backward(const Backward<Node<N>>& b);

// grad at the indices.
template <std::size_t N>
Tensors take_backward(const Backward<Node<N>>& b) {
  const autograd::OpTimer timer(Names<N>::adjoint);
  const Tensor out = kernels::gather_positions(volume_of<N>(b.grad()), volume_of<N>(b.saved[0]));
  Node<N> back = b.options;
  back.input_shape = b.grad().shape();
  Tensors grads(b.wants.size());  // the indices have none
  grads[0] = autograd::record(Names<N>::adjoint, kernels::from_volume(out, N, b.grad().shape().size()),
                              {b.grad()}, {b.saved[0]}, back, place_backward<N>);
  return grads;
}

template <std::size_t N>
Tensor place(const Tensor& input, const Tensor& indices, const Shape& result_shape) {
  Shape sizes = volume_of<N>(input).shape();
  std::copy(result_shape.end() - N, result_shape.end(), sizes.end() - N);
  return kernels::from_volume(kernels::place_positions(volume_of<N>(input), volume_of<N>(indices), sizes), N,
                              input.shape().size());
}

template <std::size_t N>
Tensors place_backward(const Backward<Node<N>>& b) {
  const autograd::OpTimer timer(Names<N>::op);
  Node<N> back = b.options;
  back.input_shape = b.grad().shape();
  return {autograd::record(Names<N>::op, place<N>(b.grad(), b.saved[0], b.options.input_shape), {b.grad()},
                           {b.saved[0]}, back, take_backward<N>)};
}

template <std::size_t N>
Tensor max_unpool(const Tensor& input, const Tensor& indices, const MaxUnpoolOptions<N>& options) {
  constexpr std::string_view op = Names<N>::op;
  const autograd::OpTimer timer(op);
  const Tensor volume = volume_of<N>(input);
  check(is_floating(input.dtype()), op, "input has dtype ", input.dtype(), "; a floating type is required");
  check(indices.defined() && indices.dtype() == i64, op, "indices ",
        indices.defined() ? str("have dtype ", indices.dtype()) : std::string("are undefined"),
        "; int64 is required");
  check(indices.shape() == input.shape(), op, "indices have shape ", indices.shape(), ", input ",
        input.shape(), "; the same is required");
  require_windows(options);
  const Shape sizes = unpooled_sizes(volume, options);
  require_inside(op, indices, checked_numel(op, sizes));
  Node<N> node{options, input.shape()};
  return autograd::record(op, place<N>(input, indices, sizes), {input, indices}, {indices}, std::move(node),
                          take_backward<N>);
}

}  // namespace

Tensor max_unpool3d(const Tensor& input, const Tensor& indices, const MaxUnpool3dOptions& options) {
  return max_unpool(input, indices, options);
}
Tensor max_unpool2d(const Tensor& input, const Tensor& indices, const MaxUnpool2dOptions& options) {
  return max_unpool(input, indices, options);
}
Tensor max_unpool1d(const Tensor& input, const Tensor& indices, const MaxUnpool1dOptions& options) {
  return max_unpool(input, indices, options);
}

namespace ops {
namespace {

// `sizes`, or its last N ones, behind the sizes in front.
template <std::size_t N>
Shape shape_of(Shape front, const Shape& sizes) {
  for (std::size_t i = 3 - N; i < 3; ++i) front.push_back(sizes[i]);
  return front;
}

template <std::size_t N>
std::pair<Tensor, Tensor> pooled(const Tensor& input, const MaxPoolOptions<N>& options) {
  if constexpr (N == 1) return max_pool1d_with_indices(input, options);
  if constexpr (N == 2) return max_pool2d_with_indices(input, options);
  if constexpr (N == 3) return max_pool3d_with_indices(input, options);
}

template <std::size_t N>
Op max_unpool_op(const char* shapes) {
  const std::string name(Names<N>::op);
  return {
      .name = name,
      .doc = str(shapes, " put at the positions indices, from max_pool", N, "d, of a larger ",
                 N == 3 ? "volume" : "tensor", " of zeros"),
      .inputs = {{"input"}, {"indices"}},
      .defaults = default_options<MaxUnpoolOptions<N>>(),
      .call = [name](const Tensors& in, const nlohmann::json& options) -> Tensors {
        return {max_unpool(in[0], in[1], read_options<MaxUnpoolOptions<N>>(name, options))};
      },
      .samples = [](Generator& g) -> std::vector<Sample> {
        Dims<N> kernel = 2;
        kernel[N - 1] = 3;
        const auto [values, at] = pooled<N>(normal(shape_of<N>({2, 2}, {2, 4, 4}), g), {.kernel_size = 2});
        const auto [single, single_at] =
            pooled<N>(normal(shape_of<N>({5}, {5, 4, 3}), g), {.kernel_size = kernel});
        const auto [padded, padded_at] = pooled<N>(normal(shape_of<N>({1, 2}, {4, 2, 4}), g),
                                                   {.kernel_size = 2, .stride = 2, .padding = 1});
        return {
            {{values, at}, {{"kernel_size", 2}}},
            {{padded, padded_at}, {{"kernel_size", 2}, {"stride", 2}, {"padding", 1}}},
            {{single, single_at}, {{"kernel_size", kernel}, {"output_size", shape_of<N>({}, {5, 4, 3})}}}};
      },
      .errors = []() -> std::vector<ErrorCase> {
        const Shape one = shape_of<N>({1, 1}, {1, 1, 1}), two = shape_of<N>({1, 1}, {1, 1, 2});
        const Tensor x = ones(one, f64);
        return {{{x, full(one, 8, i64)}, {{"kernel_size", 2}}, "indices hold 8"},
                {{x, full(one, -1, i64)}, {{"kernel_size", 2}}, "indices hold -1"},
                {{x, zeros(two, i64)}, {{"kernel_size", 2}}, two.str()},
                {{x, zeros(one, f64)}, {{"kernel_size", 2}}, "float64"},
                {{x, zeros(one, i64)}, {{"kernel_size", -1}}, "kernel_size is -1"},
                {{x, zeros(one, i64)}, {{"kernel_size", 2}, {"stride", 0}}, "stride is 0"},
                {{x, zeros(one, i64)}, {{"kernel_size", 2}, {"stride", -2}}, "stride is -2"},
                {{x, zeros(one, i64)}, {{"kernel_size", 2}, {"padding", -1}}, "padding is -1"},
                {{x, zeros(one, i64)}, {{"kernel_size", 2}, {"padding", 1}}, "size 0; at least 1"},
                {{x, zeros(one, i64)},
                 {{"kernel_size", 2}, {"output_size", shape_of<N>({}, {4, 4, 4})}},
                 "on axis 0: 1 to 3 can be reached"}};
      },
      .linear_in = {0}};
}

}  // namespace

Op max_unpool1d_op() { return max_unpool_op<1>("(N, C, L)"); }
Op max_unpool2d_op() { return max_unpool_op<2>("(N, C, H, W)"); }
Op max_unpool3d_op() { return max_unpool_op<3>("(N, C, D, H, W)"); }

}  // namespace ops
}  // namespace lucid
