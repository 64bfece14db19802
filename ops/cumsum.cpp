#include "autograd/record.hpp"
#include "ops/options.hpp"
#include "ops/reduce.hpp"
#include "ops/reduce_options.hpp"
#include "ops/samples.hpp"

namespace lucid {
namespace {

using autograd::Backward;

struct CumsumOptions {
  std::int64_t dim = 0;
  std::optional<DType> dtype;
  bool reverse = false;
};
LUCID_OPTIONS(CumsumOptions, dim, dtype, reverse)

Tensors cumsum_backward(const Backward<CumsumOptions>& b) {
  return {cumsum(b.grad(), b.options.dim, {}, !b.options.reverse)};
}

// `count` running sums of `steps` elements each; strides in elements.
template <class In, class Out>
LUCID_VECTORIZED void running_sums(const In* in, Out* out, Accumulator<In>* sums, std::int64_t count,
                                   std::int64_t in_stride, std::int64_t out_stride, std::int64_t steps,
                                   std::int64_t in_step, std::int64_t out_step) {
  for (std::int64_t j = 0; j < count; ++j) sums[j] = 0;
  for (std::int64_t k = 0; k < steps; ++k, in += in_step, out += out_step)
    for (std::int64_t j = 0; j < count; ++j) {
      sums[j] += static_cast<Accumulator<In>>(in[j * in_stride]);
      out[j * out_stride] = static_cast<Out>(sums[j]);
    }
}

template <class In, class Out>
void cumsum_along(const Tensor& result, const Tensor& input, std::size_t axis, bool reverse) {
  constexpr std::int64_t kBlock = 256;
  Shape lines = input.shape();
  const std::int64_t steps = lines[axis];
  lines[axis] = 1;
  std::int64_t in_step = input.strides()[axis], out_step = result.strides()[axis];
  const In* in = input.data<In>() + (reverse ? (steps - 1) * in_step : 0);
  Out* out = result.data_to_write<Out>() + (reverse ? (steps - 1) * out_step : 0);
  if (reverse) in_step = -in_step, out_step = -out_step;
  const auto plan = kernels::plan_loop<2>(lines, {result.strides(), input.strides()});
  const std::size_t inner = plan.rank - 1;
  const std::int64_t out_stride = plan.strides[0][inner], in_stride = plan.strides[1][inner];
  const std::int64_t grain = std::max<std::int64_t>(1, kernels::kElementGrain / steps);
  parallel_for(plan.numel, grain, [&](std::int64_t begin, std::int64_t end) {
    Accumulator<In> sums[kBlock];
    kernels::for_rows(plan, begin, end, [&](const auto& at, std::int64_t n) {
      for (std::int64_t done = 0; done < n; done += kBlock)
        running_sums(in + at[1] + done * in_stride, out + at[0] + done * out_stride, sums,
                     std::min(kBlock, n - done), in_stride, out_stride, steps, in_step, out_step);
    });
  });
}

}  // namespace

Tensor cumsum(const Tensor& given, std::int64_t dim, std::optional<DType> dtype, bool reverse) {
  const autograd::OpTimer timer("cumsum");
  check(given.defined(), "cumsum", "the tensor is undefined");
  const std::size_t axis = normalize_axis("cumsum", dim, given.shape().size());
  const Tensor input = dtype ? given.to(*dtype) : given;
  Tensor out = empty_like(input, is_floating(input.dtype()) ? input.dtype() : i64);
  if (input.dim() == 0) {
    kernels::copy(out, input);
  } else if (input.numel() > 0) {
    dispatch_all(input.dtype(), [&](auto tag) {
      using In = typename decltype(tag)::type;
      using Out = std::conditional_t<std::is_same_v<Accumulator<In>, double>, In, std::int64_t>;
      cumsum_along<In, Out>(out, input, axis, reverse);
    });
  }
  if (dtype) out = out.to(*dtype);
  return autograd::record("cumsum", out, {input}, {}, CumsumOptions{dim, dtype, reverse}, cumsum_backward);
}

namespace ops {

Op cumsum_op() {
  return {.name = "cumsum",
          .doc = "running sums of input along dim, from its end when reverse; input's shape",
          .inputs = {{"input"}},
          .defaults = default_options<CumsumOptions>(),
          .call = [](const Tensors& in, const nlohmann::json& given) -> Tensors {
            const auto options = read_options<CumsumOptions>("cumsum", given);
            return {lucid::cumsum(in[0], options.dim, options.dtype, options.reverse)};
          },
          .samples = [](Generator& generator) -> std::vector<Sample> {
            const Shape volume{2, 3, 2, 3, 4};
            return {{{normal({}, generator)}, {{"dim", 0}}},
                    {{normal({7}, generator)}, {{"dim", -1}}},
                    {{normal(volume, generator)}, {{"dim", 1}}},
                    {{normal(volume, generator)}, {{"dim", 3}, {"reverse", true}}},
                    {{normal(volume, generator)}, {{"dim", -1}, {"dtype", "float64"}}},
                    {{randint(-3, 4, {2, 3}, i64, &generator)}, {{"dim", 1}}},
                    {{randint(0, 2, {4, 2}, boolean, &generator)}, {{"reverse", true}}}};
          },
          .errors = []() -> std::vector<ErrorCase> {
            return {{{ones({2, 3}, f64)}, {{"dim", -3}}, "dim -3"}};
          },
          .linear_in = {0},
          .exact_on_integers = true};
}

}  // namespace ops
}  // namespace lucid
