#include <cmath>

#include "autograd/observer.hpp"
#include "autograd/op_timer.hpp"
#include "ops/options.hpp"
#include "ops/reduce.hpp"
#include "ops/reduce_options.hpp"
#include "ops/samples.hpp"

namespace lucid {
namespace {

struct AnyOptions {
  ops::DimOption dim;
  bool keepdim = false;
};
LUCID_OPTIONS(AnyOptions, dim, keepdim)

template <class In, bool kAny>
struct TruthReducer {
  using State = std::uint8_t;
  static constexpr bool kOrdered = false;
  bool* out;
  State init(std::int64_t) const { return !kAny; }
  State fresh(State) const { return !kAny; }
  void step(State& state, In element, std::int64_t) const {
    combine(state, static_cast<State>(element != In(0)));
  }
  void combine(State& state, const State& other) const { state = kAny ? state | other : state & other; }
  void store(const State& state, std::int64_t offset) const { out[offset] = state != 0; }
};

template <bool kAny>
Tensor truth(std::string_view op, const Tensor& input, const DimList& dim, bool keepdim) {
  const autograd::OpTimer timer(op);
  const kernels::Axes axes = ops::reduced_axes(op, input, dim);
  const Tensor out = kernels::empty_reduced(input, axes, boolean);
  dispatch_all(input.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    kernels::reduce<T>(out, input, axes, TruthReducer<T, kAny>{out.data_to_write<bool>()});
  });
  const Tensor result = keepdim ? out : kernels::drop_axes(out, axes);
  autograd::observe_op(op, std::span(&result, 1), std::span(&input, 1), AnyOptions{{dim}, keepdim});
  return result;
}

}  // namespace

Tensor any(const Tensor& input, const DimList& dim, bool keepdim) {
  return truth<true>("any", input, dim, keepdim);
}
Tensor all(const Tensor& input, const DimList& dim, bool keepdim) {
  return truth<false>("all", input, dim, keepdim);
}

namespace ops {
namespace {

template <class Function>
Op truth_op(std::string name, std::string doc, Function function) {
  Op op{.name = std::move(name), .doc = std::move(doc), .inputs = {{"input"}}};
  op.defaults = default_options<AnyOptions>();
  op.call = [name = op.name, function](const Tensors& in, const nlohmann::json& given) -> Tensors {
    const auto options = read_options<AnyOptions>(name, given);
    return {function(in[0], options.dim.dims, options.keepdim)};
  };
  op.samples = [](Generator& generator) {
    auto samples = joined(reduction_samples(generator), integer_samples(generator));
    samples.push_back({{Tensor::from({0, NAN, 1, 0, 0, 2}, {3, 2}, f64)}, {{"dim", 1}}});
    samples.push_back({{Tensor::from({0, NAN, 1, 0, 0, 2}, {2, 3}, f64)}, {{"dim", -1}, {"keepdim", true}}});
    samples.push_back({{zeros({2, 3}, f64)}});
    samples.push_back({{zeros({0, 3}, f64)}, {{"dim", 0}}});
    return samples;
  };
  op.errors = reduction_errors;
  op.differentiable = false;
  return op;
}

}  // namespace

Op any_op() { return truth_op("any", "bool: some element over the axes dim is not 0", lucid::any); }
Op all_op() { return truth_op("all", "bool: every element over the axes dim is not 0", lucid::all); }

}  // namespace ops
}  // namespace lucid
