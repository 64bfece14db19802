#include "ops/pad.hpp"

#include "autograd/record.hpp"
#include "ops/gather.hpp"
#include "ops/kernels/elementwise.hpp"
#include "ops/kernels/layout.hpp"
#include "ops/options.hpp"
#include "ops/picks.hpp"
#include "ops/region.hpp"
#include "ops/registry.hpp"
#include "ops/samples.hpp"

namespace lucid {

LUCID_OPTION_ENUM(PadMode, {{PadMode::constant, "constant"},
                            {PadMode::reflect, "reflect"},
                            {PadMode::replicate, "replicate"},
                            {PadMode::circular, "circular"}})

namespace {

using autograd::Backward;

// `shape` is the input's; no option of the op.
struct PadOptions {
  std::vector<std::int64_t> pad;
  PadMode mode = PadMode::constant;
  std::optional<double> value;
  Shape shape = {};
};
LUCID_OPTIONS(PadOptions, pad, mode, value)

using Counts = std::vector<std::int64_t>;

// (before, after) of pair `i`, counted from the last axis.
struct Margin {
  std::size_t axis;
  std::int64_t before, after;
};

std::vector<Margin> margins_of(const Shape& shape, const Counts& pad) {
  std::vector<Margin> margins;
  for (std::size_t i = 0; i + 1 < pad.size(); i += 2)
    if (pad[i] != 0 || pad[i + 1] != 0) margins.push_back({shape.size() - 1 - i / 2, pad[i], pad[i + 1]});
  return margins;
}

std::string text_of(const Counts& pad) {
  std::string out = "(";
  for (std::size_t i = 0; i < pad.size(); ++i) out += (i ? ", " : "") + str(pad[i]);
  return out + ")";
}

Shape padded_shape(const Tensor& input, const Counts& pad) {
  check(pad.size() % 2 == 0, "pad", "pad ", text_of(pad), " has ", pad.size(), " counts for the input ",
        input.shape(), "; pairs of before and after are required");
  check(pad.size() / 2 <= input.shape().size(), "pad", "pad ", text_of(pad), " has ", pad.size() / 2,
        " pairs, the input has shape ", input.shape());
  Shape shape = input.shape();
  for (const Margin& margin : margins_of(shape, pad)) {
    std::int64_t& size = shape[margin.axis];
    const std::int64_t before = size;
    size = checked_add("pad", "size", checked_add("pad", "size", size, margin.before), margin.after);
    check(size >= 0, "pad", "pad (", margin.before, ", ", margin.after, ") leaves nothing of axis ",
          margin.axis, " of size ", before);
  }
  return shape;
}

// ---- constant ----

Tensor padded_by_value(const Tensor& input, const Shape& shape, const Counts& pad, double value) {
  const Tensor out = kernels::empty_in_order(shape, input.strides(), input.dtype());
  ops::Region inside = ops::Region::all(input.shape()), target = ops::Region::all(shape);
  bool any = true;
  for (const Margin& margin : margins_of(shape, pad)) {
    const std::int64_t size = input.shape()[margin.axis];
    const std::int64_t first = std::max<std::int64_t>(0, -margin.before);
    const std::int64_t last = std::min(size, shape[margin.axis] - margin.before);
    any &= last > first;
    inside.starts[margin.axis] = first;
    target.starts[margin.axis] = first + margin.before;
    inside.lengths[margin.axis] = target.lengths[margin.axis] = std::max<std::int64_t>(0, last - first);
  }
  if (!any || input.numel() < out.numel() || checked_numel("pad", inside.lengths) < out.numel())
    value == 0.0 ? kernels::zero_bytes(out) : kernels::fill_storage(out, value);
  if (any) kernels::copy(target.of(out), inside.of(input));
  return out;
}

// ---- the modes that repeat elements ----

// Which input position each of the `size + before + after` positions shows. A negative margin crops; what is
// circular goes round what the crop leaves, the other modes still see what was cropped.
Tensor shown_positions(PadMode mode, std::int64_t size, const Margin& margin) {
  check(size > 0, "pad", "axis ", margin.axis, " has size 0, and there is nothing to repeat");
  const std::int64_t widest = std::max(margin.before, margin.after);
  if (mode == PadMode::reflect)
    check(widest < size, "pad", "reflect by (", margin.before, ", ", margin.after, ") of axis ", margin.axis,
          " of size ", size, "; at most ", size - 1, " can be reflected");
  const std::int64_t cropped = std::max<std::int64_t>(0, -margin.before);
  const std::int64_t kept =
      std::max<std::int64_t>(0, size - cropped - std::max<std::int64_t>(0, -margin.after));
  if (mode == PadMode::circular)
    check(widest <= kept, "pad", "circular by (", margin.before, ", ", margin.after, ") of axis ",
          margin.axis, " of size ", size, "; at most ", kept, " can be turned round");
  const Tensor out = empty({size + margin.before + margin.after}, i64);
  auto* to = out.data_to_write<std::int64_t>();
  for (std::int64_t i = 0; i < out.numel(); ++i) {
    std::int64_t at = i - margin.before;
    if (mode == PadMode::replicate) at = std::clamp<std::int64_t>(at, 0, size - 1);
    if (mode == PadMode::reflect) at = at < 0 ? -at : at >= size ? 2 * (size - 1) - at : at;
    if (mode == PadMode::circular)
      at = cropped + (i - std::max<std::int64_t>(0, margin.before) + kept) % kept;
    to[i] = at;
  }
  return out;
}

Tensor padded_by_repeating(const Tensor& input, const Counts& pad, PadMode mode) {
  const no_grad guard;
  Tensor out = input;
  for (const Margin& margin : margins_of(input.shape(), pad))
    out = index_select(out, static_cast<std::int64_t>(margin.axis),
                       shown_positions(mode, input.shape()[margin.axis], margin));
  return out.is_same(input) ? input.clone() : out;
}

Tensors pad_backward(const Backward<PadOptions>& b) {
  const PadOptions& o = b.options;
  if (o.mode == PadMode::constant) {
    Counts back = o.pad;
    for (std::int64_t& count : back) count = -count;
    return {pad(b.grad(), back)};
  }
  Tensor grad = b.grad();
  std::vector<Margin> margins = margins_of(o.shape, o.pad);
  for (auto margin = margins.rbegin(); margin != margins.rend(); ++margin) {
    const std::int64_t size = o.shape[margin->axis];
    grad = ops::sum_selected(grad, static_cast<std::int64_t>(margin->axis),
                             shown_positions(o.mode, size, *margin), size);
  }
  return {grad};
}

}  // namespace

Tensor pad(const Tensor& input, const std::vector<std::int64_t>& pad, PadMode mode, double value) {
  const autograd::OpTimer timer("pad");
  check(input.defined(), "pad", "the tensor is undefined");
  check(mode == PadMode::constant || value == 0.0, "pad", "value ", value,
        " has a meaning in constant mode only");
  const Shape shape = padded_shape(input, pad);
  checked_numel("pad", shape);
  const Tensor out = mode == PadMode::constant ? padded_by_value(input, shape, pad, value)
                                               : padded_by_repeating(input, pad, mode);
  return autograd::record("pad", out, {input}, {}, PadOptions{pad, mode, value, input.shape()}, pad_backward);
}

namespace ops {

Op pad_op() {
  return {.name = "pad",
          .doc = "input with pad = (before, after) pairs added, last axis first; negative counts crop",
          .inputs = {{"input"}},
          .defaults = default_options<PadOptions>(),
          .call = [](const Tensors& in, const nlohmann::json& options) -> Tensors {
            const auto o = read_options<PadOptions>("pad", options);
            return {lucid::pad(in[0], o.pad, o.mode, o.value.value_or(0.0))};
          },
          .samples = [](Generator& g) -> std::vector<Sample> {
            return {{{normal({2, 3, 2, 3, 2}, g)}, {{"pad", {0, 1, 2, 0, 1, 1}}, {"value", -1.5}}},
                    {{normal({3, 4}, g)}, {{"pad", {1, -1, -2, 3}}}},
                    {{normal({1, 2, 3, 4, 3}, g)}, {{"pad", {2, 1, 0, 3, 1, 0}}, {"mode", "reflect"}}},
                    {{normal({1, 2, 2, 3, 2}, g)}, {{"pad", {2, 1, 0, 3, 1, 0}}, {"mode", "replicate"}}},
                    {{normal({1, 2, 3, 4, 2}, g)}, {{"pad", {2, 1, -1, 3, 1, 0}}, {"mode", "circular"}}},
                    {{normal({4}, g)}, {{"pad", {3, -1}}, {"mode", "circular"}}},
                    {{normal({2, 4}, g)}, {{"pad", {-1, 2}}, {"mode", "reflect"}}},
                    {{normal({2, 4}, g)}, {{"pad", {-2, 3, 1, -1}}, {"mode", "replicate"}}},
                    {{normal({2, 3}, g)}, {{"pad", Shape{}}}}};
          },
          .errors = []() -> std::vector<ErrorCase> {
            return {{{ones({2, 3}, f64)}, {{"pad", {1, 1, 1}}}, "3 counts"},
                    {{ones({3}, f64)}, {{"pad", {1, 1, 1, 1}}}, "2 pairs"},
                    {{ones({3}, f64)}, {{"pad", {-2, -2}}}, "(-2, -2)"},
                    {{ones({3}, f64)}, {{"pad", {3, 0}}, {"mode", "reflect"}}, "(3, 0)"},
                    {{ones({3}, f64)}, {{"pad", {4, 0}}, {"mode", "circular"}}, "(4, 0)"},
                    {{ones({3}, f64)}, {{"pad", {-2, 2}}, {"mode", "circular"}}, "at most 1"},
                    {{ones({3}, f64)}, {{"pad", {1, 0}}, {"mode", "reflect"}, {"value", 2.0}}, "value 2"},
                    {{ones({3}, f64)}, {{"pad", {1, 0}}, {"mode", "mirror"}}, "mirror"}};
          }};
}

}  // namespace ops
}  // namespace lucid
