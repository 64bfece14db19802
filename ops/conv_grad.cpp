#include "ops/conv_grad.hpp"

#include "autograd/record.hpp"
#include "ops/conv_form.hpp"
#include "ops/conv_samples.hpp"
#include "ops/json_options.hpp"
#include "ops/registry.hpp"

namespace lucid::ops {
namespace {

using autograd::Backward;
using autograd::record;

Tensors output_backward(const Backward<ConvGeometry>& b) {
  Tensors out(2);
  if (b.wants[0]) out[0] = conv_input_grad(b.grad(), b.saved[1], b.options);
  if (b.wants[1]) out[1] = conv_weight_grad(b.saved[0], b.grad(), b.options);
  return out;
}

Tensors input_grad_backward(const Backward<ConvGeometry>& b) {
  Tensors out(2);
  if (b.wants[0]) out[0] = conv_output(b.grad(), b.saved[1], b.options);
  if (b.wants[1]) out[1] = conv_weight_grad(b.grad(), b.saved[0], b.options);
  return out;
}

Tensors weight_grad_backward(const Backward<ConvGeometry>& b) {
  Tensors out(2);
  if (b.wants[0]) out[0] = conv_input_grad(b.saved[1], b.grad(), b.options);
  if (b.wants[1]) out[1] = conv_output(b.saved[0], b.grad(), b.options);
  return out;
}

}  // namespace

Tensor conv_output(const Tensor& input, const Tensor& weight, const ConvGeometry& geometry) {
  const autograd::OpTimer timer("conv_output");
  return record("conv_output", conv_form_y(geometry, input, weight), {input, weight}, {input, weight},
                geometry, output_backward);
}

Tensor conv_input_grad(const Tensor& grad, const Tensor& weight, const ConvGeometry& geometry) {
  const autograd::OpTimer timer("conv_input_grad");
  return record("conv_input_grad", conv_form_x(geometry, grad, weight), {grad, weight}, {grad, weight},
                geometry, input_grad_backward);
}

Tensor conv_weight_grad(const Tensor& input, const Tensor& grad, const ConvGeometry& geometry) {
  const autograd::OpTimer timer("conv_weight_grad");
  return record("conv_weight_grad", conv_form_w(geometry, input, grad), {input, grad}, {input, grad},
                geometry, weight_grad_backward);
}

Tensor conv_bias_grad(const Tensor& grad, std::size_t axes) {
  const std::size_t channel = grad.shape().size() - axes - 1;
  std::vector<std::int64_t> summed;
  for (std::size_t i = 0; i < grad.shape().size(); ++i)
    if (i != channel) summed.push_back(static_cast<std::int64_t>(i));
  return grad.sum(summed);
}

namespace {

nlohmann::json axis_values(const ConvGeometry& g, const Dims3& values) {
  return std::vector<std::int64_t>(values.end() - static_cast<std::ptrdiff_t>(g.axes), values.end());
}

// One value for each axis; the first list read tells how many axes there are.
void read_axes(const nlohmann::json& in, const char* key, std::size_t axes, Dims3& values) {
  const auto found = in.find(key);
  if (found == in.end() || found->is_null()) return;
  try {
    check(found->is_array() && found->size() == axes, "dims", axes,
          " values are required, as in kernel_size");
    for (std::size_t i = 0; i < axes; ++i) values[3 - axes + i] = read_integer((*found)[i]);
  } catch (const std::exception& error) {
    detail::raise_option(key, *found, error.what());
  }
}

}  // namespace

void to_json(nlohmann::json& out, const ConvGeometry& g) {
  out = {{"stride", axis_values(g, g.stride)},     {"padding", axis_values(g, g.padding)},
         {"dilation", axis_values(g, g.dilation)}, {"groups", g.groups},
         {"input_size", axis_values(g, g.x)},      {"kernel_size", axis_values(g, g.kernel)},
         {"output_size", axis_values(g, g.y)},     {"transposed", g.transposed}};
}

void from_json(const nlohmann::json& in, ConvGeometry& g) {
  if (const auto kernel = in.find("kernel_size"); kernel != in.end()) {
    if (!kernel->is_array() || kernel->empty() || kernel->size() > 3)
      detail::raise_option("kernel_size", *kernel, "a list of 1 to 3 integers is required");
    g.axes = kernel->size();
  }
  read_axes(in, "kernel_size", g.axes, g.kernel);
  read_axes(in, "stride", g.axes, g.stride);
  read_axes(in, "padding", g.axes, g.padding);
  read_axes(in, "dilation", g.axes, g.dilation);
  read_axes(in, "input_size", g.axes, g.x);
  read_axes(in, "output_size", g.axes, g.y);
  detail::read_option(in, "groups", g.groups);
  detail::read_option(in, "transposed", g.transposed);
}

namespace {

// The spatial sizes of `tensor` must be those that the options name.
void check_operand(std::string_view op, std::string_view name, const Tensor& tensor, const ConvGeometry& g,
                   const Dims3& sizes) {
  const std::size_t rank = tensor.shape().size();
  check(is_floating(tensor.dtype()), op, name, " is ", tensor.dtype(), "; a floating type is required");
  check(rank == g.axes + 1 || rank == g.axes + 2, op, name, " of shape ", tensor.shape(), " has rank ", rank,
        "; rank ", g.axes + 2, " or ", g.axes + 1, " is required");
  for (std::size_t i = 0; i < g.axes; ++i)
    check(tensor.shape()[rank - g.axes + i] == sizes[3 - g.axes + i], op, name, " has shape ", tensor.shape(),
          ", the options say ", sizes, " for its last ", g.axes, " axes");
}

void check_weight(std::string_view op, const Tensor& weight, const ConvGeometry& g) {
  check_operand(op, "weight", weight, g, g.kernel);
  check(weight.shape().size() == g.axes + 2, op, "weight of shape ", weight.shape(), " has rank ",
        weight.shape().size(), "; rank ", g.axes + 2, " is required");
  check(weight.shape()[0] % g.groups == 0, op, "groups ", g.groups, " does not divide the ",
        weight.shape()[0], " channels of weight ", weight.shape());
}

std::int64_t channels_of(const Tensor& tensor, const ConvGeometry& g) {
  return tensor.shape()[tensor.shape().size() - g.axes - 1];
}

void check_channels(std::string_view op, std::string_view name, const Tensor& tensor, const ConvGeometry& g,
                    std::int64_t channels) {
  check(channels_of(tensor, g) == channels, op, name, " has ", channels_of(tensor, g), " channels, ",
        channels, " are required");
}

void check_same_type(std::string_view op, const Tensor& a, const Tensor& b) {
  check(a.dtype() == b.dtype(), op, "operands are ", a.dtype(), " and ", b.dtype(),
        "; both must have one dtype");
}

Tensor call_output(const Tensors& in, const ConvGeometry& g) {
  constexpr std::string_view op = "conv_output";
  check_geometry(op, g);
  check_operand(op, "input", in[0], g, g.x);
  check_weight(op, in[1], g);
  check_same_type(op, in[0], in[1]);
  check_channels(op, "input", in[0], g, checked_mul(op, "channels", in[1].shape()[1], g.groups));
  return conv_output(in[0], in[1], g);
}

Tensor call_input_grad(const Tensors& in, const ConvGeometry& g) {
  constexpr std::string_view op = "conv_input_grad";
  check_geometry(op, g);
  check_operand(op, "grad", in[0], g, g.y);
  check_weight(op, in[1], g);
  check_same_type(op, in[0], in[1]);
  check_channels(op, "grad", in[0], g, in[1].shape()[0]);
  return conv_input_grad(in[0], in[1], g);
}

Tensor call_weight_grad(const Tensors& in, const ConvGeometry& g) {
  constexpr std::string_view op = "conv_weight_grad";
  check_geometry(op, g);
  check_operand(op, "input", in[0], g, g.x);
  check_operand(op, "grad", in[1], g, g.y);
  check_same_type(op, in[0], in[1]);
  check(in[0].shape().size() == in[1].shape().size(), op, "input has shape ", in[0].shape(), ", grad ",
        in[1].shape(), "; both or neither have a batch axis");
  const std::int64_t rank = in[0].dim(), batched = static_cast<std::int64_t>(g.axes) + 2;
  check(rank < batched || in[0].shape()[0] == in[1].shape()[0], op, "input ", in[0].shape(), " and grad ",
        in[1].shape(), " differ in batch size");
  for (const Tensor& tensor : in)
    check(channels_of(tensor, g) % g.groups == 0, op, "groups ", g.groups, " does not divide the ",
          channels_of(tensor, g), " channels of ", tensor.shape());
  return conv_weight_grad(in[0], in[1], g);
}

template <class Call>
Op form_op(std::string name, std::string doc, std::vector<Input> inputs, Call call) {
  Op op{.name = std::move(name), .doc = std::move(doc), .inputs = std::move(inputs)};
  op.defaults = default_options<ConvGeometry>();
  op.call = [name = op.name, call](const Tensors& in, const nlohmann::json& options) -> Tensors {
    return {call(in, read_options<ConvGeometry>(name, options))};
  };
  op.linear_in = {0, 1};
  op.exact_on_integers = true;
  op.cost = [name = op.name](const Tensors& in, const nlohmann::json& options) {
    const auto g = read_options<ConvGeometry>(name, options);
    // Two of x, w and y are given; the weight's channels follow from the activations' where it is missing.
    const bool has_weight = name != "conv_weight_grad", has_x = name != "conv_input_grad";
    const Shape first = in[0].shape(), second = in[1].shape();
    const std::int64_t batch = first.size() == g.axes + 2 ? first[0] : 1;
    const std::int64_t x = has_x ? channels_of(in[0], g) : second[1] * g.groups;
    const std::int64_t y = has_weight ? second[0] : channels_of(in[1], g);
    return conv_cost(g, batch, x, y, in[0].dtype());
  };
  return op;
}

// The operands of the form for every sample geometry, those that `use` picks.
template <class Use>
std::vector<Sample> form_samples(Generator& generator, Use use) {
  std::vector<Sample> samples;
  for (const FormSample& form : conv_form_samples(generator))
    samples.push_back({use(form), nlohmann::json(form.geometry)});
  return samples;
}

nlohmann::json error_options(const nlohmann::json& changes) {
  nlohmann::json options = {
      {"input_size", {4, 4, 4}}, {"kernel_size", {3, 3, 3}}, {"output_size", {2, 2, 2}}};
  options.update(changes);
  return options;
}

}  // namespace

Op conv_output_op() {
  Op op =
      form_op("conv_output",
              "the convolution of input (N, Cin, *input_size) and weight (Cout, Cin / groups, *kernel_size) "
              "at output_size positions; the derivative of conv_input_grad and conv_weight_grad",
              {{"input"}, {"weight"}}, call_output);
  op.samples = [](Generator& generator) {
    return form_samples(generator, [](const FormSample& form) -> Tensors { return {form.x, form.weight}; });
  };
  op.errors = []() -> std::vector<ErrorCase> {
    const Tensor x = ones({1, 2, 4, 4, 4}, f64), w = ones({3, 2, 3, 3, 3}, f64);
    return {{{x, w}, error_options({{"stride", {0, 1, 1}}}), "stride on axis D is 0"},
            {{x, w}, error_options({{"input_size", {4, 4, 5}}}), "(4, 4, 5)"},
            {{x, w}, error_options({{"output_size", {2, 2, -1}}}), "-1"},
            {{x, w}, error_options({{"groups", 2}}), "groups 2"},
            {{ones({1, 1, 4, 4, 4}, f64), w}, error_options(nlohmann::json::object()), "1 channels"},
            {{x, ones({3, 2, 3, 3}, f64)}, error_options(nlohmann::json::object()), "(3, 2, 3, 3)"}};
  };
  return op;
}

Op conv_input_grad_op() {
  Op op = form_op("conv_input_grad",
                  "the gradient of a convolution's input (N, Cin, *input_size) from that of its output "
                  "(N, Cout, *output_size) and weight (Cout, Cin / groups, *kernel_size)",
                  {{"grad"}, {"weight"}}, call_input_grad);
  op.samples = [](Generator& generator) {
    return form_samples(generator, [](const FormSample& form) -> Tensors { return {form.y, form.weight}; });
  };
  op.errors = []() -> std::vector<ErrorCase> {
    const Tensor y = ones({1, 3, 2, 2, 2}, f64), w = ones({3, 2, 3, 3, 3}, f64);
    return {{{y, w}, error_options({{"groups", 0}}), "groups is 0"},
            {{y, w}, error_options({{"kernel_size", {3, 0, 3}}}), "kernel_size on axis H is 0"},
            {{ones({1, 4, 2, 2, 2}, f64), w}, error_options(nlohmann::json::object()), "4 channels"},
            {{y, ones({3, 2, 3, 3, 3}, f32)}, error_options(nlohmann::json::object()), "float32"}};
  };
  return op;
}

Op conv_weight_grad_op() {
  Op op = form_op("conv_weight_grad",
                  "the gradient of a convolution's weight (Cout, Cin / groups, *kernel_size) from its input "
                  "(N, Cin, *input_size) and the gradient of its output (N, Cout, *output_size)",
                  {{"input"}, {"grad"}}, call_weight_grad);
  op.samples = [](Generator& generator) {
    return form_samples(generator, [](const FormSample& form) -> Tensors { return {form.x, form.y}; });
  };
  op.errors = []() -> std::vector<ErrorCase> {
    const Tensor x = ones({1, 2, 4, 4, 4}, f64), y = ones({1, 3, 2, 2, 2}, f64);
    return {{{x, y}, error_options({{"dilation", {1, 1, 0}}}), "dilation on axis W is 0"},
            {{x, ones({2, 3, 2, 2, 2}, f64)}, error_options(nlohmann::json::object()), "batch"},
            {{x, y}, error_options({{"groups", 2}}), "groups 2"},
            {{x, y}, error_options({{"stride", {1, 1}}}), "[1,1]"}};
  };
  return op;
}

}  // namespace lucid::ops
