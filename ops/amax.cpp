#include <limits>

#include "autograd/record.hpp"
#include "ops/kernels/binary.hpp"
#include "ops/kernels/ties.hpp"
#include "ops/options.hpp"
#include "ops/reduce.hpp"
#include "ops/reduce_options.hpp"
#include "ops/samples.hpp"

namespace lucid {
namespace {

using autograd::Backward;
using ops::DimOption;

struct AmaxOptions {
  DimOption dim;
  bool keepdim = false;
};
LUCID_OPTIONS(AmaxOptions, dim, keepdim)

template <class T>
constexpr T lowest() {
  if constexpr (std::is_same_v<T, bfloat16>)
    return bfloat16(-std::numeric_limits<float>::infinity());
  else if constexpr (std::is_floating_point_v<T>)
    return -std::numeric_limits<T>::infinity();
  else
    return std::numeric_limits<T>::lowest();
}

template <class T>
constexpr T highest() {
  if constexpr (std::is_same_v<T, bfloat16>)
    return bfloat16(std::numeric_limits<float>::infinity());
  else if constexpr (std::is_floating_point_v<T>)
    return std::numeric_limits<T>::infinity();
  else
    return std::numeric_limits<T>::max();
}

// A NaN wins and stays, so that it can't hide.
template <class T, bool kMax>
struct ExtremumReducer {
  using State = T;
  static constexpr bool kOrdered = false;
  T* out;
  State init(std::int64_t) const { return kMax ? lowest<T>() : highest<T>(); }
  State fresh(State) const { return init(0); }
  void step(State& state, T element, std::int64_t) const {
    const bool better = kMax ? element > state : element < state;
    state = better || element != element ? element : state;
  }
  void combine(State& state, const State& other) const { step(state, other, 0); }
  void store(const State& state, std::int64_t offset) const { out[offset] = state; }
};

template <bool kMax>
Tensor extremum(const Tensor& input, const kernels::Axes& axes) {
  if (input.dtype() == bf16)  // as exact in float32, whose loops are vectorised
    return kernels::converted(extremum<kMax>(kernels::converted(input, f32), axes), bf16);
  const Tensor out = kernels::empty_reduced(input, axes, input.dtype());
  dispatch_all(input.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    kernels::reduce<T>(out, input, axes, ExtremumReducer<T, kMax>{out.data_to_write<T>()});
  });
  return out;
}

// saved: input, result. The gradient is shared evenly among the elements that equal the result.
Tensors extremum_backward(const Backward<AmaxOptions>& b) {
  const Tensor& x = b.saved[0];
  const auto& dims = b.options.dim.dims;
  Tensor reduced = b.saved[1].detach();
  const kernels::Axes axes = normalize_axes("amax", dims, x.shape().size());
  {
    const no_grad guard;
    reduced = ops::with_kept_dims(reduced, x.shape(), dims, b.options.keepdim);
  }
  const Tensor weights = kernels::tie_weights(x, reduced, axes);
  return {ops::with_kept_dims(b.grad(), x.shape(), dims, b.options.keepdim) * weights};
}

template <bool kMax>
Tensor recorded_extremum(std::string_view op, const Tensor& input, const DimList& dim, bool keepdim) {
  const autograd::OpTimer timer(op);
  const kernels::Axes axes = ops::nonempty_axes(op, input, dim);
  Tensor out = extremum<kMax>(input, axes);
  if (!keepdim) out = kernels::drop_axes(out, axes);
  return autograd::record(op, out, {input}, {input, out}, AmaxOptions{{dim}, keepdim}, extremum_backward);
}

}  // namespace

Tensor amax(const Tensor& input, const DimList& dim, bool keepdim) {
  return recorded_extremum<true>("amax", input, dim, keepdim);
}
Tensor amin(const Tensor& input, const DimList& dim, bool keepdim) {
  return recorded_extremum<false>("amin", input, dim, keepdim);
}
std::pair<Tensor, Tensor> aminmax(const Tensor& input, const DimList& dim, bool keepdim) {
  return {amin(input, dim, keepdim), amax(input, dim, keepdim)};
}

namespace ops {
namespace {

template <class Function>
Op extremum_op(std::string name, std::string doc, Function function) {
  Op op{.name = std::move(name), .doc = std::move(doc), .inputs = {{"input"}}};
  op.defaults = default_options<AmaxOptions>();
  op.call = [name = op.name, function](const Tensors& in, const nlohmann::json& given) -> Tensors {
    const auto options = read_options<AmaxOptions>(name, given);
    return {function(in[0], options.dim.dims, options.keepdim)};
  };
  op.samples = [](Generator& generator) {
    return joined(distinct(reduction_samples(generator)), integer_samples(generator));
  };
  op.exact_on_integers = true;
  op.errors = [] {
    auto errors = reduction_errors();
    errors.push_back({{empty({0, 3}, f64)}, {{"dim", 0}}, "(0, 3)"});
    return errors;
  };
  return op;
}

}  // namespace

Op amax_op() {
  return extremum_op("amax", "largest element over the axes dim; ties share the gradient", lucid::amax);
}
Op amin_op() {
  return extremum_op("amin", "smallest element over the axes dim; ties share the gradient", lucid::amin);
}

}  // namespace ops

Tensor Tensor::amax(const std::vector<std::int64_t>& dims, bool keepdim) const {
  return lucid::amax(*this, dims, keepdim);
}
Tensor Tensor::amin(const std::vector<std::int64_t>& dims, bool keepdim) const {
  return lucid::amin(*this, dims, keepdim);
}

}  // namespace lucid
