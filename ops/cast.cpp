#include "ops/cast.hpp"

#include "autograd/record.hpp"
#include "ops/kernels/elementwise.hpp"
#include "ops/options.hpp"
#include "ops/registry.hpp"
#include "ops/samples.hpp"

namespace lucid {

LUCID_OPTION_ENUM(Layout, {{Layout::preserve, "preserve"},
                           {Layout::contiguous, "contiguous"},
                           {Layout::channels_last, "channels_last"}})

namespace {

using autograd::Backward;

struct ToOptions {
  DType dtype = f32;
};
LUCID_OPTIONS(ToOptions, dtype)

struct CloneOptions {
  Layout layout = Layout::preserve;
};
LUCID_OPTIONS(CloneOptions, layout)

// The walker converts a gradient to the type of what it belongs to.
Tensors to_backward(const Backward<ToOptions>& b) { return {b.grad()}; }
Tensors clone_backward(const Backward<CloneOptions>& b) { return {b.grad()}; }

}  // namespace

Tensor to(const Tensor& input, DType dtype) {
  const autograd::OpTimer timer("to");
  check(input.defined(), "to", "the tensor is undefined");
  if (input.dtype() == dtype) return input;
  Tensor out = empty_like(input, dtype);
  kernels::copy(out, input);
  // Whether a type has gradients decides: from or to integers nothing flows.
  if (!is_floating(dtype) || !is_floating(input.dtype())) {
    autograd::observe_op("to", std::span(&out, 1), std::span(&input, 1), ToOptions{dtype});
    return out;
  }
  return autograd::record("to", out, {input}, {}, ToOptions{dtype}, to_backward);
}

Tensor clone(const Tensor& input, Layout layout) {
  const autograd::OpTimer timer("clone");
  check(input.defined(), "clone", "the tensor is undefined");
  Tensor out;
  if (layout == Layout::preserve) {
    out = empty_like(input);
  } else if (layout == Layout::contiguous) {
    out = empty(input.shape(), input.dtype());
  } else {
    check(input.dim() >= 3, "clone", "channels_last needs rank 3 or more, the tensor has shape ",
          input.shape());
    out = empty_strided(input.shape(), channels_last_strides(input.shape()), input.dtype());
  }
  kernels::copy(out, input);
  return autograd::record("clone", out, {input}, {}, CloneOptions{layout}, clone_backward);
}

namespace ops {

Op to_op() {
  return {.name = "to",
          .doc = "input's values in another dtype",
          .inputs = {{"input"}},
          .defaults = default_options<ToOptions>(),
          .call = [](const Tensors& in, const nlohmann::json& options) -> Tensors {
            return {lucid::to(in[0], read_options<ToOptions>("to", options).dtype)};
          },
          .samples =
              [](Generator& generator) {
                auto samples = unary_samples(generator);
                for (Sample& sample : samples) sample.options = {{"dtype", "float64"}};
                return samples;
              },
          .errors = []() -> std::vector<ErrorCase> {
            return {{{ones({2})}, {{"dtype", "float31"}}, "float31"},
                    {{ones({2})}, {{"type", "float32"}}, "type"}};
          },
          .linear_in = {0}};
}

Op clone_op() {
  return {.name = "clone",
          .doc = "a copy of input, in the same or in another memory layout",
          .inputs = {{"input"}},
          .defaults = default_options<CloneOptions>(),
          .call = [](const Tensors& in, const nlohmann::json& options) -> Tensors {
            return {lucid::clone(in[0], read_options<CloneOptions>("clone", options).layout)};
          },
          .samples =
              [](Generator& generator) {
                auto samples = unary_samples(generator);
                samples[2].options = {{"layout", "channels_last"}};
                samples[3].options = {{"layout", "contiguous"}};
                return samples;
              },
          .errors = []() -> std::vector<ErrorCase> {
            return {{{ones({2})}, {{"layout", "channels_last"}}, "(2)"}};
          },
          .linear_in = {0}};
}

}  // namespace ops

Tensor Tensor::to(DType dtype) const { return lucid::to(*this, dtype); }
Tensor Tensor::clone() const { return lucid::clone(*this); }
Tensor Tensor::contiguous() const {
  return is_contiguous() ? *this : lucid::clone(*this, Layout::contiguous);
}
Tensor Tensor::channels_last() const {
  return is_channels_last() ? *this : lucid::clone(*this, Layout::channels_last);
}

}  // namespace lucid
