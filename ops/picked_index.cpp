// x[positions] and x[mask], composed of views and index_select, which carry the gradient.

#include "ops/picked_index.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lucid/error.hpp"
#include "ops/gather.hpp"
#include "ops/kernels/binary.hpp"
#include "ops/kernels/loop_plan.hpp"
#include "ops/options.hpp"
#include "ops/view.hpp"

namespace lucid::ops {
namespace {

using nlohmann::json;

// Positions (int64, any shape) along one axis, whose number is `given` in the input and `axis` in the part
// that basic indexing leaves.
struct Picked {
  std::size_t given, axis;
  Tensor positions;
};

// The coordinates of a mask's true elements, one list for each of its axes.
std::vector<Picked> coordinates(const Tensor& mask, std::size_t given, std::size_t axis) {
  const Shape& shape = mask.shape();
  std::vector<std::vector<std::int64_t>> lists(shape.size());
  const auto values = mask.to_vector<std::uint8_t>();
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!values[i]) continue;
    std::size_t rest = i;
    for (std::size_t d = shape.size(); d-- > 0;) {
      const auto size = static_cast<std::size_t>(shape[d]);
      lists[d].push_back(static_cast<std::int64_t>(rest % size));
      rest /= size;
    }
  }
  std::vector<Picked> out;
  for (std::size_t d = 0; d < lists.size(); ++d)
    out.push_back(
        {given + d, axis + d, Tensor::from(lists[d], {static_cast<std::int64_t>(lists[d].size())})});
  return out;
}

// How many axes of the input an entry stands for.
std::size_t axes_of(const TensorIndex& entry) {
  if (entry.kind == TensorIndex::Kind::integer || entry.kind == TensorIndex::Kind::slice) return 1;
  if (entry.kind != TensorIndex::Kind::tensor) return 0;
  check(entry.tensor.defined(), "getitem", "a tensor among the indices is undefined");
  if (entry.tensor.dtype() != boolean) return 1;
  check(entry.tensor.dim() > 0, "getitem", "a mask of rank 0 is not supported; index with None instead");
  return static_cast<std::size_t>(entry.tensor.dim());
}

std::vector<Picked> read_tensor(const Tensor& tensor, const Tensor& input, std::size_t axis,
                                std::size_t axis_of_part) {
  if (tensor.dtype() == boolean) {
    for (std::size_t d = 0; d < tensor.shape().size(); ++d)
      check(tensor.shape()[d] == input.shape()[axis + d], "getitem", "a mask of shape ", tensor.shape(),
            " does not fit axis ", axis + d, " of size ", input.shape()[axis + d]);
    return coordinates(tensor, axis, axis_of_part);
  }
  check(tensor.dtype() == i64 || tensor.dtype() == i32, "getitem", "an index tensor has dtype ",
        tensor.dtype(), "; int64, int32 or bool is required");
  return {{axis, axis_of_part, kernels::converted(tensor, i64)}};
}

struct Parts {
  std::vector<TensorIndex> basic;  // the indices with whole axes for the tensors
  std::vector<Picked> picked;
};

Parts separate(const Tensor& input, const std::vector<TensorIndex>& indices) {
  const std::size_t rank = input.shape().size();
  std::size_t named = 0, ellipses = 0;
  for (const TensorIndex& entry : indices) {
    named += axes_of(entry);
    ellipses += entry.kind == TensorIndex::Kind::ellipsis;
  }
  check(ellipses <= 1, "getitem", "the index has ", ellipses, " ellipses; at most one has a meaning");
  check(named <= rank, "getitem", named, " indices for a tensor of shape ", input.shape());
  Parts parts;
  std::size_t axis = 0, kept = 0;  // of the input, of the part
  for (const TensorIndex& entry : indices) {
    const std::size_t count = axes_of(entry);
    switch (entry.kind) {
      case TensorIndex::Kind::tensor:
        for (Picked& picked : read_tensor(entry.tensor, input, axis, kept))
          parts.picked.push_back(std::move(picked));
        for (std::size_t i = 0; i < count; ++i) parts.basic.emplace_back(Slice());
        kept += count;
        break;
      case TensorIndex::Kind::ellipsis:
        parts.basic.push_back(entry);
        axis += rank - named;
        kept += rank - named;
        break;
      default: parts.basic.push_back(entry); kept += entry.kind != TensorIndex::Kind::integer;
    }
    axis += count;
  }
  return parts;
}

// flat = flat * size + position: one more axis of `size` in row-major positions. Broadcasts the positions.
void append_axis(const Tensor& flat, const Picked& picked, std::int64_t size) {
  const Tensor positions = picked.positions.expand(flat.shape());
  const auto plan = kernels::plan_loop<2>(flat.shape(), {flat.strides(), positions.strides()});
  auto* to = flat.data_to_write<std::int64_t>();
  const auto* from = positions.data<std::int64_t>();
  kernels::parallel_rows(plan, [&](const auto& at, std::int64_t count) {
    const std::int64_t step = plan.strides[0][plan.rank - 1], stride = plan.strides[1][plan.rank - 1];
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t position = from[at[1] + i * stride];
      check(position >= -size && position < size, "getitem", "position ", position,
            " is out of range for axis ", picked.given, " of size ", size);
      std::int64_t& sum = to[at[0] + i * step];
      sum = sum * size + (position < 0 ? position + size : position);
    }
  });
}

bool adjacent(const std::vector<Picked>& picked) {
  for (std::size_t i = 1; i < picked.size(); ++i)
    if (picked[i].axis != picked[i - 1].axis + 1) return false;
  return true;
}

// The order of axes that brings the picked ones to the front.
std::vector<std::int64_t> picked_first(const std::vector<Picked>& picked, std::size_t rank) {
  std::vector<std::int64_t> order;
  for (const Picked& p : picked) order.push_back(static_cast<std::int64_t>(p.axis));
  for (std::size_t axis = 0; axis < rank; ++axis)
    if (std::none_of(picked.begin(), picked.end(), [&](const Picked& p) { return p.axis == axis; }))
      order.push_back(static_cast<std::int64_t>(axis));
  return order;
}

}  // namespace

Tensor index_by_tensors(const Tensor& input, const std::vector<TensorIndex>& indices) {
  const Parts parts = separate(input, indices);
  const std::vector<Picked>& picked = parts.picked;
  Tensor part = index(input, parts.basic);

  Shape shape;
  Shape along;  // the picked axes
  for (const Picked& p : picked) {
    shape = broadcast_shapes("getitem", shape, p.positions.shape());
    along.push_back(part.shape()[p.axis]);
  }
  const std::int64_t size = checked_numel("getitem", along);
  const std::size_t axes = shape.size() + part.shape().size() - along.size();
  check(axes <= Shape::kMaxRank, "getitem", "the result would have ", axes, " axes; at most ",
        Shape::kMaxRank, " are supported");
  const Tensor flat = zeros(shape, i64);
  for (const Picked& p : picked) append_axis(flat, p, part.shape()[p.axis]);

  // Bring the picked axes side by side, at the front unless they are, merge them to one and pick along it.
  std::size_t first = picked.front().axis;
  if (!adjacent(picked)) {
    part = permute(part, picked_first(picked, part.shape().size()));
    first = 0;
  }
  const Shape& sizes = part.shape();
  Shape merged, result;
  for (std::size_t axis = 0; axis < first; ++axis) merged.push_back(sizes[axis]);
  result = merged;
  merged.push_back(size);
  for (const std::int64_t picks : shape) result.push_back(picks);
  for (std::size_t axis = first + picked.size(); axis < sizes.size(); ++axis) {
    merged.push_back(sizes[axis]);
    result.push_back(sizes[axis]);
  }
  const auto dim = static_cast<std::int64_t>(first);
  return reshape(index_select(reshape(part, merged), dim, reshape(flat, {-1})), result);
}

namespace {

// Appends the leaves of `in` to `values` and checks that lists of one depth have one length.
void collect(const json& in, std::size_t depth, Shape& shape, std::vector<const json*>& values) {
  if (!in.is_array()) {
    if (depth != shape.size()) throw Error("lists of positions must have one depth");
    values.push_back(&in);
    return;
  }
  const auto length = static_cast<std::int64_t>(in.size());
  if (depth == shape.size()) {
    if (!values.empty()) throw Error("lists of positions must have one depth");
    if (depth == Shape::kMaxRank)
      throw Error(str("lists of positions lie at most ", Shape::kMaxRank, " deep in each other"));
    shape.push_back(length);
  }
  if (shape[depth] != length)
    throw Error(str("lists of positions must have one length, got ", shape[depth], " and ", length));
  for (const json& element : in) collect(element, depth + 1, shape, values);
}

}  // namespace

Tensor read_nested_list(const json& in) {
  Shape shape;
  std::vector<const json*> values;
  collect(in, 0, shape, values);
  const bool mask = !values.empty() && values.front()->is_boolean();
  std::vector<std::int64_t> numbers;
  for (const json* value : values) {
    if (mask != value->is_boolean() || (!mask && !value->is_number_integer()))
      throw Error("a list of positions or of booleans is required");
    numbers.push_back(mask ? static_cast<std::int64_t>(value->get<bool>()) : read_integer(*value));
  }
  return Tensor::from(numbers, shape).to(mask ? boolean : i64);
}

}  // namespace lucid::ops
