#pragma once
// Functions of one tensor, element by element, each described by a type U:
//
//   struct Exp {
//     static constexpr std::string_view kName = "exp";
//     using Options = NoOptions;
//     static constexpr bool kIntegers = false;  // whether integers stay integers; else they become float32
//     static constexpr Keep keep(const Options&) { return Keep::result; }
//     static T value(const Options&, T x);      // template over float, double (and integers)
//     static T slope(const Options&, T kept);   // the derivative, from what was kept
//     static Tensor gradient(const Options&, const Tensor& grad, const Tensor& kept);
//     static void validate(const Options&);     // may be left out; throws Error
//   };
//
// slope serves the fused backward pass. gradient says the same with differentiable operations, for a backward
// pass that is itself recorded; a test holds the two against each other.

#include <string>
#include <string_view>

#include "autograd/record.hpp"
#include "ops/kernels/binary.hpp"
#include "ops/options.hpp"
#include "ops/registry.hpp"
#include "ops/samples.hpp"

namespace lucid::kernels {

using autograd::NoOptions;

/// What is kept of a forward pass for the derivative.
enum class Keep { nothing, input, result };

/// f over `input`, computed in float for bfloat16.
template <bool kIntegers, class F>
Tensor map_values(std::string_view op, const Tensor& input, F f) {
  const Tensor out = empty_like(input);
  const auto run = [&](auto tag) {
    using T = typename decltype(tag)::type;
    map<T, T>(out, input, f);
  };
  if constexpr (kIntegers)
    dispatch_numeric(op, input.dtype(), run);
  else
    dispatch_floating(op, input.dtype(), run);
  return out;
}

/// grad * slope(kept) in one pass, laid out like `kept`.
template <class F>
Tensor map_gradient(std::string_view op, const Tensor& grad, const Tensor& kept, F slope) {
  const Tensor out = empty_for(kept.shape(), kept.dtype(), {&kept, &grad});
  const auto product = [slope](auto g, auto x) { return g * slope(x); };
  dispatch_floating(op, kept.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    map<T, T, T>(out, grad, kept, product);
  });
  return out;
}

template <class U>
Tensors pointwise_backward(const autograd::Backward<typename U::Options>& b) {
  const Tensor& kept = b.saved[0];
  if (autograd::is_recording() || b.grad().dtype() != kept.dtype())
    return {U::gradient(b.options, b.grad(), kept)};
  return {
      map_gradient(U::kName, b.grad(), kept, [options = b.options](auto x) { return U::slope(options, x); })};
}

/// U over `input`, recorded.
template <class U>
Tensor pointwise(const Tensor& input, const typename U::Options& options = {}) {
  const autograd::OpTimer timer(U::kName);
  check(input.defined(), U::kName, "the tensor is undefined");
  if constexpr (requires { U::validate(options); }) U::validate(options);
  const bool fits = U::kIntegers || is_floating(input.dtype());
  const Tensor given = fits ? Tensor() : converted(input, f32);
  const Tensor& x = fits ? input : given;
  const Tensor out =
      map_values<U::kIntegers>(U::kName, x, [options](auto a) { return U::value(options, a); });
  const Keep keep = U::keep(options);
  const Tensor none;
  const Tensor& kept = keep == Keep::input ? x : keep == Keep::result ? out : none;
  return autograd::record(U::kName, out, {input}, {kept}, options, pointwise_backward<U>);
}

}  // namespace lucid::kernels

namespace lucid::ops {

/// Where a record's samples lie, so that kinks and poles are kept away.
enum class Domain { real, nonzero, positive };

/// Samples of one input; the first takes options[0], the second options[1], and so on around.
std::vector<Sample> pointwise_samples(Generator& generator, Domain domain,
                                      const std::vector<OptionValues>& options);
/// An input left out, and an option that does not exist.
std::vector<ErrorCase> pointwise_errors();

/// The record of U, with samples for each of `options`.
template <class U>
Op pointwise_op(std::string doc, Domain domain = Domain::real, std::vector<OptionValues> options = {}) {
  return {.name = std::string(U::kName),
          .doc = std::move(doc),
          .inputs = {{"input"}},
          .defaults = default_options<typename U::Options>(),
          .call = [](const Tensors& in, const nlohmann::json& given) -> Tensors {
            return {kernels::pointwise<U>(in[0], read_options<typename U::Options>(U::kName, given))};
          },
          .samples = [domain, options](
                         Generator& generator) { return pointwise_samples(generator, domain, options); },
          .errors = pointwise_errors};
}

}  // namespace lucid::ops
