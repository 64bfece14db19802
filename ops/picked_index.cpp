// x[positions] and x[mask], composed of views and index_select, which carry the gradient.

#include "ops/picked_index.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lucid/error.hpp"
#include "ops/gather.hpp"
#include "ops/view.hpp"

namespace lucid::ops {
namespace {

using nlohmann::json;

// Positions (int64) along one axis of the part that basic indexing leaves.
struct Picked {
  std::size_t axis;
  Shape shape;
  std::vector<std::int64_t> positions;
};

// The coordinates of a mask's true elements, one list for each of its axes.
std::vector<Picked> coordinates(const Tensor& mask, std::size_t axis) {
  const Shape& shape = mask.shape();
  std::vector<Picked> out(shape.size());
  const auto values = mask.to_vector<std::uint8_t>();
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!values[i]) continue;
    std::size_t rest = i;
    for (std::size_t d = shape.size(); d-- > 0;) {
      const auto size = static_cast<std::size_t>(shape[d]);
      out[d].positions.push_back(static_cast<std::int64_t>(rest % size));
      rest /= size;
    }
  }
  for (std::size_t d = 0; d < out.size(); ++d) {
    out[d].axis = axis + d;
    out[d].shape = Shape{static_cast<std::int64_t>(out[d].positions.size())};
  }
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
    return coordinates(tensor, axis_of_part);
  }
  check(tensor.dtype() == i64 || tensor.dtype() == i32, "getitem", "an index tensor has dtype ",
        tensor.dtype(), "; int64, int32 or bool is required");
  Picked out{axis_of_part, tensor.shape(), tensor.to_vector<std::int64_t>()};
  const std::int64_t size = input.shape()[axis];
  for (std::int64_t& position : out.positions) {
    check(position >= -size && position < size, "getitem", "position ", position,
          " is out of range for axis ", axis, " of size ", size);
    if (position < 0) position += size;
  }
  return {out};
}

struct Parts {
  std::vector<TensorIndex> basic;  // the indices with whole axes for the tensors
  std::vector<Picked> picked;
};

Parts separate(const Tensor& input, const std::vector<TensorIndex>& indices) {
  const std::size_t rank = input.shape().size();
  std::size_t named = 0;
  for (const TensorIndex& entry : indices) named += axes_of(entry);
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

// Element (row-major) of a tensor of shape `from` at each place of `shape`, to which it broadcasts.
std::vector<std::int64_t> broadcast(const std::vector<std::int64_t>& values, const Shape& from,
                                    const Shape& shape) {
  return Tensor::from(values, from).expand(shape).to_vector<std::int64_t>();
}

bool adjacent(const std::vector<Picked>& picked) {
  for (std::size_t i = 1; i < picked.size(); ++i)
    if (picked[i].axis != picked[i - 1].axis + 1) return false;
  return true;
}

}  // namespace

Tensor index_by_tensors(const Tensor& input, const std::vector<TensorIndex>& indices) {
  const Parts parts = separate(input, indices);
  const std::vector<Picked>& picked = parts.picked;
  const Tensor part = index(input, parts.basic);

  Shape shape;
  for (const Picked& p : picked) shape = broadcast_shapes("getitem", shape, p.shape);
  const auto count = static_cast<std::size_t>(checked_numel("getitem", shape));
  std::vector<std::int64_t> flat(count, 0), order;
  std::int64_t size = 1;
  for (const Picked& p : picked) {
    const std::int64_t length = part.shape()[p.axis];
    const auto positions = broadcast(p.positions, p.shape, shape);
    for (std::size_t i = 0; i < count; ++i) flat[i] = flat[i] * length + positions[i];
    size *= length;
    order.push_back(static_cast<std::int64_t>(p.axis));
  }

  // Bring the picked axes to the front, merge them, pick, and put the picks' axes in their place.
  Shape merged{size}, result = shape;
  for (std::size_t axis = 0; axis < part.shape().size(); ++axis) {
    if (std::any_of(picked.begin(), picked.end(), [&](const Picked& p) { return p.axis == axis; })) continue;
    order.push_back(static_cast<std::int64_t>(axis));
    merged.push_back(part.shape()[axis]);
    result.push_back(part.shape()[axis]);
  }
  const Tensor rows = reshape(permute(part, order), merged);
  const Tensor picks = Tensor::from(flat, {static_cast<std::int64_t>(count)});
  const Tensor out = reshape(index_select(rows, 0, picks), result);
  if (!adjacent(picked) || picked.front().axis == 0) return out;
  std::vector<std::int64_t> places;
  const auto first = static_cast<std::int64_t>(picked.front().axis);
  const auto width = static_cast<std::int64_t>(shape.size());
  for (std::int64_t axis = 0; axis < out.dim(); ++axis)
    places.push_back(axis < first ? axis + width : axis < first + width ? axis - first : axis);
  return permute(out, places);
}

namespace {

// Appends the leaves of `in` to `values` and checks that lists of one depth have one length.
void collect(const json& in, std::size_t depth, Shape& shape, std::vector<json>& values) {
  if (!in.is_array()) {
    if (depth != shape.size()) throw Error("lists of positions must have one depth");
    values.push_back(in);
    return;
  }
  const auto length = static_cast<std::int64_t>(in.size());
  const bool seen = !values.empty();
  if (depth == shape.size()) {
    if (seen) throw Error("lists of positions must have one depth");
    shape.push_back(length);
  }
  if (shape[depth] != length) throw Error("lists of positions must have one length, got " + in.dump());
  for (const json& element : in) collect(element, depth + 1, shape, values);
}

json nest(const std::vector<json>& values, const Shape& shape, std::size_t depth, std::size_t& at) {
  if (depth == shape.size()) return values.at(at++);
  json out = json::array();
  for (std::int64_t i = 0; i < shape[depth]; ++i) out.push_back(nest(values, shape, depth + 1, at));
  return out;
}

}  // namespace

Tensor read_nested_list(const json& in) {
  Shape shape;
  std::vector<json> values;
  collect(in, 0, shape, values);
  const bool mask = !values.empty() && values.front().is_boolean();
  std::vector<std::int64_t> numbers;
  for (const json& value : values) {
    if (mask != value.is_boolean() || (!mask && !value.is_number_integer()))
      throw Error("a list of positions or of booleans is required, got " + in.dump());
    numbers.push_back(mask ? static_cast<std::int64_t>(value.get<bool>()) : value.get<std::int64_t>());
  }
  return Tensor::from(numbers, shape).to(mask ? boolean : i64);
}

json nested_list(const Tensor& tensor) {
  std::vector<json> values;
  for (const std::int64_t value : tensor.to_vector<std::int64_t>())
    values.push_back(tensor.dtype() == boolean ? json(value != 0) : json(value));
  std::size_t at = 0;
  return nest(values, tensor.shape(), 0, at);
}

}  // namespace lucid::ops
