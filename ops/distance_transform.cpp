#include "ops/distance_transform.hpp"

#include <cmath>
#include <limits>

#include "autograd/observer.hpp"
#include "autograd/op_timer.hpp"
#include "ops/kernels/distance.hpp"
#include "ops/kernels/elementwise.hpp"
#include "ops/options.hpp"
#include "ops/registry.hpp"
#include "ops/samples.hpp"

namespace lucid {

LUCID_OPTIONS(DistanceTransformOptions, sampling)

namespace {

constexpr std::string_view kOp = "distance_transform_edt";
constexpr double kLeast = 1e-12, kMost = 1e12;  // squares of distances stay inside float32

std::vector<double> spacings(const Tensor& input, const std::vector<double>& sampling) {
  const auto axes = static_cast<std::size_t>(input.dim() - 2);
  std::vector<double> out = sampling.empty() ? std::vector<double>{1.0} : sampling;
  check(out.size() == 1 || out.size() == axes, kOp, "sampling has ", out.size(), " values, input of shape ",
        input.shape(), " has ", axes, " spatial axes; one value for each, or one for all, is required");
  for (const double spacing : out)
    check(spacing >= kLeast && spacing <= kMost, kOp, "sampling holds ", spacing, "; ", kLeast, " to ", kMost,
          " is required");
  out.resize(axes, out[0]);
  return out;
}

// 0 where input is 0, else infinity.
template <class T>
void mark(const Tensor& out, const Tensor& input) {
  dispatch_all(input.dtype(), [&](auto tag) {
    using A = typename decltype(tag)::type;
    kernels::map<T, A>(out, input, [](A x) { return x != A(0) ? std::numeric_limits<T>::infinity() : T(0); });
  });
}

template <class T>
Tensor distances(const Tensor& input, const std::vector<double>& spacing) {
  const Tensor out = kernels::empty_for(input.shape(), dtype_of<T>(), {&input});
  mark<T>(out, input);
  for (std::size_t axis = input.shape().size(); axis-- > 2;)
    kernels::squared_distances(out, axis, spacing[axis - 2]);
  kernels::map<T, T>(out, out, [](auto x) { return std::sqrt(x); });
  return out;
}

}  // namespace

Tensor distance_transform_edt(const Tensor& input, const DistanceTransformOptions& options) {
  const autograd::OpTimer timer(kOp);
  check(input.defined(), kOp, "input is undefined");
  check(input.dim() >= 3, kOp, "input has shape ", input.shape(),
        "; (N, C, spatial...) is required, unsqueeze() the axes that are missing");
  const std::vector<double> spacing = spacings(input, options.sampling);
  const Tensor out =
      input.dtype() == f64 ? distances<double>(input, spacing) : distances<float>(input, spacing);
  autograd::observe_op(kOp, std::span(&out, 1), std::span(&input, 1), options);
  return out;
}

namespace ops {

Op distance_transform_edt_op() {
  return {.name = std::string(kOp),
          .doc =
              "distance from each element of (N, C, ...) that is not 0 to the nearest 0 of its sample and "
              "channel, infinity when there is none; sampling is the spacing of the spatial axes",
          .inputs = {{"input"}},
          .defaults = default_options<DistanceTransformOptions>(),
          .call = [](const Tensors& in, const nlohmann::json& given) -> Tensors {
            return {lucid::distance_transform_edt(in[0], read_options<DistanceTransformOptions>(kOp, given))};
          },
          .samples = [](Generator& generator) -> std::vector<Sample> {
            const auto mask = [&](const Shape& shape) {
              return (uniform(shape, 0, 1, generator) > 0.2).to(f64);
            };
            return {{{mask({2, 3, 4, 5, 6})}},
                    {{mask({1, 2, 7, 3, 5})}, {{"sampling", {0.5, 2.0, 1.25}}}},
                    {{mask({2, 1, 9})}, {{"sampling", {3.0}}}},
                    {{mask({1, 2, 8}).to(u8)}, {{"sampling", {0.5}}}},
                    {{mask({2, 1, 5}).to(boolean)}},
                    {{ones({1, 1, 3, 2}, f64)}}};
          },
          .errors = []() -> std::vector<ErrorCase> {
            const Tensor x = ones({1, 1, 2, 3}, f64);
            return {{{ones({2, 3}, f64)}, {}, "(2, 3)"},
                    {{x}, {{"sampling", {1.0, 1.0, 1.0}}}, "3 values"},
                    {{x}, {{"sampling", {1.0, 0.0}}}, "holds 0"},
                    {{x}, {{"sampling", {1e200}}}, "1e+200"}};
          },
          .differentiable = false,
          .cost = [](const Tensors& in, const nlohmann::json&) -> Cost {
            return {0, 2.0 * static_cast<double>(in[0].dim() * in[0].numel()) * 4};
          }};
}

}  // namespace ops
}  // namespace lucid
