#include "ops/conv_shape.hpp"

namespace lucid::ops {
namespace {

// Bytes that one address space holds; a larger result is a mistake in the arguments.
constexpr std::int64_t kMostBytes = std::int64_t{1} << 47;

std::string_view axis_name(std::size_t axes, std::size_t axis) {
  constexpr std::string_view names[] = {"D", "H", "W"};
  return names[3 - axes + axis];
}

std::string layout_text(std::size_t axes, bool batched) {
  std::string text = batched ? "(N, C" : "(C";
  for (std::size_t i = 0; i < axes; ++i) text += ", " + std::string(axis_name(axes, i));
  return text + ")";
}

template <std::size_t N>
void check_least(std::string_view op, std::string_view what, const Dims<N>& values, std::int64_t least) {
  for (std::size_t i = 0; i < N; ++i)
    check(values[i] >= least, op, what, " on axis ", axis_name(N, i), " is ", values[i], "; at least ", least,
          " is required");
}

// One axis of a shape rule, for its messages.
struct Axis {
  std::string_view op;
  std::string_view name;
  std::int64_t size, kernel, stride, padding_before, padding_after, dilation;

  [[noreturn]] void too_large() const {
    raise(op, "the output's size on axis ", name, " does not fit in 64 bits: input size ", size, ", kernel ",
          kernel, ", stride ", stride, ", padding ", padding_before, ", dilation ", dilation);
  }
  std::int64_t mul(std::int64_t a, std::int64_t b) const {
    std::int64_t out = 0;
    if (__builtin_mul_overflow(a, b, &out)) too_large();
    return out;
  }
  std::int64_t add(std::int64_t a, std::int64_t b) const {
    std::int64_t out = 0;
    if (__builtin_add_overflow(a, b, &out)) too_large();
    return out;
  }
  // Positions from the first to the last that one kernel touches.
  std::int64_t span() const { return add(mul(dilation, kernel - 1), 1); }
};

std::int64_t conv_size(const Axis& a) {
  const std::int64_t padded = a.add(a.size, a.add(a.padding_before, a.padding_after)), span = a.span();
  if (a.size == 0 && padded < span) return 0;
  check(padded >= span, a.op, "kernel ", a.kernel, " with dilation ", a.dilation, " on axis ", a.name,
        " spans ", span, " elements, the input has ", a.size, " and with padding ", padded,
        "; use a smaller kernel or more padding");
  return (padded - span) / a.stride + 1;
}

std::int64_t conv_transpose_size(const Axis& a, std::int64_t output_padding) {
  check(a.size >= 1, a.op, "input has size ", a.size, " on axis ", a.name, "; at least 1 is required");
  const std::int64_t most = std::max(a.stride, a.dilation) - 1;
  check(output_padding >= 0 && output_padding <= most, a.op, "output_padding on axis ", a.name, " is ",
        output_padding, "; it must be smaller than stride ", a.stride, " or dilation ", a.dilation,
        ": valid are 0 to ", most);
  const std::int64_t full = a.add(a.add(a.mul(a.stride, a.size - 1), a.span()), output_padding);
  const std::int64_t size = full - a.mul(2, a.padding_before);
  check(size >= 1, a.op, "padding on axis ", a.name, " is ", a.padding_before,
        " and leaves an output of size ", size, "; at most ", (full - 1) / 2, " is possible for input size ",
        a.size, ", kernel ", a.kernel);
  return size;
}

void check_types(std::string_view op, const Tensor& input, const Tensor& weight, const Tensor& bias) {
  check(input.defined(), op, "input is undefined");
  check(weight.defined(), op, "weight is undefined");
  check(is_floating(input.dtype()), op, "input is ", input.dtype(),
        "; a floating type is required, for example .to(lucid::f32)");
  check(weight.dtype() == input.dtype(), op, "weight is ", weight.dtype(), ", input is ", input.dtype(),
        "; both must have one dtype");
  check(!bias.defined() || bias.dtype() == input.dtype(), op, "bias is ",
        bias.defined() ? bias.dtype() : DType::f32, ", input is ", input.dtype(),
        "; both must have one dtype");
}

void check_ranks(std::string_view op, std::size_t axes, const Tensor& input, const Tensor& weight) {
  const std::size_t rank = input.shape().size();
  check(rank == axes + 2 || rank == axes + 1, op, "input of shape ", input.shape(), " has rank ", rank,
        "; rank ", axes + 2, " ", layout_text(axes, true), " or ", axes + 1, " ", layout_text(axes, false),
        " is required");
  check(weight.shape().size() == axes + 2, op, "weight of shape ", weight.shape(), " has rank ",
        weight.shape().size(), "; rank ", axes + 2, " is required");
  for (std::size_t i = 0; i < axes; ++i)
    check(weight.shape()[i + 2] >= 1, op, "kernel size on axis ", axis_name(axes, i), " is ",
          weight.shape()[i + 2], " in weight ", weight.shape(), "; at least 1 is required");
}

std::int64_t channels_of(const Tensor& input, std::size_t axes) {
  return input.shape()[input.shape().size() - axes - 1];
}

void check_bias(std::string_view op, const Tensor& bias, std::int64_t channels) {
  if (!bias.defined()) return;
  check(bias.shape() == Shape{channels}, op, "bias has shape ", bias.shape(), "; ", Shape{channels},
        " is required, one value for each output channel");
}

// The first size and the product are checked before anything is allocated.
template <std::size_t N, class Text>
void check_output(std::string_view op, const Tensor& input, std::int64_t channels, const Dims3& sizes,
                  const Text& arguments) {
  const std::int64_t batch = input.shape().size() == N + 2 ? input.shape()[0] : 1;
  std::int64_t bytes = size_of(input.dtype());
  bool fits = true, empty = false;
  for (std::int64_t size : {batch, channels, sizes[0], sizes[1], sizes[2]}) {
    empty |= size == 0;
    fits &= !__builtin_mul_overflow(bytes, std::max<std::int64_t>(size, 1), &bytes) && bytes <= kMostBytes;
  }
  if (fits || empty) return;
  raise(op, "the output of shape ", Shape{batch, channels, sizes[0], sizes[1], sizes[2]},
        " is beyond any memory; input ", input.shape(), arguments());
}

// Copies N values behind the unit axes that lead.
template <std::size_t N>
Dims3 widened(const Dims<N>& values, std::int64_t unit) {
  Dims3 out(unit);
  std::copy(values.begin(), values.end(), out.begin() + (3 - N));
  return out;
}

template <std::size_t N>
Dims3 last_sizes(const Shape& shape) {
  Dims3 out(1);
  std::copy(shape.end() - N, shape.end(), out.begin() + (3 - N));
  return out;
}

}  // namespace

template <std::size_t N>
ConvGeometry conv_geometry(std::string_view op, const Tensor& input, const Tensor& weight, const Tensor& bias,
                           const ConvOptions<N>& options) {
  check_types(op, input, weight, bias);
  check_ranks(op, N, input, weight);
  check_least(op, "stride", options.stride, 1);
  check_least(op, "dilation", options.dilation, 1);
  check_least(op, "padding", options.padding.amounts(), 0);
  check(options.groups >= 1, op, "groups is ", options.groups, "; at least 1 is required");

  const std::int64_t out_channels = weight.shape()[0], channels = channels_of(input, N);
  check(out_channels % options.groups == 0, op, "groups ", options.groups, " does not divide the ",
        out_channels, " output channels of weight ", weight.shape());
  check(channels == checked_mul(op, "input channels", weight.shape()[1], options.groups), op, "input has ",
        channels, " channels, weight ", weight.shape(), " with groups ", options.groups, " expects ",
        weight.shape()[1] * options.groups);
  check_bias(op, bias, out_channels);

  ConvGeometry g{.axes = N, .groups = options.groups};
  g.stride = widened(options.stride, 1);
  g.dilation = widened(options.dilation, 1);
  g.x = last_sizes<N>(input.shape());
  g.kernel = last_sizes<N>(weight.shape());
  const Dims3 given = widened(options.padding.amounts(), 0);
  for (std::size_t i = 3 - N; i < 3; ++i) {
    Axis axis{op,           axis_name(N, i - (3 - N)), g.x[i], g.kernel[i], g.stride[i], given[i], given[i],
              g.dilation[i]};
    if (options.padding.mode() == Padding<N>::Mode::same) {
      check(axis.stride == 1, op, "padding \"same\" needs stride 1, stride on axis ", axis.name, " is ",
            axis.stride);
      const std::int64_t total = axis.span() - 1;
      axis.padding_before = total / 2;
      axis.padding_after = total - total / 2;
    }
    g.padding[i] = axis.padding_before;
    g.y[i] = conv_size(axis);
  }
  check_output<N>(op, input, out_channels, g.y, [&] {
    return str(", padding ", g.padding, ", stride ", g.stride, ", dilation ", g.dilation);
  });
  return g;
}

template <std::size_t N>
ConvGeometry conv_transpose_geometry(std::string_view op, const Tensor& input, const Tensor& weight,
                                     const Tensor& bias, const ConvTransposeOptions<N>& options) {
  check_types(op, input, weight, bias);
  check_ranks(op, N, input, weight);
  check_least(op, "stride", options.stride, 1);
  check_least(op, "dilation", options.dilation, 1);
  check_least(op, "padding", options.padding, 0);
  check_least(op, "output_padding", options.output_padding, 0);
  check(options.groups >= 1, op, "groups is ", options.groups, "; at least 1 is required");

  const std::int64_t channels = channels_of(input, N);
  check(channels == weight.shape()[0], op, "input has ", channels, " channels, weight ", weight.shape(),
        " expects ", weight.shape()[0], "; weight is (input channels, output channels / groups, kernel)");
  check(channels % options.groups == 0, op, "groups ", options.groups, " does not divide the ", channels,
        " input channels");
  const std::int64_t out_channels = checked_mul(op, "output channels", weight.shape()[1], options.groups);
  check_bias(op, bias, out_channels);

  ConvGeometry g{.axes = N, .transposed = true, .groups = options.groups};
  g.stride = widened(options.stride, 1);
  g.padding = widened(options.padding, 0);
  g.dilation = widened(options.dilation, 1);
  g.y = last_sizes<N>(input.shape());
  g.kernel = last_sizes<N>(weight.shape());
  const Dims3 output_padding = widened(options.output_padding, 0);
  for (std::size_t i = 3 - N; i < 3; ++i)
    g.x[i] = conv_transpose_size({op, axis_name(N, i - (3 - N)), g.y[i], g.kernel[i], g.stride[i],
                                  g.padding[i], g.padding[i], g.dilation[i]},
                                 output_padding[i]);
  check_output<N>(op, input, out_channels, g.x, [&] {
    return str(", stride ", g.stride, ", dilation ", g.dilation, ", output_padding ", output_padding);
  });
  return g;
}

#define LUCID_INSTANTIATE(N)                                                                         \
  template ConvGeometry conv_geometry(std::string_view, const Tensor&, const Tensor&, const Tensor&, \
                                      const ConvOptions<N>&);                                        \
  template ConvGeometry conv_transpose_geometry(std::string_view, const Tensor&, const Tensor&,      \
                                                const Tensor&, const ConvTransposeOptions<N>&);
LUCID_INSTANTIATE(1)
LUCID_INSTANTIATE(2)
LUCID_INSTANTIATE(3)
#undef LUCID_INSTANTIATE

void check_geometry(std::string_view op, const ConvGeometry& g) {
  check_least(op, "stride", g.stride, 1);
  check_least(op, "dilation", g.dilation, 1);
  check_least(op, "padding", g.padding, 0);
  check_least(op, "input_size", g.x, 0);
  check_least(op, "kernel_size", g.kernel, 1);
  check_least(op, "output_size", g.y, 0);
  check(g.groups >= 1, op, "groups is ", g.groups, "; at least 1 is required");
  for (std::size_t i = 0; i < 3; ++i) {
    const std::int64_t last = checked_mul(op, "output_size * stride", g.y[i], g.stride[i]);
    checked_add(op, "the last position", last,
                checked_mul(op, "kernel_size * dilation", g.kernel[i], g.dilation[i]));
    checked_add(op, "input_size + padding", g.x[i], g.padding[i]);
  }
}

namespace {

// Inserts axes of size 1 at `position` of `tensor`.
Tensor with_unit_axes(const Tensor& tensor, std::size_t position, std::size_t count) {
  if (count == 0) return tensor;
  Shape shape = tensor.shape();
  Strides strides = tensor.strides();
  for (std::size_t i = 0; i < count; ++i) {
    shape.insert(position, 1);
    strides.insert(position, 1);
  }
  return alias(tensor, shape, strides, tensor.offset());
}

}  // namespace

Tensor lifted(const Tensor& tensor, std::size_t axes) {
  const bool batched = tensor.shape().size() == axes + 2;
  return with_unit_axes(with_unit_axes(tensor, 0, batched ? 0 : 1), 2, 3 - axes);
}

Tensor lifted_weight(const Tensor& weight, std::size_t axes) { return with_unit_axes(weight, 2, 3 - axes); }

Tensor lowered(const Tensor& tensor, std::size_t axes, bool batched) {
  if (axes == 3 && batched) return tensor;
  Shape shape = tensor.shape();
  Strides strides = tensor.strides();
  for (std::size_t i = axes; i < 3; ++i) {
    shape.erase(2);
    strides.erase(2);
  }
  if (!batched) {
    shape.erase(0);
    strides.erase(0);
  }
  return alias(tensor, shape, strides, tensor.offset());
}

}  // namespace lucid::ops
