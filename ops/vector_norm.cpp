#include <cmath>
#include <limits>

#include "autograd/record.hpp"
#include "ops/json_options.hpp"
#include "ops/kernels/ties.hpp"
#include "ops/reduce.hpp"
#include "ops/reduce_options.hpp"
#include "ops/samples.hpp"

namespace lucid {
namespace {

using autograd::Backward;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct NormOrder {
  double p = 2;
};

void to_json(nlohmann::json& out, const NormOrder& order) {
  if (std::isinf(order.p))
    out = order.p > 0 ? "inf" : "-inf";
  else
    out = order.p;
}

void from_json(const nlohmann::json& in, NormOrder& order) {
  if (in.is_null() || in == "fro")
    order.p = 2;
  else if (in == "inf" || in == "-inf")
    order.p = in == "inf" ? kInfinity : -kInfinity;
  else if (in.is_number())
    order.p = in.get<double>();
  else
    throw Error("a number, \"fro\", \"inf\" or \"-inf\" is required");
}

struct NormOptions {
  NormOrder p;
  ops::DimOption dim;
  bool keepdim = false;
};
LUCID_OPTIONS(NormOptions, p, dim, keepdim)

// One for each kind of p: what is added up, and what becomes of the sum.
struct Euclidean {
  double p;
  double first() const { return 0; }
  void add(double& sum, double a) const { sum += a * a; }
  void join(double& sum, double other) const { sum += other; }
  double last(double sum) const { return std::sqrt(sum); }
};
struct Manhattan : Euclidean {
  void add(double& sum, double a) const { sum += a; }
  double last(double sum) const { return sum; }
};
struct NonZeros : Euclidean {
  void add(double& sum, double a) const { sum += a != 0 ? 1 : 0; }
  double last(double sum) const { return sum; }
};
struct Power : Euclidean {
  void add(double& sum, double a) const { sum += std::pow(a, p); }
  double last(double sum) const { return std::pow(sum, 1 / p); }
};
struct Largest : Euclidean {
  void add(double& sum, double a) const { sum = a > sum || a != a ? a : sum; }
  void join(double& sum, double other) const { add(sum, other); }
  double last(double sum) const { return sum; }
};
struct Smallest : Euclidean {
  double first() const { return kInfinity; }
  void add(double& sum, double a) const { sum = a < sum || a != a ? a : sum; }
  void join(double& sum, double other) const { add(sum, other); }
  double last(double sum) const { return sum; }
};

template <class T, class Kind>
struct NormReducer {
  using State = double;
  static constexpr bool kOrdered = false;
  T* out;
  Kind kind;
  State init(std::int64_t) const { return kind.first(); }
  State fresh(State) const { return kind.first(); }
  void step(State& state, T element, std::int64_t) const {
    kind.add(state, std::fabs(static_cast<double>(element)));
  }
  void combine(State& state, const State& other) const { kind.join(state, other); }
  void store(const State& state, std::int64_t offset) const {
    out[offset] = static_cast<T>(kind.last(state));
  }
};

template <class Kind>
void run(const Tensor& out, const Tensor& input, const kernels::Axes& axes, Kind kind) {
  dispatch_floating("norm", input.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    kernels::reduce<T>(out, input, axes, NormReducer<T, Kind>{out.data_to_write<T>(), kind});
  });
}

void run_any(const Tensor& out, const Tensor& input, const kernels::Axes& axes, double p) {
  if (p == 2) return run(out, input, axes, Euclidean{p});
  if (p == 1) return run(out, input, axes, Manhattan{{p}});
  if (p == 0) return run(out, input, axes, NonZeros{{p}});
  if (p == kInfinity) return run(out, input, axes, Largest{{p}});
  if (p == -kInfinity) return run(out, input, axes, Smallest{{p}});
  run(out, input, axes, Power{{p}});
}

// Of |x|: shared evenly among the elements whose |x| is the norm.
Tensor extremum_slope(const Tensor& x, const Tensor& y, const kernels::Axes& axes) {
  const no_grad guard;
  return kernels::tie_weights(x.abs(), y, axes) * kernels::signs(x);
}

// saved: input, result. Zeros of x and of the norm are replaced by 1 where they would divide; sign(x) = 0, or
// the mask, then makes the gradient 0 there.
Tensors norm_backward(const Backward<NormOptions>& b) {
  const Tensor& x = b.saved[0];
  const auto kept = [&](const Tensor& tensor) {
    return ops::with_kept_dims(tensor, x.shape(), b.options.dim.dims, b.options.keepdim);
  };
  const Tensor grad = kept(b.grad()), y = kept(b.saved[1]);
  const double p = b.options.p.p;
  if (p == 0) return {grad * zeros_like(x)};
  if (p == 1) return {grad * kernels::signs(x)};
  if (std::isinf(p)) {
    const kernels::Axes axes = normalize_axes("norm", b.options.dim.dims, x.shape().size());
    return {grad * extremum_slope(x, y, axes)};
  }
  const Tensor none = kernels::zero_mask(y);
  if (p == 2) return {x * (grad * (1.0 - none) / (y + none))};
  const Tensor magnitude = x.abs() + kernels::zero_mask(x);
  return {(magnitude.pow(p - 1) * kernels::signs(x)) * (grad * (1.0 - none) * (y + none).pow(1 - p))};
}

}  // namespace

Tensor norm(const Tensor& input, double p, const DimList& dim, bool keepdim) {
  const autograd::OpTimer timer("norm");
  check(!std::isnan(p), "norm", "p is NaN; a number is required");
  const kernels::Axes axes =
      p < 0 || std::isinf(p) ? ops::nonempty_axes("norm", input, dim) : ops::reduced_axes("norm", input, dim);
  Tensor out = kernels::empty_reduced(input, axes, input.dtype());
  run_any(out, input, axes, p);
  if (!keepdim) out = kernels::drop_axes(out, axes);
  return autograd::record("norm", out, {input}, {input, out}, NormOptions{{p}, {dim}, keepdim},
                          norm_backward);
}

namespace ops {

Op norm_op() {
  return {.name = "norm",
          .doc = "(sum |input|^p)^(1/p) over the axes dim",
          .inputs = {{"input"}},
          .defaults = default_options<NormOptions>(),
          .call = [](const Tensors& in, const nlohmann::json& given) -> Tensors {
            const auto options = read_options<NormOptions>("norm", given);
            return {lucid::norm(in[0], options.p.p, options.dim.dims, options.keepdim)};
          },
          .samples =
              [](Generator& generator) {
                auto samples = distinct(reduction_samples(generator));
                const nlohmann::json orders = {2, 1, 3, "inf", "-inf", 1.5, "fro", 0, -1};
                for (std::size_t i = 0; i < samples.size(); ++i)
                  samples[i].options.set("p", orders[i % orders.size()]);
                samples.push_back({{Tensor::from({0, 1.5, -2, 0.5}, {2, 2}, f64)}, {{"p", 3}, {"dim", 1}}});
                samples.push_back({{Tensor::from({1, 1.5, -2, 0.5}, {2, 2}, f64)}, {{"p", 0}}});
                return samples;
              },
          .errors =
              [] {
                auto errors = reduction_errors();
                errors.push_back({{ones({2, 3}, f64)}, {{"p", "nuc"}}, "nuc"});
                errors.push_back({{ones({2, 3}, i64)}, {}, "int64"});
                errors.push_back({{empty({0, 3}, f64)}, {{"p", "inf"}}, "(0, 3)"});
                return errors;
              }};
}

}  // namespace ops
}  // namespace lucid
