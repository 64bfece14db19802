// Convolutions and their partial derivatives: sums over every product of the form
//   sum of x[n, c, i * stride + k * dilation - padding] * w[f, c, k] * y[n, f, i]
// over samples n, positions i, kernel taps k, and channels c, f of one group; x is 0 outside its sizes.

#include "ops/reference/definitions.hpp"
#include "ops/reference/spatial.hpp"

namespace lucid::reference {
namespace {

using nlohmann::json;

// x (N, Cx, ...), w (Cy, Cx / groups, ...), y (N, Cy, ...), or x and y without N.
struct Form {
  std::vector<std::int64_t> stride, padding, dilation;
  std::int64_t groups;
  std::size_t axes() const { return stride.size(); }
};

Array batched(Array array, std::size_t axes) {
  if (array.rank() == axes + 1) array.shape = joined({1}, array.shape);
  return array;
}

Array in_rank(Array array, std::size_t rank) {
  if (array.rank() > rank) array.shape.erase(0);
  return array;
}

// Calls f(index into x, index into w, index into y) for every product.
template <class F>
void for_products(const Form& form, const Shape& x, const Shape& w, const Shape& y, F&& f) {
  const std::int64_t y_channels = y[1] / form.groups, x_channels = w[1];
  for_each_index(y, [&](const Index& at_y) {
    for_each_index(joined({x_channels}, spatial_sizes(w, form.axes())), [&](const Index& tap) {
      Index at_x{at_y[0], at_y[1] / y_channels * x_channels + tap[0]}, at_w{at_y[1], tap[0]};
      for (std::size_t i = 0; i < form.axes(); ++i) {
        at_x.push_back(at_y[2 + i] * form.stride[i] + tap[1 + i] * form.dilation[i] - form.padding[i]);
        at_w.push_back(tap[1 + i]);
        if (at_x.back() < 0 || at_x.back() >= x[2 + i]) return;
      }
      f(at_x, at_w, at_y);
    });
  });
}

Array y_of(const Form& form, const Array& x, const Array& w, const Shape& sizes) {
  const Array from = batched(x, form.axes());
  Array y(joined({from.shape[0], w.shape[0]}, sizes));
  for_products(form, from.shape, w.shape, y.shape,
               [&](const Index& at_x, const Index& at_w, const Index& at_y) {
                 y.at(at_y) += from.at(at_x) * w.at(at_w);
               });
  return in_rank(y, x.rank());
}

Array x_of(const Form& form, const Array& y, const Array& w, const Shape& sizes) {
  const Array from = batched(y, form.axes());
  Array x(joined({from.shape[0], w.shape[1] * form.groups}, sizes));
  for_products(form, x.shape, w.shape, from.shape,
               [&](const Index& at_x, const Index& at_w, const Index& at_y) {
                 x.at(at_x) += from.at(at_y) * w.at(at_w);
               });
  return in_rank(x, y.rank());
}

Array w_of(const Form& form, const Array& x, const Array& y, const Shape& sizes) {
  const Array left = batched(x, form.axes()), right = batched(y, form.axes());
  Array w(joined({right.shape[1], left.shape[1] / form.groups}, sizes));
  for_products(form, left.shape, w.shape, right.shape,
               [&](const Index& at_x, const Index& at_w, const Index& at_y) {
                 w.at(at_w) += left.at(at_x) * right.at(at_y);
               });
  return w;
}

Array plus_bias(Array out, const Array& bias, std::size_t axes) {
  if (!bias.defined()) return out;
  return generate(out.shape, [&](const Index& index) {
    return out.at(index) + bias.values[static_cast<std::size_t>(index[index.size() - axes - 1])];
  });
}

// PyTorch's documentation of conv3d: "same" pads so that the sizes stay, the odd element behind.
Definition conv(std::size_t axes) {
  return [axes](const Arrays& in, const json& o) -> Arrays {
    const bool same = o["padding"] == "same", valid = o["padding"] == "valid";
    Form form{for_each_axis(o["stride"], axes), std::vector<std::int64_t>(axes, 0),
              for_each_axis(o["dilation"], axes), o["groups"].get<std::int64_t>()};
    if (!same && !valid) form.padding = for_each_axis(o["padding"], axes);
    const Shape x = spatial_sizes(in[0].shape, axes), kernel = spatial_sizes(in[1].shape, axes);
    Shape y = x;
    for (std::size_t i = 0; i < axes; ++i) {
      const std::int64_t reach = form.dilation[i] * (kernel[i] - 1);
      if (same)
        form.padding[i] = reach / 2;
      else
        y[i] = (x[i] + 2 * form.padding[i] - reach - 1) / form.stride[i] + 1;
    }
    return {plus_bias(y_of(form, in[0], in[1], y), in[2], axes)};
  };
}

// Of weight, bias and volumes joined along their channels.
Arrays conv3d_joined(const Arrays& in, const json& o) {
  const Array x = definitions().at("cat")({in.begin() + 2, in.end()}, {{"dim", -4}})[0];
  return conv(3)({x, in[0], in[1]}, o);
}

Definition conv_transpose(std::size_t axes) {
  return [axes](const Arrays& in, const json& o) -> Arrays {
    const Form form{for_each_axis(o["stride"], axes), for_each_axis(o["padding"], axes),
                    for_each_axis(o["dilation"], axes), o["groups"].get<std::int64_t>()};
    const auto extra = for_each_axis(o["output_padding"], axes);
    const Shape y = spatial_sizes(in[0].shape, axes), kernel = spatial_sizes(in[1].shape, axes);
    Shape x = y;
    for (std::size_t i = 0; i < axes; ++i)
      x[i] = (y[i] - 1) * form.stride[i] - 2 * form.padding[i] + form.dilation[i] * (kernel[i] - 1) +
             extra[i] + 1;
    return {plus_bias(x_of(form, in[0], in[1], x), in[2], axes)};
  };
}

// A partial of the form: `size` names the option with the result's spatial sizes.
Definition partial(const char* size, Array (*of)(const Form&, const Array&, const Array&, const Shape&)) {
  return [=](const Arrays& in, const json& o) -> Arrays {
    using List = std::vector<std::int64_t>;
    const Form form{o["stride"].get<List>(), o["padding"].get<List>(), o["dilation"].get<List>(),
                    o["groups"].get<std::int64_t>()};
    return {of(form, in[0], in[1], Shape(o[size].get<List>()))};
  };
}

}  // namespace

void define_convolution(Definitions& d) {
  d["conv1d"] = conv(1);
  d["conv2d"] = conv(2);
  d["conv3d"] = conv(3);
  d["conv3d_joined"] = conv3d_joined;
  d["conv_transpose1d"] = conv_transpose(1);
  d["conv_transpose2d"] = conv_transpose(2);
  d["conv_transpose3d"] = conv_transpose(3);
  d["conv_output"] = partial("output_size", y_of);
  d["conv_input_grad"] = partial("input_size", x_of);
  d["conv_weight_grad"] = partial("kernel_size", w_of);
}

}  // namespace lucid::reference
