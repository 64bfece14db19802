#include "autograd/record.hpp"
#include "ops/join.hpp"
#include "ops/options.hpp"
#include "ops/reduce.hpp"
#include "ops/reduce_options.hpp"
#include "ops/samples.hpp"

namespace lucid {
namespace {

using autograd::Backward;

struct ProdOptions {
  std::optional<std::int64_t> dim;
  bool keepdim = false;
  std::optional<DType> dtype;
};
LUCID_OPTIONS(ProdOptions, dim, keepdim, dtype)

template <class In, class Out>
struct ProdReducer {
  using State = Accumulator<In>;
  static constexpr bool kOrdered = false;
  Out* out;
  State init(std::int64_t) const { return 1; }
  State fresh(State) const { return 1; }
  void step(State& state, In element, std::int64_t) const { combine(state, static_cast<State>(element)); }
  void combine(State& state, const State& other) const { state *= other; }
  void store(const State& state, std::int64_t offset) const { out[offset] = static_cast<Out>(state); }
};

Tensor raw_prod(const Tensor& input, const kernels::Axes& axes) {
  const bool floating = is_floating(input.dtype());
  const Tensor out = kernels::empty_reduced(input, axes, floating ? input.dtype() : i64);
  dispatch_all(input.dtype(), [&](auto tag) {
    using In = typename decltype(tag)::type;
    using Out = std::conditional_t<std::is_same_v<Accumulator<In>, double>, In, std::int64_t>;
    kernels::reduce<In>(out, input, axes, ProdReducer<In, Out>{out.data_to_write<Out>()});
  });
  return out;
}

// For each element the product of the others along `dim`, by halves: right when elements are zero.
Tensor product_of_others(const Tensor& x, std::int64_t dim) {
  const std::int64_t size = x.size(dim);
  if (size == 1) return ones_like(x);
  const Tensor low = x.narrow(dim, 0, size / 2), high = x.narrow(dim, size / 2, size - size / 2);
  return cat({product_of_others(low, dim) * prod(high, dim, true),
              product_of_others(high, dim) * prod(low, dim, true)},
             dim);
}

// saved: input, result
Tensors prod_backward(const Backward<ProdOptions>& b) {
  const Tensor& x = b.saved[0];
  const DimList dims = b.options.dim ? DimList{*b.options.dim} : DimList{};
  const Tensor grad = ops::with_kept_dims(b.grad(), x.shape(), dims, b.options.keepdim);
  if (x.numel() == 0 || x.dim() == 0) return {grad.expand(x.shape())};
  // The derivative of out / x holds to any order only where x is not zero, so one zero decides.
  if (!any(x == 0.0).item<bool>())
    return {grad * ops::with_kept_dims(b.saved[1], x.shape(), dims, b.options.keepdim) / x};
  if (b.options.dim) return {grad * product_of_others(x, *b.options.dim)};
  return {grad * product_of_others(x.flatten(), 0).reshape(x.shape())};
}

}  // namespace

Tensor prod(const Tensor& given, std::optional<std::int64_t> dim, bool keepdim, std::optional<DType> dtype) {
  const autograd::OpTimer timer("prod");
  const DimList dims = dim ? DimList{*dim} : DimList{};
  const kernels::Axes axes = ops::reduced_axes("prod", given, dims);
  const Tensor input = dtype ? given.to(*dtype) : given;
  Tensor out = raw_prod(input, axes);
  if (!keepdim) out = kernels::drop_axes(out, axes);
  if (dtype) out = out.to(*dtype);
  return autograd::record("prod", out, {input}, {input, out}, ProdOptions{dim, keepdim, dtype},
                          prod_backward);
}

namespace ops {

Op prod_op() {
  return {.name = "prod",
          .doc = "product of input along dim, or of everything when null",
          .inputs = {{"input"}},
          .defaults = default_options<ProdOptions>(),
          .call = [](const Tensors& in, const nlohmann::json& given) -> Tensors {
            const auto options = read_options<ProdOptions>("prod", given);
            return {lucid::prod(in[0], options.dim, options.keepdim, options.dtype)};
          },
          .samples = [](Generator& generator) -> std::vector<Sample> {
            const Tensor one_zero = Tensor::from({1.5, 0, -2, 0.5, 3, 1}, {2, 3}, f64);
            const Tensor two_zeros = Tensor::from({1.5, 0, -2, 0, 3, 1}, {2, 3}, f64);
            const std::vector<Sample> floats = {
                {{away_from_zero(normal({}, generator))}},
                {{away_from_zero(normal({2, 3, 4}, generator))}},
                {{away_from_zero(normal({2, 3, 2, 2, 3}, generator))}, {{"dim", 1}, {"keepdim", true}}},
                {{away_from_zero(normal({2, 3, 4}, generator))}, {{"dim", -1}}},
                {{one_zero}},
                {{two_zeros}},
                {{two_zeros}, {{"dim", 0}}},
                {{one_zero}, {{"dim", -2}, {"keepdim", true}}},
                {{randint(1, 4, {2, 3}, i64, &generator)}, {{"dim", 1}, {"dtype", "float64"}}}};
            return joined(floats, integer_samples(generator));
          },
          .errors = []() -> std::vector<ErrorCase> {
            return {{{ones({2, 3}, f64)}, {{"dim", 2}}, "dim 2"}};
          }};
}

}  // namespace ops
}  // namespace lucid
