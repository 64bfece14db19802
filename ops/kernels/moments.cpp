#include "ops/kernels/moments.hpp"

#include <cmath>

namespace lucid::kernels {
namespace {

template <class In>
struct MeanReducer {
  using State = double;
  static constexpr bool kOrdered = false;
  double* means;
  double divisor;
  State init(std::int64_t) const { return 0; }
  State fresh(State) const { return 0; }
  void step(State& state, In element, std::int64_t) const { state += static_cast<double>(element); }
  void combine(State& state, const State& other) const { state += other; }
  void store(const State& state, std::int64_t offset) const { means[offset] = state / divisor; }
};

template <class In>
struct DeviationReducer {
  struct State {
    double mean = 0, sum = 0, squares = 0;
  };
  static constexpr bool kOrdered = false;
  const double* means;  // at the offsets of the results
  In* out;
  double count, divisor;
  State init(std::int64_t offset) const { return {means[offset], 0, 0}; }
  State fresh(const State& of) const { return {of.mean, 0, 0}; }
  void step(State& state, In element, std::int64_t) const {
    const double deviation = static_cast<double>(element) - state.mean;
    state.sum += deviation;
    state.squares += deviation * deviation;
  }
  void combine(State& state, const State& other) const {
    state.sum += other.sum;
    state.squares += other.squares;
  }
  // The mean is rounded, so the deviations don't quite add up to 0: what that adds to the squares is taken
  // off (T. F. Chan, G. H. Golub, R. J. LeVeque, "Algorithms for Computing the Sample Variance", 1983,
  // equation 1.7). Equal elements then have a variance of 0.
  void store(const State& state, std::int64_t offset) const {
    const double excess = state.sum * state.sum / count;
    const double squares = std::isfinite(excess) ? state.squares - excess : state.squares;
    out[offset] = static_cast<In>((squares < 0 ? 0 : squares) / divisor);
  }
};

}  // namespace

void squared_deviations(const Tensor& result, const Tensor& input, const Axes& axes, double divisor) {
  const Tensor means = empty_strided(result.shape(), result.strides(), f64);
  double count = 1;
  for (const std::size_t axis : axes)
    if (axis < input.shape().size()) count *= static_cast<double>(input.shape()[axis]);
  dispatch_floating("var", input.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    reduce<T>(means, input, axes, MeanReducer<T>{means.data_to_write<double>(), count});
    reduce<T>(result, input, axes,
              DeviationReducer<T>{means.data<double>(), result.data_to_write<T>(), count, divisor});
  });
}

}  // namespace lucid::kernels
