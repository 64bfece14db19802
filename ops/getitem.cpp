// Indexing, and slice_backward, the adjoint that it shares with slice, narrow and select.

#include <algorithm>

#include "autograd/record.hpp"
#include "ops/json_options.hpp"
#include "ops/kernels/elementwise.hpp"
#include "ops/kernels/layout.hpp"
#include "ops/picked_index.hpp"
#include "ops/quote.hpp"
#include "ops/region.hpp"
#include "ops/registry.hpp"
#include "ops/samples.hpp"
#include "ops/slice.hpp"

namespace lucid {
namespace {

using autograd::Backward;
using autograd::record;
using ops::Region;

// ---- options ----

struct IndexList {
  std::vector<TensorIndex> entries;
};

nlohmann::json bound_json(const std::optional<std::int64_t>& bound) {
  return bound ? nlohmann::json(*bound) : nlohmann::json();
}

nlohmann::json entry_json(const TensorIndex& entry) {
  switch (entry.kind) {
    case TensorIndex::Kind::integer: return entry.integer;
    case TensorIndex::Kind::none: return nullptr;
    case TensorIndex::Kind::ellipsis: return {{"ellipsis", true}};
    default:
      return {{"slice",
               {bound_json(entry.slice.start), bound_json(entry.slice.stop), bound_json(entry.slice.step)}}};
  }
}

TensorIndex read_entry(const nlohmann::json& in) {
  if (in.is_null()) return None;
  if (in.is_object() && in.size() == 1 && in.contains("ellipsis")) return Ellipsis;
  if (in.is_object() && in.size() == 1 && in.contains("slice")) {
    const nlohmann::json& bounds = in["slice"];
    if (!bounds.is_array() || bounds.size() != 3)
      throw Error("a slice is a list of start, stop and step, got " + ops::quote(bounds));
    Slice slice;
    if (!bounds[0].is_null()) slice.start = ops::read_integer(bounds[0]);
    if (!bounds[1].is_null()) slice.stop = ops::read_integer(bounds[1]);
    if (!bounds[2].is_null()) slice.step = ops::read_integer(bounds[2]);
    return slice;
  }
  if (in.is_array()) return ops::read_nested_list(in);
  if (!in.is_number_integer())
    throw Error("integers, slices, ellipsis, null, and lists of positions or of booleans are required, got " +
                ops::quote(in));
  return ops::read_integer(in);
}

void to_json(nlohmann::json& out, const IndexList& list) {
  out = nlohmann::json::array();
  for (const TensorIndex& entry : list.entries) out.push_back(entry_json(entry));
}

void from_json(const nlohmann::json& in, IndexList& list) {
  list.entries.clear();
  if (!in.is_array()) {  // x[1:3] is x[(1:3,)]
    list.entries.push_back(read_entry(in));
    return;
  }
  for (const auto& entry : in) list.entries.push_back(read_entry(entry));
}

struct GetitemOptions {
  IndexList index;
  Region region;
  Shape sizes;
  Strides strides;
};
LUCID_OPTIONS(GetitemOptions, index)

struct SliceBackwardOptions {
  Shape sizes, starts, steps;
  Shape lengths;  // the gradient's shape; no option of the op
};
LUCID_OPTIONS(SliceBackwardOptions, sizes, starts, steps)

// ---- backward rules ----

Tensors getitem_backward(const Backward<GetitemOptions>& b) {
  const GetitemOptions& o = b.options;
  return {ops::scatter_region(b.grad().reshape(o.region.lengths), o.sizes, o.region, o.strides)};
}

Tensors slice_backward_backward(const Backward<SliceBackwardOptions>& b) {
  std::vector<TensorIndex> part;
  const SliceBackwardOptions& o = b.options;
  for (std::size_t i = 0; i < o.lengths.size(); ++i) {
    const std::int64_t span = o.lengths[i] == 0 ? 0 : (o.lengths[i] - 1) * o.steps[i] + 1;
    const std::int64_t last = o.starts[i] + span;
    part.push_back(Slice(o.starts[i], last, o.steps[i]));
  }
  return {index(b.grad(), part)};
}

// ---- shape rule ----

// What an index makes of a shape: the part that it picks, then which axes of the part stay (-1: a new axis).
struct Plan {
  Region region;
  std::vector<std::int64_t> axes;
};

std::size_t named_axes(const std::vector<TensorIndex>& indices) {
  std::size_t named = 0, ellipses = 0;
  for (const TensorIndex& entry : indices) {
    named += entry.kind == TensorIndex::Kind::integer || entry.kind == TensorIndex::Kind::slice;
    ellipses += entry.kind == TensorIndex::Kind::ellipsis;
  }
  check(ellipses <= 1, "getitem", "the index has ", ellipses, " ellipses; at most one has a meaning");
  return named;
}

Plan plan_index(const Tensor& input, const std::vector<TensorIndex>& indices) {
  const std::size_t rank = input.shape().size(), named = named_axes(indices);
  check(named <= rank, "getitem", named, " indices for a tensor of shape ", input.shape());
  Plan plan{Region::all(input.shape()), {}};
  std::size_t axis = 0;
  const auto keep = [&](std::size_t count) {
    for (; count > 0; --count) plan.axes.push_back(static_cast<std::int64_t>(axis++));
  };
  for (const TensorIndex& entry : indices) {
    if (entry.kind == TensorIndex::Kind::none) {
      plan.axes.push_back(-1);
    } else if (entry.kind == TensorIndex::Kind::ellipsis) {
      keep(rank - named);
    } else if (entry.kind == TensorIndex::Kind::slice) {
      plan.region.slice("getitem", axis, entry.slice.start.value_or(0),
                        entry.slice.stop.value_or(std::numeric_limits<std::int64_t>::max()),
                        entry.slice.step.value_or(1));
      keep(1);
    } else {
      plan.region.starts[axis] = ops::wrap_index("getitem", entry.integer, axis, input.shape()[axis]);
      plan.region.lengths[axis] = 1;
      ++axis;
    }
  }
  keep(rank - axis);
  check(plan.axes.size() <= Shape::kMaxRank, "getitem", "the result would have ", plan.axes.size(),
        " axes; at most ", Shape::kMaxRank, " are supported");
  return plan;
}

}  // namespace

Tensor index(const Tensor& input, const std::vector<TensorIndex>& indices) {
  const autograd::OpTimer timer("getitem");
  check(input.defined(), "getitem", "the tensor is undefined");
  if (std::any_of(indices.begin(), indices.end(),
                  [](const TensorIndex& entry) { return entry.kind == TensorIndex::Kind::tensor; }))
    return ops::index_by_tensors(input, indices);
  Plan plan = plan_index(input, indices);
  const Tensor part = plan.region.of(input);
  Shape shape, strides;
  for (std::int64_t axis : plan.axes) {
    shape.push_back(axis < 0 ? 1 : part.shape()[static_cast<std::size_t>(axis)]);
    strides.push_back(axis < 0 ? 1 : part.strides()[static_cast<std::size_t>(axis)]);
  }
  return record("getitem", alias(part, shape, strides, part.offset()), {input}, {},
                GetitemOptions{{indices}, plan.region, input.shape(), input.strides()}, getitem_backward);
}

namespace ops {

Tensor scatter_region(const Tensor& grad, const Shape& sizes, const Region& region, const Strides& like) {
  const autograd::OpTimer timer("slice_backward");
  Tensor out = kernels::empty_in_order(sizes, like, grad.dtype());
  if (grad.numel() < out.numel()) kernels::zero_bytes(out);
  kernels::copy(region.of(out), grad);
  return autograd::record("slice_backward", out, {grad}, {},
                          SliceBackwardOptions{sizes, region.starts, region.steps, region.lengths},
                          slice_backward_backward);
}

namespace {

// A list within a list within a list...
nlohmann::json nested(int depth) {
  nlohmann::json out = nlohmann::json::array({0});
  for (; depth > 1; --depth) {
    nlohmann::json outer = nlohmann::json::array();
    outer.push_back(std::move(out));
    out = std::move(outer);
  }
  return out;
}

}  // namespace

Op getitem_op() {
  return {
      .name = "getitem",
      .doc =
          "input[index], where index lists integers, slices, an ellipsis, null for a new axis, and lists "
          "of positions or of booleans",
      .inputs = {{"input"}},
      .defaults = default_options<GetitemOptions>(),
      .call = [](const Tensors& in, const nlohmann::json& options) -> Tensors {
        return {index(in[0], read_options<GetitemOptions>("getitem", options).index.entries)};
      },
      .samples = [](Generator& generator) -> std::vector<Sample> {
        const nlohmann::json whole = {{"slice", {nullptr, nullptr, nullptr}}};
        const nlohmann::json rest = {{"ellipsis", true}};
        return {{{normal({2, 3, 2, 3, 4}, generator)}, {{"index", {whole, {{"slice", {1, 3, nullptr}}}}}}},
                {{normal({2, 3, 5}, generator)}, {{"index", {rest, nullptr, {{"slice", {0, -1, 2}}}}}}},
                {{normal({2, 3, 2}, generator)}, {{"index", {-1, rest, 0}}}},
                {{normal({2, 3}, generator)}, {{"index", {1, 2}}}},
                {{normal({}, generator)}, {{"index", {nullptr, rest}}}},
                {{normal({3, 2}, generator)}, {{"index", -2}}},
                {{normal({5, 3}, generator)},
                 {{"index", {{{"slice", {-4, nullptr, 2}}}, nullptr, {{"slice", {-9, 9, nullptr}}}}}}},
                {{normal({3, 2, 4}, generator)}, {{"index", {whole, {1, 0, 1}}}}},
                {{normal({3, 2, 4}, generator)}, {{"index", {{0, -1}, whole, {1, 3}}}}},
                {{normal({3, 2, 2}, generator)}, {{"index", {{true, false, true}, 1}}}}};
      },
      .errors = []() -> std::vector<ErrorCase> {
        return {
            {{ones({2, 3}, f64)}, {{"index", {2}}}, "index 2"},
            {{ones({2, 3}, f64)}, {{"index", {0, 0, 0}}}, "3 indices"},
            {{ones({2, 3}, f64)}, {{"index", {{{"slice", {nullptr, nullptr, -1}}}}}}, "step -1"},
            {{ones({2, 3}, f64)}, {{"index", {{0, 2}}}}, "position 2"},
            {{ones({2, 3}, f64)}, {{"index", {{0, 1}, {0, 1}, {0, 1}}}}, "3 indices"},
            {{ones({2, 3}, f64)},
             {{"index", {{{"ellipsis", true}}, {{"ellipsis", true}}, {0, 1}}}},
             "2 ellipses"},
            {{ones({2, 3}, f64)}, {{"index", {{std::uint64_t{1} << 63}}}}, "9223372036854775808"},
            {{ones({2, 3}, f64)}, {{"index", nested(14)}}, "12 deep"},
            {{ones({2, 3}, f64)}, {{"index", nested(13)}}, "13 axes"},
            {{ones({2, 3}, f64)}, {{"index", nlohmann::json(std::vector<nlohmann::json>(11))}}, "13 axes"},
            {{ones({2, 3}, f64)}, {{"index", {{true, false, true}}}}, "(3)"},
            {{ones({2, 3}, f64)}, {{"index", {"all"}}}, "all"}};
      },
      .linear_in = {0}};
}

namespace {

Region checked_region(const Tensor& grad, const SliceBackwardOptions& o) {
  const std::size_t rank = grad.shape().size();
  check(o.sizes.size() == rank && o.starts.size() == rank && o.steps.size() == rank, "slice_backward",
        "sizes ", o.sizes, ", starts ", o.starts, " and steps ", o.steps, " do not fit a gradient of shape ",
        grad.shape());
  checked_numel("slice_backward", o.sizes);
  for (std::size_t i = 0; i < rank; ++i) {
    check(o.starts[i] >= 0 && o.starts[i] <= o.sizes[i] && o.steps[i] > 0, "slice_backward", "start ",
          o.starts[i], " and step ", o.steps[i], " are not valid for axis ", i, " of size ", o.sizes[i]);
    const std::int64_t length = grad.shape()[i], room = o.sizes[i] - o.starts[i];
    check(length == 0 || (length <= room && (length - 1) <= (room - 1) / o.steps[i]), "slice_backward",
          "starts ", o.starts, " and steps ", o.steps, " lead a gradient of shape ", grad.shape(),
          " beyond sizes ", o.sizes);
  }
  return {o.starts, o.steps, grad.shape()};
}

}  // namespace

Op slice_backward_op() {
  return {.name = "slice_backward",
          .doc = "zeros of shape sizes with grad at starts, steps apart: the adjoint of basic indexing",
          .inputs = {{"grad"}},
          .defaults = default_options<SliceBackwardOptions>(),
          .call = [](const Tensors& in, const nlohmann::json& options) -> Tensors {
            const auto o = read_options<SliceBackwardOptions>("slice_backward", options);
            const Region region = checked_region(in[0], o);
            return {scatter_region(in[0], o.sizes, region, in[0].strides())};
          },
          .samples = [](Generator& generator) -> std::vector<Sample> {
            return {{{normal({2, 2}, generator)}, {{"sizes", {3, 5}}, {"starts", {1, 0}}, {"steps", {1, 3}}}},
                    {{normal({1, 2, 2, 2, 2}, generator)},
                     {{"sizes", {1, 3, 2, 3, 4}}, {"starts", {0, 1, 0, 0, 2}}, {"steps", {1, 1, 1, 2, 1}}}},
                    {{normal({}, generator)}},
                    {{normal({2}, generator)}, {{"sizes", {2}}, {"starts", {0}}, {"steps", {1}}}}};
          },
          .errors = []() -> std::vector<ErrorCase> {
            return {{{ones({2}, f64)}, {{"sizes", {3}}, {"starts", {1}}, {"steps", {2}}}, "starts (1)"},
                    {{ones({2}, f64)}, {{"sizes", {3}}, {"starts", {-1}}, {"steps", {1}}}, "start -1"},
                    {{ones({2}, f64)}, {{"sizes", {3, 3}}, {"starts", {0}}, {"steps", {1}}}, "(3, 3)"}};
          },
          .linear_in = {0}};
}

}  // namespace ops
}  // namespace lucid
