#include <cmath>

#include "autograd/record.hpp"
#include "ops/compare.hpp"
#include "ops/kernels/arg_extremum.hpp"
#include "ops/kernels/ties.hpp"
#include "ops/options.hpp"
#include "ops/reduce.hpp"
#include "ops/reduce_options.hpp"
#include "ops/samples.hpp"
#include "ops/select.hpp"

namespace lucid {
namespace {

using autograd::Backward;

struct MaxOptions {
  std::optional<std::int64_t> dim;
  bool keepdim = false;
};
LUCID_OPTIONS(MaxOptions, dim, keepdim)

// The first of equal elements, or the first NaN.
template <class T, bool kLargest>
struct ArgReducer {
  struct State {
    T value;
    std::int64_t index = -1;
  };
  static constexpr bool kOrdered = true;
  T* values;  // may be null
  std::int64_t* indices;
  State init(std::int64_t) const { return {}; }
  State fresh(const State&) const { return {}; }
  void step(State& state, T element, std::int64_t index) const {
    if (state.index < 0 || (kLargest ? element > state.value : element < state.value) ||
        (element != element && state.value == state.value))
      state = {element, index};
  }
  void combine(State& state, const State& other) const {
    if (other.index >= 0) step(state, other.value, other.index);
  }
  void store(const State& state, std::int64_t offset) const {
    if (values) values[offset] = state.value;
    indices[offset] = state.index;
  }
};

struct Found {
  Tensor values, indices;  // keepdim shape
};

template <bool kLargest>
Found find_along(const Tensor& input, const kernels::Axes& axes, bool want_values) {
  Found found{want_values ? kernels::empty_reduced(input, axes, input.dtype()) : Tensor(),
              kernels::empty_reduced(input, axes, i64)};
  // A rank 0 has no axis.
  if (!axes.empty() && kernels::find_extrema(found.values, found.indices, input, axes[0], kLargest))
    return found;
  dispatch_all(input.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    kernels::reduce<T>(found.indices, input, axes,
                       ArgReducer<T, kLargest>{want_values ? found.values.data_to_write<T>() : nullptr,
                                               found.indices.data_to_write<std::int64_t>()});
  });
  return found;
}

template <bool kLargest>
Tensor find_position(std::string_view op, const Tensor& input, std::optional<std::int64_t> dim,
                     bool keepdim) {
  if (dim) {
    const kernels::Axes axes = ops::nonempty_axes(op, input, {*dim});
    const Tensor indices = find_along<kLargest>(input, axes, false).indices;
    return keepdim ? indices : kernels::drop_axes(indices, axes);
  }
  // Over everything: the position in row-major order.
  ops::nonempty_axes(op, input, {});
  const no_grad guard;
  const Tensor plain = input.contiguous();
  const Tensor flat = alias(plain, {plain.numel()}, {1}, plain.offset());
  const Tensor index = find_along<kLargest>(flat, {0}, false).indices;
  const Shape shape = keepdim ? Shape::filled(input.shape().size(), 1) : Shape{};
  return alias(index, shape, contiguous_strides(shape), 0);
}

template <bool kLargest>
Tensor observed_position(std::string_view op, const Tensor& input, std::optional<std::int64_t> dim,
                         bool keepdim) {
  const autograd::OpTimer timer(op);
  const Tensor out = find_position<kLargest>(op, input, dim, keepdim);
  autograd::observe_op(op, std::span(&out, 1), std::span(&input, 1), MaxOptions{dim, keepdim});
  return out;
}

// saved: input, indices. All of the gradient goes to the element that was found.
Tensors max_backward(const Backward<MaxOptions>& b) {
  if (!b.grad().defined()) return {Tensor()};
  const Tensor& x = b.saved[0];
  const std::size_t axis = normalize_axis("max", *b.options.dim, x.shape().size());
  Tensor indices = b.saved[1];
  if (!b.options.keepdim && x.dim() > 0) {
    Shape kept = x.shape();
    kept[axis] = 1;
    const no_grad guard;
    indices = indices.reshape(kept);
  }
  const Tensor grad = ops::with_kept_dims(b.grad(), x.shape(), {*b.options.dim}, b.options.keepdim);
  if (autograd::is_recording()) return {where(kernels::one_hot_along(indices, x, axis) > 0.0, grad, 0.0)};
  return {kernels::placed_along(grad, indices, x, axis)};
}

template <bool kLargest>
std::pair<Tensor, Tensor> find_extremum(std::string_view op, const Tensor& input, std::int64_t dim,
                                        bool keepdim) {
  const autograd::OpTimer timer(op);
  const kernels::Axes axes = ops::nonempty_axes(op, input, {dim});
  Found found = find_along<kLargest>(input, axes, true);
  if (!keepdim) found = {kernels::drop_axes(found.values, axes), kernels::drop_axes(found.indices, axes)};
  const Tensor results[] = {found.values, found.indices}, saved[] = {input, found.indices};
  autograd::record_all<MaxOptions>(op, results, std::span(&input, 1), saved, MaxOptions{dim, keepdim},
                                   max_backward);
  return {found.values, found.indices};
}

}  // namespace

Tensor argmax(const Tensor& input, std::optional<std::int64_t> dim, bool keepdim) {
  return observed_position<true>("argmax", input, dim, keepdim);
}
Tensor argmin(const Tensor& input, std::optional<std::int64_t> dim, bool keepdim) {
  return observed_position<false>("argmin", input, dim, keepdim);
}
std::pair<Tensor, Tensor> max(const Tensor& input, std::int64_t dim, bool keepdim) {
  return find_extremum<true>("max", input, dim, keepdim);
}
std::pair<Tensor, Tensor> min(const Tensor& input, std::int64_t dim, bool keepdim) {
  return find_extremum<false>("min", input, dim, keepdim);
}
Tensor max(const Tensor& input) { return amax(input); }
Tensor min(const Tensor& input) { return amin(input); }

namespace ops {
namespace {

std::vector<Sample> one_dim_samples(Generator& generator) {
  std::vector<Sample> samples;
  for (Sample& sample : reduction_samples(generator)) {
    DimOption given;
    read_option(sample.options, "dim", given);
    if (!given.dims.empty()) sample.options.set("dim", given.dims.front());
    samples.push_back(std::move(sample));
  }
  return joined(distinct(std::move(samples)), integer_samples(generator));
}

std::vector<Sample> position_samples(Generator& generator) {
  auto samples = one_dim_samples(generator);
  const Tensor nans = Tensor::from({2, NAN, 3, NAN, 1, -1}, {3, 2}, f64);
  samples.push_back({{nans}});
  samples.push_back({{nans}, {{"dim", 0}}});
  samples.push_back({{randint(-1, 2, {3, 4}, f64, &generator)}, {{"dim", 1}}});
  return samples;
}

std::vector<ErrorCase> one_dim_errors() {
  return {{{ones({2, 3}, f64)}, {{"dim", 2}}, "dim 2"},
          {{empty({0, 3}, f64)}, {{"dim", 0}}, "(0, 3)"},
          {{ones({2, 3}, f64)}, {{"dim", {0, 1}}}, "[0,1]"}};
}

template <class Function>
Op one_dim_op(std::string name, std::string doc, bool differentiable, Function function) {
  Op op{.name = std::move(name), .doc = std::move(doc), .inputs = {{"input"}}};
  op.defaults = default_options<MaxOptions>();
  op.call = [name = op.name, function](const Tensors& in, const nlohmann::json& given) -> Tensors {
    return function(in[0], read_options<MaxOptions>(name, given));
  };
  op.samples = differentiable ? one_dim_samples : position_samples;
  op.errors = one_dim_errors;
  op.exact_on_integers = true;
  op.differentiable = differentiable;
  return op;
}

Tensors as_list(std::pair<Tensor, Tensor> results) { return {results.first, results.second}; }

}  // namespace

Op argmax_op() {
  return one_dim_op(
      "argmax", "int64 position of the largest element along dim (row-major when null)", false,
      [](const Tensor& x, const MaxOptions& o) -> Tensors { return {lucid::argmax(x, o.dim, o.keepdim)}; });
}
Op argmin_op() {
  return one_dim_op(
      "argmin", "int64 position of the smallest element along dim (row-major when null)", false,
      [](const Tensor& x, const MaxOptions& o) -> Tensors { return {lucid::argmin(x, o.dim, o.keepdim)}; });
}
Op max_op() {
  return one_dim_op("max", "largest element along dim and its int64 position; of everything when dim is null",
                    true, [](const Tensor& x, const MaxOptions& o) -> Tensors {
                      return o.dim ? as_list(lucid::max(x, *o.dim, o.keepdim))
                                   : Tensors{lucid::amax(x, {}, o.keepdim)};
                    });
}
Op min_op() {
  return one_dim_op(
      "min", "smallest element along dim and its int64 position; of everything when dim is null", true,
      [](const Tensor& x, const MaxOptions& o) -> Tensors {
        return o.dim ? as_list(lucid::min(x, *o.dim, o.keepdim)) : Tensors{lucid::amin(x, {}, o.keepdim)};
      });
}

}  // namespace ops

Tensor Tensor::argmax(std::int64_t dim, bool keepdim) const { return lucid::argmax(*this, dim, keepdim); }

}  // namespace lucid
