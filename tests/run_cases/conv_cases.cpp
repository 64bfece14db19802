// conv3d and conv_transpose3d: result, gradients, second derivatives, other memory layouts, output_size.

#include <cmath>

#include "autograd/backward.hpp"
#include "autograd/grad_mode.hpp"
#include "case.hpp"
#include "names.hpp"
#include "nn/conv.hpp"
#include "ops/registry.hpp"

namespace run_cases {
namespace {

using namespace lucid;

json options_of(const Case& c) {
  json options = json::object();
  for (const char* key : {"stride", "padding", "dilation", "groups", "output_padding"})
    if (c.field("params").contains(key)) options[key] = c.field("params").at(key);
  return options;
}

// Throws Error unless every element lies in the storage.
void check_layout(const std::string& key, const Shape& shape, const Shape& strides, std::int64_t offset,
                  std::int64_t elements) {
  check(strides.size() == shape.size(), "run_cases", "the layout of ", key, " has strides ", strides,
        " for shape ", shape);
  std::int64_t last = offset;
  bool inside = offset >= 0;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    inside = inside && strides[i] >= 0;
    if (shape[i] == 0) return;
    last = checked_add("run_cases", "the layout", last,
                       checked_mul("run_cases", "the layout", shape[i] - 1, strides[i]));
  }
  check(inside && last < elements, "run_cases", "the layout of ", key, " reaches element ", last, " of ",
        elements);
}

Tensor value_of(const Case& c, const std::string& key) {
  const json layout = c.record.value("layout", json::object());
  if (!layout.contains(key)) return c.input(key);
  const json& at = layout.at(key);
  const Tensor stored = c.golden(key);
  const Tensor storage = c.input(key + "_storage");
  const Shape strides = read_shape(at.at("strides"));
  const std::int64_t offset = at.at("offset");
  check_layout(key, stored.shape(), strides, offset, storage.numel());
  return alias(storage, stored.shape(), strides, offset);
}

double sum_of_magnitudes(const Tensor& g) {
  double total = 0;
  for (double value : g.to_vector<double>()) total += std::abs(value);
  return total;
}

// The layer with the case's output_size must find the output_padding that `params` records.
void check_output_size(const Case& c, const Tensor& x, const Tensor& w, const Tensor& b, Verdict& verdict) {
  const json& params = c.field("params");
  const auto dims = [&](const char* key) { return params.at(key).get<std::vector<std::int64_t>>(); };
  const auto dims3 = [&](const char* key) {
    const auto values = dims(key);
    return Dims3(values.data(), values.size());
  };
  const std::int64_t groups = params.at("groups");
  const Shape k = w.shape();
  nn::ConvTranspose3d layer(w.size(0), w.size(1) * groups,
                            {.kernel_size = Dims3{k[2], k[3], k[4]},
                             .stride = dims3("stride"),
                             .padding = dims3("padding"),
                             .dilation = dims3("dilation"),
                             .groups = groups,
                             .bias = b.defined()});
  layer.to(c.dtype);
  {
    const no_grad guard;
    layer.weight.copy_(w);
    if (b.defined()) layer.bias.copy_(b);
    std::vector<std::int64_t> size;
    for (const auto& element : params.at("output_size")) size.push_back(element.get<std::int64_t>());
    verdict.compare("y with output_size", layer(x, Shape(size)), c.golden("y"), c.tolerance());
  }
}

}  // namespace

void run_convolution(const Case& c, Verdict& verdict) {
  const Tensor x = value_of(c, "x").detach().requires_grad_(), w = value_of(c, "w").detach().requires_grad_();
  const Tensor b = c.has("b") ? value_of(c, "b").detach().requires_grad_() : Tensor();
  const Tensor g = value_of(c, "g").detach().requires_grad_();

  const Tensor y = ops::call(find_op(c.op()).name, {x, w, b}, options_of(c));
  verdict.compare("y", y, c.golden("y"), c.tolerance());
  if (y.shape() != g.shape()) return;

  Tensors inputs{x, w};
  if (b.defined()) inputs.push_back(b);
  const bool twice = c.has("hx") || c.has("hw") || c.has("hb");
  const Tensors grads = autograd::grad({y}, inputs, {g}, {.create_graph = twice, .allow_unused = true});
  verdict.compare("gx", grads[0], c.golden("gx"), c.tolerance());
  verdict.compare("gw", grads[1], c.golden("gw"), c.tolerance());
  if (b.defined()) {
    const Tolerance bias =
        c.is_f32() ? Tolerance{1e-6, 1e-12, sum_of_magnitudes(c.golden("g"))} : c.tolerance();
    verdict.compare("gb", grads[2], c.golden("gb"), bias);
  }
  if (c.field("params").contains("output_size")) check_output_size(c, x.detach(), w.detach(), b, verdict);
  if (!twice) return;

  const Tolerance second = c.is_f32() ? Tolerance{1e-5, 1e-12} : c.tolerance();
  const auto derivative = [&](const char* h, const Tensor& gradient, const Tensor& input, const char* key) {
    if (!c.has(h) || !c.has(key)) return;
    const Tensor found = autograd::grad({gradient}, {input}, {c.input(h)}, {.retain_graph = true})[0];
    verdict.compare(key, found, c.golden(key), second);
  };
  derivative("hx", grads[0], w, "ddx_w");
  derivative("hx", grads[0], g, "ddx_g");
  derivative("hw", grads[1], x, "ddw_x");
  derivative("hw", grads[1], g, "ddw_g");
  if (b.defined()) derivative("hb", grads[2], g, "ddb_g");
}

}  // namespace run_cases
